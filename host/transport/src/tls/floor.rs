//! What a TLS handshake may agree on, and what it agreed on. Cipher suites go by the names
//! of IANA's registry "TLS Cipher Suites".

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, CommonState, ProtocolVersion, SupportedProtocolVersion};

use super::TlsError;

/// What we can speak: TLS 1.2 and 1.3 with AEAD suites and forward secrecy (RFC 9325).
static VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// Every suite that we can speak, best first.
const SUITES: [(CipherSuite, &str); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The least that a handshake may agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFloor {
    /// The oldest version.
    pub version: TlsVersion,
    /// The suites, by their names as in [`cipher_names`]. Empty for all of them.
    pub ciphers: Vec<String>,
}

/// What the handshake of a connection agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsSession {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by IANA's name.
    pub cipher: &'static str,
}

/// The suites that a [`TlsFloor`] may list, best first.
pub fn cipher_names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(_, name)| *name)
}

/// Whether a suite of this name belongs to TLS 1.3.
#[must_use]
pub fn is_tls13_cipher(name: &str) -> bool {
    !name.starts_with("TLS_ECDHE_")
}

impl TlsSession {
    /// What was agreed on; none before the handshake is over.
    pub(crate) fn of(agreed: &CommonState) -> Option<Self> {
        let version = match agreed.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            // We offer and accept no other.
            _ => return None,
        };
        let suite = agreed.negotiated_cipher_suite()?.suite();
        let (_, cipher) = SUITES.iter().find(|(known, _)| *known == suite)?;
        Some(Self { version, cipher })
    }
}

impl TlsFloor {
    /// The library's algorithms without the suites that are not allowed.
    ///
    /// # Errors
    /// A suite that we do not know, or none that is left for an allowed version.
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(unknown) = self
            .ciphers
            .iter()
            .find(|wanted| cipher_names().all(|name| name != wanted.as_str()))
        {
            return Err(TlsError::UnknownCipher(unknown.clone()));
        }
        provider.cipher_suites.retain(|suite| {
            let known = SUITES.iter().find(|(known, _)| *known == suite.suite());
            let name = known.map(|(_, name)| *name);
            let allowed = |wanted: &String| Some(wanted.as_str()) == name;
            let modern = suite.tls13().is_some();
            (self.ciphers.is_empty() || self.ciphers.iter().any(allowed))
                && (modern || self.version == TlsVersion::Tls12)
        });
        if provider.cipher_suites.is_empty() {
            return Err(TlsError::NoCipher);
        }
        Ok(Arc::new(provider))
    }

    /// The versions that are allowed and have a suite, newest first.
    pub(crate) fn versions(
        &self,
        provider: &CryptoProvider,
    ) -> Vec<&'static SupportedProtocolVersion> {
        let usable = |version: &&&'static SupportedProtocolVersion| {
            let suites = &provider.cipher_suites;
            suites
                .iter()
                .any(|suite| suite.version().version == version.version)
        };
        VERSIONS.iter().filter(usable).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(version: TlsVersion, ciphers: &[&str]) -> TlsFloor {
        TlsFloor {
            version,
            ciphers: ciphers.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn allowed(floor: &TlsFloor) -> (usize, Vec<ProtocolVersion>) {
        let provider = floor.provider().unwrap();
        let versions = floor.versions(&provider);
        let versions = versions.into_iter().map(|version| version.version);
        (provider.cipher_suites.len(), versions.collect())
    }

    #[test]
    fn every_suite_of_the_library_has_its_name() {
        let all = TlsFloor::default().provider().unwrap();
        assert_eq!(all.cipher_suites.len(), SUITES.len());
        assert!(cipher_names().all(|name| {
            let library = SUITES.iter().find(|(_, known)| *known == name).unwrap().0;
            is_tls13_cipher(name) == library.as_str().unwrap().starts_with("TLS13_")
        }));
    }

    #[test]
    fn the_floor_takes_versions_and_suites_away() {
        use ProtocolVersion::{TLSv1_2, TLSv1_3};
        let both = vec![TLSv1_3, TLSv1_2];
        assert_eq!(allowed(&TlsFloor::default()), (9, both.clone()));
        assert_eq!(allowed(&floor(TlsVersion::Tls13, &[])), (3, vec![TLSv1_3]));
        let strong = "TLS_AES_256_GCM_SHA384";
        let old = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        assert_eq!(
            allowed(&floor(TlsVersion::Tls12, &[strong])),
            (1, vec![TLSv1_3])
        );
        assert_eq!(
            allowed(&floor(TlsVersion::Tls12, &[old, strong])),
            (2, both)
        );
        assert_eq!(
            allowed(&floor(TlsVersion::Tls13, &[old, strong])),
            (1, vec![TLSv1_3])
        );
    }

    #[test]
    fn what_nobody_could_agree_on_is_refused() {
        let old = floor(
            TlsVersion::Tls13,
            &["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
        );
        assert!(matches!(old.provider(), Err(TlsError::NoCipher)));
        let unknown = floor(TlsVersion::Tls12, &["TLS_RSA_WITH_NULL_MD5"]);
        assert!(matches!(
            unknown.provider(),
            Err(TlsError::UnknownCipher(_))
        ));
    }
}
