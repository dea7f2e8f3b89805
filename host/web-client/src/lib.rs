//! How Sipward asks web servers, be it to post a record or to fetch a plugin: what all
//! requests have in common.

use std::path::Path;
use std::sync::Arc;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;

/// Why a file of authorities is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    /// It has other things, or nothing.
    #[error("it has no certificate")]
    Empty,
}

/// An agent that follows no redirect and asks no proxy: what is sent goes where it was told
/// to and nowhere else. Answers of every status are answers.
#[must_use]
pub fn config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent("sipward")
}

/// TLS as everywhere: rustls with aws-lc-rs, the certificate checked against the
/// authorities of this PEM file.
///
/// # Errors
/// See [`AuthoritiesError`].
pub fn tls(authorities: &Path) -> Result<TlsConfig, AuthoritiesError> {
    let pem = std::fs::read(authorities)?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(AuthoritiesError::Empty);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let error = tls(&file).unwrap_err();
        assert!(matches!(error, AuthoritiesError::Unreadable(_)), "{error}");
        std::fs::write(&file, "no certificate").unwrap();
        let error = tls(&file).unwrap_err();
        assert!(matches!(error, AuthoritiesError::Empty), "{error}");
    }
}
