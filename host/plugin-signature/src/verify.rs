//! Whether bytes are what somebody whom we accept has signed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, Signature};

use crate::SIGNATURE_BYTES;
use crate::key::{PublicKey, number};

/// Somebody whose signature is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// What the operator calls them.
    pub name: Arc<str>,
    /// Their key.
    pub key: PublicKey,
}

/// What a good signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who signed.
    pub signer: Signer,
    /// The comment that is signed too.
    pub comment: String,
}

/// Why a signature is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Nobody is accepted.
    #[error("no signer is accepted here")]
    NobodyAccepted,
    /// The text is no signature, or only a part of one.
    #[error(
        "the signature is damaged or cut off; it has four lines, as `sipward plugin sign` writes them"
    )]
    Damaged,
    /// The file is too large for a signature.
    #[error("the signature has {bytes} bytes; at most {SIGNATURE_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It was made in a form that is not accepted any more.
    #[error(
        "the signature is of minisign's old form; sign again with `sipward plugin sign` or `minisign -SH`"
    )]
    OldForm,
    /// Someone else signed.
    #[error("it is signed by the key {key}, and accepted are {accepted}")]
    NotAccepted {
        /// The number that the signature gives.
        key: String,
        /// Names and numbers of the accepted keys.
        accepted: String,
    },
    /// Nothing fits.
    #[error(
        "the signature, which names the key of `{signer}`, is not of these bytes, or its comment was changed"
    )]
    Wrong {
        /// Who is said to have signed.
        signer: Arc<str>,
    },
}

/// Checks that one of `accepted` signed exactly these bytes.
///
/// # Errors
/// Nobody of them did, or the signature cannot be read.
pub fn verify(
    accepted: &[Signer],
    bytes: &[u8],
    signature: &[u8],
) -> Result<Signed, SignatureError> {
    if accepted.is_empty() {
        return Err(SignatureError::NobodyAccepted);
    }
    if signature.len() > SIGNATURE_BYTES {
        return Err(SignatureError::TooLarge {
            bytes: signature.len(),
        });
    }
    let text = std::str::from_utf8(signature).map_err(|_| SignatureError::Damaged)?;
    let signature = Signature::decode(text).map_err(|_| SignatureError::Damaged)?;
    let mut claimed = None;
    for signer in accepted {
        match signer.key.key.verify(bytes, &signature, false) {
            Ok(()) => {
                return Ok(Signed {
                    signer: signer.clone(),
                    comment: signature.trusted_comment().to_owned(),
                });
            }
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm | Error::UnsupportedLegacyMode) => {
                return Err(SignatureError::OldForm);
            }
            Err(_) => claimed = Some(Arc::clone(&signer.name)),
        }
    }
    Err(match claimed {
        Some(signer) => SignatureError::Wrong { signer },
        None => SignatureError::NotAccepted {
            key: named(text).unwrap_or_else(|| "of an unknown number".to_owned()),
            accepted: listed(accepted),
        },
    })
}

/// The number of the key that a signature names.
fn named(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    number(&bytes).map(|number| format!("{number:016X}"))
}

fn listed(signers: &[Signer]) -> String {
    let names: Vec<String> = signers
        .iter()
        .map(|signer| format!("`{}` ({})", signer.name, signer.key.id()))
        .collect();
    names.join(", ")
}
