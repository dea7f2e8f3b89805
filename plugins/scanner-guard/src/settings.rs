//! Settings of `scanner-guard`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::Network;

/// What gives a scanner away, and how much of it is enough.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who is not looked at.
    pub exempt: Exempt,
    /// What known scanners write.
    pub signatures: Signatures,
    /// What becomes of OPTIONS from senders that no `[[trunk]]` or `[[pbx]]` names.
    pub options: Options,
    /// SQL in From, To, Contact, User-Agent, the Request-URI and the user names of
    /// credentials.
    pub injection: Injection,
    /// How many users one source may name.
    pub enumeration: Enumeration,
    /// What each finding weighs.
    pub points: Points,
    /// How many points are enough.
    pub limits: Limits,
}

/// Who is not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exempt {
    /// Every sender that a `[[trunk]]` or `[[pbx]]` names.
    pub configured_peers: bool,
    /// Names of `[[trunk]]` and `[[pbx]]`, for when `configured_peers` is false.
    pub peers: Vec<String>,
    /// Networks. Over UDP a source address can be forged.
    pub networks: Vec<Network>,
}

impl Default for Exempt {
    fn default() -> Self {
        Self {
            configured_peers: true,
            peers: Vec::new(),
            networks: Vec::new(),
        }
    }
}

/// What known scanners write. Texts are found anywhere in what they are compared
/// with, without regard to case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signatures {
    /// In User-Agent. Replaces the list that comes with the plugin.
    pub user_agents: Vec<String>,
    /// In User-Agent, besides `user_agents`.
    pub more_user_agents: Vec<String>,
    /// In the users and display names of From and To.
    pub names: Vec<String>,
    /// Habits of sipvicious that stay when its names are changed: tags that hold
    /// the target, the addresses 100@1.1.1.1 and 123@1.1.1.1.
    pub habits: bool,
}

/// Scanners and attack tools; none of them is a telephone. Short names carry a
/// separator, so that they are found in no other word.
const USER_AGENTS: [&str; 19] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sundayddr",
    "sip-scan",
    "sipscan",
    "vaxsipuseragent",
    "vaxipuseragent",
    "pplsip",
    "iwar",
    "siparmyknife",
    "sivus",
    "sipsak",
    "nsauditor",
    "nmap nse",
    "masscan",
    "smap ",
    "gulp",
];

const NAMES: [&str; 4] = ["sipvicious", "sip-scan", "friendly-scanner", "sundayddr"];

impl Default for Signatures {
    fn default() -> Self {
        Self {
            user_agents: USER_AGENTS.map(str::to_owned).into(),
            more_user_agents: Vec::new(),
            names: NAMES.map(str::to_owned).into(),
            habits: true,
        }
    }
}

/// What becomes of OPTIONS from unknown senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Options {
    /// Silence, unless the source has sent credentials within the last two hours,
    /// as a registered telephone does.
    #[default]
    Acquainted,
    /// Silence.
    Silence,
    /// Points, which may add up to silence.
    Score,
    /// Nothing.
    Allow,
}

/// Whether SQL is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// It is.
    #[default]
    Detect,
    /// It is not.
    Ignore,
}

/// How many users one source may name. A source is an IPv4 address or an IPv6
/// network of `limits.ipv6_prefix`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Enumeration {
    /// Different users that one source registers or calls as within `window_s`:
    /// more than all telephones behind one address. 0 turns this off; to 100,000.
    #[schemars(range(max = 100_000))]
    pub callers: u32,
    /// Different users that one source calls within `window_s`. 0 turns this off;
    /// to 100,000.
    #[schemars(range(max = 100_000))]
    pub targets: u32,
    /// Seconds that count. 10 to 7,200.
    #[schemars(range(min = 10, max = 7_200))]
    pub window_s: u32,
}

impl Default for Enumeration {
    fn default() -> Self {
        Self {
            callers: 50,
            targets: 100,
            window_s: 600,
        }
    }
}

/// What each finding weighs. 0 turns a finding off; to 1,000.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Points {
    /// A known scanner.
    #[schemars(range(max = 1_000))]
    pub signature: u32,
    /// SQL.
    #[schemars(range(max = 1_000))]
    pub injection: u32,
    /// A user beyond `enumeration.callers` or `enumeration.targets`.
    #[schemars(range(max = 1_000))]
    pub enumeration: u32,
    /// OPTIONS from an unknown sender.
    #[schemars(range(max = 1_000))]
    pub probe: u32,
    /// A method that no RFC of SIP has.
    #[schemars(range(max = 1_000))]
    pub unknown_method: u32,
    /// Control characters in headers, or lines that end with a bare LF.
    #[schemars(range(max = 1_000))]
    pub malformed: u32,
    /// Each smaller oddity. Old telephones have one or two of them in all that they
    /// send, so these count for their request only and do not add up.
    #[schemars(range(max = 1_000))]
    pub odd: u32,
}

impl Default for Points {
    fn default() -> Self {
        Self {
            signature: 100,
            injection: 100,
            enumeration: 100,
            probe: 10,
            unknown_method: 20,
            malformed: 50,
            odd: 20,
        }
    }
}

/// How many points are enough.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A suspicious request is not answered once it has so many points, or its
    /// sender has with it. 1 to 100,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub silence_at: u32,
    /// Nothing from a sender is answered once it has so many points, if its address
    /// is proved. `silence_at` to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub ban_at: u32,
    /// Seconds until points are forgotten, and so how long a ban lasts. 10 to
    /// 2,592,000 (30 days).
    #[schemars(range(min = 10, max = 2_592_000))]
    pub forget_s: u32,
    /// Hundredths of the points of a sender that could be forged that later plugins
    /// see in the score. 0 to 100.
    #[schemars(range(max = 100))]
    pub unproved_percent: u32,
    /// How much of an IPv6 address is one source. 1 to 128.
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence_at: 100,
            ban_at: 300,
            forget_s: 3_600,
            unproved_percent: 50,
            ipv6_prefix: 64,
        }
    }
}
