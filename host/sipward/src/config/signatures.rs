//! `[signatures]` and `[[signer]]`: whose plugins are loaded.

use plugin_signature::PublicKey;
use serde::{Deserialize, Deserializer};

/// Whether plugins have to be signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signatures {
    /// Whether every plugin has to be signed by a `[[signer]]`. `false` is for
    /// development: pipelines that name signers still insist on them.
    pub required: bool,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { required: true }
    }
}

/// Somebody whose signature is accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// Unique name, for pipelines and messages.
    pub name: String,
    /// Their public key, as minisign writes it.
    #[serde(deserialize_with = "public_key")]
    pub public_key: PublicKey,
}

fn public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
