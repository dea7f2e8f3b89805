//! Settings of `call-code`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::numbers::NumberClass;

/// Which destinations need a code, and how it is dialled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Country in which numbers are dialled: ISO 3166-1 alpha-2, as `DE`.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub region: String,
    /// How code and number are dialled: `<code>` and then `<number>`, each once, with
    /// 1 to 8 of `*`, `#` and digits before the code and between the two. What stands
    /// between them begins with `*` or `#`.
    #[serde(default = "pattern")]
    pub pattern: String,
    /// Let everything pass and only keep codes out of logs and records. For an instance
    /// before `digest-auth`: a call that is challenged goes no further down the pipeline.
    #[serde(default)]
    pub hide_only: bool,
    /// Digits of the shortest code. 4 to 16.
    #[serde(default = "min_digits")]
    #[schemars(range(min = 4, max = 16))]
    pub min_digits: u8,
    /// Digits of the longest code. `min_digits` to 16.
    #[serde(default = "max_digits")]
    #[schemars(range(min = 4, max = 16))]
    pub max_digits: u8,
    /// What needs a code.
    #[serde(default)]
    pub destinations: Destinations,
    /// Users that need none.
    #[serde(default)]
    pub exempt_users: Vec<String>,
    /// Groups whose members need none.
    #[serde(default)]
    pub exempt_groups: Vec<String>,
    /// What becomes of a transfer (REFER) to a destination that needs a code: no
    /// transfer can carry one.
    #[serde(default)]
    pub transfers: Transfers,
    /// When guessing is answered with a lockout.
    #[serde(default)]
    pub lockout: Lockout,
    /// Calls of one user within ten minutes, without a code to what needs one, from
    /// which on the operator is told: who has only the password tries them all. 0 for
    /// never. At most 1,000.
    #[serde(default = "tell_after")]
    #[schemars(range(max = 1_000))]
    pub tell_after: u32,
    /// Numbers, as they are dialled, that never need a code. At most 64.
    #[serde(default = "emergency")]
    pub emergency: Vec<String>,
}

/// What needs a code: whatever one of these names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Destinations {
    /// Numbers of other countries.
    pub foreign: bool,
    /// Countries that are not foreign, besides `region`: ISO 3166-1 alpha-2. At most 64.
    pub home: Vec<String>,
    /// Classes of numbers.
    pub classes: Vec<NumberClass>,
    /// Prefixes of numbers: `+` and digits. At most 1,000.
    #[schemars(length(max = 1_000))]
    pub prefixes: Vec<String>,
    /// A list of the config with further prefixes; empty for none.
    pub list: String,
    /// What is dialled and is no number needs a code as well, unless it has no more
    /// digits than this: extensions and short codes. 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    pub internal_digits: u8,
}

/// What becomes of a transfer to a destination that needs a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transfers {
    /// It is refused.
    #[default]
    Deny,
    /// It passes. The call that follows needs a code if it comes by here.
    Allow,
}

/// When guessing is answered with a lockout.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lockout {
    /// Wrong codes of one user until no code is looked at any more. 1 to 1,000.
    #[schemars(range(min = 1, max = 1_000))]
    pub failures: u32,
    /// Seconds of the first lockout; each further wrong code doubles it. 1 to 86,400.
    #[schemars(range(min = 1, max = 86_400))]
    pub first_s: u32,
    /// Seconds of the longest lockout. `first_s` to 2,592,000 (30 days).
    #[schemars(range(min = 1, max = 2_592_000))]
    pub longest_s: u32,
    /// Seconds after which a wrong code begins to be forgotten. 1 to 2,592,000.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub forget_s: u32,
}

impl Default for Destinations {
    fn default() -> Self {
        Self {
            foreign: true,
            home: Vec::new(),
            classes: vec![
                NumberClass::Premium,
                NumberClass::SharedCost,
                NumberClass::Personal,
                NumberClass::Satellite,
                NumberClass::InternationalService,
            ],
            prefixes: Vec::new(),
            list: String::new(),
            internal_digits: 4,
        }
    }
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            failures: 5,
            first_s: 60,
            longest_s: 86_400,
            forget_s: 86_400,
        }
    }
}

fn pattern() -> String {
    "*<code>*<number>".to_owned()
}

const fn tell_after() -> u32 {
    3
}

const fn min_digits() -> u8 {
    4
}

const fn max_digits() -> u8 {
    8
}

/// Emergency numbers of Europe, North America, Britain and Australia.
fn emergency() -> Vec<String> {
    ["112", "110", "911", "999", "000"]
        .map(str::to_owned)
        .into()
}
