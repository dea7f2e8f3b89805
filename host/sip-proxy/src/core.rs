//! The hall: what comes in is sorted here, and what goes out leaves from here. Every
//! step in between has a file of its own.
//!
//! Contract of use: after any `handle_*`, poll [`ProxyCore::poll_output`] until it
//! returns nothing, then ask [`ProxyCore::poll_timeout`] when to call
//! [`ProxyCore::handle_timeout`].

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::{AnchorConfig, AnchorFigures};
use policy::ConsultId;
use sip_message::{Limits as MessageLimits, Message};
use sip_transaction::{Event, Flow, Moment, TransactionId, TransactionLayer};

use crate::anchoring::MediaRoom;
use crate::calls::Calls;
use crate::classify::Proof;
use crate::config::{ProxyConfig, Routing};
use crate::consults::Consults;
use crate::entropy::Entropy;
use crate::judging::Asked;
use crate::output::{Figures, LogEvent, Output};
use crate::response_context::ResponseContext;
use crate::routing::Site;
use crate::silence::Silenced;
use crate::timers::{Timer, TimerQueue};

/// A stateful proxy (RFC 3261 section 16) over a transaction layer of its own, without
/// sockets, clock, or randomness of its own. One for each worker.
pub struct ProxyCore {
    pub(crate) site: Arc<Site>,
    pub(crate) message_limits: MessageLimits,
    pub(crate) entropy: Entropy,
    pub(crate) layer: TransactionLayer,
    pub(crate) timers: TimerQueue,
    pub(crate) consults: Consults,
    /// Responses that await their policy; they wait in their contexts.
    pub(crate) asked: HashMap<ConsultId, Asked, FixedState>,
    /// Requests that are being forwarded, by their server transaction.
    pub(crate) contexts: HashMap<TransactionId, ResponseContext, FixedState>,
    /// Client transactions, to the context and the place of their branch in it.
    pub(crate) branches: HashMap<TransactionId, (TransactionId, usize), FixedState>,
    pub(crate) calls: Calls,
    pub(crate) media: Option<MediaRoom>,
    pub(crate) silenced: Silenced,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) draining: bool,
}

impl ProxyCore {
    /// A core without calls.
    pub fn new(config: ProxyConfig) -> Self {
        let mut entropy = Entropy::new(config.seed);
        let layer_seed = entropy.unique();
        Self {
            site: Arc::new(Site::of(config.routing)),
            message_limits: config.message_limits,
            layer: TransactionLayer::new(
                config.transaction_timers,
                config.transaction_limits,
                layer_seed,
            ),
            timers: TimerQueue::default(),
            consults: Consults::default(),
            asked: HashMap::default(),
            contexts: HashMap::default(),
            branches: HashMap::default(),
            calls: Calls::new(entropy.table_key()),
            media: config.media.map(MediaRoom::new),
            silenced: Silenced::default(),
            outputs: VecDeque::new(),
            draining: false,
            entropy,
        }
    }

    /// Swaps listeners, peers, timers and limits. Requests on their way keep the targets
    /// they have; calls go on. Lowered limits end nothing, they only admit less.
    pub fn set_config(&mut self, routing: Arc<Routing>) {
        let mut site = Site::of(routing);
        site.own = site.own.after(&self.site.own);
        self.site = Arc::new(site);
    }

    /// Swaps the media room's interfaces, limits and timeouts; calls that run keep their
    /// ports. Without effect on a core that was made without a media room.
    pub fn set_media(&mut self, config: Arc<AnchorConfig>) {
        if let Some(room) = &mut self.media {
            room.set_config(config);
        }
    }

    /// A message came in. `proof` is what its connection proves about the sender, if it
    /// proves anything.
    pub fn handle_message(
        &mut self,
        now: Moment,
        message: Arc<Message>,
        flow: &Flow,
        proof: Option<&Proof>,
    ) {
        self.layer.handle_message(now, message, flow);
        self.settle_events(now, proof);
    }

    /// A [`Transmit`](sip_transaction::Transmit) of this transaction could not be sent.
    pub fn handle_transport_error(&mut self, now: Moment, transaction: TransactionId) {
        self.layer.handle_transport_error(now, transaction);
        self.settle_events(now, None);
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.layer.handle_timeout(now);
        self.settle_events(now, None);
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Consult(consult) => self.consult_late(now, consult),
                Timer::C(client) => self.timer_c_fired(now, client),
                Timer::CancelWait(client) => self.cancel_wait_over(now, client),
                Timer::CallLimit(call) => self.call_limit_reached(now, call),
                Timer::CallTick(call) => self.call_ticks(now, call),
                Timer::Silence => self.forget_silenced(now),
            }
            self.settle_events(now, None);
        }
    }

    /// From now on requests outside existing calls are answered with 503.
    pub fn start_drain(&mut self, _now: Moment) {
        self.draining = true;
    }

    /// Whether [`ProxyCore::start_drain`] was called.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// The next thing to do. What the relay must know comes before any bytes. A consult comes before the 100 (Trying) of its INVITE, and
    /// that before anything else of it: a policy that answers between the two polls and
    /// drops the request leaves no trace on the wire.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.send_due_trying();
        self.layer.poll_transmit().map(Output::Transmit)
    }

    /// When to call [`ProxyCore::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Moment> {
        match (self.layer.poll_timeout(), self.timers.soonest()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// How full the tables are.
    pub fn figures(&self) -> Figures {
        let media = self.media_figures();
        Figures {
            media_sessions: media.sessions,
            media_closing: media.closing,
            media_ports: media.ports_in_use,
            server_transactions: self.layer.server_len(),
            client_transactions: self.layer.client_len(),
            pending_consults: self.consults.len() + self.asked.len(),
            contexts: self.contexts.len(),
            calls: self.calls.len(),
            silenced: self.silenced.len(),
            timers: self.timers.len(),
        }
    }

    /// How full the media room is; nothing without one.
    pub fn media_figures(&self) -> AnchorFigures {
        let media = self.media.as_ref().map(MediaRoom::figures);
        media.unwrap_or_default()
    }

    /// What the transaction layer did by itself so far.
    pub fn transaction_figures(&self) -> sip_transaction::Figures {
        self.layer.figures()
    }

    /// Handles what the layer has to say, until it has nothing left to say.
    pub(crate) fn settle_events(&mut self, now: Moment, proof: Option<&Proof>) {
        while let Some(event) = self.layer.poll_event() {
            match event {
                Event::Request { id, message, flow } => {
                    self.handle_request(now, id, message, flow, proof);
                }
                Event::Ack { message, flow } => self.handle_ack(now, &message, &flow),
                Event::Cancel {
                    id,
                    target,
                    message,
                    flow,
                } => {
                    self.handle_cancel(now, id, target, &message, &flow);
                }
                Event::Response { id, message, flow } => {
                    self.handle_response(now, id, message, &flow, proof);
                }
                Event::StrayResponse { flow, .. } => {
                    // RFC 6026 section 7.1 corrects RFC 3261: not forwarded.
                    self.log(LogEvent::Dropped {
                        cause: "stray response",
                        source: flow.peer,
                    });
                }
                Event::Timeout { id } => self.client_failed(now, id, 408),
                // A server transaction whose response is lost ends by itself.
                Event::TransportFailed { id } => self.client_failed(now, id, 503),
                // The caller did not acknowledge a refusal: nothing depends on it.
                Event::Unacknowledged { .. } => {}
                Event::Terminated { id } => self.transaction_ended(now, id),
            }
        }
    }

    pub(crate) fn log(&mut self, event: LogEvent) {
        self.outputs.push_back(Output::Log(event));
    }
}
