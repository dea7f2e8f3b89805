//! Settings of `destination-limits`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::numbers::NumberClass;

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
    /// Prefixes of numbers that may be dialled whatever their class and country; a
    /// longer prefix in `deny` still counts.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// What numbers may not be for, whatever `allow` says: `premium`, `satellite`...
    #[serde(default = "deny_classes")]
    pub deny_classes: Vec<NumberClass>,
    /// Countries whose numbers may be dialled, ISO 3166-1 alpha-2, upper case.
    #[serde(default)]
    pub allow_countries: Vec<String>,
    /// Countries whose numbers may not, whatever `allow` says.
    #[serde(default)]
    pub deny_countries: Vec<String>,
    /// Lists of numbers that the config names as `[[list]]`, looked up before all
    /// else. At most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub lists: Vec<List>,
    /// Other rules for some callers; the first that fits is used. At most 64.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub rules: Vec<Rule>,
    /// The country that is dialled from, ISO 3166-1 alpha-2. Numbers that are read
    /// as local and have more than `local_digits` digits are then read as dialled
    /// there too, and both have to be allowed.
    #[serde(default)]
    pub region: Option<String>,
    /// What becomes of answers that send the caller elsewhere (300 to 399).
    #[serde(default)]
    pub redirects: Redirects,
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

/// A list of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Its name in the config. Its keys are written `+49...`, or as dialled for local
    /// numbers, without separators.
    pub name: String,
    /// What becomes of its numbers. `deny` comes before `allow`, and `allow` before
    /// all other settings.
    pub action: Default,
    /// Whether its keys are whole numbers or prefixes.
    #[serde(default)]
    pub keys: Keys,
}

/// What the keys of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// Whole numbers.
    #[default]
    Exact,
    /// Prefixes.
    Prefix,
}

/// Rules for some callers. What it does not say is as for all others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Identities that an earlier plugin established.
    #[serde(default)]
    pub identities: Vec<String>,
    /// Groups of the config or the account store that the identity is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Instead of `default`.
    #[serde(default)]
    pub default: Option<Default>,
    /// Instead of `allow`.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// Instead of `deny`.
    #[serde(default)]
    pub deny: Option<Vec<String>>,
    /// Instead of `exceptions`.
    #[serde(default)]
    pub exceptions: Option<Vec<String>>,
    /// Instead of `deny_classes`.
    #[serde(default)]
    pub deny_classes: Option<Vec<NumberClass>>,
    /// Instead of `allow_countries`.
    #[serde(default)]
    pub allow_countries: Option<Vec<String>>,
    /// Instead of `deny_countries`.
    #[serde(default)]
    pub deny_countries: Option<Vec<String>>,
    /// Instead of `lists`.
    #[serde(default)]
    pub lists: Option<Vec<List>>,
}

/// What becomes of answers that send the caller elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Redirects {
    /// Each Contact has to be allowed; the answer becomes 403 otherwise.
    #[default]
    Check,
    /// Nothing. The caller's next request is checked like any other.
    Pass,
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

/// What nobody calls by accident and what fraud lives on.
fn deny_classes() -> Vec<NumberClass> {
    vec![
        NumberClass::Premium,
        NumberClass::SharedCost,
        NumberClass::Satellite,
        NumberClass::InternationalService,
        NumberClass::Personal,
        NumberClass::Pager,
    ]
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
    ["INVITE", "REFER", "MESSAGE"].map(str::to_owned).into()
}
