//! What policies learn from a verified certificate (RFC 5922 section 7.1).

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::tls::TlsSession;

/// Names taken from one certificate: 64. Hosting providers put a hundred and more
/// into one, but whoever connects to a proxy is one of a few.
const NAMES_MAX: usize = 64;

/// Bytes of one name: 255, the longest DNS name, is enough for a `sip:` URI too.
const NAME_BYTES_MAX: usize = 255;

/// Bytes of the issuer's name: 1024. Real ones have a hundred.
const ISSUER_BYTES_MAX: usize = 1024;

/// What the handshake of a connection proved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    /// The peer's certificate, verified.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// What was agreed on.
    pub(crate) tls: Option<TlsSession>,
}

/// The identity that a TLS peer proved. Only made from certificates that the
/// handshake verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    /// DNS names, then URIs of the subject alternative name; the common names if
    /// there are neither. As written in the certificate.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, 64 lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Distinguished name of the issuer (RFC 4514); at most 1024 bytes of it.
    pub issuer: String,
}

impl PeerCertificate {
    /// Reads the names of an end-entity certificate; none if it is not X.509.
    pub(crate) fn from_der(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(PeerCertificate {
            names: names(&parsed),
            fingerprint: hex::encode(Sha256::digest(certificate)),
            issuer: issuer(&parsed),
        })
    }

    /// Whether the certificate speaks for a SIP domain (RFC 5922 section 7.2):
    /// by an equal DNS name or `sip:` URI. Wildcards do not count.
    #[must_use]
    pub fn identifies(&self, domain: &str) -> bool {
        self.names.iter().any(|name| {
            let name = match name.split_once(':') {
                Some((scheme, host))
                    if scheme.eq_ignore_ascii_case("sip")
                        || scheme.eq_ignore_ascii_case("sips") =>
                {
                    host
                }
                _ => name,
            };
            name.eq_ignore_ascii_case(domain)
        })
    }
}

/// A name of another's making: one line and bounded.
fn issuer(certificate: &X509Certificate<'_>) -> String {
    let mut name = certificate.issuer().to_string();
    name.retain(|letter| !letter.is_control());
    name.truncate(name.floor_char_boundary(ISSUER_BYTES_MAX));
    name
}

/// The DNS names of a certificate, for the choice by SNI.
pub(crate) fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    alternative_names(certificate, |name| match name {
        GeneralName::DNSName(name) => Some(name),
        _ => None,
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = dns_names(certificate);
    names.extend(alternative_names(certificate, |name| match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }));
    if names.is_empty() {
        names.extend(
            certificate
                .subject()
                .iter_common_name()
                .filter_map(|name| name.as_str().ok())
                .filter(|name| is_plain(name))
                .map(str::to_owned),
        );
    }
    names.truncate(NAMES_MAX);
    names
}

fn alternative_names<'a>(
    certificate: &'a X509Certificate<'_>,
    pick: impl Fn(&'a GeneralName<'a>) -> Option<&'a str>,
) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(pick)
        .filter(|name| is_plain(name))
        .take(NAMES_MAX)
        .map(str::to_owned)
        .collect()
}

/// Names with control or other strange characters are no names: the well-known
/// `trusted.example\0.evil.example` must not reach a policy. Nor must a comma: the
/// facts join names with it, and `evil,trusted.example` would be two.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(params: CertificateParams) -> PeerCertificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        PeerCertificate::from_der(certificate.der()).unwrap()
    }

    #[test]
    fn alternative_names_hide_the_common_name() {
        let mut params = CertificateParams::new(vec!["pbx.example".into()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI("sip:example.com".try_into().unwrap()));
        params
            .distinguished_name
            .push(DnType::CommonName, "cn.example");
        let read = certificate(params);
        assert_eq!(read.names, ["pbx.example", "sip:example.com"]);
        assert_eq!(read.fingerprint.len(), 64);
        assert!(read.identifies("PBX.example"));
        assert!(read.identifies("example.com"));
        assert!(!read.identifies("cn.example"));
    }

    #[test]
    fn the_common_name_serves_without_alternatives() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "cn.example");
        assert_eq!(certificate(params).names, ["cn.example"]);
    }

    #[test]
    fn a_name_with_a_nul_is_no_name() {
        assert!(!is_plain("trusted.example\0.evil.example"));
        assert!(!is_plain("evil,trusted.example"));
        assert!(!is_plain(""));
        assert!(is_plain(&"a".repeat(NAME_BYTES_MAX)));
        assert!(!is_plain(&"a".repeat(NAME_BYTES_MAX + 1)));
    }

    #[test]
    fn rubbish_is_no_certificate() {
        assert!(PeerCertificate::from_der(&CertificateDer::from(vec![0x30, 0x80, 1])).is_none());
    }
}
