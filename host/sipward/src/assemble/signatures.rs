//! Whose a plugin is, before anything is made of its bytes.
//!
//! The bytes that are verified are those that are loaded: they were read once. A plugin
//! that is in use already is verified again for each generation, since the accepted
//! signers may be others now.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use plugin_signature::{SIGNATURE_BYTES, SignatureError, Signed, Signer, signature_path, verify};

use super::AssembleError;
use crate::config::{self, Config};

/// Why a plugin is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAccepted {
    /// There is no signature.
    #[error(
        "it is not signed: there is no {}; sign it with `sipward plugin sign`, or, for development only, write `required = false` into [signatures]", .signature.display()
    )]
    Unsigned {
        /// Where the signature would be.
        signature: PathBuf,
    },
    /// The signature cannot be read.
    #[error("failed to read its signature {}: {cause}", .signature.display())]
    Unreadable {
        /// Where it is.
        signature: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The configuration names nobody.
    #[error(
        "nobody's signature is accepted; add a [[signer]] with `name` and `public_key`, or, for development only, write `required = false` into [signatures]"
    )]
    NobodyAccepted,
    /// The signature is not good.
    #[error("its signature {} is refused: {cause}", .signature.display())]
    Refused {
        /// Where it is.
        signature: PathBuf,
        /// What is wrong with it.
        cause: SignatureError,
    },
    /// It is good, and a pipeline wants others.
    #[error("it is signed by `{signer}`, and pipeline `{pipeline}` accepts {accepted}")]
    NotForPipeline {
        /// Who signed.
        signer: Arc<str>,
        /// The pipeline.
        pipeline: String,
        /// Whom it accepts.
        accepted: String,
    },
}

/// Whose signatures the configuration accepts.
pub(super) struct Acceptance<'c> {
    config: &'c Config,
    signers: Vec<Signer>,
}

impl<'c> Acceptance<'c> {
    pub(super) fn of(config: &'c Config) -> Self {
        let signers = config.signers.iter().map(|signer| Signer {
            name: Arc::from(signer.name.as_str()),
            key: signer.public_key.clone(),
        });
        Self {
            config,
            signers: signers.collect(),
        }
    }

    /// Checks the signature of these bytes of a plugin. None if nobody asks for one.
    pub(super) fn check(
        &self,
        plugin: &config::Plugin,
        wasm: &[u8],
    ) -> Result<Option<Signed>, AssembleError> {
        self.signed(plugin, wasm)
            .map_err(|cause| AssembleError::NotAccepted {
                plugin: plugin.name.clone(),
                path: plugin.path.clone(),
                cause,
            })
    }

    fn signed(&self, plugin: &config::Plugin, wasm: &[u8]) -> Result<Option<Signed>, NotAccepted> {
        let particular: Vec<&config::Pipeline> = self
            .config
            .pipelines
            .iter()
            .filter(|it| it.plugins.contains(&plugin.name) && !it.signers.is_empty())
            .collect();
        if particular.is_empty() && !self.config.signatures.required {
            return Ok(None);
        }
        if self.signers.is_empty() {
            return Err(NotAccepted::NobodyAccepted);
        }
        let signature = signature_path(&plugin.path);
        let text = match read(&signature) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(NotAccepted::Unsigned { signature });
            }
            Err(cause) => return Err(NotAccepted::Unreadable { signature, cause }),
        };
        let signed = match verify(&self.signers, wasm, &text) {
            Ok(signed) => signed,
            Err(cause) => return Err(NotAccepted::Refused { signature, cause }),
        };
        let signer = &signed.signer.name;
        for pipeline in particular {
            if !pipeline.signers.iter().any(|name| **name == **signer) {
                return Err(NotAccepted::NotForPipeline {
                    signer: Arc::clone(signer),
                    pipeline: pipeline.name.clone(),
                    accepted: pipeline.signers.join(", "),
                });
            }
        }
        Ok(Some(signed))
    }
}

/// A signature's file, and no more of it than a signature can have.
fn read(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(SIGNATURE_BYTES).unwrap_or(u64::MAX);
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
