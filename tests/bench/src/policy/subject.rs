//! What is measured: plugins alone, pipelines, and the digest verification behind one.

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use policy::{Conclusion, ConsultId, Decision, MediaStream, Peer, RequestFacts, Zone};
use policy_wasm::{Clock, Executor, Generation, Isolation, PipelineSpec, Selection, SystemClock};
use sip_message::{HeaderKind, Limits, Message};
use sip_transaction::Transport;
use sipward_bench::measure::{Turn, singles};
use sipward_bench::messages;
use state::digest::{Algorithm, Verification};

use crate::credentials::{Caller, REALM};
use crate::shelf::{Kind, Shelf};

/// A pipeline of one plugin that does nothing.
pub(crate) const ONE: &str = "pipeline-1-empty";
/// One of ten.
pub(crate) const TEN: &str = "pipeline-10-empty";

/// Where requests come from.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// Calls in one turn: of instances that are kept, and of those made for a call.
const CALLS: usize = 200;
const FRESH_CALLS: usize = 20;

/// One row of the result.
pub(crate) struct Subject<'s> {
    pub(crate) case: String,
    calls: usize,
    source: Source,
    work: Work<'s>,
}

/// What requests there are.
enum Source {
    /// The same request again and again.
    Same(Arc<Message>),
    /// A new one each time, with credentials.
    Authenticated(Caller),
}

/// What is done with them.
enum Work<'s> {
    Judge {
        executor: Box<Executor>,
        generation: Arc<Generation>,
        expected: fn(&Decision) -> bool,
    },
    /// Digest verification without a plugin.
    Verify {
        shelf: &'s Shelf,
        algorithm: Algorithm,
    },
}

/// Calls that ended otherwise than they should.
#[derive(Default)]
pub(crate) struct Unexpected {
    count: Cell<u64>,
    first: OnceCell<String>,
}

impl Unexpected {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    /// How the first of them ended.
    pub(crate) fn first(&self) -> &str {
        self.first.get().map_or("", String::as_str)
    }

    fn note(&self, how: impl FnOnce() -> String) {
        self.count.set(self.count.get() + 1);
        self.first.get_or_init(how);
    }
}

/// All of them.
pub(crate) fn all(shelf: &Shelf) -> Result<Vec<Subject<'_>>> {
    let mut subjects = Vec::new();
    let plain = plain()?;
    let same = || Source::Same(Arc::clone(&plain));
    let authenticated = |algorithm| {
        let nonce = shelf.nonces.issue(SystemClock.now_ms(), REALM, SOURCE);
        Source::Authenticated(Caller::new(algorithm, nonce))
    };
    for isolation in [Isolation::default(), Isolation::PerCall] {
        for kind in [
            Kind::Empty,
            Kind::IpAcl,
            Kind::RateLimit,
            Kind::DestinationLimits,
        ] {
            subjects.push(alone(shelf, kind, isolation, "", same(), admits)?);
        }
        let digest = Kind::DigestAuth;
        subjects.push(alone(
            shelf,
            digest,
            isolation,
            "-challenges",
            same(),
            challenges,
        )?);
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let detail = format!("-admits-{}", algorithm.token());
            let source = authenticated(algorithm);
            subjects.push(alone(shelf, digest, isolation, &detail, source, admits)?);
        }
    }
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        subjects.push(Subject {
            case: format!("host-verify-{}", algorithm.token()),
            calls: CALLS,
            source: authenticated(algorithm),
            work: Work::Verify { shelf, algorithm },
        });
    }
    for (case, count) in [(ONE, 1), ("pipeline-5-empty", 5), (TEN, 10)] {
        let kinds = vec![Kind::Empty; count];
        subjects.push(pipeline(shelf, case, &kinds, same())?);
    }
    let shipped = [
        Kind::IpAcl,
        Kind::RateLimit,
        Kind::DigestAuth,
        Kind::DestinationLimits,
    ];
    let source = authenticated(Algorithm::Md5);
    subjects.push(pipeline(shelf, "pipeline-4-shipped", &shipped, source)?);
    Ok(subjects)
}

fn alone(
    shelf: &Shelf,
    kind: Kind,
    isolation: Isolation,
    detail: &str,
    source: Source,
    expected: fn(&Decision) -> bool,
) -> Result<Subject<'static>> {
    let (keeps, calls) = match isolation {
        Isolation::PerCall => ("per-call", FRESH_CALLS),
        _ => ("reuse", CALLS),
    };
    let name = kind.name();
    let case = format!("{keeps}-{name}{detail}");
    let plugin = shelf.load(kind, name, isolation)?;
    Subject::judge(case, calls, vec![plugin], source, expected)
}

fn pipeline(shelf: &Shelf, case: &str, kinds: &[Kind], source: Source) -> Result<Subject<'static>> {
    let plugins = kinds.iter().enumerate().map(|(place, kind)| {
        let name = format!("{}-{place}", kind.name());
        shelf.load(*kind, &name, Isolation::default())
    });
    let plugins = plugins.collect::<Result<Vec<_>>>()?;
    Subject::judge(case.to_owned(), CALLS, plugins, source, admits)
}

fn admits(decision: &Decision) -> bool {
    matches!(decision, Decision::Admit(_))
}

fn challenges(decision: &Decision) -> bool {
    matches!(decision, Decision::Challenge(_))
}

/// The INVITE without credentials.
fn plain() -> Result<Arc<Message>> {
    Ok(Arc::new(Message::parse_datagram(
        messages::invite(),
        &Limits::default(),
    )?))
}

/// What the proxy knows of it.
fn facts(message: Arc<Message>, pbx: &Arc<str>) -> RequestFacts {
    let peer = Peer {
        address: SOURCE,
        port: 5060,
        transport: Transport::Udp,
        zone: Zone::Inside,
        name: Some(Arc::clone(pbx)),
        certificate: None,
        tls: None,
    };
    let mut facts = RequestFacts::new(message, peer);
    facts.offer = vec![MediaStream {
        kind: Bytes::from_static(b"audio"),
        protocol: Bytes::from_static(b"RTP/AVP"),
        encrypted: false,
        address: Bytes::from_static(b"192.0.2.10"),
        port: 16384,
        address_kind: policy::AddressKind::Public,
    }];
    facts
}

impl<'s> Subject<'s> {
    /// Loaded, its instances made, and tried once.
    fn judge(
        case: String,
        calls: usize,
        plugins: Vec<Arc<policy_wasm::Plugin>>,
        mut source: Source,
        expected: fn(&Decision) -> bool,
    ) -> Result<Self> {
        let spec = PipelineSpec {
            name: Arc::from("bench"),
            select: Selection {
                zone: Some(Zone::Inside),
                ..Selection::default()
            },
            plugins,
        };
        let generation = Arc::new(Generation::new(1, vec![spec]));
        let mut executor = Executor::new();
        executor
            .warm(&generation)
            .map_err(|(plugin, failure)| anyhow::anyhow!("{plugin}: {failure}"))?;
        let message = source.next().context("failed to make a request")?;
        let trial = executor.judge(
            &generation,
            ConsultId::new(0),
            facts(message, &Arc::from("pbx")),
        );
        ensure!(
            expected(&trial.decision),
            "{case}: unexpected decision: {:?}",
            trial.decision
        );
        Ok(Self {
            case,
            calls,
            source,
            work: Work::Judge {
                executor: Box::new(executor),
                generation,
                expected,
            },
        })
    }

    /// Its turns; calls that end otherwise than they should are noted.
    pub(crate) fn turn(self, unexpected: &'s Unexpected) -> Turn<'s> {
        let Self {
            case,
            calls,
            mut source,
            work,
        } = self;
        let pbx: Arc<str> = Arc::from("pbx");
        match work {
            Work::Judge {
                mut executor,
                generation,
                expected,
            } => {
                let mut consult = 0;
                let prepare = move || source.next().map(|message| facts(message, &pbx));
                singles(calls, prepare, move |facts| {
                    consult += 1;
                    let Some(facts) = facts else {
                        return unexpected.note(|| format!("{case}: no request"));
                    };
                    let conclusion: Conclusion =
                        executor.judge(&generation, ConsultId::new(consult), facts);
                    if !expected(&conclusion.decision) {
                        unexpected.note(|| format!("{case}: {:?}", conclusion.trace));
                    }
                })
            }
            Work::Verify { shelf, algorithm } => {
                let prepare = move || source.next();
                singles(calls, prepare, move |message| {
                    let verified = message.map(|message| verify(shelf, algorithm, &message));
                    if !matches!(verified, Some(Verification::Ok(_))) {
                        unexpected.note(|| format!("{case}: {verified:?}"));
                    }
                })
            }
        }
    }
}

impl Source {
    /// None only if a request of our own making cannot be parsed.
    fn next(&mut self) -> Option<Arc<Message>> {
        match self {
            Self::Same(message) => Some(Arc::clone(message)),
            Self::Authenticated(caller) => caller.invite().ok(),
        }
    }
}

fn verify(shelf: &Shelf, algorithm: Algorithm, message: &Message) -> Verification {
    shelf.nonces.verify(
        &shelf.accounts.load(),
        message.method_name(),
        message.request_uri().raw,
        message.body(),
        message.values(HeaderKind::ProxyAuthorization),
        SOURCE,
        REALM,
        &[algorithm],
        SystemClock.now_ms(),
    )
}
