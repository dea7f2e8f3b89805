//! Settings of `ip-acl`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::Network;

/// Address lists for each zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Peers of the zone `inside`: PBXs and other trusted networks.
    pub inside: Zone,
    /// Peers of the zone `outside`: trunks and the Internet.
    pub outside: Zone,
    /// What a refused peer hears.
    #[serde(default)]
    pub answer: Answer,
}

/// What holds for the peers of one zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// What becomes of addresses that stand in neither list.
    pub default: Default,
    /// Networks that may send requests.
    #[serde(default)]
    pub allow: Vec<Network>,
    /// Networks that may not.
    #[serde(default)]
    pub deny: Vec<Network>,
    /// Networks that have to come by TLS or secure WebSocket.
    #[serde(default)]
    pub require_tls: Vec<Network>,
    /// Networks whose callers a plugin earlier in the pipeline (digest-auth) has
    /// to have identified.
    #[serde(default)]
    pub require_digest: Vec<Network>,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Default {
    /// Let the next plugin decide.
    Allow,
    /// Refuse.
    Deny,
}

/// What a refused peer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, std::default::Default)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// 403 Forbidden.
    #[default]
    Reject,
    /// Nothing, so that scanners learn nothing.
    Silence,
}
