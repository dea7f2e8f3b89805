//! Countries and autonomous systems, and which of them are allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use sipward_plugin_sdk::SettingsError;
use sipward_plugin_sdk::geo::Place;

use crate::settings::{self, Otherwise};

/// Autonomous systems of one list. 4,096: lists of hosting companies have a few
/// hundred.
const ASNS: usize = 4_096;

/// ISO 3166-1 alpha-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Country([u8; 2]);

impl Country {
    /// Two letters in upper case; `None` for anything else.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }

    pub(crate) const fn letters(self) -> [u8; 2] {
        self.0
    }

    /// A country of the settings.
    pub(crate) fn from_settings(text: &str, key: &str) -> Result<Self, SettingsError> {
        Self::new(text).ok_or_else(|| {
            let message = format!("`{text}` is no country; write two upper-case letters, as in DE");
            SettingsError::new(key, message)
        })
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("??"))
    }
}

/// What is allowed, indexed.
pub(crate) struct Fence {
    default_allows: bool,
    countries: BTreeMap<Country, bool>,
    asns: BTreeMap<u32, bool>,
}

impl Fence {
    pub(crate) fn new(settings: &settings::Fence, key: &str) -> Result<Self, SettingsError> {
        let mut countries = BTreeMap::new();
        for (list, field, allowed) in [
            (&settings.allow, "allow", true),
            (&settings.deny, "deny", false),
        ] {
            for (index, text) in list.iter().enumerate() {
                let key = format!("{key}.{field}[{index}]");
                let country = Country::from_settings(text, &key)?;
                if countries.insert(country, allowed).is_some() {
                    return Err(twice(&key, &country));
                }
            }
        }
        let mut asns = BTreeMap::new();
        for (list, field, allowed) in [
            (&settings.allow_asns, "allow_asns", true),
            (&settings.deny_asns, "deny_asns", false),
        ] {
            if list.len() > ASNS {
                let message = format!("has {} entries; at most {ASNS} are possible", list.len());
                return Err(SettingsError::new(format!("{key}.{field}"), message));
            }
            for (index, asn) in list.iter().enumerate() {
                let key = format!("{key}.{field}[{index}]");
                if *asn == 0 {
                    return Err(SettingsError::new(key, "is 0, which nobody has"));
                }
                if asns.insert(*asn, allowed).is_some() {
                    return Err(twice(&key, asn));
                }
            }
        }
        let default_allows = settings.default == Otherwise::Allow;
        let mut listed = countries.values().chain(asns.values());
        if !default_allows && !listed.any(|allowed| *allowed) {
            let message = "denies every country; name those that calls come from, as in [\"DE\"]";
            return Err(SettingsError::new(format!("{key}.allow"), message));
        }
        Ok(Self {
            default_allows,
            countries,
            asns,
        })
    }

    /// Why a place whose country is known is refused; `None` if it is not.
    pub(crate) fn objection(&self, country: Country, place: &Place) -> Option<String> {
        match self.asns.get(&place.asn) {
            Some(true) => return None,
            Some(false) => {
                let (asn, organisation) = (place.asn, &place.organisation);
                return Some(format!("AS{asn} {organisation} ({country}) is denied"));
            }
            None => {}
        }
        match self.countries.get(&country) {
            Some(true) => None,
            Some(false) => Some(format!("{country} is denied")),
            None if self.default_allows => None,
            None => Some(format!("{country} is in no list, default deny")),
        }
    }

    /// What its network says of a place whose country nobody knows.
    pub(crate) fn knows_network(&self, place: &Place) -> Option<bool> {
        self.asns.get(&place.asn).copied()
    }
}

fn twice(key: &str, what: &dyn fmt::Display) -> SettingsError {
    SettingsError::new(
        key,
        format!("{what} stands there twice; remove it from one list"),
    )
}

/// Addresses that are in no country: RFC 1918, RFC 6598, RFC 4193, loopback and
/// link-local ones.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Countries between which one may change at any time.
pub(crate) fn neighbours(
    pairs: &[(String, String)],
) -> Result<BTreeSet<(Country, Country)>, SettingsError> {
    let mut neighbours = BTreeSet::new();
    for (index, (one, other)) in pairs.iter().enumerate() {
        let key = format!("travel.neighbours[{index}]");
        let one = Country::from_settings(one, &key)?;
        let other = Country::from_settings(other, &key)?;
        neighbours.insert((one.min(other), one.max(other)));
    }
    Ok(neighbours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_have_two_sides() {
        for (address, expected) in [
            ("10.0.0.1", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("192.168.1.1", true),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
