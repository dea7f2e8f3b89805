//! Numbers as different makers of databases write them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Number of an autonomous system: any integer, or `AS` and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemNumber(pub(crate) u32);

impl<'de> Deserialize<'de> for SystemNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = SystemNumber;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the number of an autonomous system")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<SystemNumber, E> {
                u32::try_from(number).map(SystemNumber).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<SystemNumber, E> {
                u32::try_from(number).map(SystemNumber).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SystemNumber, E> {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                digits.parse().map(SystemNumber).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Degrees: a float of either size, or one as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Degrees(pub(crate) f64);

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Degrees;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("degrees")
            }

            fn visit_f64<E: Error>(self, degrees: f64) -> Result<Degrees, E> {
                Ok(Degrees(degrees))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Degrees, E> {
                text.parse().map(Degrees).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
