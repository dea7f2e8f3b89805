//! Settings of `rate-limit`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::Network;

/// Rules, all of which a request has to satisfy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The limits. 1 to 16.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<Rule>,
    /// Who is not limited.
    #[serde(default)]
    pub exempt: Exempt,
    /// How much of an IPv4 address is its network. 1 to 32.
    #[serde(default = "ipv4_prefix")]
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix: u8,
    /// How much of an IPv6 address is its network, and one source too: a
    /// subscriber has a whole one. 1 to 128.
    #[serde(default = "ipv6_prefix")]
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
    /// How many times the rate a sender may exceed before it hears nothing.
    /// Slighter excess is answered 503 with Retry-After. 1 to 1,000.
    #[serde(default = "flood_factor")]
    #[schemars(range(min = 1, max = 1_000))]
    pub flood_factor: u32,
}

/// One limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, for logs. Letters, digits, `-` and `_`, at most 32; each rule has
    /// its own.
    pub name: String,
    /// What is counted together.
    pub per: Per,
    /// Methods that it limits, upper case; empty for all but ACK, BYE, CANCEL
    /// and PRACK, which end or complete what was admitted.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Requests per second in the long run. 0.001 to 1,000,000.
    pub per_second: f64,
    /// Requests that may come at once. 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: u32,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// An IPv4 address, or an IPv6 network of `ipv6_prefix`.
    Source,
    /// A network of `ipv4_prefix` or `ipv6_prefix`.
    Network,
    /// A `[[trunk]]` or `[[pbx]]`. Others are not concerned.
    Peer,
    /// An identity that an earlier plugin established. Others are not concerned.
    User,
}

/// Who is not limited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// Networks. Over UDP a source address can be forged.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Names of `[[trunk]]` and `[[pbx]]`.
    #[serde(default)]
    pub peers: Vec<String>,
}

const fn ipv4_prefix() -> u8 {
    24
}

const fn ipv6_prefix() -> u8 {
    64
}

const fn flood_factor() -> u32 {
    3
}
