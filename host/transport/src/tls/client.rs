//! The dialling side: whom we trust, and who we say we are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore};

use super::{CertificateFiles, TlsError, TlsFloor, TlsWarning, library, pem};

/// Where distributions keep the bundle of certification authorities.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which authorities may vouch for a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustAnchors {
    /// Those that the system trusts.
    #[default]
    System,
    /// Those of one PEM bundle, and no others.
    File(PathBuf),
}

/// Trust and identity for the TLS connections that we open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundTlsConfig {
    /// Which authorities may vouch for a server.
    pub anchors: TrustAnchors,
    /// Presented to servers that ask for it.
    pub certificate: Option<CertificateFiles>,
    /// The least that a handshake may agree on.
    pub floor: TlsFloor,
}

/// The TLS side of outbound connections, which can be replaced while they run.
/// The server's certificate must verify and bear the destination's server name,
/// or its address if it has none.
pub struct OutboundTls {
    current: ArcSwap<ClientConfig>,
}

/// Validated settings, ready to be installed.
pub struct PreparedOutboundTls {
    config: Arc<ClientConfig>,
    /// What the operator should know; installing is allowed all the same.
    pub warnings: Vec<TlsWarning>,
}

impl fmt::Debug for OutboundTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for PreparedOutboundTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedOutboundTls")
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl OutboundTls {
    /// Loads and validates all files.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn load(config: &OutboundTlsConfig) -> Result<Arc<Self>, TlsError> {
        Ok(Self::new(Self::prepare(config)?))
    }

    /// Settings from what [`OutboundTls::prepare`] validated.
    #[must_use]
    pub fn new(prepared: PreparedOutboundTls) -> Arc<Self> {
        Arc::new(OutboundTls {
            current: ArcSwap::new(prepared.config),
        })
    }

    /// Loads and validates without changing anything, the first half of a reload.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn prepare(config: &OutboundTlsConfig) -> Result<PreparedOutboundTls, TlsError> {
        let provider = config.floor.provider()?;
        let anchors = match &config.anchors {
            TrustAnchors::System => system_anchors()?,
            TrustAnchors::File(path) => pem::load_anchors(path)?,
        };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(&provider))
                .build()
                .map_err(library)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&config.floor.versions(&provider))
            .map_err(library)?
            .with_webpki_verifier(verifier);
        let mut warnings = Vec::new();
        let client = match &config.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let identity = pem::load_identity(files, &provider)?;
                warnings.extend(identity.warning);
                let key = Arc::new(rustls::sign::SingleCertAndKey::from(identity.key));
                builder.with_client_cert_resolver(key)
            }
        };
        for warning in &warnings {
            tracing::warn!(%warning, "certificate");
        }
        Ok(PreparedOutboundTls {
            config: Arc::new(client),
            warnings,
        })
    }

    /// Makes new connections use what was prepared; running ones go on.
    pub fn install(&self, prepared: PreparedOutboundTls) {
        self.current.store(prepared.config);
    }

    /// Prepares and installs. An error changes nothing.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn reload(&self, config: &OutboundTlsConfig) -> Result<Vec<TlsWarning>, TlsError> {
        let prepared = Self::prepare(config)?;
        let warnings = prepared.warnings.clone();
        self.install(prepared);
        Ok(warnings)
    }

    pub(crate) fn current(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }
}

/// The PEM file with the authorities that the system trusts, if it has one.
pub fn system_bundle() -> Option<&'static Path> {
    SYSTEM_BUNDLES
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
}

/// Distributions carry authorities that the library cannot read; those are left out.
fn system_anchors() -> Result<RootCertStore, TlsError> {
    let path = system_bundle().ok_or(TlsError::NoSystemRoots)?;
    let mut anchors = RootCertStore::empty();
    let (added, _) = anchors.add_parsable_certificates(pem::load_certificates(path)?);
    if added == 0 {
        Err(TlsError::NoSystemRoots)
    } else {
        Ok(anchors)
    }
}
