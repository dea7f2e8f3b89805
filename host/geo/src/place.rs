//! What several databases know of one address, together.

use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::PathElement::{self, Key};

use crate::database::Database;
use crate::figure::{Degrees, SystemNumber};
use crate::special::is_public;

/// Bytes of an organisation's name. 128: the longest of the registries have a
/// hundred; what follows is cut.
pub const ORGANISATION_BYTES: usize = 128;

/// Degrees in millionths; north and east are positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// -90,000,000 to 90,000,000.
    pub latitude: i32,
    /// -180,000,000 to 180,000,000.
    pub longitude: i32,
}

/// What is known of an address. Empty for what is unknown, and all of it for an
/// address that is not public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case; empty if unknown.
    pub country: String,
    /// Number of the autonomous system that announces it; 0 if unknown.
    pub asn: u32,
    /// Who runs that system, at most [`ORGANISATION_BYTES`]; empty if unknown.
    pub organisation: String,
    /// The middle of the place.
    pub coordinates: Option<Coordinates>,
}

/// The databases that are asked. Each may be absent, and one file may be several of
/// them.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Countries.
    pub country: Option<Arc<Database>>,
    /// Autonomous systems.
    pub asn: Option<Arc<Database>>,
    /// Cities: coordinates, and countries where the one above knows none.
    pub city: Option<Arc<Database>>,
}

impl Places {
    /// Whether nobody can be asked.
    pub fn is_empty(&self) -> bool {
        self.country.is_none() && self.asn.is_none() && self.city.is_none()
    }

    /// Looks an address up. Less than a microsecond for each database.
    pub fn locate(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        if !is_public(address) {
            return Place::default();
        }
        let databases = [&self.country, &self.city].into_iter().flatten();
        let country = databases
            .filter_map(|database| country(database, address))
            .next();
        let (asn, organisation) = match &self.asn {
            Some(database) => (
                asn(database, address).unwrap_or_default(),
                organisation(database, address).unwrap_or_default(),
            ),
            None => Default::default(),
        };
        let coordinates = self
            .city
            .as_deref()
            .and_then(|database| coordinates(database, address));
        Place {
            country: country.unwrap_or_default(),
            asn,
            organisation,
            coordinates,
        }
    }
}

/// Where databases have a country: GeoIP2 and GeoLite2; DB-IP and ip-location-db;
/// IPinfo.
const COUNTRY: [&[PathElement<'static>]; 3] = [
    &[Key("country"), Key("iso_code")],
    &[Key("country_code")],
    &[Key("country")],
];
/// The same for systems: as a number, and as `AS` and digits.
const ASN: [&[PathElement<'static>]; 2] = [&[Key("autonomous_system_number")], &[Key("asn")]];
/// The same for who runs them.
const ORGANISATION: [&[PathElement<'static>]; 2] =
    [&[Key("autonomous_system_organization")], &[Key("as_name")]];
/// The same for coordinates.
const LATITUDE: [&[PathElement<'static>]; 2] =
    [&[Key("location"), Key("latitude")], &[Key("latitude")]];
const LONGITUDE: [&[PathElement<'static>]; 2] =
    [&[Key("location"), Key("longitude")], &[Key("longitude")]];

fn country(database: &Database, address: IpAddr) -> Option<String> {
    COUNTRY.into_iter().find_map(|path| {
        let code: &str = database.field(address, path)?;
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| code.to_ascii_uppercase())
    })
}

fn asn(database: &Database, address: IpAddr) -> Option<u32> {
    ASN.into_iter()
        .find_map(|path| database.field::<SystemNumber>(address, path))
        .map(|SystemNumber(number)| number)
}

fn organisation(database: &Database, address: IpAddr) -> Option<String> {
    ORGANISATION.into_iter().find_map(|path| {
        let name: &str = database.field(address, path)?;
        let name = name.get(..name.floor_char_boundary(ORGANISATION_BYTES))?;
        Some(name.replace(char::is_control, " "))
    })
}

fn coordinates(database: &Database, address: IpAddr) -> Option<Coordinates> {
    let degrees = |paths: [&[PathElement<'static>]; 2], most: f64| {
        paths
            .into_iter()
            .find_map(|path| database.field::<Degrees>(address, path))
            .filter(|Degrees(degrees)| degrees.abs() <= most)
            .map(|Degrees(degrees)| millionths(degrees))
    };
    Some(Coordinates {
        latitude: degrees(LATITUDE, 90.0)?,
        longitude: degrees(LONGITUDE, 180.0)?,
    })
}

/// Degrees that are within 180 of zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "180 million fits, and a float that is none is 0"
)]
fn millionths(degrees: f64) -> i32 {
    (degrees * 1e6).round() as i32
}
