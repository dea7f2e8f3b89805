//! Built plugins in the real host: engine, state, credentials and log, with a clock
//! that stands until it is moved.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use accounts::{CodeTable, Codes, Dialled};
use arc_swap::ArcSwap;
use bytes::Bytes;
use policy::{Conclusion, ConsultId, Decision, Grants, Peer, RequestFacts, StageReport, Zone};
use policy_wasm::{
    Clock, CodeVerification, DigestCredentials, Engine, EngineConfig, Executor, Generation, Geo,
    Groups, HostServices, Lists, LoadError, LogLevel, LogSink, Lookups, Numbers, PipelineSpec,
    Plugin, PluginSource, RecentNumbers, Selection, StateCounters, StateKeyvalue, StateLeases,
    SystemRandomness,
};
use serde_json::Value;
use sip_message::{Limits, Message};
use sip_transaction::Transport;
use state::State;
use state::digest::{Accounts, Nonces};

use crate::stage::{compiled_folder, plugin_folder};

/// A built guest by the name of its crate.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn component(name: &str) -> Bytes {
    let path = plugin_folder().join(format!("{name}.wasm"));
    match std::fs::read(&path) {
        Ok(wasm) => wasm.into(),
        Err(error) => panic!(
            "{}: {error}; build the guests with `cargo xtask plugins`",
            path.display()
        ),
    }
}

/// A clock that only a test moves.
#[derive(Debug)]
pub struct HandClock(AtomicU64);

impl HandClock {
    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a test is short");
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// It is this moment now, in milliseconds since 1970.
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The lines that plugins wrote: plugin, level and text.
#[derive(Debug, Default)]
pub struct KeptLog(Mutex<Vec<(String, LogLevel, String)>>);

impl KeptLog {
    /// Takes all lines out.
    ///
    /// # Panics
    /// A writer panicked.
    pub fn take(&self) -> Vec<(String, LogLevel, String)> {
        std::mem::take(&mut *self.0.lock().expect("no writer panics"))
    }
}

impl LogSink for KeptLog {
    fn write(&self, plugin: &str, level: LogLevel, text: &str) {
        let mut lines = self.0.lock().expect("no writer panics");
        lines.push((plugin.to_owned(), level, text.to_owned()));
    }
}

/// Codes as guests ask for them.
struct Dialling(Codes);

impl policy_wasm::Codes for Dialling {
    fn check(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        match self.0.check(account, code, now_ms) {
            Dialled::Ok => CodeVerification::Ok,
            Dialled::Wrong => CodeVerification::Wrong,
            Dialled::Replayed => CodeVerification::Replayed,
        }
    }
}

/// Numbering plans, which take a while to read.
static NUMBERS: LazyLock<Arc<RecentNumbers>> =
    LazyLock::new(|| Arc::new(RecentNumbers::new().expect("plans")));

/// Milliseconds that a guest gets in tests: a machine that does many other things
/// must not make a well-behaved one late. Tests of deadlines set their own.
const DEADLINE_MS: u32 = 5_000;

/// The host around the guests.
pub struct Host {
    /// Compiles and checks.
    pub engine: Engine,
    /// The time that guests see.
    pub clock: Arc<HandClock>,
    /// What guests wrote.
    pub log: Arc<KeptLog>,
    /// Makes and recognises nonces.
    pub nonces: Arc<Nonces>,
    /// Places, lists and groups that guests look up; empty until replaced.
    pub lookups: Arc<Lookups>,
    services: HostServices,
}

/// When a host begins: in November 2023.
pub const START_MS: u64 = 1_700_000_000_000;

impl Host {
    /// A host with its state in memory and nobody who may authenticate.
    ///
    /// # Panics
    /// The system refuses memory or threads.
    #[must_use]
    pub fn new() -> Self {
        let state = State::open(None, state::Limits::default(), START_MS).expect("memory");
        Self::with(state, Accounts::empty(), START_MS)
    }

    /// A host on this state, with these accounts, at this time.
    ///
    /// # Panics
    /// The system refuses memory or threads.
    #[must_use]
    pub fn with(state: State, accounts: Accounts, now_ms: u64) -> Self {
        Self::with_codes(state, accounts, CodeTable::default(), now_ms)
    }

    /// The same, with codes that holders of accounts may dial.
    ///
    /// # Panics
    /// The system refuses memory, threads or randomness.
    #[must_use]
    pub fn with_codes(state: State, accounts: Accounts, table: CodeTable, now_ms: u64) -> Self {
        let config = EngineConfig {
            instances: 24,
            cache_dir: Some(compiled_folder()),
            ..EngineConfig::default()
        };
        let clock = Arc::new(HandClock(AtomicU64::new(now_ms)));
        let log = Arc::new(KeptLog::default());
        let nonces = Arc::new(Nonces::new([7; 32], Duration::from_secs(300)));
        let lookups = Arc::new(Lookups::default());
        let accounts = Arc::new(ArcSwap::from_pointee(accounts));
        let codes = Codes::new(state.clone(), false, now_ms).expect("randomness");
        codes.replace(table);
        let credentials = DigestCredentials::new(accounts, Arc::clone(&nonces))
            .with_codes(Arc::new(Dialling(codes)));
        Self {
            engine: Engine::new(config).expect("an engine"),
            services: HostServices {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                leases: Arc::new(StateLeases(state.leases().clone())),
                counters: Arc::new(StateCounters(state.clone())),
                keyvalue: Arc::new(StateKeyvalue(state)),
                credentials: Arc::new(credentials),
                random: Arc::new(SystemRandomness::default()),
                geo: Arc::clone(&lookups) as Arc<dyn Geo>,
                lists: Arc::clone(&lookups) as Arc<dyn Lists>,
                groups: Arc::clone(&lookups) as Arc<dyn Groups>,
                numbers: Arc::clone(&*NUMBERS) as Arc<dyn Numbers>,
                log: Arc::clone(&log) as Arc<dyn LogSink>,
                observer: None,
            },
            clock,
            log,
            nonces,
            lookups,
        }
    }

    /// A guest as an operator would configure it: named like its crate, with all that
    /// it asks for, and more time than most get.
    #[must_use]
    pub fn source(&self, guest: &str, settings: Value) -> PluginSource {
        let mut source = PluginSource::new(guest, component(guest));
        source.capabilities = Grants::from_names(wants(guest)).expect("known names");
        source.settings = settings;
        source.limits.deadline_ms = DEADLINE_MS;
        source.limits.configure_deadline_ms = DEADLINE_MS;
        source
    }

    /// Loads a plugin.
    ///
    /// # Errors
    /// The loader refuses it.
    pub fn load(&self, source: PluginSource) -> Result<Arc<Plugin>, LoadError> {
        self.engine.load(source, self.services.clone())
    }

    /// Loads a guest with settings that are right.
    ///
    /// # Panics
    /// The loader refuses it.
    #[must_use]
    pub fn plugin(&self, guest: &str, settings: Value) -> Arc<Plugin> {
        match self.load(self.source(guest, settings)) {
            Ok(plugin) => plugin,
            Err(error) => panic!("{guest}: {error}"),
        }
    }
}

/// What a guest asks for.
fn wants(guest: &str) -> &'static [&'static str] {
    match guest {
        "rate-limit" | "encryption-required" | "scanner-guard" | "media-guard" => &["counters"],
        "digest-auth" => &["counters", "keyvalue", "credentials"],
        "geo-fence" => &["geo", "keyvalue"],
        "destination-limits" => &["lists"],
        "call-limits" => &["counters", "leases", "lists"],
        "caller-identity" | "hostile-plugins" => &["edit-headers"],
        "call-code" => &[
            "counters",
            "keyvalue",
            "credentials",
            "lists",
            "edit-headers",
        ],
        "fraud-score" => &[
            "counters",
            "keyvalue",
            "credentials",
            "leases",
            "geo",
            "lists",
        ],
        _ => &[],
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// A pipeline of these plugins for requests of a peer, or of everybody.
#[must_use]
pub fn pipeline(name: &str, peer: Option<&str>, plugins: &[&Arc<Plugin>]) -> PipelineSpec {
    PipelineSpec {
        name: name.into(),
        select: Selection {
            peer: peer.map(Arc::from),
            ..Selection::default()
        },
        plugins: plugins.iter().map(|plugin| Arc::clone(plugin)).collect(),
    }
}

/// A worker with one pipeline for all requests.
pub struct Worker {
    /// Keeps the instances.
    pub executor: Executor,
    /// The policies in force.
    pub generation: Arc<Generation>,
    asked: u64,
}

impl Worker {
    /// With these plugins, in this order.
    #[must_use]
    pub fn new(plugins: &[&Arc<Plugin>]) -> Self {
        Self::of(vec![pipeline("main", None, plugins)])
    }

    /// With several pipelines.
    #[must_use]
    pub fn of(pipelines: Vec<PipelineSpec>) -> Self {
        let generation = Arc::new(Generation::new(1, pipelines));
        Self {
            executor: Executor::new(),
            generation,
            asked: 0,
        }
    }

    /// Swaps the policies, as a reload does.
    pub fn reload(&mut self, pipelines: Vec<PipelineSpec>) {
        self.generation = Arc::new(Generation::new(self.generation.id() + 1, pipelines));
    }

    /// Judges a request.
    pub fn judge(&mut self, facts: RequestFacts) -> Conclusion {
        self.asked += 1;
        self.executor
            .judge(&self.generation, ConsultId::new(self.asked), facts)
    }
}

/// Who sends, and how.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The sender.
    pub peer: Peer,
}

impl Caller {
    /// An unknown sender by UDP from outside.
    ///
    /// # Panics
    /// It is no address.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let peer = Peer {
            address,
            port: 5060,
            transport: Transport::Udp,
            zone: Zone::Outside,
            name: None,
            certificate: None,
            tls: None,
        };
        Self { peer }
    }

    /// The same by another transport.
    #[must_use]
    pub fn by(mut self, transport: Transport) -> Self {
        self.peer.transport = transport;
        self
    }

    /// The same from inside.
    #[must_use]
    pub fn inside(mut self) -> Self {
        self.peer.zone = Zone::Inside;
        self
    }

    /// The same as a configured peer.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.peer.name = Some(name.into());
        self
    }

    /// A request of this method to this URI, with further header lines.
    ///
    /// # Panics
    /// It is no valid request.
    #[must_use]
    pub fn request(&self, method: &str, uri: &str, headers: &str) -> RequestFacts {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP caller.example;branch=z9hG4bKabc\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@caller.example>;tag=1\r\nTo: <{uri}>\r\n\
             Call-ID: call@caller.example\r\nCSeq: 1 {method}\r\nContact: <sip:alice@caller.example>\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        RequestFacts::new(Arc::new(message(text)), self.peer.clone())
    }

    /// An INVITE to this URI.
    #[must_use]
    pub fn invite(&self, uri: &str) -> RequestFacts {
        self.request("INVITE", uri, "")
    }
}

/// Parses what a test wrote.
///
/// # Panics
/// It is not valid.
#[must_use]
pub fn message(text: impl Into<Bytes>) -> Message {
    Message::parse_datagram(text.into(), &Limits::default()).expect("a test writes valid SIP")
}

/// Whether the request may be forwarded.
#[must_use]
pub fn admitted(conclusion: &Conclusion) -> bool {
    matches!(conclusion.decision, Decision::Admit(_))
}

/// Status, plugin and reason of a refusal.
///
/// # Panics
/// It was not refused.
#[must_use]
pub fn refusal(conclusion: &Conclusion) -> (u16, &str, &str) {
    match &conclusion.decision {
        Decision::Refuse(refusal) => (refusal.status, &refusal.plugin, &refusal.reason),
        other => panic!("not refused: {other:?}"),
    }
}

/// The report on a plugin.
///
/// # Panics
/// It was not asked.
#[must_use]
pub fn report<'r>(trace: &'r [StageReport], plugin: &str) -> &'r StageReport {
    let found = trace.iter().find(|report| &*report.plugin == plugin);
    found.unwrap_or_else(|| panic!("{plugin} was not asked: {trace:?}"))
}
