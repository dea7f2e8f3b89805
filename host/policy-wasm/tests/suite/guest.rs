//! Small guests in text form, hooked up by hand to the canonical ABI, so that
//! this crate's tests need neither the SDK nor a second compilation.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use numbers::{Number, NumberError};
use policy::{Conclusion, ConsultId, DigestAlgorithm, Peer, RequestFacts, Zone};
use policy_wasm::{
    Addition, Clock, CodeVerification, CounterError, Counters, Credentials, Engine, EngineConfig,
    Executor, Generation, HostServices, Keyvalue, KeyvalueError, LoadError, LogLevel, LogSink,
    Lookups, Numbers, PipelineSpec, Plugin, PluginSource, Randomness, Selection, StateLeases,
    TokenGrant, TokenRequest, Verification,
};
use sip_message::{Limits, Message};
use sip_transaction::Transport;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, SizeAlign, Type, TypeId};

/// Where static data begins.
const IMAGE: usize = 1024;

/// A guest: the bodies of its functions in WAT and its static data.
pub(crate) struct Guest {
    image: Vec<u8>,
    /// Further imports.
    pub(crate) imports: String,
    /// Body of `describe`; returns a pointer.
    pub(crate) describe: String,
    /// Body of `configure`; parameters 0 and 1 are the settings.
    pub(crate) configure: String,
    /// Body of the hook; parameter 0 are the facts, `$message` the handle.
    pub(crate) hook: String,
    /// Further functions.
    pub(crate) functions: String,
    /// `request` or `response`.
    pub(crate) kind: &'static str,
}

impl Guest {
    /// A guest that asks for these capabilities, takes any settings and has no
    /// objection.
    pub(crate) fn new(methods: &[&str], capabilities: &[&str]) -> Self {
        let mut guest = Self {
            image: Vec::new(),
            imports: String::new(),
            describe: String::new(),
            configure: String::new(),
            hook: String::new(),
            functions: String::new(),
            kind: "request",
        };
        let mut manifest = Vec::new();
        for text in ["guest", "1.2.3", "a test"] {
            manifest.extend(guest.text(text));
        }
        for list in [methods, capabilities] {
            let items: Vec<u32> = list.iter().flat_map(|item| guest.text(item)).collect();
            manifest.extend([guest.words(&items), list.len() as u32]);
        }
        manifest.extend(guest.text("{}"));
        guest.describe = format!("i32.const {}", guest.words(&manifest));
        guest.configure = format!("i32.const {}", guest.words(&[0, 0, 0, 0, 0]));
        let outcome = guest.outcome(&[0; 6], &[], "fine");
        guest.hook = format!("i32.const {outcome}");
        guest
    }

    /// Puts text into the image: pointer and length.
    pub(crate) fn text(&mut self, text: &str) -> [u32; 2] {
        let at = self.place(text.as_bytes());
        [at, text.len() as u32]
    }

    /// Puts words into the image: their address.
    pub(crate) fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.place(&bytes)
    }

    /// Puts an outcome into the image: its address. An effect is six words; only an
    /// alert needs the last.
    pub(crate) fn outcome(
        &mut self,
        verdict: &[u32; 6],
        effects: &[[u32; 5]],
        reason: &str,
    ) -> u32 {
        let [reason, reason_len] = self.text(reason);
        let six = effects
            .iter()
            .map(|[a, b, c, d, e]| [*a, *b, *c, *d, *e, 0]);
        let list = self.words(&six.collect::<Vec<_>>().concat());
        let mut words = verdict.to_vec();
        words.extend([list, effects.len() as u32, reason, reason_len]);
        self.words(&words)
    }

    /// The hook returns this outcome.
    pub(crate) fn answers(
        mut self,
        verdict: &[u32; 6],
        effects: &[[u32; 5]],
        reason: &str,
    ) -> Self {
        let outcome = self.outcome(verdict, effects, reason);
        self.hook = format!("i32.const {outcome}");
        self
    }

    /// The hook rejects with a status.
    pub(crate) fn rejects(mut self, status: u32, reason: &str) -> Self {
        let [phrase, len] = self.text("");
        self.answers(&[1, status, phrase, len, 0, 0], &[], reason)
    }

    /// The hook has no objection and these effects.
    pub(crate) fn has(self, effects: &[[u32; 5]]) -> Self {
        self.answers(&[0; 6], effects, "")
    }

    /// The hook's body.
    pub(crate) fn does(mut self, hook: impl Into<String>) -> Self {
        self.hook = hook.into();
        self
    }

    fn place(&mut self, bytes: &[u8]) -> u32 {
        self.image.resize(self.image.len().next_multiple_of(8), 0);
        let at = IMAGE + self.image.len();
        self.image.extend_from_slice(bytes);
        at as u32
    }

    /// A core module with the component-type section that the loader needs.
    pub(crate) fn module(&self) -> Vec<u8> {
        let mut data = String::new();
        for byte in &self.image {
            write!(data, "\\{byte:02x}").unwrap();
        }
        let (resolve, package) = wit();
        let handle = facts_size(&resolve, self.kind);
        let Self {
            imports,
            describe,
            configure,
            hook,
            functions,
            kind,
            ..
        } = self;
        let text = format!(
            r#"(module
  (import "sipward:policy/messages@0.1.0" "[resource-drop]message" (func $drop (param i32)))
  {imports}
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "sipward:policy/lifecycle@0.1.0#describe") (result i32) {describe})
  (func (export "sipward:policy/lifecycle@0.1.0#configure") (param i32 i32) (result i32)
    (global.set $heap (i32.const 65536)) {configure})
  (func $hook (param $facts i32) (param $message i32) (result i32) {hook})
  (func (export "sipward:policy/{kind}-policy@0.1.0#on-{kind}") (param $facts i32) (result i32)
    (local $message i32) (local $outcome i32)
    (local.set $message (i32.load offset={handle} (local.get $facts)))
    (local.set $outcome (call $hook (local.get $facts) (local.get $message)))
    (call $drop (local.get $message))
    (global.set $heap (i32.const 65536))
    (local.get $outcome))
  {functions}
  (data (i32.const {IMAGE}) "{data}"))"#
        );
        let mut module = wat::parse_str(&text).unwrap();
        let world = resolve
            .select_world(&[package], Some(&format!("{kind}-plugin")))
            .unwrap();
        wit_component::embed_component_metadata(
            &mut module,
            &resolve,
            world,
            StringEncoding::UTF8,
            false,
        )
        .unwrap();
        module
    }

    /// The same as a component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut encoder = ComponentEncoder::default();
        encoder.module(&self.module()).unwrap();
        encoder.encode().unwrap()
    }
}

fn wit() -> (Resolve, wit_parser::PackageId) {
    let mut resolve = Resolve::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_path(path).unwrap();
    (resolve, package)
}

/// Bytes of the facts, after which the message's handle lies.
fn facts_size(resolve: &Resolve, kind: &str) -> usize {
    let mut sizes = SizeAlign::default();
    sizes.fill(resolve).unwrap();
    let name = format!("{kind}-facts");
    let id: TypeId = resolve
        .types
        .iter()
        .find(|(_, definition)| definition.name.as_deref() == Some(name.as_str()))
        .map(|(id, _)| id)
        .unwrap();
    sizes.size(&Type::Id(id)).size_wasm32()
}

/// An engine with a pool small enough to have many of.
pub(crate) fn engine(cache_dir: Option<&Path>) -> Engine {
    let config = EngineConfig {
        cache_dir: cache_dir.map(Path::to_owned),
        instances: 8,
        ..EngineConfig::default()
    };
    Engine::new(config).unwrap()
}

/// Loads a guest under a name.
pub(crate) fn load(engine: &Engine, name: &str, guest: &Guest) -> Result<Arc<Plugin>, LoadError> {
    engine.load(source(name, guest), services())
}

/// A guest as the operator would configure it.
pub(crate) fn source(name: &str, guest: &Guest) -> PluginSource {
    PluginSource::new(name, guest.module())
}

/// One pipeline of these plugins for everything.
pub(crate) fn generation(id: u64, plugins: &[&Arc<Plugin>]) -> Arc<Generation> {
    let spec = PipelineSpec {
        name: Arc::from("main"),
        select: Selection::default(),
        plugins: plugins.iter().map(|plugin| Arc::clone(plugin)).collect(),
    };
    Arc::new(Generation::new(id, vec![spec]))
}

/// Judges one INVITE by these plugins.
pub(crate) fn judge(executor: &mut Executor, plugins: &[&Arc<Plugin>]) -> Conclusion {
    executor.judge(&generation(1, plugins), ConsultId::new(7), facts())
}

/// An INVITE from 192.0.2.7 outside.
pub(crate) fn facts() -> RequestFacts {
    RequestFacts::new(Arc::new(message(INVITE)), peer())
}

pub(crate) fn peer() -> Peer {
    Peer {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        port: 5062,
        transport: Transport::Udp,
        zone: Zone::Outside,
        name: Some(Arc::from("carrier")),
        certificate: None,
        tls: None,
    }
}

pub(crate) fn message(text: &str) -> Message {
    let bytes = Bytes::from(text.replace('\n', "\r\n"));
    Message::parse_datagram(bytes, &Limits::default()).unwrap()
}

pub(crate) const INVITE: &str = "INVITE sip:+4930123@pbx.example:5070;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKabc
Max-Forwards: 70
From: \"Alice\" <sip:alice@carrier.example>;tag=a1
To: <sip:+4930123@pbx.example>
Call-ID: call-1@carrier.example
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.7:5062>
User-Agent: Test/1
X-Custom: one
Content-Length: 0

";

pub(crate) const BUSY: &str = "SIP/2.0 486 Busy Here
Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKabc
From: \"Alice\" <sip:alice@carrier.example>;tag=a1
To: <sip:+4930123@pbx.example>;tag=b2
Call-ID: call-1@carrier.example
CSeq: 1 INVITE
Content-Length: 0

";

/// Services without a world behind them.
pub(crate) fn services() -> HostServices {
    HostServices {
        clock: Arc::new(Still),
        counters: Arc::new(Still),
        keyvalue: Arc::new(Still),
        leases: Arc::new(StateLeases(state::Leases::new(&state::Limits::default()))),
        credentials: Arc::new(Still),
        geo: Arc::new(Lookups::default()),
        lists: Arc::new(Lookups::default()),
        groups: Arc::new(Lookups::default()),
        numbers: Arc::new(Still),
        random: Arc::new(Counting(AtomicU64::new(0))),
        log: Arc::new(Still),
        observer: None,
    }
}

/// Answers everything, keeps nothing.
struct Still;

struct Counting(AtomicU64);

impl Randomness for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Numbers for Still {
    fn parse(&self, _: &str, _: &str) -> Result<Number, NumberError> {
        Err(NumberError::NoSuchRegion)
    }
}

impl Clock for Still {
    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }
}

impl LogSink for Still {
    fn write(&self, _plugin: &str, _level: LogLevel, text: &str) {
        assert!(!text.contains('\n'), "a log line is one line");
    }
}

impl Counters for Still {
    fn add(&self, addition: Addition<'_>) -> Result<u64, CounterError> {
        Ok(u64::from(addition.amount))
    }

    fn reset(&self, _: &str, _: &str, _: &[u8], _: u64) -> Result<(), CounterError> {
        Ok(())
    }

    fn take(&self, _: TokenRequest<'_>) -> Result<TokenGrant, CounterError> {
        Err(CounterError::Full)
    }
}

impl Keyvalue for Still {
    fn get(&self, _: &str, _: &str, _: u64) -> Result<Option<Vec<u8>>, KeyvalueError> {
        Ok(None)
    }

    fn set(&self, _: &str, _: &str, _: &[u8], _: u64, _: u64) -> Result<(), KeyvalueError> {
        Ok(())
    }

    fn delete(&self, _: &str, _: &str, _: u64) -> Result<bool, KeyvalueError> {
        Ok(false)
    }
}

impl Credentials for Still {
    fn verify(
        &self,
        _: &Message,
        _: IpAddr,
        _: &str,
        _: &[DigestAlgorithm],
        _: u64,
    ) -> Verification {
        Verification::Missing
    }

    fn check_code(&self, _: &str, _: &str, _: u64) -> CodeVerification {
        CodeVerification::Wrong
    }
}
