//! Telephone numbers (ITU-T E.164). Needs no grant.
//!
//! ```
//! use sipward_plugin_sdk::{numbers, testing};
//! let number = testing::inside(|| numbers::parse("+1 415 555 2671", "DE")).unwrap();
//! assert_eq!(number.country_code, 1);
//! ```

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A number, understood.
///
/// ```
/// use sipward_plugin_sdk::{numbers, testing};
/// let number = testing::inside(|| numbers::parse("030 123456", "DE")).unwrap();
/// assert_eq!((number.e164.as_str(), number.region.as_str()), ("+4930123456", "DE"));
/// ```
pub use crate::bindings::numbers::Number;
/// What a number is for, as the national plans have it. In settings it is written as
/// [`NumberClass::name`] has it.
///
/// ```
/// use sipward_plugin_sdk::numbers::NumberClass;
/// let barred = [NumberClass::Premium, NumberClass::Satellite];
/// assert!(!barred.contains(&NumberClass::Mobile));
/// ```
pub use crate::bindings::numbers::NumberClass;
/// Why it is none.
///
/// ```
/// use sipward_plugin_sdk::numbers::{self, NumberError};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(numbers::parse("alice", "DE"), Err(NumberError::NotANumber));
/// # });
/// ```
pub use crate::bindings::numbers::NumberError;

#[cfg(target_arch = "wasm32")]
use crate::bindings::numbers as host;
use crate::bindings::numbers::Digits;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::numbers as host;

/// Understands what was dialled in `region` (ISO 3166-1 alpha-2): `+`, the region's
/// international and national prefixes, separators of RFC 3966. Undo escapes before
/// ([`decode_escapes`](crate::decode_escapes)). Other digits than ASCII's are no
/// digits.
///
/// ```
/// use sipward_plugin_sdk::numbers::{self, NumberClass};
/// # sipward_plugin_sdk::testing::inside(|| {
/// let number = numbers::parse("0900 1234567", "DE")?;
/// assert_eq!((number.e164.as_str(), number.class), ("+499001234567", NumberClass::Premium));
/// # Ok::<(), numbers::NumberError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`NumberError`]: why it is no number. What was dialled reached no destination
/// that anybody could judge, so treat it as one that is not allowed.
pub fn parse(dialled: &str, region: &str) -> Result<Number, NumberError> {
    host::parse_digits(dialled, region).map(unpacked)
}

/// A number with its texts.
fn unpacked(digits: Digits) -> Number {
    // 15 digits and the sign.
    let mut e164 = String::with_capacity(16);
    e164.push('+');
    let mut rest = digits.e164;
    while let digit @ 0..=9 = (rest >> 60) as u8 {
        e164.push(char::from(b'0' + digit));
        rest = rest << 4 | 0xf;
    }
    let mut region = String::with_capacity(4);
    let characters = digits.region.to_be_bytes();
    region.extend(
        characters
            .into_iter()
            .take_while(|byte| *byte != 0)
            .map(char::from),
    );
    Number {
        e164,
        country_code: digits.country_code,
        region,
        class: digits.class,
        valid: digits.valid,
    }
}

/// Each class and its name in settings, which is that of `wit/policy.wit`.
const NAMES: [(NumberClass, &str); 14] = [
    (NumberClass::Fixed, "fixed"),
    (NumberClass::Mobile, "mobile"),
    (NumberClass::FixedOrMobile, "fixed-or-mobile"),
    (NumberClass::TollFree, "toll-free"),
    (NumberClass::Premium, "premium"),
    (NumberClass::SharedCost, "shared-cost"),
    (NumberClass::Voip, "voip"),
    (NumberClass::Personal, "personal"),
    (NumberClass::Pager, "pager"),
    (NumberClass::Company, "company"),
    (NumberClass::Voicemail, "voicemail"),
    (NumberClass::Satellite, "satellite"),
    (NumberClass::InternationalService, "international-service"),
    (NumberClass::Unknown, "unknown"),
];

impl NumberClass {
    /// Every class, in the order of `wit/policy.wit`.
    ///
    /// ```
    /// use sipward_plugin_sdk::numbers::NumberClass;
    /// assert!(NumberClass::all().any(|class| class == NumberClass::Satellite));
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(class, _)| class)
    }

    /// The name in settings and logs.
    ///
    /// ```
    /// use sipward_plugin_sdk::numbers::NumberClass;
    /// assert_eq!(NumberClass::FixedOrMobile.name(), "fixed-or-mobile");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(class, _)| *class == self);
        named.map_or("unknown", |(_, name)| name)
    }

    /// The class of that name.
    ///
    /// ```
    /// use sipward_plugin_sdk::numbers::NumberClass;
    /// assert_eq!(NumberClass::from_name("toll-free"), Some(NumberClass::TollFree));
    /// assert_eq!(NumberClass::from_name("cheap"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, known)| *known == name);
        named.map(|(class, _)| *class)
    }
}

impl fmt::Display for NumberClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl<'de> Deserialize<'de> for NumberClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
            let known = known.join(", ");
            D::Error::custom(format!(
                "`{name}` is no class of numbers; known are {known}"
            ))
        })
    }
}

impl JsonSchema for NumberClass {
    fn schema_name() -> Cow<'static, str> {
        "NumberClass".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "What a telephone number is for.",
            "enum": NAMES.map(|(_, name)| name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_texts() {
        let digits = Digits {
            e164: 0x4930_2312_5000_ffff,
            country_code: 49,
            region: u32::from_be_bytes(*b"DE\0\0"),
            class: NumberClass::Fixed,
            valid: true,
        };
        let number = unpacked(digits);
        assert_eq!(
            (number.e164.as_str(), number.region.as_str()),
            ("+493023125000", "DE")
        );
        let longest = unpacked(Digits {
            e164: 0x0012_3456_7890_123f,
            region: u32::from_be_bytes(*b"001\0"),
            ..digits
        });
        assert_eq!(
            (longest.e164.as_str(), longest.region.as_str()),
            ("+001234567890123", "001")
        );
        // A host that says more than it may is read to the end, and no further.
        assert_eq!(unpacked(Digits { e164: 0, ..digits }).e164.len(), 17);
    }

    #[test]
    fn each_class_has_its_name() {
        for class in NumberClass::all() {
            assert_eq!(NumberClass::from_name(class.name()), Some(class));
            let read: NumberClass = serde_json::from_str(&format!("\"{class}\"")).unwrap();
            assert_eq!(read, class);
        }
        assert_eq!(NumberClass::all().count(), 14);
        let error = serde_json::from_str::<NumberClass>("\"Premium\"").unwrap_err();
        assert!(
            error.to_string().contains("premium, shared-cost"),
            "{error}"
        );
    }
}
