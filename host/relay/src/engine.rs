//! What one worker knows: sockets, sessions, and what each datagram and order does.
//!
//! It has no system call of its own but the sending of handshakes: a backend hands
//! datagrams in and sends what comes out.

mod handshakes;
mod warm;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use media::gate::Component;
use media::{EndPlan, Rejection, RelayEvent, SessionFigures, SessionId, Side};
use smallvec::SmallVec;

use self::handshakes::handshakes_of;
use crate::backend::{Backend, Outgoing};
use crate::config::RelayLimits;
use crate::directory::Order;
use crate::dtls::Identity;
use crate::end::Arrival;
use crate::mailbox::Mailbox;
use crate::relay::Events;
use crate::session::Session;
use crate::shield::FlowStart;
use crate::slots::{Key, Slots};
use crate::socket::Opened;
use crate::stream::{Passed, Stream};
use crate::totals::{Totals, TotalsBoard};

/// Sessions are looked at for timeouts so often: 250 ms.
const SWEEP: Duration = Duration::from_millis(250);

/// And while a handshake goes on: 50 ms, because what it repeats waits for it.
const SWEEP_HANDSHAKES: Duration = Duration::from_millis(50);

/// Figures are written to their board so often: 1 s.
const FIGURES_INTERVAL: Duration = Duration::from_secs(1);

/// Where a socket belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    session: Key,
    stream: u8,
    side: Side,
    component: Component,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    ipv6: bool,
    socket: UdpSocket,
}

/// See the module.
pub(crate) struct Engine {
    sockets: Slots<Entry>,
    sessions: Slots<Session>,
    by_id: HashMap<SessionId, Key>,
    limits: RelayLimits,
    identity: Arc<Identity>,
    events: Events,
    started: Instant,
    now: Instant,
    next_sweep: Instant,
    /// Handshakes under way, as of the last sweep and those begun since.
    handshakes: usize,
    totals: Totals,
    board: Arc<TotalsBoard>,
    mailbox: Arc<Mailbox<Order>>,
    /// Orders taken from the mailbox; empty between turns.
    orders: VecDeque<Order>,
    stopped: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("sessions", &self.sessions.len())
            .field("sockets", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(
        limits: RelayLimits,
        identity: Arc<Identity>,
        events: Events,
        board: Arc<TotalsBoard>,
        mailbox: Arc<Mailbox<Order>>,
    ) -> Self {
        let now = Instant::now();
        Engine {
            sockets: Slots::default(),
            sessions: Slots::default(),
            by_id: HashMap::new(),
            limits,
            identity,
            events,
            started: now,
            now,
            next_sweep: now,
            handshakes: 0,
            totals: Totals::default(),
            board,
            mailbox,
            orders: VecDeque::new(),
            stopped: false,
        }
    }

    /// Reads the clock: once for all packets of a turn.
    pub(crate) fn refresh_clock(&mut self) {
        self.now = Instant::now();
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A socket to receive from or send with.
    pub(crate) fn socket(&self, key: Key) -> Option<&UdpSocket> {
        self.sockets.get(key).map(|entry| &entry.socket)
    }

    /// Whether a socket is of that family.
    pub(crate) fn is_ipv6(&self, key: Key) -> bool {
        self.sockets.get(key).is_some_and(|entry| entry.ipv6)
    }

    /// Takes a datagram of `length` bytes at the beginning of `buffer`. What it returns
    /// is to be sent: it lies in the same buffer then.
    pub(crate) fn handle_datagram(
        &mut self,
        key: Key,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Outgoing> {
        let place = self.sockets.get(key)?.place;
        let session = self.sessions.get_mut(place.session)?;
        let closing = session.closing;
        let stream = session.stream_mut(place.stream)?;
        let arrival = Arrival {
            component: place.component,
            source,
            now: self.now,
            now_us: microseconds(self.now.saturating_duration_since(self.started)),
        };
        let outcome = if closing {
            Err(Rejection::Closed.into())
        } else {
            stream.relay(place.side, arrival, buffer, length)
        };
        match outcome {
            Ok(Passed::On(outgoing)) => {
                self.totals.relayed += 1;
                Some(outgoing)
            }
            Ok(Passed::Handshake) => {
                self.step_handshake(place, Some((source, buffer.get(..length)?)));
                None
            }
            Err(dropped) => {
                self.totals.rejected += 1;
                let end = place.side.of_mut(&mut stream.ends);
                if let Some(rejection) = end.tally.reject(dropped)
                    && is_foreign(rejection)
                {
                    (self.events)(RelayEvent::ForeignSource {
                        session: session.id,
                        stream: place.stream,
                        side: place.side,
                        source,
                        rejection,
                    });
                }
                None
            }
        }
    }

    /// The kernel did not take `count` packets.
    pub(crate) fn handle_unsent(&mut self, count: usize) {
        self.totals.unsent += count as u64;
    }

    /// The backend and the kernel have let go of a socket: it is closed here.
    pub(crate) fn handle_released(&mut self, key: Key) {
        let Some(entry) = self.sockets.remove(key) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(entry.place.session) else {
            return;
        };
        session.sockets.retain(|socket| *socket != key);
        // Before the event: it says that the port is free.
        drop(entry.socket);
        if session.closing && session.sockets.is_empty() {
            self.finish(entry.place.session);
        }
    }

    /// Does what the mailbox asks for. A backend calls it between receiving packets and
    /// handing them in: an order is in the mailbox before the SDP leaves that it is for,
    /// so whoever has read that SDP finds his stream as it says.
    pub(crate) fn handle_orders(&mut self, backend: &mut dyn Backend) {
        if !self.mailbox.is_filled() {
            return;
        }
        let mut orders = std::mem::take(&mut self.orders);
        self.mailbox.drain_into(&mut orders);
        for order in orders.drain(..) {
            self.handle_order(order, backend);
        }
        self.orders = orders;
    }

    /// Whether [`Order::Stop`] has come.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn handle_order(&mut self, order: Order, backend: &mut dyn Backend) {
        match order {
            Order::Open {
                session,
                timeouts,
                board,
            } => {
                let opened = Session::new(session, timeouts, board, self.now);
                let key = self.sessions.insert(opened);
                self.by_id.insert(session, key);
            }
            Order::Stream {
                session,
                stream,
                generation,
                ends,
                sockets,
            } => {
                if let Some(key) = self.by_id.get(&session).copied() {
                    self.follow(key, stream, generation, *ends, sockets, backend);
                }
            }
            Order::RemoveStream { session, stream } => {
                self.remove_stream(session, stream, backend);
            }
            Order::OnHold { session, held } => {
                let now = self.now;
                if let Some(session) = self.session_mut(session) {
                    session.hold(held, now);
                }
            }
            Order::Close { session } => self.close(session, backend),
            Order::Stop => self.stopped = true,
        }
    }

    fn session_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        let key = self.by_id.get(&session)?;
        self.sessions.get_mut(*key)
    }

    fn follow(
        &mut self,
        key: Key,
        index: u8,
        generation: u32,
        plans: [EndPlan; 2],
        opened: SmallVec<[Opened; 4]>,
        backend: &mut dyn Backend,
    ) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.stream_mut(index).is_none() {
            let stream = Box::new(Stream::new(index, &plans));
            session.streams.push(stream);
        }
        let setup = session.timeouts.setup;
        let mut released: SmallVec<[Key; 4]> = SmallVec::new();
        if let Some(stream) = session.stream_mut(index) {
            for (end, plan) in stream.ends.iter_mut().zip(&plans) {
                if end.plan.local != plan.local {
                    released.extend(end.sockets.rtp.take());
                    released.extend(end.sockets.rtcp.take());
                }
            }
        }
        for socket in opened {
            let side = Side::BOTH
                .into_iter()
                .find(|side| side.of(&plans).local == socket.local);
            if let Some(side) = side {
                self.add_socket(key, index, side, socket, backend);
            }
        }
        for socket in released {
            backend.remove(socket, self);
        }
        let start = FlowStart {
            identity: &self.identity,
            now,
            setup,
            now_us: microseconds(now.saturating_duration_since(self.started)),
            per_second: self.limits.handshake_datagrams_per_second,
            rtcp: false,
        };
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(stream) = session.stream_mut(index)
            && stream.apply(generation, plans, &start)
        {
            let pending = handshakes_of(stream);
            if pending > 0 && self.handshakes + pending > self.limits.handshakes {
                return self.refuse_handshakes(key, index);
            }
            self.handshakes += pending;
            self.drive_handshakes(key, index);
        }
    }

    fn add_socket(
        &mut self,
        session: Key,
        stream: u8,
        side: Side,
        opened: Opened,
        backend: &mut dyn Backend,
    ) {
        let place = Place {
            session,
            stream,
            side,
            component: opened.component,
        };
        let key = self.sockets.insert(Entry {
            place,
            ipv6: opened.local.ipv6,
            socket: opened.socket,
        });
        if let Err(error) = backend.add(key, self) {
            tracing::error!(%error, "failed to receive from a media port");
            self.sockets.remove(key);
            if let Some(session) = self.sessions.get(session) {
                let (session, local) = (session.id, opened.local);
                (self.events)(RelayEvent::PortUnavailable { session, local });
            }
            return;
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.sockets.push(key);
            if let Some(stream) = session.stream_mut(stream) {
                let end = side.of_mut(&mut stream.ends);
                *end.sockets.of_mut(opened.component) = Some(key);
            }
        }
    }

    fn remove_stream(&mut self, session: SessionId, index: u8, backend: &mut dyn Backend) {
        let mut released: SmallVec<[Key; 4]> = SmallVec::new();
        if let Some(session) = self.session_mut(session)
            && let Some(stream) = session.stream_mut(index)
        {
            stream.shut();
            for end in &mut stream.ends {
                released.extend(end.sockets.rtp.take());
                released.extend(end.sockets.rtcp.take());
            }
        }
        for socket in released {
            backend.remove(socket, self);
        }
    }

    fn close(&mut self, session: SessionId, backend: &mut dyn Backend) {
        let Some(key) = self.by_id.remove(&session) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.closing = true;
        let sockets = session.sockets.clone();
        if sockets.is_empty() {
            return self.finish(key);
        }
        for socket in sockets {
            backend.remove(socket, self);
        }
    }

    fn finish(&mut self, key: Key) {
        let Some(session) = self.sessions.remove(key) else {
            return;
        };
        let mut figures = SessionFigures::default();
        session.write_figures(&mut figures);
        (self.events)(RelayEvent::Closed {
            session: session.id,
            figures: Box::new(figures),
        });
    }

    /// When [`Engine::handle_timeout`] wants to be called, counted from now.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        if self.sessions.len() == 0 {
            return None;
        }
        Some(self.next_sweep.saturating_duration_since(self.now))
    }

    /// Looks at every session: timeouts, handshakes, figures.
    pub(crate) fn handle_timeout(&mut self) {
        let now = self.now;
        if now < self.next_sweep {
            return;
        }
        let mut due: SmallVec<[(Key, u8); 8]> = SmallVec::new();
        let mut handshakes = 0;
        for (key, session) in self.sessions.iter_mut() {
            if let Some(event) = session.poll_event(now) {
                (self.events)(event);
            }
            if now.saturating_duration_since(session.written) >= FIGURES_INTERVAL
                && let Some(mut figures) = session.board.try_lock()
            {
                session.write_figures(&mut figures);
                drop(figures);
                session.written = now;
            }
            for stream in &mut session.streams {
                let pending = handshakes_of(stream);
                handshakes += pending;
                if pending > 0 {
                    due.push((key, stream.index));
                }
            }
        }
        self.handshakes = handshakes;
        self.totals.sockets = self.sockets.len() as u64;
        self.totals.handshakes = handshakes as u64;
        self.board.write(self.totals);
        for (session, stream) in due {
            self.drive_handshakes(session, stream);
        }
        self.next_sweep = now
            + if self.handshakes > 0 {
                SWEEP_HANDSHAKES
            } else {
                SWEEP
            };
    }
}

/// Whether a packet that was dropped for this is somebody else's, as policies are told.
fn is_foreign(rejection: Rejection) -> bool {
    match rejection {
        Rejection::Source
        | Rejection::Ssrc
        | Rejection::Authentication
        | Rejection::Replay
        | Rejection::Rate => true,
        Rejection::Size | Rejection::Malformed | Rejection::Closed => false,
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
