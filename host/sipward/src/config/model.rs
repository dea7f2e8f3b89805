//! The configuration as the file has it: RFC-neutral, every key documented.
//!
//! Unknown keys are errors everywhere. Times are in the unit that ends the key.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::accounts::CredentialStore;
use super::lookups::{Geo, Groups, ListFile};
use super::media::{Media, PeerMedia};
use super::plugin::Plugin;
use super::records::{Alerts, Records};
use super::signatures::{Signatures, Signer};

/// A whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The process.
    #[serde(default)]
    pub server: Server,
    /// Trust and identity for TLS connections that we open.
    #[serde(default)]
    pub outbound_tls: Option<OutboundTls>,
    /// Addresses to listen on.
    #[serde(default, rename = "listener")]
    pub listeners: Vec<Listener>,
    /// PBXs.
    #[serde(default, rename = "pbx")]
    pub pbxs: Vec<Peer>,
    /// Trunks.
    #[serde(default, rename = "trunk")]
    pub trunks: Vec<Peer>,
    /// Plugins.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<Plugin>,
    /// Whether plugins have to be signed.
    #[serde(default)]
    pub signatures: Signatures,
    /// Whose signatures are accepted.
    #[serde(default, rename = "signer")]
    pub signers: Vec<Signer>,
    /// Pipelines.
    #[serde(default, rename = "pipeline")]
    pub pipelines: Vec<Pipeline>,
    /// Users that may authenticate.
    #[serde(default, rename = "credential")]
    pub credentials: Vec<Credential>,
    /// The store of more of them.
    #[serde(default, rename = "credentials")]
    pub credential_store: Option<CredentialStore>,
    /// Timers of RFC 3261.
    #[serde(default)]
    pub timers: Timers,
    /// Ceilings of tables.
    #[serde(default)]
    pub limits: Limits,
    /// The media relay.
    #[serde(default)]
    pub media: Option<Media>,
    /// Databases of where addresses are.
    #[serde(default)]
    pub geo: Option<Geo>,
    /// Lists.
    #[serde(default, rename = "list")]
    pub lists: Vec<ListFile>,
    /// Groups of identities.
    #[serde(default)]
    pub groups: Groups,
    /// Call records.
    #[serde(default)]
    pub records: Option<Records>,
    /// Alerts.
    #[serde(default)]
    pub alerts: Alerts,
}

/// The process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Worker threads; 0 for one per core.
    pub workers: usize,
    /// Unix socket for `sipward reload`, `status` and `drain`.
    pub admin_socket: PathBuf,
    /// Folder for what must outlast the process. Without it nothing does.
    pub state_dir: Option<PathBuf>,
    /// Folder for compiled plugins. Without it they are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Filter for log lines, such as `info` or `sipward=debug,info`.
    pub log_level: String,
    /// Longest time that a drain waits for calls to end.
    pub drain_seconds: u64,
    /// Whether changes of the configuration and its files are loaded by themselves.
    pub watch: bool,
    /// Domains we answer for besides the listeners' hosts.
    pub domains: Vec<String>,
    /// How long a digest nonce is good.
    pub nonce_seconds: u64,
    /// Whether strangers by UDP get answers to what no policy is asked about.
    pub answer_strangers: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: 0,
            admin_socket: PathBuf::from("/run/sipward/admin.sock"),
            state_dir: None,
            cache_dir: None,
            log_format: LogFormat::Human,
            log_level: "info".to_owned(),
            drain_seconds: 3600,
            watch: true,
            domains: Vec::new(),
            nonce_seconds: 300,
            answer_strangers: false,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One object a line.
    Json,
}

/// Which transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// Which side of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// PBXs.
    Inside,
    /// Trunks and the Internet.
    Outside,
}

/// An address to listen on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique name.
    pub name: String,
    /// Transport.
    pub transport: Transport,
    /// Address and port.
    pub bind: SocketAddr,
    /// Host that peers know us by; the bound address without it.
    #[serde(default)]
    pub advertised: Option<String>,
    /// The side it faces; without one the peer's own zone counts.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Certificates, for `tls`.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// The `[[media.interface]]` that its calls use; the only one without it.
    #[serde(default)]
    pub media: Option<String>,
}

/// A PEM certificate chain with its key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// End-entity certificate first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// TLS of a listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// End-entity certificate first. The default for clients without SNI.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// More certificates, chosen by SNI.
    #[serde(default)]
    pub more: Vec<CertificateFiles>,
    /// Authorities that may vouch for clients.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether clients show a certificate.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Cipher suites by IANA's names; all that are known without it.
    #[serde(default)]
    pub ciphers: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// TLS connections that we open.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundTls {
    /// Authorities that may vouch for servers; the system's without it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Shown to servers that ask.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Cipher suites by IANA's names; all that are known without it.
    #[serde(default)]
    pub ciphers: Vec<String>,
}

/// How several targets are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fork {
    /// One after the other.
    #[default]
    Serial,
    /// All of one priority at once.
    Parallel,
}

/// Which final responses let the next target be tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failover {
    /// 408, 503, 504, timeouts, unreachable.
    #[default]
    Unavailable,
    /// Those and every 5xx.
    ServerErrors,
    /// Every refusal but 6xx.
    AnyFailure,
}

/// A `[[pbx]]` or a `[[trunk]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Unique over both kinds.
    pub name: String,
    /// Networks it sends from.
    #[serde(default)]
    pub sources: Vec<IpNet>,
    /// Names in its client certificate.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// Where to reach it: `sip:host:port;transport=tls`, in order of priority.
    #[serde(default)]
    pub targets: Vec<String>,
    /// How several targets are tried.
    #[serde(default)]
    pub fork: Fork,
    /// What lets the next target be tried.
    #[serde(default)]
    pub failover: Failover,
    /// Domains it is responsible for.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The peer that its requests go to; the first of the other kind without it.
    #[serde(default)]
    pub route_to: Option<String>,
    /// The side it is on: `inside` for a PBX and `outside` for a trunk without it.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Requests over 1,300 bytes go to its UDP targets by TCP.
    #[serde(default)]
    pub large_by_tcp: bool,
    /// What its media can be; `sdes` and `plain` without it.
    #[serde(default)]
    pub media: Option<PeerMedia>,
}

/// A chain of plugins and the requests it judges.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Unique name.
    pub name: String,
    /// Side that the requests come from; both without it.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Peers that the requests come from; all without it.
    #[serde(default)]
    pub peers: Vec<String>,
    /// Methods; all without it.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Names of plugins, first asked first.
    pub plugins: Vec<String>,
    /// Names of the signers whose plugins it may use; all without it.
    #[serde(default)]
    pub signers: Vec<String>,
}

/// A user that may authenticate. Exactly one of the sources is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// User name.
    pub user: String,
    /// Realm.
    pub realm: String,
    /// File whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File with lines `algorithm:hex` of H(user:realm:password).
    #[serde(default)]
    pub ha1_file: Option<PathBuf>,
}

/// Timers of RFC 3261 and of the proxy core.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// T1, 500 ms.
    pub t1_ms: Option<u64>,
    /// T2, 4 s.
    pub t2_ms: Option<u64>,
    /// T4, 5 s.
    pub t4_ms: Option<u64>,
    /// Timer C, 185 s.
    pub timer_c_seconds: Option<u64>,
    /// Longest time that a policy may take, 2 s.
    pub consult_ms: Option<u64>,
}

impl Timers {
    /// Those that the transaction layer is made with.
    pub(crate) fn of_transactions(&self) -> [Option<u64>; 4] {
        [self.t1_ms, self.t2_ms, self.t4_ms, self.timer_c_seconds]
    }
}

/// Ceilings of tables; `docs/reference/limits.md` has the defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Server transactions of one worker.
    pub server_transactions: Option<usize>,
    /// Client transactions of one worker.
    pub client_transactions: Option<usize>,
    /// Calls of one worker.
    pub calls: Option<usize>,
    /// Longest call.
    pub call_age_seconds: Option<u64>,
    /// Connections accepted.
    pub connections: Option<usize>,
    /// Connections accepted from one address.
    pub connections_per_peer: Option<usize>,
    /// Bytes of one message.
    pub message_bytes: Option<usize>,
    /// Headers of one message.
    pub header_count: Option<usize>,
}
