//! Settings of `encryption-required`, as the operator writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// What has to be encrypted, for each zone and peer. Without any setting
/// everything has to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What holds for peers of the zone `inside`: PBXs and other trusted networks.
    pub inside: Demand,
    /// What holds for peers of the zone `outside`: trunks and the Internet.
    pub outside: Demand,
    /// What holds for a `[[trunk]]` or `[[pbx]]` instead, by its name. What is not
    /// written here is as in its zone.
    pub peers: BTreeMap<String, Exception>,
    /// The oldest version of TLS that is accepted.
    pub tls_version: TlsVersion,
    /// Bits that the key of the cipher needs: 128 or 256.
    #[schemars(range(min = 128, max = 256))]
    pub cipher_bits: u16,
    /// Refuse cipher suites whose recorded traffic can be read by whoever gets the
    /// private key later.
    pub forward_secrecy: bool,
    /// Refuse cipher suites that do not authenticate what they encrypt (CBC).
    pub aead: bool,
    /// Cipher suites that are accepted, by IANA's name as
    /// `TLS_AES_256_GCM_SHA384`; empty for all that pass the demands above. At most 64.
    #[schemars(length(max = 64))]
    pub ciphers: Vec<String>,
    /// What a refused peer hears.
    pub answer: Answer,
    /// Days for which it is remembered that somebody used encryption; 0 remembers
    /// nothing. At most 365.
    #[schemars(range(max = 365))]
    pub remember_days: u16,
    /// Also remember source addresses of peers that are neither configured nor
    /// identified. Switch it off where phones with and without TLS share an address.
    pub remember_sources: bool,
    /// What becomes of a request without encryption, although none is demanded, by
    /// somebody who used it before. An alert is raised in any case.
    pub downgrade: Downgrade,
}

/// What a zone demands.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Demand {
    /// How requests have to come.
    pub signalling: Signalling,
    /// What the media of a call has to be, seen from who calls.
    pub media: Media,
}

/// What a peer demands other than its zone.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exception {
    /// How requests have to come.
    pub signalling: Option<Signalling>,
    /// What the media of a call has to be, seen from who calls.
    pub media: Option<Media>,
}

/// How requests have to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signalling {
    /// By TLS or secure WebSocket.
    #[default]
    Tls,
    /// By any transport.
    Any,
}

/// What the media of a call has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Media {
    /// Encrypted on the legs of both parties.
    #[default]
    EncryptedBoth,
    /// Encrypted on the leg of the peer that calls.
    Encrypted,
    /// Whatever the configuration lets both parties agree on.
    Any,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
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

/// What becomes of a downgrade where encryption is not demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Downgrade {
    /// It passes, and the operator is told.
    #[default]
    Alert,
    /// It is refused.
    Refuse,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inside: Demand::default(),
            outside: Demand::default(),
            peers: BTreeMap::new(),
            tls_version: TlsVersion::default(),
            cipher_bits: 128,
            forward_secrecy: true,
            aead: true,
            ciphers: Vec::new(),
            answer: Answer::default(),
            remember_days: 30,
            remember_sources: true,
            downgrade: Downgrade::default(),
        }
    }
}
