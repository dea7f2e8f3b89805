//! The relay as its users see it: started once, ordered about from any thread.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use media::{
    EndPlan, Fingerprint, Interface, LocalPorts, RelayCommand, RelayEvent, SessionFigures,
    SessionId,
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::backend;
use crate::config::{DtlsClient, RelayConfig, RelayError};
use crate::directory::{Directory, Order};
use crate::dtls::Identity;
use crate::engine::Engine;
use crate::mailbox::Mailbox;
use crate::socket::{self, Opened};
use crate::totals::{Totals, TotalsBoard};
use crate::worker;

/// Where events go: called by media workers, and by whoever gives an order that fails.
pub(crate) type Events = Arc<dyn Fn(RelayEvent) + Send + Sync>;

/// One worker as others see it.
#[derive(Debug)]
struct Desk {
    mailbox: Arc<Mailbox<Order>>,
    totals: Arc<TotalsBoard>,
    directory: Mutex<Directory>,
}

struct Shared {
    desks: Vec<Desk>,
    interfaces: Vec<Interface>,
    identity: Arc<Identity>,
    events: Events,
}

/// The media workers. Dropping it stops them and closes every socket.
pub struct Relay {
    handle: RelayHandle,
    workers: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Starts the workers and makes the certificate for DTLS.
    ///
    /// `events` is called by media workers, one event at a time from each, and by the
    /// thread whose order failed, before [`RelayHandle::command`] returns. It must not
    /// block: the media of a worker waits for it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses what a worker needs, or no certificate can be made.
    pub fn start(
        config: RelayConfig,
        events: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Result<Self, RelayError> {
        Self::start_with(config, DtlsClient::default(), events)
    }

    /// As [`Relay::start`], with another choice of DTLS where the relay is the client.
    ///
    /// # Errors
    ///
    /// As [`Relay::start`].
    pub fn start_with(
        config: RelayConfig,
        client: DtlsClient,
        events: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Result<Self, RelayError> {
        let identity = Arc::new(Identity::generate(client)?);
        let events: Events = Arc::new(events);
        let mut desks = Vec::new();
        let mut parts = Vec::new();
        for worker in 0..config.workers.max(1) {
            let refused = |source| RelayError::Backend { worker, source };
            let mailbox = Arc::new(Mailbox::new(config.limits.orders).map_err(refused)?);
            let totals = Arc::new(TotalsBoard::default());
            let engine = Engine::new(
                config.limits.clone(),
                Arc::clone(&identity),
                Arc::clone(&events),
                Arc::clone(&totals),
                Arc::clone(&mailbox),
            );
            parts.push((engine, Arc::clone(&mailbox)));
            desks.push(Desk {
                mailbox,
                totals,
                directory: Mutex::new(Directory::new(&config.limits)),
            });
        }
        let shared = Shared {
            desks,
            interfaces: config.interfaces,
            identity,
            events,
        };
        // Dropped on an error below, it stops the workers that run already.
        let mut relay = Relay {
            handle: RelayHandle(Arc::new(shared)),
            workers: Vec::new(),
        };
        for (worker, (engine, mailbox)) in parts.into_iter().enumerate() {
            let gather = config.limits.gather;
            let choice = config.backend;
            // The backend is made by its own thread: io_uring serves one thread only.
            let (ready, outcome) = std::sync::mpsc::sync_channel(1);
            let thread = thread::Builder::new()
                .name(format!("media-{worker}"))
                .spawn(move || {
                    scheduling::prompt();
                    let backend = match backend::make(choice, mailbox.bell()) {
                        Ok(backend) => backend,
                        Err(error) => return drop(ready.send(Err(error))),
                    };
                    tracing::debug!(worker, backend = backend.name(), "media worker runs");
                    drop(ready.send(Ok(())));
                    worker::run(engine, backend, gather);
                })
                .map_err(|source| RelayError::Thread { worker, source })?;
            relay.workers.push(thread);
            match outcome.recv() {
                Ok(Ok(())) => {}
                Ok(Err(source)) => return Err(RelayError::Backend { worker, source }),
                Err(_) => {
                    let source = std::io::Error::other("worker ended at once");
                    return Err(RelayError::Backend { worker, source });
                }
            }
        }
        Ok(relay)
    }

    /// What gives orders.
    #[must_use]
    pub fn handle(&self) -> RelayHandle {
        self.handle.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for desk in &self.handle.0.desks {
            desk.mailbox.push_final(Order::Stop);
        }
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a media worker had panicked");
            }
        }
    }
}

/// Gives orders to the relay. Cheap to clone.
#[derive(Clone)]
pub struct RelayHandle(Arc<Shared>);

impl fmt::Debug for RelayHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayHandle").finish_non_exhaustive()
    }
}

impl RelayHandle {
    /// Carries an order out, or hands it to the worker of its session.
    ///
    /// Never waits for a worker. The sockets of a new stream are bound when it returns,
    /// so that the SDP which names them may leave; packets that come before the worker
    /// has read the order wait in them. Orders of one session take effect as they were
    /// given, so long as one thread gives them.
    ///
    /// What cannot be done is told by an event: `PortUnavailable` for a stream whose
    /// port is taken, whose session is not open or for which there is no room, `Closed`
    /// at once for the end of a session that is not open.
    pub fn command(&self, command: RelayCommand) {
        match command {
            RelayCommand::Open { session, timeouts } => {
                let desk = self.desk(session);
                let Some(board) = desk.directory.lock().open(session) else {
                    // Told by the event of its first stream.
                    return tracing::warn!(?session, "no room for another media session");
                };
                let order = Order::Open {
                    session,
                    timeouts,
                    board,
                };
                if desk.mailbox.push(order).is_err() {
                    desk.directory.lock().close(session);
                }
            }
            RelayCommand::Stream {
                session,
                stream,
                generation,
                ends,
            } => self.open_stream(session, stream, generation, ends),
            RelayCommand::RemoveStream { session, stream } => {
                let desk = self.desk(session);
                desk.directory.lock().remove_stream(session, stream);
                desk.mailbox
                    .push_final(Order::RemoveStream { session, stream });
            }
            RelayCommand::OnHold { session, held } => {
                let order = Order::OnHold { session, held };
                self.desk(session).mailbox.push_final(order);
            }
            RelayCommand::Close { session } => {
                let desk = self.desk(session);
                if desk.directory.lock().close(session) {
                    return desk.mailbox.push_final(Order::Close { session });
                }
                (self.0.events)(RelayEvent::Closed {
                    session,
                    figures: Box::default(),
                });
            }
        }
    }

    fn open_stream(
        &self,
        session: SessionId,
        stream: u8,
        generation: u32,
        ends: Box<[EndPlan; 2]>,
    ) {
        let desk = self.desk(session);
        let needs = desk.directory.lock().needs(session, stream, &ends);
        let Some(needs) = needs else {
            return self.refuse(session, &ends);
        };
        let mut sockets: SmallVec<[Opened; 4]> = SmallVec::new();
        for need in needs {
            match socket::open(&self.0.interfaces, need.local, need.component) {
                Ok(opened) => sockets.push(opened),
                Err(error) => {
                    tracing::warn!(%error, local = ?need.local, "failed to open a media port");
                    return self.unavailable(session, need.local);
                }
            }
        }
        desk.directory.lock().opened(session, stream, &ends);
        let order = Order::Stream {
            session,
            stream,
            generation,
            ends,
            sockets,
        };
        if let Err(Order::Stream { ends, .. }) = desk.mailbox.push(order) {
            desk.directory.lock().remove_stream(session, stream);
            self.refuse(session, &ends);
        }
    }

    fn refuse(&self, session: SessionId, ends: &[EndPlan; 2]) {
        for plan in ends {
            self.unavailable(session, plan.local);
        }
    }

    fn unavailable(&self, session: SessionId, local: LocalPorts) {
        (self.0.events)(RelayEvent::PortUnavailable { session, local });
    }

    /// What one session has carried, as of the last second; `None` if it is not open.
    #[must_use]
    pub fn figures(&self, session: SessionId) -> Option<SessionFigures> {
        let board = self.desk(session).directory.lock().board(session)?;
        let figures = board.lock().clone();
        Some(figures)
    }

    /// The sessions that are open, at most `limit` of them, in no order.
    #[must_use]
    pub fn sessions(&self, limit: usize) -> Vec<SessionId> {
        let mut sessions = Vec::new();
        for desk in &self.0.desks {
            let left = limit.saturating_sub(sessions.len());
            sessions.extend(desk.directory.lock().sessions().take(left));
        }
        sessions
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        let desks = self.0.desks.iter();
        desks.map(|desk| desk.directory.lock().len()).sum()
    }

    /// What all workers have done since they began, as of the last quarter of a second
    /// in which they had sessions.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let desks = self.0.desks.iter();
        desks.map(|desk| desk.totals.read()).sum()
    }

    /// SHA-256 of the certificate that this relay shows in DTLS (RFC 8122).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.identity.fingerprint()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder of the length, which is not 0"
    )]
    fn desk(&self, session: SessionId) -> &Desk {
        // The golden ratio spreads numbers that count up, whose upper bits are shards.
        let mixed = session.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        &self.0.desks[mixed as usize % self.0.desks.len()]
    }
}
