//! Where addresses are, by the databases that the operator's config names. Needs
//! [`Capability::Geo`](crate::Capability::Geo).
//!
//! ```
//! use sipward_plugin_sdk::geo::{Place, locate};
//! use sipward_plugin_sdk::testing::{Harness, Passing, json};
//! let host = Harness::<Passing>::new(json!(null))
//!     .with_place("192.0.2.0/24", Place::in_country("DE"));
//! let place = host.inside(|| locate("192.0.2.7".parse().unwrap())).unwrap();
//! assert_eq!(place.country, "DE");
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::IpAddr;

use libm::{asin, cos, sin, sqrt};

/// Degrees in millionths; north and east are positive.
///
/// ```
/// use sipward_plugin_sdk::geo::Coordinates;
/// let berlin = Coordinates { latitude: 52_520_000, longitude: 13_405_000 };
/// assert!(berlin.distance_km(berlin) < 0.001);
/// ```
pub use crate::bindings::geo::Coordinates;
/// Why nothing is known.
///
/// ```
/// use sipward_plugin_sdk::geo::{GeoError, locate};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(locate("192.0.2.1".parse().unwrap()), Err(GeoError::Unavailable));
/// # });
/// ```
pub use crate::bindings::geo::GeoError;
/// What is known of an address.
///
/// ```
/// use sipward_plugin_sdk::geo::Place;
/// let place = Place::in_country("DE").announced_by(64_496, "Example");
/// assert_eq!((place.country.as_str(), place.organisation.as_str()), ("DE", "Example"));
/// ```
pub use crate::bindings::geo::Place;

#[cfg(target_arch = "wasm32")]
use crate::bindings::geo as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::geo as host;

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// Looks an address up. What the databases do not know is empty: a private address
/// has no country.
///
/// ```
/// # use sipward_plugin_sdk::{Outcome, Request, testing};
/// use sipward_plugin_sdk::geo;
/// fn on_request(request: &Request<'_>) -> Outcome {
///     match geo::locate(request.peer().address()) {
///         Ok(place) if place.country == "DE" => Outcome::next(),
///         Ok(place) => Outcome::reject(403).because(format!("comes from {}", place.country)),
///         Err(_) => Outcome::reject(503).because("there is no database"),
///     }
/// }
/// # let call = testing::Request::invite("sip:bob@example.com");
/// # assert_eq!(testing::inside(|| call.seen(on_request)).status(), Some(503));
/// ```
///
/// # Errors
/// [`GeoError::Unavailable`]: the config names no database.
pub fn locate(address: IpAddr) -> Result<Place, GeoError> {
    host::locate(crate::source::to_raw(address))
}

impl Place {
    /// A place of which nothing is known.
    ///
    /// ```
    /// use sipward_plugin_sdk::geo::Place;
    /// assert!(Place::unknown().country.is_empty());
    /// ```
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            country: String::new(),
            asn: 0,
            organisation: String::new(),
            coordinates: None,
        }
    }

    /// Somewhere in a country, given by ISO 3166-1 alpha-2: for tests.
    ///
    /// ```
    /// use sipward_plugin_sdk::geo::Place;
    /// assert_eq!(Place::in_country("DE").country, "DE");
    /// ```
    #[must_use]
    pub fn in_country(country: &str) -> Self {
        Self {
            country: country.to_owned(),
            ..Self::unknown()
        }
    }

    /// The same, announced by an autonomous system.
    ///
    /// ```
    /// use sipward_plugin_sdk::geo::Place;
    /// let place = Place::in_country("DE").announced_by(64_496, "Example");
    /// assert_eq!(place.asn, 64_496);
    /// ```
    #[must_use]
    pub fn announced_by(self, asn: u32, organisation: &str) -> Self {
        Self {
            asn,
            organisation: organisation.to_owned(),
            ..self
        }
    }

    /// The same with coordinates in millionths of a degree.
    ///
    /// ```
    /// use sipward_plugin_sdk::geo::Place;
    /// let berlin = Place::in_country("DE").at(52_520_000, 13_405_000);
    /// assert_eq!(berlin.coordinates.unwrap().latitude, 52_520_000);
    /// ```
    #[must_use]
    pub const fn at(mut self, latitude: i32, longitude: i32) -> Self {
        self.coordinates = Some(Coordinates {
            latitude,
            longitude,
        });
        self
    }
}

impl Coordinates {
    /// Kilometres to another place along the surface, on a sphere: within 0.6 % of
    /// the truth, which is far better than databases of addresses are.
    ///
    /// ```
    /// use sipward_plugin_sdk::geo::Coordinates;
    /// let berlin = Coordinates { latitude: 52_520_000, longitude: 13_405_000 };
    /// let paris = Coordinates { latitude: 48_857_000, longitude: 2_352_000 };
    /// assert!((877.0..880.0).contains(&berlin.distance_km(paris)));
    /// ```
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        let radians = |millionths: i32| (f64::from(millionths) / 1e6).to_radians();
        let squared = |number: f64| number * number;
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let north = (to - from) / 2.0;
        let east = (radians(other.longitude) - radians(self.longitude)) / 2.0;
        // The haversine of the angle between them; rounding can lift it over 1.
        let haversine = squared(sin(north)) + cos(from) * cos(to) * squared(sin(east));
        2.0 * EARTH_RADIUS_KM * asin(sqrt(haversine.min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: i32, longitude: i32) -> Coordinates {
        Coordinates {
            latitude: latitude * 1_000_000,
            longitude: longitude * 1_000_000,
        }
    }

    #[test]
    fn distances() {
        let half = EARTH_RADIUS_KM * core::f64::consts::PI;
        for (from, to, wanted) in [
            (at(0, 0), at(0, 0), 0.0),
            (at(90, 0), at(90, 77), 0.0),
            (at(0, 0), at(0, 180), half),
            (at(90, 0), at(-90, 0), half),
            (at(0, 179), at(0, -179), half / 90.0),
            (at(0, -1), at(0, 1), half / 90.0),
        ] {
            let (there, back) = (from.distance_km(to), to.distance_km(from));
            assert!((there - wanted).abs() < 0.001, "{from:?} {to:?}: {there}");
            assert!((there - back).abs() < 0.001);
        }
    }
}
