//! Certificates, keys and trust anchors from PEM files, checked as they are read.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CertificateFiles, TlsError, TlsWarning};
use crate::certificate::dns_names;

const DAY_SECONDS: i64 = 86_400;
/// Days before the end of a certificate from which on we warn: 14, two working weeks.
const EXPIRY_WARNING_DAYS: i64 = 14;

/// A certificate and key that fit each other.
pub(super) struct Identity {
    pub(super) key: CertifiedKey,
    pub(super) dns_names: Vec<String>,
    pub(super) warning: Option<TlsWarning>,
}

pub(super) fn load_identity(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<Identity, TlsError> {
    let chain = load_certificates(&files.chain)?;
    let key = read(&files.key).and_then(|pem| {
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(files.key.clone()),
            error => TlsError::Pem {
                path: files.key.clone(),
                reason: error.to_string(),
            },
        })
    })?;
    let (dns_names, warning) = match chain.first() {
        Some(end_entity) => examine(&files.chain, end_entity)?,
        None => return Err(TlsError::NoCertificate(files.chain.clone())),
    };
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsError::BadKey {
        files: files.clone(),
        reason: error.to_string(),
    })?;
    Ok(Identity {
        key,
        dns_names,
        warning,
    })
}

/// Every certificate of a bundle that the operator wrote must be usable.
pub(super) fn load_anchors(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut anchors = RootCertStore::empty();
    for certificate in load_certificates(path)? {
        anchors
            .add(certificate)
            .map_err(|error| TlsError::BadCertificate {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
    }
    Ok(anchors)
}

pub(super) fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn examine(
    path: &Path,
    certificate: &CertificateDer<'_>,
) -> Result<(Vec<String>, Option<TlsWarning>), TlsError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| TlsError::BadCertificate {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let validity = parsed.validity();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let warning = expiry(
        path,
        validity.not_before.timestamp() - now,
        validity.not_after.timestamp() - now,
    );
    Ok((dns_names(&parsed), warning))
}

/// Judges a validity given in seconds from now.
fn expiry(path: &Path, begins_in: i64, ends_in: i64) -> Option<TlsWarning> {
    let path = path.to_owned();
    if begins_in > 0 {
        Some(TlsWarning::NotYetValid {
            path,
            days: begins_in / DAY_SECONDS,
        })
    } else if ends_in <= 0 {
        Some(TlsWarning::Expired {
            path,
            days: -ends_in / DAY_SECONDS,
        })
    } else if ends_in <= EXPIRY_WARNING_DAYS * DAY_SECONDS {
        Some(TlsWarning::ExpiresSoon {
            path,
            days: ends_in / DAY_SECONDS,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_judged_on_both_sides() {
        let path = Path::new("a.pem");
        let limit = EXPIRY_WARNING_DAYS * DAY_SECONDS;
        assert_eq!(expiry(path, -1, limit + 1), None);
        assert!(matches!(
            expiry(path, -1, limit),
            Some(TlsWarning::ExpiresSoon { days: 14, .. })
        ));
        assert!(matches!(
            expiry(path, -1, 1),
            Some(TlsWarning::ExpiresSoon { days: 0, .. })
        ));
        assert!(matches!(
            expiry(path, -1, 0),
            Some(TlsWarning::Expired { .. })
        ));
        assert!(matches!(
            expiry(path, 1, limit * 9),
            Some(TlsWarning::NotYetValid { .. })
        ));
    }
}
