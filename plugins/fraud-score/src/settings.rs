//! Settings of `fraud-score`, as the operator writes them. Points of 0 turn a sign off.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::numbers::NumberClass;

use crate::hours::{Clock, Hours};
use crate::rule::Rule;

/// What looks like fraud, and what to do about it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Country in which numbers are dialled: ISO 3166-1 alpha-2, as `DE`.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub region: String,
    /// Further countries that are not foreign, by ISO 3166-1 alpha-2. At most 64.
    #[serde(default)]
    pub home: Vec<String>,
    /// What becomes of an account by its points.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Seconds after which points begin to fade; within the same time again they are
    /// gone. 60 to 2,592,000 (30 days).
    #[serde(default = "forget_s")]
    #[schemars(range(min = 60, max = 2_592_000))]
    pub forget_s: u32,
    /// Seconds that a lock lasts. 60 to 31,536,000 (365 days).
    #[serde(default = "lock_s")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub lock_s: u32,
    /// Realm of the challenge at `thresholds.challenge`; empty for no challenges.
    #[serde(default)]
    pub challenge_realm: String,
    /// Seconds between two looks at a call that goes on: it ends when its account is
    /// locked. 0 for no looks, or 10 to 3,600.
    #[serde(default = "recheck_s")]
    #[schemars(range(min = 0, max = 3_600))]
    pub recheck_s: u32,
    /// The operator's clock.
    #[serde(default)]
    pub clock: Clock,
    /// When calls are usual.
    #[serde(default)]
    pub usual: Hours,
    /// Signs that need no rule.
    #[serde(default)]
    pub signs: Signs,
    /// Rules by prefix and hour. At most 1,000.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    pub rules: Vec<Rule>,
    /// Numbers, as they are dialled, that are never scored and always pass. At most 64.
    #[serde(default = "emergency")]
    pub emergency: Vec<String>,
}

/// What becomes of an account by its points. 0 turns a threshold off, else 1 to
/// 1,000,000; each that is on is at least the one before it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// The operator is told.
    pub warn: u32,
    /// Calls have to prove themselves by digest in this very request.
    pub challenge: u32,
    /// Calls are refused.
    pub reject: u32,
    /// The account is locked, and its running calls end.
    pub lock: u32,
}

/// Signs that need no rule. Of each the points count every time it is seen; 0 to 10,000,
/// 0 turns it off.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signs {
    /// Many calls within a minute.
    pub rate: Rate,
    /// The same number again and again.
    pub repeated: Repeated,
    /// Numbers side by side: many of one block of a hundred.
    pub sequential: Sequential,
    /// Many short calls.
    pub short: Short,
    /// A call that is long for its account.
    pub duration: Duration,
    /// More calls at once than the account is used to.
    pub concurrency: Concurrency,
    /// How an account's own habits are learnt.
    pub learning: Learning,
    /// The first call to a foreign country.
    pub new_country: NewCountry,
    /// Foreign calls when nobody should be there.
    pub off_hours: OffHours,
    /// A large share of calls to dear numbers.
    pub high_cost: HighCost,
    /// Many calls that fail.
    pub failed: Failed,
    /// Registrations and calls from a country that the account never came from.
    pub new_origin: NewOrigin,
    /// Calling a dear or foreign number back that rang only briefly.
    pub call_back: CallBack,
    /// A wrong answer to the challenge of `thresholds.challenge`.
    pub wrong_answer: WrongAnswer,
}

/// Many calls within a minute.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// So many calls within a minute. 1 to 100,000.
    pub calls_per_minute: u32,
    /// Points.
    pub points: u32,
}

/// The same number again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Repeated {
    /// So many calls to it. 2 to 100,000.
    pub calls: u32,
    /// Within so many seconds. 1 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// Numbers side by side.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sequential {
    /// So many different numbers that differ in their last two digits only. 2 to 100.
    pub numbers: u32,
    /// Within so many seconds. 1 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// Many short calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Short {
    /// A call that lasts less is short. 1 to 3,600 seconds.
    pub shorter_than_s: u32,
    /// So many of them. 1 to 100,000.
    pub calls: u32,
    /// Within so many seconds. 1 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// A call that is long for its account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Duration {
    /// So many deviations above the account's mean. 0.5 to 100.
    pub deviations: f64,
    /// No shorter call is long, in seconds. 60 to 86,400.
    pub at_least_s: u32,
    /// What is long for an account of which little is known, in seconds. 60 to 86,400.
    pub unlearned_s: u32,
    /// Points, given during the call, and once more each time it lasts as long again.
    pub points: u32,
}

/// More calls at once than the account is used to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// So many deviations above the account's mean. 0.5 to 100.
    pub deviations: f64,
    /// Fewer calls at once are never many. 2 to 100,000.
    pub at_least: u32,
    /// What is much for an account of which little is known. 2 to 100,000.
    pub unlearned: u32,
    /// Points.
    pub points: u32,
}

/// How an account's own habits are learnt: exponentially weighted means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// After so many answered calls the habits count. 1 to 10,000.
    pub calls: u32,
    /// Weight of a new call. 0.001 to 0.5.
    pub weight: f64,
}

/// The first call to a foreign country.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewCountry {
    /// A country that was not called for so long is new. 1 to 200.
    pub forget_days: u32,
    /// Points.
    pub points: u32,
}

/// Foreign calls when nobody should be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OffHours {
    /// Points.
    pub points: u32,
}

/// A large share of calls to dear numbers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HighCost {
    /// Classes of numbers that are dear.
    pub classes: Vec<NumberClass>,
    /// A list of the config with prefixes that are dear, as `+2217`; empty for none.
    pub list: String,
    /// Percent of an account's calls. 1 to 100.
    pub share_percent: u32,
    /// And at least so many dear calls. 1 to 100,000.
    pub at_least: u32,
    /// Within so many seconds. 60 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// Many calls that fail: refused or never answered, not busy and not given up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Failed {
    /// So many failed calls for each answered one. 0.1 to 1,000.
    pub ratio: f64,
    /// And at least so many failed ones. 1 to 100,000.
    pub at_least: u32,
    /// Within so many seconds. 60 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// Registrations and calls from a country that the account never came from. Needs the
/// host's geography; without it nothing is seen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewOrigin {
    /// A country that it did not come from for so long is new. 1 to 200.
    pub forget_days: u32,
    /// Points.
    pub points: u32,
}

/// Calling a dear or foreign number back that rang only briefly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallBack {
    /// A call for us that was given up within so many seconds is bait. 1 to 60.
    pub rang_at_most_s: u32,
    /// Within so many seconds after it. 60 to 2,592,000.
    pub within_s: u32,
    /// Points.
    pub points: u32,
}

/// A wrong answer to a challenge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrongAnswer {
    /// Points.
    pub points: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            warn: 40,
            challenge: 60,
            reject: 100,
            lock: 200,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            calls_per_minute: 10,
            points: 10,
        }
    }
}

impl Default for Repeated {
    fn default() -> Self {
        Self {
            calls: 8,
            within_s: 600,
            points: 10,
        }
    }
}

impl Default for Sequential {
    fn default() -> Self {
        Self {
            numbers: 6,
            within_s: 3_600,
            points: 15,
        }
    }
}

impl Default for Short {
    fn default() -> Self {
        Self {
            shorter_than_s: 10,
            calls: 15,
            within_s: 3_600,
            points: 10,
        }
    }
}

impl Default for Duration {
    fn default() -> Self {
        Self {
            deviations: 5.0,
            at_least_s: 3_600,
            unlearned_s: 7_200,
            points: 25,
        }
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            deviations: 5.0,
            at_least: 4,
            unlearned: 5,
            points: 15,
        }
    }
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            calls: 20,
            weight: 0.05,
        }
    }
}

impl Default for NewCountry {
    fn default() -> Self {
        Self {
            forget_days: 90,
            points: 20,
        }
    }
}

impl Default for OffHours {
    fn default() -> Self {
        Self { points: 15 }
    }
}

impl Default for HighCost {
    fn default() -> Self {
        Self {
            classes: vec![
                NumberClass::Premium,
                NumberClass::SharedCost,
                NumberClass::Personal,
                NumberClass::Satellite,
                NumberClass::InternationalService,
            ],
            list: String::new(),
            share_percent: 30,
            at_least: 2,
            within_s: 86_400,
            points: 25,
        }
    }
}

impl Default for Failed {
    fn default() -> Self {
        Self {
            ratio: 3.0,
            at_least: 10,
            within_s: 3_600,
            points: 15,
        }
    }
}

impl Default for NewOrigin {
    fn default() -> Self {
        Self {
            forget_days: 90,
            points: 40,
        }
    }
}

impl Default for CallBack {
    fn default() -> Self {
        Self {
            rang_at_most_s: 8,
            within_s: 172_800,
            points: 40,
        }
    }
}

impl Default for WrongAnswer {
    fn default() -> Self {
        Self { points: 20 }
    }
}

const fn forget_s() -> u32 {
    3_600
}

const fn lock_s() -> u32 {
    14_400
}

const fn recheck_s() -> u32 {
    60
}

/// Emergency numbers of Europe, North America, Britain and Australia.
fn emergency() -> Vec<String> {
    ["112", "110", "911", "999", "000"]
        .map(str::to_owned)
        .into()
}
