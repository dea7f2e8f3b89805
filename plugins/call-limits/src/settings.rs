//! Settings of `call-limits`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// How many calls, how long and how dear.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Country in which numbers are dialled: ISO 3166-1 alpha-2, as `DE`.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub region: String,
    /// The limits, all of which a call has to keep. 1 to 32. Without them: 4 calls at
    /// once, 2 a second, 100 an hour, 4 hours each, 600 minutes and 50 of the currency
    /// a day and 500 in 30 days for each user; 30 calls at once, 10 a second, 1,000 an
    /// hour, 4 hours each and 200 of the currency a day for each peer.
    #[serde(default = "limits")]
    #[schemars(length(min = 1, max = 32))]
    pub limits: Vec<Limit>,
    /// What calls cost.
    #[serde(default)]
    pub prices: Prices,
    /// What a day and a month are.
    #[serde(default)]
    pub periods: Periods,
    /// Minutes that the operator's clock is ahead of UTC, for `calendar` periods.
    /// -720 to 840.
    #[serde(default)]
    #[schemars(range(min = -720, max = 840))]
    pub utc_offset_minutes: i32,
    /// Seconds that are paid in advance each time, and the smallest piece that is
    /// counted. 6 to 3,600.
    #[serde(default = "charge_every_s")]
    #[schemars(range(min = 6, max = 3_600))]
    pub charge_every_s: u32,
    /// Percent of a limit at which the operator is warned; 100 for no warning before
    /// the limit itself. 1 to 100.
    #[serde(default = "warn_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub warn_percent: u8,
    /// Numbers, as they are dialled, that no limit concerns. At most 64.
    #[serde(default = "emergency")]
    pub emergency: Vec<String>,
}

/// One limit. Of what it may limit at least one has to be there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Name, for logs and alerts. Letters, digits, `-` and `_`, at most 32; each
    /// limit has its own. Counts stay with it.
    pub name: String,
    /// What is counted together.
    pub per: Per,
    /// Names of the users, groups, peers or trunks that it is for; empty for all.
    #[serde(default)]
    pub of: Vec<String>,
    /// Whether it is for those alone that no other limit of the same `per` names in `of`.
    #[serde(default)]
    pub rest: bool,
    /// Calls at once, ringing ones included. 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls: Option<u32>,
    /// Calls per second in the long run; a second's worth may come at once, and one in
    /// any case. 0.001 to 10,000. Not for trunks.
    pub calls_per_second: Option<f64>,
    /// Calls within an hour. 1 to 1,000,000. Not for trunks.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_hour: Option<u32>,
    /// Seconds that a call may last from its answer. 1 to 86,400.
    #[schemars(range(min = 1, max = 86_400))]
    pub longest_s: Option<u32>,
    /// Minutes of answered calls within a day. 1 to 100,000,000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub minutes_per_day: Option<u32>,
    /// Minutes of answered calls within a month. 1 to 100,000,000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub minutes_per_month: Option<u32>,
    /// What answered calls may cost within a day. 0.0001 to 100,000,000.
    pub cost_per_day: Option<f64>,
    /// What answered calls may cost within a month. 0.0001 to 100,000,000.
    pub cost_per_month: Option<f64>,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The identity that an earlier plugin established. Calls without one are not
    /// concerned.
    #[default]
    User,
    /// Each group that the identity is in.
    Group,
    /// The `[[pbx]]` or `[[trunk]]` that calls.
    Peer,
    /// The `[[trunk]]` or `[[pbx]]` that answers. It is known from the answer on, so
    /// that a call beyond the limit ends then.
    Trunk,
    /// All calls.
    All,
}

/// What calls cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// The list with prices by prefix, lines such as `+4930 = 0.01` or
    /// `+49900 = 1.99 0.50`: for a minute and, if a second stands there, for the call.
    pub list: String,
    /// Price of a minute to a number that the list does not have, or that is none.
    /// 0 to 1,000.
    pub default_per_minute: f64,
    /// Numbers of so few digits are extensions and cost nothing. 0 to 10.
    #[schemars(range(min = 0, max = 10))]
    pub internal_digits: u8,
    /// Whether calls from the zone `outside` by nobody who is known cost nothing: they
    /// are a trunk's calls for us.
    pub inbound_free: bool,
}

/// What a day and a month are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Periods {
    /// The last 24 hours and the last 30 days. What was spent fades within the same
    /// time again; there is no midnight at which all is there anew.
    #[default]
    Sliding,
    /// Days and months of the calendar.
    Calendar,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            list: "rates".to_owned(),
            default_per_minute: 0.5,
            internal_digits: 4,
            inbound_free: true,
        }
    }
}

fn limits() -> Vec<Limit> {
    let user = Limit {
        name: "user".to_owned(),
        per: Per::User,
        calls: Some(4),
        calls_per_second: Some(2.0),
        calls_per_hour: Some(100),
        longest_s: Some(14_400),
        minutes_per_day: Some(600),
        cost_per_day: Some(50.0),
        cost_per_month: Some(500.0),
        ..Limit::default()
    };
    let peer = Limit {
        name: "peer".to_owned(),
        per: Per::Peer,
        calls: Some(30),
        calls_per_second: Some(10.0),
        calls_per_hour: Some(1_000),
        longest_s: Some(14_400),
        cost_per_day: Some(200.0),
        ..Limit::default()
    };
    vec![user, peer]
}

const fn charge_every_s() -> u32 {
    60
}

const fn warn_percent() -> u8 {
    80
}

/// Emergency numbers of Europe, North America, Britain and Australia.
fn emergency() -> Vec<String> {
    ["112", "110", "911", "999", "000"]
        .map(str::to_owned)
        .into()
}
