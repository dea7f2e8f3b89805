//! What leaves the proxy core: bytes to send, questions to the policy, and what
//! became of calls.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::{Rejection, RelayCommand, SessionFigures, Side as MediaSide};
use policy::{CallPass, ConsultId, RequestFacts, ResponseFacts, Zone};
use sip_message::{Message, Method};
use sip_transaction::Transmit;

/// One thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit(Transmit),
    /// Ask the policy, and bring the answer by
    /// [`ProxyCore::handle_conclusion`](crate::ProxyCore::handle_conclusion)
    /// before the consult deadline. `facts.offer` is left empty here: the driver
    /// fills it from the body, because this crate reads no SDP.
    Consult {
        /// The question's name.
        id: ConsultId,
        /// What the policy may know.
        facts: RequestFacts,
    },
    /// Show a response to the response hooks of its pipeline, one of
    /// [`Routing::response_pipelines`](crate::Routing::response_pipelines), and bring the
    /// answer by [`ProxyCore::handle_response_conclusion`](crate::ProxyCore::handle_response_conclusion)
    /// before the consult deadline. Later responses of the same transaction wait behind it.
    ConsultResponse {
        /// The question's name.
        id: ConsultId,
        /// Leave that the request has, or the call that it belongs to.
        pass: CallPass,
        /// What the policy may know. The message is as it came in.
        facts: ResponseFacts,
    },
    /// Something happened to a call.
    Call(CallEvent),
    /// Something the operator may want to read.
    Log(LogEvent),
    /// Hand this to the relay, before any [`Output::Transmit`] that comes later: the bytes
    /// may name ports that the command opens.
    Media(RelayCommand),
    /// The relay has closed a media session: what went through it.
    MediaClosed(MediaRecord),
}

/// What went through a media session that is closed. It may come after its call's
/// [`CallEvent::Ended`], and it comes once for every session that was opened.
#[derive(Clone, Debug)]
pub struct MediaRecord {
    /// The call.
    pub call: CallId,
    /// Call-ID as the caller wrote it.
    pub call_id: Arc<[u8]>,
    /// Packets, losses, jitter and the rest, for each stream and side.
    pub figures: Box<SessionFigures>,
}

/// Names an admitted call within one core. Never reused while the core lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) u64);

impl CallId {
    /// The number, for logs and for an operator who wants to end the call.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The call with this number, as [`CallId::as_u64`] gave it.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// The life of an admitted call. `Started` comes first, `Ended` last, each
/// exactly once.
#[derive(Clone, Debug)]
pub enum CallEvent {
    /// The INVITE was admitted.
    Started {
        /// The call.
        call: CallId,
        /// The consult that admitted it.
        consult: ConsultId,
        /// Call-ID as the caller wrote it.
        call_id: Arc<[u8]>,
        /// Peer that calls, if its source is known.
        caller: Option<Arc<str>>,
        /// Side that the call comes from.
        zone: Zone,
        /// Source address of the INVITE.
        source: SocketAddr,
        /// The longest that a policy lets it last after the answer.
        limit: Option<Duration>,
        /// What the pipeline found out about it, and what it holds. The call gives
        /// back what it holds when it ends, whoever keeps this.
        pass: CallPass,
        /// The INVITE as it was judged.
        request: Arc<Message>,
    },
    /// A 2xx has been forwarded.
    Answered {
        /// The call.
        call: CallId,
        /// Peer that answered, if it is a configured one.
        callee: Option<Arc<str>>,
    },
    /// So many seconds have passed since the answer, as a plugin asked.
    Tick {
        /// The call.
        call: CallId,
        /// The plugin.
        plugin: Arc<str>,
        /// Seconds after the answer.
        seconds: u32,
    },
    /// It is over.
    Ended {
        /// The call.
        call: CallId,
        /// How it ended.
        reason: EndReason,
        /// Time from the answer to the end; none if it was never answered.
        lasted: Option<Duration>,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// One side sent BYE.
    Bye,
    /// The caller cancelled before the answer.
    Cancelled,
    /// A final response other than 2xx.
    Refused {
        /// Its status, 300 to 699.
        status: u16,
    },
    /// Nobody answered in time.
    TimedOut,
    /// The caller's transaction ended without a final response.
    CallerGone,
    /// The policy's `limit-duration` is over.
    DurationLimit,
    /// Older than `call_age`.
    AgeLimit,
    /// The operator or the driver ended it.
    Operator,
    /// A policy that follows it ended it.
    Policy,
    /// A session description could not be let through, and without it there is no call.
    MediaRefused,
    /// No media came from either side for too long.
    MediaTimeout,
    /// Media came from one side only for too long.
    OneWayMedia,
    /// It was on hold for too long.
    HoldTimeout,
    /// The relay could not go on: no port, no DTLS handshake, or a key used up.
    MediaFailed,
}

impl EndReason {
    /// One word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::Cancelled => "cancelled",
            Self::Refused { .. } => "refused",
            Self::TimedOut => "timed-out",
            Self::CallerGone => "caller-gone",
            Self::DurationLimit => "duration-limit",
            Self::AgeLimit => "age-limit",
            Self::Operator => "operator",
            Self::Policy => "policy",
            Self::MediaRefused => "media-refused",
            Self::MediaTimeout => "media-timeout",
            Self::OneWayMedia => "one-way-media",
            Self::HoldTimeout => "hold-timeout",
            Self::MediaFailed => "media-failed",
        }
    }
}

/// A table with a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FullTable {
    /// `pending_consults`.
    PendingConsults,
    /// `contexts`.
    Contexts,
    /// `calls`.
    Calls,
    /// The transaction layer's client transactions.
    ClientTransactions,
    /// Media ports of an interface, or media sessions.
    Media,
}

impl FullTable {
    /// The limit's config key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingConsults => "pending_consults",
            Self::Contexts => "contexts",
            Self::Calls => "calls",
            Self::ClientTransactions => "client_transactions",
            Self::Media => "media_ports",
        }
    }
}

/// What is worth a line in the operator's log. Decisions of the policy are not
/// here: whoever concluded them logs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A request was answered before any policy saw it.
    Rejected {
        /// The status sent.
        status: u16,
        /// Why.
        cause: &'static str,
        /// Where it came from.
        source: SocketAddr,
    },
    /// A policy did not answer before its deadline: the request was denied, or the
    /// response passed as it was.
    ConsultLate {
        /// The question.
        consult: ConsultId,
    },
    /// An answer came to a question that is no longer asked.
    ConclusionIgnored {
        /// The question it names.
        consult: ConsultId,
    },
    /// A table reached its ceiling; the request was answered with 503.
    Full(FullTable),
    /// An admitted request could not be routed.
    NoRoute {
        /// The question that admitted it, or the call it belongs to.
        consult: ConsultId,
        /// Why not.
        cause: &'static str,
    },
    /// A target did not answer, could not be reached, or said that it is down,
    /// and the next one was tried.
    Failover {
        /// The target that failed.
        target: SocketAddr,
        /// Its status, 408 for a timeout and 503 for a transport failure.
        status: u16,
    },
    /// A message was dropped without an answer.
    Dropped {
        /// Why.
        cause: &'static str,
        /// Where it came from.
        source: SocketAddr,
    },
    /// A session description was not let through.
    MediaRefused {
        /// The question that admitted the call.
        consult: ConsultId,
        /// What carried it: a method, or the status of a response.
        carrier: Carried,
        /// The side that wrote it.
        side: MediaSide,
        /// Why, for the operator.
        reason: String,
    },
    /// The relay reported a fault, and the call is ended.
    MediaFault {
        /// The call.
        call: CallId,
        /// What happened.
        cause: String,
    },
    /// Packets for a stream came from somewhere else than its party; they are dropped and
    /// counted. Said once for each stream and kind of fault.
    ForeignMedia {
        /// The call.
        call: CallId,
        /// The stream, counted from 0.
        stream: u8,
        /// The side whose packets it was meant to look like.
        side: MediaSide,
        /// Where they came from.
        source: SocketAddr,
        /// Why they were dropped.
        rejection: Rejection,
    },
}

/// What carried a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// A request of this method.
    Request(Method),
    /// A response to a request of this method.
    Response(u16, Method),
}

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |method: Method| method.name().unwrap_or("request");
        match *self {
            Self::Request(method) => formatter.write_str(name(method)),
            Self::Response(status, method) => write!(formatter, "{status} to {}", name(method)),
        }
    }
}

/// How full the tables are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Server transactions of the layer below.
    pub server_transactions: usize,
    /// Client transactions of the layer below.
    pub client_transactions: usize,
    /// Requests that await their policy.
    pub pending_consults: usize,
    /// Requests that are being forwarded or were, until their transaction ends.
    pub contexts: usize,
    /// Admitted calls.
    pub calls: usize,
    /// Dropped requests whose retransmissions are remembered.
    pub silenced: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Media sessions that are open.
    pub media_sessions: usize,
    /// Media sessions that the relay has not closed yet.
    pub media_closing: usize,
    /// Media ports, counted in pairs of RTP and RTCP, that cannot be handed out now.
    pub media_ports: usize,
}

impl Figures {
    /// Whether nothing is going on and nothing is remembered.
    pub const fn at_rest(&self) -> bool {
        self.server_transactions == 0
            && self.client_transactions == 0
            && self.pending_consults == 0
            && self.contexts == 0
            && self.calls == 0
            && self.silenced == 0
            && self.timers == 0
            && self.media_sessions == 0
            && self.media_closing == 0
            && self.media_ports == 0
    }
}
