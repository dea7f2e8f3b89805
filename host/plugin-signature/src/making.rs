//! Making keys and signatures. The proxy never does; authors do.

use std::fmt;
use std::io::Cursor;
use std::str::FromStr;

use minisign::{KeyPair, SecretKeyBox};
use secrecy::{ExposeSecret, SecretString};

use crate::KEY_BYTES;
use crate::key::PublicKey;

/// Why there is no key or no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The file is no secret key.
    #[error("this is no secret key of minisign")]
    NoKey,
    /// The key is locked by a password, and none was given.
    #[error("the key is locked by a password; put it into the variable SIPWARD_SIGNING_PASSWORD")]
    Locked,
    /// The password does not open the key.
    #[error("the password does not open the key")]
    WrongPassword,
    /// A comment would break the signature's file.
    #[error("a comment is one line of at most 1000 bytes")]
    Comment,
    /// The library failed.
    #[error("failed to {action}: {cause}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// What it said.
        cause: String,
    },
}

fn failed(action: &'static str) -> impl Fn(minisign::PError) -> SigningError {
    move |error| SigningError::Failed {
        action,
        cause: error.to_string(),
    }
}

/// A pair of keys, as the files that they are kept in.
pub struct NewKeys {
    /// The public key.
    pub public: PublicKey,
    /// The file of the public key.
    pub public_file: String,
    /// The file of the secret key.
    pub secret_file: SecretString,
}

impl NewKeys {
    /// Makes keys; a password locks the secret one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate(password: Option<&SecretString>) -> Result<Self, SigningError> {
        let fault = failed("make keys");
        let pair = match password {
            Some(password) => {
                KeyPair::generate_encrypted_keypair(Some(password.expose_secret().to_owned()))
            }
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let pair = pair.map_err(&fault)?;
        let public_file = pair.pk.to_box().map_err(&fault)?.into_string();
        let public = PublicKey::from_str(&public_file).map_err(|_| SigningError::NoKey)?;
        let comment = format!("sipward secret key {}", public.id());
        let secret_file = pair.sk.to_box(Some(&comment)).map_err(&fault)?;
        Ok(Self {
            public,
            public_file,
            secret_file: secret_file.into_string().into(),
        })
    }
}

impl fmt::Debug for NewKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewKeys")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A key to sign with.
pub struct SecretKey {
    key: minisign::SecretKey,
    public: PublicKey,
}

impl SecretKey {
    /// Reads the file of a secret key, one of minisign too, and unlocks it.
    ///
    /// # Errors
    /// It is no key, or the password does not open it.
    pub fn open(
        file: &SecretString,
        password: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        let file = file.expose_secret();
        if file.len() > KEY_BYTES {
            return Err(SigningError::NoKey);
        }
        let sealed = || SecretKeyBox::from_string(file).map_err(|_| SigningError::NoKey);
        let key = match sealed()?.into_unencrypted_secret_key() {
            Ok(key) => key,
            Err(_) if !is_key(file) => return Err(SigningError::NoKey),
            // Without a password the library would ask for one on the terminal.
            Err(_) => match password {
                None => return Err(SigningError::Locked),
                Some(password) => sealed()?
                    .into_secret_key(Some(password.expose_secret().to_owned()))
                    .map_err(|_| SigningError::WrongPassword)?,
            },
        };
        let public = minisign::PublicKey::from_secret_key(&key)
            .and_then(|key| key.to_box())
            .map_err(failed("find the public key"))?;
        let public = PublicKey::from_str(&public.into_string()).map_err(|_| SigningError::NoKey)?;
        Ok(Self { key, public })
    }

    /// Its public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes together with a comment: the file of the signature.
    ///
    /// # Errors
    /// The comment is more than a line, or the system gives no randomness.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String, SigningError> {
        /// Leaves most of the file's bytes to the reader's own limit.
        const COMMENT_BYTES: usize = 1000;
        if comment.len() > COMMENT_BYTES || comment.contains(char::is_control) {
            return Err(SigningError::Comment);
        }
        let untrusted = format!("signature by the key {}", self.public.id());
        let signature = minisign::sign(
            None,
            &self.key,
            Cursor::new(bytes),
            Some(comment),
            Some(&untrusted),
        );
        Ok(signature.map_err(failed("sign"))?.into_string())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// Whether the second line can be a secret key: 158 bytes in base64.
fn is_key(file: &str) -> bool {
    use base64::Engine as _;
    let line = file.lines().nth(1).unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(line.trim())
        .is_ok_and(|bytes| bytes.len() == 158)
}
