//! Settings of `caller-identity`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which numbers and names callers may show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The domain of addresses that are written, as `sip.example.com`.
    pub domain: String,
    /// The country that numbers without `+` are of: ISO 3166-1 alpha-2, as `DE`.
    pub region: String,
    /// Callers and what they may show. The first entry that names a caller counts.
    /// At most 1,024.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub callers: Vec<Caller>,
    /// What becomes of a number or name that the caller may not use.
    #[serde(default)]
    pub answer: Answer,
    /// What becomes of callers that no entry names and that are not trusted.
    #[serde(default)]
    pub unlisted: UnlistedZones,
    /// What becomes of calls from outside that show a number of an entry.
    #[serde(default)]
    pub own_numbers: OwnNumbers,
    /// Names of `[[trunk]]` and `[[pbx]]` whose identity headers are believed: those
    /// of our trust domain (RFC 3324). At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub trusted_peers: Vec<String>,
    /// Headers that are removed beside P-Asserted-Identity, P-Preferred-Identity,
    /// Remote-Party-ID and Diversion, unless the peer is trusted. At most 16.
    #[serde(default = "strip_also")]
    #[schemars(length(max = 16))]
    pub strip_also: Vec<String>,
    /// Whether a P-Asserted-Identity of ours is written for callers of an entry.
    #[serde(default)]
    pub assert: Assert,
    /// Whether those who get our calls are in our trust domain, so that they may
    /// learn who asked for privacy.
    #[serde(default = "yes")]
    pub trusted_next: bool,
    /// Refuse a Contact whose user is a number that the caller may not use. Contact
    /// cannot be rewritten.
    #[serde(default)]
    pub check_contact: bool,
    /// Domains that From of callers of an entry may have; empty for all. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub domains: Vec<String>,
    /// Methods whose From is checked, outside dialogs; upper case. At most 32.
    #[serde(default = "methods")]
    #[schemars(length(max = 32))]
    pub methods: Vec<String>,
    /// Numbers of so many digits or fewer are extensions, and compared as they are.
    /// 0 to 15.
    #[serde(default = "local_digits")]
    #[schemars(range(max = 15))]
    pub local_digits: u8,
}

/// Callers, and what they may show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Identities that an earlier plugin established.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub users: Vec<String>,
    /// Groups of identities.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub groups: Vec<String>,
    /// Names of `[[trunk]]` and `[[pbx]]`, for those of their callers whom no entry
    /// names by identity.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub peers: Vec<String>,
    /// Numbers, extensions and user names that may be shown: `+4930123456`, `101`,
    /// all that begin with `+49301234*`, all of `+4930123400..+4930123499`. At most
    /// 1,024.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub numbers: Vec<String>,
    /// Display names that may be shown, in upper or lower case; if it is not written
    /// all, if it is empty none. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub names: Option<Vec<String>>,
    /// The number that is written instead of a wrong one. If it is not written, the
    /// first of `numbers` that stands for one number alone.
    #[serde(default)]
    pub number: Option<String>,
    /// The display name that is written instead of a wrong one; none if it is not
    /// written.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether the caller may stay anonymous; otherwise 433 (RFC 5079).
    #[serde(default = "yes")]
    pub anonymous: bool,
    /// Let From show any number in calls that a number of the entry diverts: forwarded
    /// calls that keep the number of the one who called.
    #[serde(default)]
    pub diverts: bool,
}

/// What becomes of what the caller may not use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What may be shown is written in its place.
    #[default]
    Rewrite,
    /// The request is refused: 403.
    Reject,
}

/// What becomes of callers that no entry names, by zone.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnlistedZones {
    /// Of the zone `inside`.
    pub inside: Unlisted,
    /// Of the zone `outside`.
    pub outside: Unlisted,
}

/// What becomes of callers that no entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unlisted {
    /// They may not call: 403.
    Reject,
    /// Their identity headers are removed; From stays what it is, a claim.
    Strip,
    /// Nothing.
    Ignore,
}

/// What becomes of calls from outside that show one of our numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnNumbers {
    /// They are refused: 403.
    #[default]
    Reject,
    /// They pass: calls of ours that come back forwarded.
    Allow,
}

/// Whether a P-Asserted-Identity is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Assert {
    /// Always.
    #[default]
    Always,
    /// One that came is checked; none is added.
    Keep,
    /// Any is removed.
    Never,
}

impl Default for UnlistedZones {
    fn default() -> Self {
        Self {
            inside: Unlisted::Reject,
            outside: Unlisted::Strip,
        }
    }
}

fn strip_also() -> Vec<String> {
    vec!["P-Charge-Info".to_owned()]
}

fn methods() -> Vec<String> {
    ["INVITE", "MESSAGE", "REFER"].map(str::to_owned).into()
}

const fn local_digits() -> u8 {
    6
}

const fn yes() -> bool {
    true
}
