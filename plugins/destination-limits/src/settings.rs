//! Settings of `destination-limits`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where calls may go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What becomes of numbers that no prefix matches.
    pub default: Default,
    /// Prefixes of numbers that may be dialled. `+49` matches international
    /// numbers however they were dialled, `112` matches local ones.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Prefixes of numbers that may not.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Users that are no numbers and may be called, exactly as they are written
    /// once escapes are undone.
    #[serde(default)]
    pub names: Vec<String>,
    /// What is dialled before a country code instead of `+`.
    #[serde(default = "international_prefixes")]
    pub international_prefixes: Vec<String>,
    /// Country code of national numbers, without `+`.
    #[serde(default)]
    pub country_code: Option<String>,
    /// What is dialled before an area code, as `0` in Germany or `1` in North
    /// America. Needs `country_code`.
    #[serde(default)]
    pub national_prefix: String,
    /// How a number without any prefix is read. `national` if there is a country
    /// code and no national prefix, `local` otherwise.
    #[serde(default)]
    pub bare: Option<Bare>,
    /// Numbers of so many digits or fewer are local, whatever they begin with:
    /// extensions, emergency calls, short codes. 0 to 15.
    #[serde(default = "local_digits")]
    #[schemars(range(max = 15))]
    pub local_digits: u8,
    /// Fewest digits of an international number, country code included. 1 to 15.
    #[serde(default = "min_digits")]
    #[schemars(range(min = 1, max = 15))]
    pub min_digits: u8,
    /// Most digits of any number. `min_digits` to 32; E.164 has 15.
    #[serde(default = "max_digits")]
    #[schemars(range(min = 1, max = 32))]
    pub max_digits: u8,
    /// What becomes of letters in numbers.
    #[serde(default)]
    pub letters: Letters,
    /// Domains that may stand in `;phone-context=`.
    #[serde(default)]
    pub contexts: Vec<String>,
    /// Methods that are looked at, upper case. For REFER the target in Refer-To
    /// is checked too, inside dialogs as well.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Default {
    /// Let the next plugin decide.
    Allow,
    /// Refuse.
    Deny,
}

/// How a number without any prefix is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bare {
    /// As a national number. Needs `country_code`.
    National,
    /// As an international number without its `+`.
    International,
    /// As it is.
    Local,
}

/// What becomes of letters in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Letters {
    /// It is no number.
    #[default]
    Refuse,
    /// They are the digits of a keypad (ITU-T E.161), as in 1-800-FLOWERS.
    Keypad,
}

fn international_prefixes() -> Vec<String> {
    vec!["00".to_owned(), "011".to_owned()]
}

const fn local_digits() -> u8 {
    6
}

const fn min_digits() -> u8 {
    7
}

const fn max_digits() -> u8 {
    15
}

fn methods() -> Vec<String> {
    vec!["INVITE".to_owned(), "REFER".to_owned()]
}
