//! Settings of `business-hours`, as the operator writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::numbers::NumberClass;

/// Who may call where at which hours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Emergency numbers as they are dialled, with the digit for an outside line too
    /// if there is one: `["112", "110", "0112"]`. They pass at any hour, and so does
    /// `urn:service:sos`. 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub emergency: Vec<String>,
    /// The time zone of schedules that name none, as `Europe/Berlin`.
    pub time_zone: String,
    /// The country that numbers are dialled in: ISO 3166-1 alpha-2, as `DE`.
    pub region: String,
    /// Weekly hours by name. 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub schedules: BTreeMap<String, Schedule>,
    /// When calls are possible that no rule is for: the name of a schedule, `always`
    /// or `never`.
    pub default: String,
    /// Rules. The first one that is for the caller and the destination counts. At
    /// most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub rules: Vec<Rule>,
    /// Holidays of schedules that have none of their own: `2026-04-03`, or `12-25`
    /// for every year. At most 1,024.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub holidays: Vec<String>,
    /// Zones whose peers are looked at.
    #[serde(default = "inside")]
    pub zones: Vec<Zone>,
    /// Look at callers of other zones too, once an earlier plugin has identified
    /// them: people at home.
    #[serde(default = "yes")]
    pub identified: bool,
    /// Names of `[[trunk]]` and `[[pbx]]` that are not looked at.
    #[serde(default)]
    pub exempt_peers: Vec<String>,
    /// Methods that are looked at: INVITE, REFER, MESSAGE.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
    /// Numbers of so many digits or fewer are extensions or services, and in no
    /// country. 0 to 15.
    #[serde(default = "local_digits")]
    #[schemars(range(max = 15))]
    pub local_digits: u8,
    /// What a refused caller hears: 403 (Forbidden), 480 (Temporarily Unavailable) or
    /// 603 (Decline).
    #[serde(default = "status")]
    pub status: u16,
}

/// Weekly hours, by the clock on the wall: an hour that comes twice when the clocks
/// go back counts twice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Days and hours: `mon-fri 08:00-12:00 13:00-18:00`, `sat,sun 22:00-06:00`.
    /// Hours that end before they begin last until the next day. At most 64.
    #[schemars(length(max = 64))]
    pub hours: Vec<String>,
    /// Hours on holidays, without days: `10:00-12:00`. None: closed.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub holiday_hours: Vec<String>,
    /// Holidays of this schedule, instead of the common ones.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub holidays: Option<Vec<String>>,
    /// The time zone, if it is another.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// When some callers may call some destinations.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Identities; together with `groups` and `peers` all whom the rule is for.
    /// Nothing in any of the three: everybody.
    #[schemars(length(max = 1_024))]
    pub users: Vec<String>,
    /// Groups of identities.
    #[schemars(length(max = 64))]
    pub groups: Vec<String>,
    /// Names of `[[trunk]]` and `[[pbx]]`.
    #[schemars(length(max = 1_024))]
    pub peers: Vec<String>,
    /// Beginnings of numbers: with `+` of international ones however they were
    /// dialled, without of local ones. Together with the three below all that the
    /// rule is for. Nothing in any of the four: every destination.
    #[schemars(length(max = 1_024))]
    pub prefixes: Vec<String>,
    /// Classes of numbers, as `premium` or `mobile`.
    pub classes: Vec<NumberClass>,
    /// Countries of numbers: ISO 3166-1 alpha-2.
    #[schemars(length(max = 256))]
    pub countries: Vec<String>,
    /// Numbers of all countries but `region`.
    pub foreign: bool,
    /// When that is possible: the name of a schedule, `always` or `never`.
    pub when: String,
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// PBXs and other trusted networks.
    Inside,
    /// Trunks and the Internet.
    Outside,
}

fn inside() -> Vec<Zone> {
    vec![Zone::Inside]
}

const fn yes() -> bool {
    true
}

fn methods() -> Vec<String> {
    vec!["INVITE".to_owned(), "REFER".to_owned()]
}

const fn local_digits() -> u8 {
    6
}

const fn status() -> u16 {
    403
}
