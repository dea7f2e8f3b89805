//! Settings of `digest-auth`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::{DigestAlgorithm, Network};

/// Whom to ask for credentials, and when to stop believing in typing errors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The realm to authenticate in; users belong to it. 1 to 128 bytes.
    pub realm: String,
    /// Algorithms offered, best first.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Methods that are asked outside dialogs; upper case. ACK and CANCEL cannot
    /// be challenged (RFC 3261 section 22.1) and are never asked.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
    /// Methods that are asked inside dialogs of admitted calls too.
    #[serde(default = "methods_in_dialog")]
    pub methods_in_dialog: Vec<String>,
    /// Methods that are answered 401 as a registrar does; all others get 407.
    #[serde(default = "as_registrar")]
    pub as_registrar: Vec<String>,
    /// Whether the user part of From (and of To, for REGISTER) has to be the
    /// name that was authenticated.
    #[serde(default)]
    pub match_from: MatchFrom,
    /// Who is not asked.
    #[serde(default)]
    pub exempt: Exempt,
    /// When guessing is answered with a lockout.
    #[serde(default)]
    pub lockout: Lockout,
}

/// Digest algorithms: RFC 7616 and RFC 8760.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// For peers that know nothing else.
    #[serde(rename = "MD5")]
    Md5,
    /// RFC 7616.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// RFC 7616.
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

impl From<Algorithm> for DigestAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5,
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512_256 => Self::Sha512256,
        }
    }
}

/// What From has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MatchFrom {
    /// Anything.
    #[default]
    Off,
    /// The authenticated name as its user part.
    User,
}

/// Who is not asked for credentials.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// Zones: `inside`, `outside`.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// Networks. Over UDP a source address can be forged.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Names of `[[trunk]]` and `[[pbx]]`.
    #[serde(default)]
    pub peers: Vec<String>,
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

/// When guessing is answered with a lockout.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lockout {
    /// Failures of one user from one source until that user is locked out
    /// there. 1 to 1,000.
    #[schemars(range(min = 1, max = 1_000))]
    pub user_failures: u32,
    /// Failures of one source, whatever the user, until everybody is locked out
    /// there who has never succeeded from it. 1 to 100,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub source_failures: u32,
    /// Failures of one user from all sources together, after which a source that
    /// the user has never succeeded from gets one attempt only. 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub user_failures_everywhere: u32,
    /// Seconds of the first lockout; each further failure doubles it. 1 to 86,400.
    #[schemars(range(min = 1, max = 86_400))]
    pub first_s: u32,
    /// Seconds of the longest lockout. `first_s` to 2,592,000 (30 days).
    #[schemars(range(min = 1, max = 2_592_000))]
    pub longest_s: u32,
    /// Seconds after which a failure is forgotten. 1 to 2,592,000 (30 days).
    #[schemars(range(min = 1, max = 2_592_000))]
    pub forget_s: u32,
    /// How much of an IPv6 address is one source. 1 to 128.
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            user_failures: 5,
            source_failures: 20,
            user_failures_everywhere: 100,
            first_s: 30,
            longest_s: 3_600,
            forget_s: 7_200,
            ipv6_prefix: 64,
        }
    }
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Sha256, Algorithm::Md5]
}

fn methods() -> Vec<String> {
    let methods = [
        "INVITE",
        "REGISTER",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
        "REFER",
        "NOTIFY",
        "INFO",
        "UPDATE",
    ];
    methods.map(str::to_owned).into()
}

fn methods_in_dialog() -> Vec<String> {
    vec!["REFER".to_owned()]
}

fn as_registrar() -> Vec<String> {
    vec!["REGISTER".to_owned()]
}
