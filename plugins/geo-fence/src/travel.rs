//! Whether a user can have come from the place before to this one.
//!
//! The key-value store holds the last place of each user. A place that is the same
//! is written again after some minutes only, so the time between two places may
//! seem longer than it was by so much, and never shorter: nobody is accused for it.

use std::collections::BTreeSet;

use sipward_plugin_sdk::geo::{Coordinates, Place};
use sipward_plugin_sdk::{SettingsError, clock, keyvalue};

use crate::fence::{Country, neighbours};
use crate::settings;

/// How old a place may get before it is written again. Five minutes: a durable
/// write for each user and five minutes is nothing, and one for each call is much.
const REFRESH_MS: u64 = 5 * 60_000;

/// Half the circumference of the Earth: no two places are farther apart.
const FARTHEST_KM: f64 = 20_038.0;

/// Metres by which a place may differ and be the same one, for the refresh.
const SAME_KM: f64 = 1.0;

/// The configured test.
pub(crate) struct Travel {
    max_kmh: f64,
    ignore_km: f64,
    country_ms: u64,
    neighbours: BTreeSet<(Country, Country)>,
    /// After so long every journey is possible.
    forget_ms: u64,
}

/// What a place says of a journey.
pub(crate) enum Journey {
    /// It is possible, or there was none.
    Possible,
    /// Nobody travels so fast; why.
    Impossible(String),
    /// The key-value store could not be asked, or took nothing.
    Untold,
}

/// Where a user was, and when.
#[derive(Debug, PartialEq)]
struct Stay {
    at_ms: u64,
    country: Option<Country>,
    coordinates: Option<Coordinates>,
}

impl Travel {
    pub(crate) fn new(settings: &settings::Travel) -> Result<Self, SettingsError> {
        for (key, value, least, most) in [
            ("points", u32::from(settings.points), 0, 10_000),
            ("max_kmh", settings.max_kmh, 50, 10_000),
            ("ignore_km", settings.ignore_km, 0, 5_000),
            ("country_minutes", settings.country_minutes, 1, 10_080),
            (
                "neighbours",
                u32::try_from(settings.neighbours.len()).unwrap_or(u32::MAX),
                0,
                1_024,
            ),
        ] {
            if !(least..=most).contains(&value) {
                return Err(SettingsError::new(
                    format!("travel.{key}"),
                    format!("is {value}; {least} to {most} is possible"),
                ));
            }
        }
        let max_kmh = f64::from(settings.max_kmh);
        let country_ms = u64::from(settings.country_minutes) * 60_000;
        let farthest_ms = (FARTHEST_KM / max_kmh * 3_600_000.0) as u64;
        Ok(Self {
            max_kmh,
            ignore_km: f64::from(settings.ignore_km),
            country_ms,
            neighbours: neighbours(&settings.neighbours)?,
            forget_ms: farthest_ms.max(country_ms) + REFRESH_MS,
        })
    }

    /// Judges that a user is at a place now, and remembers it unless nobody can
    /// have got there: the place before is the one to compare the next with.
    pub(crate) fn judge(&self, user: &str, place: &Place) -> Journey {
        let now = Stay {
            at_ms: clock::now_ms(),
            country: Country::new(&place.country),
            coordinates: place.coordinates,
        };
        if now.country.is_none() && now.coordinates.is_none() {
            return Journey::Possible;
        }
        let key = ["place/", user].concat();
        let before = match keyvalue::get(&key) {
            // What cannot be read was written by another version: begin anew.
            Ok(value) => value.as_deref().and_then(Stay::read),
            Err(_) => return Journey::Untold,
        };
        if let Some(before) = &before {
            if let Some(why) = self.objection(before, &now) {
                return Journey::Impossible(why);
            }
            if now.is_like(before) {
                return Journey::Possible;
            }
        }
        match keyvalue::set(&key, &now.written(), self.forget_ms) {
            Ok(()) => Journey::Possible,
            Err(_) => Journey::Untold,
        }
    }

    fn objection(&self, before: &Stay, now: &Stay) -> Option<String> {
        // A clock that was set back tells nothing about time: then 0 has passed.
        let passed_ms = now.at_ms.saturating_sub(before.at_ms);
        let minutes = passed_ms / 60_000;
        if let (Some(from), Some(to)) = (before.coordinates, now.coordinates) {
            let km = from.distance_km(to);
            let possible_km = passed_ms as f64 / 3_600_000.0 * self.max_kmh;
            return (km > self.ignore_km && km > possible_km)
                .then(|| format!("{}, {km:.0} km in {minutes} min", between(before, now)));
        }
        let (from, to) = (before.country?, now.country?);
        let pair = (from.min(to), from.max(to));
        (from != to && passed_ms < self.country_ms && !self.neighbours.contains(&pair))
            .then(|| format!("{} in {minutes} min", between(before, now)))
    }
}

fn between(before: &Stay, now: &Stay) -> String {
    match (before.country, now.country) {
        (Some(from), Some(to)) => format!("from {from} to {to}"),
        _ => "from one place to another".to_owned(),
    }
}

impl Stay {
    /// Whether what was written before says the same and is fresh.
    fn is_like(&self, before: &Self) -> bool {
        let near = match (before.coordinates, self.coordinates) {
            (Some(from), Some(to)) => from.distance_km(to) < SAME_KM,
            (None, None) => true,
            _ => false,
        };
        near && before.country == self.country && self.at_ms.abs_diff(before.at_ms) < REFRESH_MS
    }

    /// The time, the country (zeros if unknown) and the coordinates, if known; all
    /// big-endian.
    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18);
        bytes.extend_from_slice(&self.at_ms.to_be_bytes());
        bytes.extend_from_slice(&self.country.map_or([0; 2], Country::letters));
        if let Some(coordinates) = self.coordinates {
            bytes.extend_from_slice(&coordinates.latitude.to_be_bytes());
            bytes.extend_from_slice(&coordinates.longitude.to_be_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (at_ms, rest) = bytes.split_first_chunk()?;
        let (country, rest) = rest.split_first_chunk::<2>()?;
        let coordinates = match rest.split_first_chunk() {
            Some((latitude, rest)) => Some(Coordinates {
                latitude: i32::from_be_bytes(*latitude),
                longitude: i32::from_be_bytes(rest.try_into().ok()?),
            }),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Self {
            at_ms: u64::from_be_bytes(*at_ms),
            country: std::str::from_utf8(country).ok().and_then(Country::new),
            coordinates,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let berlin = Coordinates {
            latitude: 52_520_000,
            longitude: -13_405_000,
        };
        for (country, coordinates, length) in [
            (None, Some(berlin), 18),
            (Country::new("DE"), None, 10),
            (Country::new("DE"), Some(berlin), 18),
        ] {
            let stay = Stay {
                at_ms: 1_700_000_000_000,
                country,
                coordinates,
            };
            let bytes = stay.written();
            assert_eq!(bytes.len(), length);
            assert_eq!(Stay::read(&bytes), Some(stay));
            assert_eq!(Stay::read(bytes.get(..length - 1).unwrap()), None);
            assert_eq!(Stay::read(&[&bytes[..], b"x"].concat()), None);
        }
    }
}
