//! The accepting side: certificates by SNI, client certificates, reload.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use rustls::ServerConfig;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;

use super::{CertificateFiles, TlsError, TlsFloor, TlsWarning, library, pem};

/// Sessions remembered for resumption by one TLS listener: 1,024, some 300 kB.
const SESSIONS_MAX: usize = 1_024;

/// What one TLS listener presents and demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsConfig {
    /// Chosen by SNI (exact name before wildcard, then by signature scheme); the
    /// first one serves clients that name no host or an unknown one.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients shall prove who they are.
    pub client: ClientCertificates,
    /// The least that a handshake may agree on.
    pub floor: TlsFloor,
}

/// Whether clients shall prove who they are. A certificate that does not verify
/// always ends the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Not asked for.
    #[default]
    None,
    /// Asked for; a client without one is let in.
    Optional {
        /// PEM bundle of the authorities that may vouch.
        authorities: PathBuf,
    },
    /// Asked for; a client without one is refused.
    Required {
        /// PEM bundle of the authorities that may vouch.
        authorities: PathBuf,
    },
}

/// The TLS side of a listener, which can be replaced while connections run.
pub struct TlsSettings {
    current: ArcSwap<ServerConfig>,
}

/// Validated settings, ready to be installed.
pub struct PreparedTls {
    config: Arc<ServerConfig>,
    /// What the operator should know; installing is allowed all the same.
    pub warnings: Vec<TlsWarning>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").finish_non_exhaustive()
    }
}

impl fmt::Debug for PreparedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedTls")
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Loads and validates all files of a listener.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn load(config: &ServerTlsConfig) -> Result<Arc<Self>, TlsError> {
        Ok(Self::new(Self::prepare(config)?))
    }

    /// Settings from what [`TlsSettings::prepare`] validated.
    #[must_use]
    pub fn new(prepared: PreparedTls) -> Arc<Self> {
        Arc::new(TlsSettings {
            current: ArcSwap::new(prepared.config),
        })
    }

    /// Loads and validates without changing anything, the first half of a reload.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn prepare(config: &ServerTlsConfig) -> Result<PreparedTls, TlsError> {
        let provider = config.floor.provider()?;
        let mut warnings = Vec::new();
        let mut resolver = CertificateResolver::default();
        for files in &config.certificates {
            let identity = pem::load_identity(files, &provider)?;
            warnings.extend(identity.warning);
            resolver.add(Arc::new(identity.key), identity.dns_names);
        }
        if resolver.all.is_empty() {
            return Err(TlsError::NoneConfigured);
        }
        for warning in &warnings {
            tracing::warn!(%warning, "certificate");
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&config.floor.versions(&provider))
            .map_err(library)?;
        let (authorities, required) = match &config.client {
            ClientCertificates::None => (None, false),
            ClientCertificates::Optional { authorities } => (Some(authorities), false),
            ClientCertificates::Required { authorities } => (Some(authorities), true),
        };
        let mut server = match authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let anchors = Arc::new(pem::load_anchors(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(anchors, provider);
                let verifier = if required {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                builder.with_client_cert_verifier(verifier.build().map_err(library)?)
            }
        }
        .with_cert_resolver(Arc::new(resolver));
        if authorities.is_some() {
            // A resumed session is not verified again: a client whose certificate
            // expired, or whose authority was removed, must not live on in one.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        } else {
            server.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        }
        Ok(PreparedTls {
            config: Arc::new(server),
            warnings,
        })
    }

    /// Makes new connections use what was prepared; running ones go on.
    pub fn install(&self, prepared: PreparedTls) {
        self.current.store(prepared.config);
    }

    /// Prepares and installs. An error changes nothing.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn reload(&self, config: &ServerTlsConfig) -> Result<Vec<TlsWarning>, TlsError> {
        let prepared = Self::prepare(config)?;
        let warnings = prepared.warnings.clone();
        self.install(prepared);
        Ok(warnings)
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// Finds the certificate for the name that a client asks for.
#[derive(Debug, Default)]
struct CertificateResolver {
    /// In the order of the config.
    all: Vec<Arc<CertifiedKey>>,
    /// Indexes into `all` by lower-case name; `*.example.com` is kept as written.
    by_name: HashMap<String, Vec<usize>>,
}

impl CertificateResolver {
    fn add(&mut self, key: Arc<CertifiedKey>, names: Vec<String>) {
        for name in names {
            self.by_name
                .entry(name.to_ascii_lowercase())
                .or_default()
                .push(self.all.len());
        }
        self.all.push(key);
    }

    /// Those that bear the name, exactly or by a wildcard for its first label.
    fn named(&self, name: &str) -> &[usize] {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(exact) = self.by_name.get(&name) {
            return exact;
        }
        name.split_once('.')
            .and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")))
            .map_or(&[], Vec::as_slice)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().map_or(&[][..], |name| self.named(name));
        let candidates = || {
            let named = named.iter().filter_map(|index| self.all.get(*index));
            named.chain(&self.all)
        };
        candidates()
            .find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some())
            .or_else(|| candidates().next())
            .cloned()
    }
}
