//! TLS for SIP: certificates chosen by SNI, client certificates, reload.
//!
//! RFC 3261 section 26.2, RFC 5922 for names, RFC 8446 and 5246 for TLS 1.3 and
//! 1.2; nothing older is spoken. A reload is prepared and validated in full
//! before it is installed in one step; running connections keep what they
//! negotiated.

mod client;
mod floor;
mod pem;
mod server;

use std::io;
use std::path::PathBuf;

pub use self::client::{
    OutboundTls, OutboundTlsConfig, PreparedOutboundTls, TrustAnchors, system_bundle,
};
pub use self::floor::{TlsFloor, TlsSession, TlsVersion, cipher_names, is_tls13_cipher};
pub use self::server::{ClientCertificates, PreparedTls, ServerTlsConfig, TlsSettings};

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The end-entity certificate first, then its issuers.
    pub chain: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// Why TLS settings were refused; the old ones stay in force.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("failed to read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not PEM.
    #[error("{path} is not valid PEM: {reason}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file holds no certificate.
    #[error("{path} holds no certificate", path = .0.display())]
    NoCertificate(PathBuf),
    /// A file holds no private key.
    #[error("{path} holds no private key", path = .0.display())]
    NoKey(PathBuf),
    /// A certificate cannot be read or used.
    #[error("a certificate in {path} is not usable: {reason}", path = path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key cannot be used, or belongs to another certificate.
    #[error(
        "the key in {key} does not fit the certificate in {chain}: {reason}",
        key = files.key.display(), chain = files.chain.display()
    )]
    BadKey {
        /// Certificate and key.
        files: CertificateFiles,
        /// What is wrong.
        reason: String,
    },
    /// No certificate is configured for a listener.
    #[error("a TLS listener needs at least one certificate")]
    NoneConfigured,
    /// The system's bundle of certification authorities was not found.
    #[error("no system bundle of certification authorities was found; name a file")]
    NoSystemRoots,
    /// A cipher suite that we do not speak.
    #[error("{0} is not a cipher suite that can be used")]
    UnknownCipher(String),
    /// No cipher suite is left for the versions that are allowed.
    #[error("no cipher suite is left for the versions of TLS that are allowed")]
    NoCipher,
    /// The library refused the settings as a whole.
    #[error("the TLS settings are not usable: {0}")]
    Library(String),
}

/// What the operator should know about a certificate that is in use all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsWarning {
    /// Peers will refuse it.
    #[error("the certificate in {path} expired {days} days ago", path = path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Days since.
        days: i64,
    },
    /// It should be renewed.
    #[error("the certificate in {path} expires in {days} days", path = path.display())]
    ExpiresSoon {
        /// The file.
        path: PathBuf,
        /// Days left, at most 14.
        days: i64,
    },
    /// Peers will refuse it until then.
    #[error("the certificate in {path} is not valid for another {days} days", path = path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// Days until then.
        days: i64,
    },
}

fn library(error: impl std::fmt::Display) -> TlsError {
    TlsError::Library(error.to_string())
}
