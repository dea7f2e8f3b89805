//! Settings of `geo-fence`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::Network;

/// Where requests may come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What holds for everybody whom no rule names.
    pub everybody: Fence,
    /// What holds for some users instead. The first rule that names the caller
    /// counts. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub rules: Vec<Rule>,
    /// Zones whose peers are looked at.
    #[serde(default = "outside")]
    pub zones: Vec<Zone>,
    /// Who is not looked at.
    #[serde(default)]
    pub exempt: Exempt,
    /// What becomes of a public address whose country no database knows, or if the
    /// config names no database.
    #[serde(default)]
    pub unknown: Unknown,
    /// Let private, shared, loopback and link-local addresses pass: they are in no
    /// country. Otherwise they are unknown.
    #[serde(default = "yes")]
    pub private_exempt: bool,
    /// What a refused peer hears.
    #[serde(default)]
    pub answer: Answer,
    /// When a user cannot have travelled so fast.
    #[serde(default)]
    pub travel: Travel,
}

/// Countries and networks, and what holds for all others. A network that is listed
/// counts more than its country.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// What becomes of countries that stand in no list.
    #[serde(default)]
    pub default: Otherwise,
    /// Countries that requests may come from: ISO 3166-1 alpha-2, upper case.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Countries that they may not come from.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Numbers of autonomous systems that requests may come from, whatever the
    /// country. At most 4,096.
    #[serde(default)]
    #[schemars(length(max = 4_096))]
    pub allow_asns: Vec<u32>,
    /// Numbers of autonomous systems that they may not come from: hosting companies.
    /// At most 4,096.
    #[serde(default)]
    #[schemars(length(max = 4_096))]
    pub deny_asns: Vec<u32>,
}

/// A fence for some users.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Identities that an earlier plugin established. At most 1,024.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub users: Vec<String>,
    /// Groups of identities. At most 64.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub groups: Vec<String>,
    /// Where they may come from.
    pub fence: Fence,
    /// Whether their journeys are looked at: not those of people with two phones.
    #[serde(default = "yes")]
    pub travel: bool,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// Let the next plugin decide.
    Allow,
    /// Refuse.
    #[default]
    Deny,
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

/// Who is not looked at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exempt {
    /// Networks. Over UDP a source address can be forged.
    pub networks: Vec<Network>,
    /// Names of `[[trunk]]` and `[[pbx]]`.
    pub peers: Vec<String>,
}

/// What becomes of an address whose country nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It is refused.
    #[default]
    Deny,
    /// The next plugin decides.
    Allow,
}

/// What a refused peer hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// 403 Forbidden.
    #[default]
    Reject,
    /// Nothing, so that scanners learn nothing.
    Silence,
}

/// When a user cannot have travelled so fast.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Travel {
    /// What happens then.
    pub action: Action,
    /// Points that it adds to the score. 0 to 10,000.
    #[schemars(range(max = 10_000))]
    pub points: u16,
    /// Kilometres per hour that are possible. 50 to 10,000.
    #[schemars(range(min = 50, max = 10_000))]
    pub max_kmh: u32,
    /// Kilometres that databases may be wrong by: shorter ways are none. 0 to 5,000.
    #[schemars(range(max = 5_000))]
    pub ignore_km: u32,
    /// Where coordinates are not known: minutes within which nobody changes the
    /// country. 1 to 10,080 (a week).
    #[schemars(range(min = 1, max = 10_080))]
    pub country_minutes: u32,
    /// Pairs of countries between which one may change at any time, as
    /// `["DE", "AT"]`. At most 1,024.
    #[schemars(length(max = 1_024))]
    pub neighbours: Vec<(String, String)>,
}

/// What happens to a user who travels too fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Journeys are not looked at.
    Off,
    /// The operator is told, and the score rises.
    #[default]
    Alert,
    /// The request is refused as well.
    Refuse,
}

impl Default for Travel {
    fn default() -> Self {
        Self {
            action: Action::default(),
            points: 40,
            max_kmh: 1_000,
            ignore_km: 300,
            country_minutes: 120,
            neighbours: Vec::new(),
        }
    }
}

fn outside() -> Vec<Zone> {
    vec![Zone::Outside]
}

const fn yes() -> bool {
    true
}
