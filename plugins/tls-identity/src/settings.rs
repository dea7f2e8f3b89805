//! Settings of `tls-identity`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// Whose certificates are known, and what their holders may do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Rules. The first one that a certificate matches counts. 1 to 1,024.
    #[schemars(length(min = 1, max = 1_024))]
    pub certificates: Vec<Certificate>,
    /// What becomes of a verified certificate that no rule matches.
    #[serde(default = "refuse")]
    pub unknown: Unknown,
    /// Who has to show a certificate that a rule matches.
    #[serde(default)]
    pub required: Required,
    /// What becomes of an identity that an earlier plugin established, if the
    /// certificate stands for another one.
    #[serde(default)]
    pub other_identity: OtherIdentity,
    /// What a refused peer hears.
    #[serde(default)]
    pub answer: Answer,
}

/// Which certificates, who that is, and what they may do. What is written of
/// `names`, `issuers` and `fingerprints` has to match, each with one of its
/// entries; at least one of the three has to be written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Names in the certificate: `pbx.example.com`, `*.branches.example.com` (one
    /// label), or a whole URI. A name also matches the URI `sip:` with it. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub names: Vec<String>,
    /// Distinguished names of issuers, as `CN=Example CA,O=Example,C=DE`. At most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub issuers: Vec<String>,
    /// SHA-256 of certificates, 64 hexadecimal digits with or without colons. At
    /// most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub fingerprints: Vec<String>,
    /// Who the holder is. If it is not written, the name in the certificate that
    /// matched. 1 to 256 bytes.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256))]
    pub identity: Option<String>,
    /// Methods that the holder may send, upper case; empty for all. ACK, BYE and
    /// CANCEL of an admitted call always pass.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub methods: Vec<String>,
    /// Zones that the holder may come from; empty for both.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// Users that may stand in the Request-URI, and in To of a REGISTER: exactly, or
    /// up to a `*` at the end; empty for all. At most 1,024.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub users: Vec<String>,
    /// Domains that may stand in the Request-URI, and in To of a REGISTER, exactly
    /// or as `*.example.com`; empty for all. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub domains: Vec<String>,
}

/// Who has to show a certificate that a rule matches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Required {
    /// Zones: `inside`, `outside`.
    pub zones: Vec<Zone>,
    /// Names of `[[trunk]]` and `[[pbx]]`.
    #[schemars(length(max = 1_024))]
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

/// What becomes of a certificate that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The request is refused.
    Refuse,
    /// As if there were no certificate.
    Ignore,
}

/// What becomes of an identity that an earlier plugin established.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherIdentity {
    /// It stays: users with passwords behind a PBX with a certificate.
    #[default]
    Keep,
    /// The certificate's takes its place.
    Replace,
    /// The request is refused.
    Refuse,
}

/// What a refused peer hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// 403 Forbidden.
    #[default]
    Reject,
    /// Nothing.
    Silence,
}

const fn refuse() -> Unknown {
    Unknown::Refuse
}
