//! What is measured: plugins alone, pipelines, and the digest verification behind one.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use policy::{Conclusion, ConsultId, Decision};
use policy_wasm::{
    Clock, Executor, Generation, Isolation, PipelineSpec, Plugin, Selection, SystemClock,
};
use sip_message::{HeaderKind, Limits, Message};
use sipward_bench::measure::{Turn, singles, tended};
use sipward_bench::messages;
use state::digest::{Algorithm, Verification};

use crate::credentials::{Caller, PBX};
use crate::sender::Sender;
use crate::shelf::{Kind, Shelf};

/// A pipeline of one plugin that does nothing.
pub(crate) const ONE: &str = "pipeline-1-empty";
/// One of ten.
pub(crate) const TEN: &str = "pipeline-10-empty";

/// Calls in one turn: of instances that are reused, of those made ahead for one call, and
/// of those made for a call on the spot.
const CALLS: usize = 200;
const ONCE_CALLS: usize = 50;
const FRESH_CALLS: usize = 20;

/// One row of the result.
pub(crate) struct Subject<'s> {
    pub(crate) case: String,
    calls: usize,
    sender: Sender,
    source: Source,
    work: Work<'s>,
}

/// What requests there are.
pub(crate) enum Source {
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
    /// Only the instance's end and the next one's beginning, between calls.
    Renew {
        executor: Box<Executor>,
        generation: Arc<Generation>,
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
    let plain = parsed(messages::invite())?;
    let same = || Source::Same(Arc::clone(&plain));
    let authenticated = |algorithm| {
        let source = Sender::plain_pbx().peer.address;
        let nonce = shelf.nonces.issue(SystemClock.now_ms(), PBX.realm, source);
        Source::Authenticated(Caller::pbx(algorithm, nonce))
    };
    for isolation in [Isolation::default(), Isolation::REUSE, Isolation::PerCall] {
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
    for kind in [Kind::Empty, Kind::IpAcl, Kind::DestinationLimits] {
        let isolation = Isolation::SingleUse { ready: 1 };
        subjects.push(alone(shelf, kind, isolation, "", same(), admits)?.renewing());
    }
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        subjects.push(Subject {
            case: format!("host-verify-{}", algorithm.token()),
            calls: CALLS,
            sender: Sender::plain_pbx(),
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
        Isolation::SingleUse { .. } => ("single-use", ONCE_CALLS),
        _ => ("reuse", CALLS),
    };
    let name = kind.name();
    let case = format!("{keeps}-{name}{detail}");
    let plugin = shelf.load(&kind.guest(), name, isolation)?;
    let sender = Sender::plain_pbx();
    Subject::judge(case, calls, vec![plugin], sender, source, expected)
}

fn pipeline(shelf: &Shelf, case: &str, kinds: &[Kind], source: Source) -> Result<Subject<'static>> {
    let plugins = kinds.iter().enumerate().map(|(place, kind)| {
        let name = format!("{}-{place}", kind.name());
        shelf.load(&kind.guest(), &name, Isolation::REUSE)
    });
    let plugins = plugins.collect::<Result<Vec<_>>>()?;
    let sender = Sender::plain_pbx();
    Subject::judge(case.to_owned(), CALLS, plugins, sender, source, admits)
}

/// The request is let through.
pub(crate) fn admits(decision: &Decision) -> bool {
    matches!(decision, Decision::Admit(_))
}

fn challenges(decision: &Decision) -> bool {
    matches!(decision, Decision::Challenge(_))
}

/// What a worker does when its answers are sent.
fn rest(executor: &mut Executor) {
    while executor.wants_instances() {
        executor.replenish();
    }
}

/// A message of our own making.
pub(crate) fn parsed(bytes: Bytes) -> Result<Arc<Message>> {
    let message = Message::parse_datagram(bytes, &Limits::default())?;
    Ok(Arc::new(message))
}

impl<'s> Subject<'s> {
    /// Loaded, its instances made, and tried once.
    pub(crate) fn judge(
        case: String,
        calls: usize,
        plugins: Vec<Arc<Plugin>>,
        sender: Sender,
        mut source: Source,
        expected: fn(&Decision) -> bool,
    ) -> Result<Self> {
        let spec = PipelineSpec {
            name: Arc::from("bench"),
            select: Selection {
                zone: Some(sender.peer.zone),
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
        let trial = executor.judge(&generation, ConsultId::new(0), sender.facts(message));
        ensure!(
            expected(&trial.decision),
            "{case}: unexpected decision: {:?}",
            trial.decision
        );
        Ok(Self {
            case,
            calls,
            sender,
            source,
            work: Work::Judge {
                executor: Box::new(executor),
                generation,
                expected,
            },
        })
    }

    /// What its calls leave to be done, instead of its calls.
    pub(crate) fn renewing(mut self) -> Self {
        if let Work::Judge {
            executor,
            generation,
            ..
        } = self.work
        {
            self.case = self.case.replacen("single-use", "renewed", 1);
            self.work = Work::Renew {
                executor,
                generation,
            };
        }
        self
    }

    /// Its turns; calls that end otherwise than they should are noted.
    pub(crate) fn turn(self, unexpected: &'s Unexpected) -> Turn<'s> {
        let Self {
            case,
            calls,
            sender,
            mut source,
            work,
        } = self;
        match work {
            Work::Judge {
                executor,
                generation,
                expected,
            } => {
                let mut consult = 0;
                let prepare = move || source.next().map(|message| sender.facts(message));
                let work = move |executor: &mut Box<Executor>, facts| {
                    consult += 1;
                    let Some(facts) = facts else {
                        return unexpected.note(|| format!("{case}: no request"));
                    };
                    let conclusion: Conclusion =
                        executor.judge(&generation, ConsultId::new(consult), facts);
                    if !expected(&conclusion.decision) {
                        unexpected.note(|| format!("{case}: {:?}", conclusion.trace));
                    }
                };
                tended(calls, executor, prepare, work, |executor| rest(executor))
            }
            Work::Renew {
                executor,
                generation,
            } => {
                let mut consult = 0;
                let ask = move |executor: &mut Box<Executor>| {
                    consult += 1;
                    match source.next() {
                        Some(message) => {
                            let facts = sender.facts(message);
                            executor.judge(&generation, ConsultId::new(consult), facts);
                        }
                        None => unexpected.note(|| format!("{case}: no request")),
                    }
                };
                let renew = |executor: &mut Box<Executor>, ()| rest(executor);
                tended(calls, executor, || (), renew, ask)
            }
            Work::Verify { shelf, algorithm } => {
                let prepare = move || source.next();
                singles(calls, prepare, move |message| {
                    let verified =
                        message.map(|message| verify(shelf, &sender, algorithm, &message));
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

fn verify(shelf: &Shelf, sender: &Sender, algorithm: Algorithm, message: &Message) -> Verification {
    shelf.nonces.verify(
        &shelf.accounts.load(),
        message.method_name(),
        message.request_uri().raw,
        message.body(),
        message.values(HeaderKind::ProxyAuthorization),
        sender.peer.address,
        PBX.realm,
        &[algorithm],
        SystemClock.now_ms(),
    )
}
