//! One worker: the sockets, connections and tasks of one thread.
//!
//! A worker lives on a current-thread runtime inside a `LocalSet`. It opens its
//! own socket for each listener (`SO_REUSEPORT`), so the kernel spreads peers over
//! workers and no lock is taken to receive.

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use sip_transaction::{ConnectionId, ListenerId, Transport};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, spawn_local};

use crate::config::ListenerConfig;
use crate::figures::Counters;
use crate::inbound::{BindError, Inbox, SharedInbox};
use crate::listen::StreamListener;
use crate::outgoing::FailureQueue;
use crate::sender::Sender;
use crate::shared::SharedTransport;
use crate::table::{Close, ConnectionHandle};
use crate::udp::{self, DatagramSocket, RECEIVE_BYTES};

/// Commands that wait for one worker: 64; a reload sends a few.
const COMMANDS_MAX: usize = 64;

/// One worker; dropping it ends its listeners and connections.
#[derive(Debug)]
pub struct Worker {
    core: Rc<WorkerCore>,
    commands: mpsc::Sender<Command>,
    receiver: Option<mpsc::Receiver<Command>>,
    /// The tasks for commands and failures.
    tasks: Vec<AbortHandle>,
}

/// Reaches a worker from any thread, to change its listeners while it runs.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Add(
        ListenerConfig,
        oneshot::Sender<Result<SocketAddr, BindError>>,
    ),
    Remove(ListenerId, oneshot::Sender<bool>),
    Shutdown(Duration, oneshot::Sender<()>),
}

/// The part of a worker that its tasks share.
pub(crate) struct WorkerCore {
    pub(crate) shared: Arc<SharedTransport>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) failures: Arc<FailureQueue>,
    /// Lent to one socket for the length of one receive.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    inbox: RefCell<Option<SharedInbox>>,
    listeners: RefCell<Vec<Listener>>,
    /// The connections that this worker owns.
    connections: RefCell<HashMap<ConnectionId, Arc<ConnectionHandle>>>,
    /// Woken when a connection leaves.
    left: Notify,
}

impl std::fmt::Debug for WorkerCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerCore").finish_non_exhaustive()
    }
}

/// A listener with its tasks, which end with it.
struct Listener {
    id: ListenerId,
    transport: Transport,
    local: SocketAddr,
    datagrams: Option<Rc<DatagramSocket>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Worker {
    /// A worker without listeners, so that the driver can be given its
    /// [`Sender`] before messages arrive.
    #[must_use]
    pub fn new(shared: &Arc<SharedTransport>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let core = Rc::new(WorkerCore {
            shared: Arc::clone(shared),
            counters: shared.new_counters(),
            failures: Arc::new(FailureQueue::default()),
            scratch: RefCell::new(vec![0; RECEIVE_BYTES].into_boxed_slice()),
            inbox: RefCell::new(None),
            listeners: RefCell::new(Vec::new()),
            connections: RefCell::new(HashMap::new()),
            left: Notify::new(),
        });
        Worker {
            core,
            commands,
            receiver: Some(receiver),
            tasks: Vec::new(),
        }
    }

    /// Makes a worker and starts it.
    ///
    /// # Errors
    ///
    /// As [`Worker::start`].
    ///
    /// # Panics
    ///
    /// As [`Worker::start`].
    pub fn bind<I: Inbox>(
        shared: &Arc<SharedTransport>,
        listeners: &[ListenerConfig],
        inbox: I,
    ) -> Result<Self, BindError> {
        let mut worker = Self::new(shared);
        worker.start(listeners, inbox)?;
        Ok(worker)
    }

    /// Opens the listeners and delivers to `inbox` from now on. If one listener
    /// fails, none is open afterwards.
    ///
    /// # Errors
    ///
    /// A listener that cannot be opened, or a worker that was started before.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet` on a runtime with I/O and time.
    pub fn start<I: Inbox>(
        &mut self,
        listeners: &[ListenerConfig],
        inbox: I,
    ) -> Result<(), BindError> {
        if self.receiver.is_none() {
            return Err(BindError::Started);
        }
        let inbox: SharedInbox = Rc::new(inbox);
        *self.core.inbox.borrow_mut() = Some(Rc::clone(&inbox));
        for config in listeners {
            if let Err(error) = self.core.add_listener(config) {
                self.core.close();
                return Err(error);
            }
        }
        let failures = Rc::clone(&self.core);
        self.tasks.push(
            spawn_local(async move {
                loop {
                    let (transaction, error) = failures.failures.next().await;
                    inbox.failed(transaction, error);
                    // Thousands may fail at once when a trunk goes.
                    tokio::task::consume_budget().await;
                }
            })
            .abort_handle(),
        );
        if let Some(receiver) = self.receiver.take() {
            let core = Rc::clone(&self.core);
            self.tasks
                .push(spawn_local(core.drive_commands(receiver)).abort_handle());
        }
        Ok(())
    }

    /// Sends from this worker's thread.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            core: Rc::clone(&self.core),
        }
    }

    /// Reaches this worker from other threads.
    #[must_use]
    pub fn handle(&self) -> WorkerHandle {
        WorkerHandle {
            commands: self.commands.clone(),
        }
    }

    /// The address that a listener is bound to, with the port that the kernel
    /// chose if the configuration left it open.
    #[must_use]
    pub fn local_addr(&self, id: ListenerId) -> Option<SocketAddr> {
        let listeners = self.core.listeners.borrow();
        listeners
            .iter()
            .find(|listener| listener.id == id)
            .map(|listener| listener.local)
    }

    /// Opens one more listener.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or its number is taken.
    ///
    /// # Panics
    ///
    /// As [`Worker::start`].
    pub fn add_listener(&self, config: &ListenerConfig) -> Result<SocketAddr, BindError> {
        self.core.add_listener(config)
    }

    /// Closes a listener; connections that came by it stay. False if there is none.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.core.remove_listener(id)
    }

    /// Closes the listeners, writes what waits on all connections, closes them,
    /// and returns when that is done or `grace` is over.
    pub async fn shutdown(self, grace: Duration) {
        self.core.shutdown(grace).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.core.close();
    }
}

impl WorkerHandle {
    /// As [`Worker::add_listener`].
    ///
    /// # Errors
    ///
    /// If it cannot be opened, its number is taken, or the worker has ended.
    pub async fn add_listener(&self, config: ListenerConfig) -> Result<SocketAddr, BindError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command::Add(config, answer)).await;
        sent.map_err(|_| BindError::NotRunning)?;
        answered.await.unwrap_or(Err(BindError::NotRunning))
    }

    /// As [`Worker::remove_listener`]; false too if the worker has ended.
    pub async fn remove_listener(&self, id: ListenerId) -> bool {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(Command::Remove(id, answer))
            .await
            .is_ok()
            && answered.await.unwrap_or(false)
    }

    /// As [`Worker::shutdown`].
    pub async fn shutdown(&self, grace: Duration) {
        let (answer, answered) = oneshot::channel();
        if self
            .commands
            .send(Command::Shutdown(grace, answer))
            .await
            .is_ok()
        {
            // An error means that the worker ended by itself.
            let _ = answered.await;
        }
    }
}

impl WorkerCore {
    async fn drive_commands(self: Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            // Whoever asked may have stopped waiting; the answer is then for nobody.
            match command {
                Command::Add(config, answer) => {
                    let _ = answer.send(self.add_listener(&config));
                }
                Command::Remove(id, answer) => {
                    let _ = answer.send(self.remove_listener(id));
                }
                Command::Shutdown(grace, answer) => {
                    self.shutdown(grace).await;
                    let _ = answer.send(());
                }
            }
        }
    }

    fn add_listener(self: &Rc<Self>, config: &ListenerConfig) -> Result<SocketAddr, BindError> {
        let inbox = self.inbox().ok_or(BindError::NotRunning)?;
        if self
            .listeners
            .borrow()
            .iter()
            .any(|listener| listener.id == config.id)
        {
            return Err(BindError::Duplicate(config.id));
        }
        let listener = match config.transport {
            Transport::Udp => self.open_datagrams(config, inbox)?,
            Transport::Tcp | Transport::Tls => {
                let socket = StreamListener::bind(config)?;
                let local = socket.local;
                let task = spawn_local(socket.drive_accepting(Rc::clone(self), inbox));
                Listener {
                    id: config.id,
                    transport: config.transport,
                    local,
                    datagrams: None,
                    tasks: vec![task.abort_handle()],
                }
            }
            Transport::Ws | Transport::Wss => return Err(BindError::Unsupported(config.transport)),
        };
        let local = listener.local;
        self.listeners.borrow_mut().push(listener);
        Ok(local)
    }

    fn open_datagrams(
        self: &Rc<Self>,
        config: &ListenerConfig,
        inbox: SharedInbox,
    ) -> Result<Listener, BindError> {
        let socket = Rc::new(DatagramSocket::bind(
            config,
            &self.shared.config().datagrams,
        )?);
        let state = udp::receive_state(config.bind).map_err(|source| BindError::Socket {
            transport: config.transport,
            bind: config.bind,
            source,
        })?;
        let receiving = Rc::clone(&socket).drive_receiving(state, Rc::clone(self), inbox);
        let sending = Rc::clone(&socket).drive_sending(Rc::clone(self));
        Ok(Listener {
            id: config.id,
            transport: config.transport,
            local: socket.local,
            datagrams: Some(socket),
            tasks: vec![
                spawn_local(receiving).abort_handle(),
                spawn_local(sending).abort_handle(),
            ],
        })
    }

    fn remove_listener(&self, id: ListenerId) -> bool {
        let mut listeners = self.listeners.borrow_mut();
        let before = listeners.len();
        listeners.retain(|listener| listener.id != id);
        listeners.len() < before
    }

    pub(crate) fn inbox(&self) -> Option<SharedInbox> {
        self.inbox.borrow().clone()
    }

    /// The socket of the listener that is asked for, or the first that fits.
    pub(crate) fn datagram_socket(
        &self,
        id: Option<ListenerId>,
        to: SocketAddr,
    ) -> Option<Rc<DatagramSocket>> {
        let listeners = self.listeners.borrow();
        listeners
            .iter()
            .filter(|listener| id.is_none_or(|id| id == listener.id))
            .filter(|listener| listener.local.is_ipv4() == to.is_ipv4())
            .find_map(|listener| listener.datagrams.clone())
    }

    /// The listener and the address from which to open a connection: the one that
    /// is asked for; else one of the same transport; else any of the same family.
    pub(crate) fn source(
        &self,
        transport: Transport,
        id: Option<ListenerId>,
        to: SocketAddr,
    ) -> Option<(ListenerId, IpAddr)> {
        let listeners = self.listeners.borrow();
        let fits = |listener: &&Listener| {
            id.is_none_or(|id| id == listener.id) && listener.local.is_ipv4() == to.is_ipv4()
        };
        listeners
            .iter()
            .filter(fits)
            .find(|listener| listener.transport == transport)
            .or_else(|| listeners.iter().find(fits))
            .map(|listener| (listener.id, listener.local.ip()))
    }

    pub(crate) fn spawn_connection(&self, run: impl Future<Output = ()> + 'static) {
        spawn_local(run);
    }

    /// Notes that this worker owns a connection, until the entry is dropped.
    pub(crate) fn entry(self: &Rc<Self>, handle: &Arc<ConnectionHandle>) -> Entry {
        self.connections
            .borrow_mut()
            .insert(handle.id, Arc::clone(handle));
        Entry {
            core: Rc::clone(self),
            handle: Arc::clone(handle),
        }
    }

    async fn shutdown(&self, grace: Duration) {
        self.close_listeners();
        self.close_connections(Close::Flush);
        let gone = async {
            while !self.connections.borrow().is_empty() {
                self.left.notified().await;
            }
        };
        let _ = tokio::time::timeout(grace, gone).await;
    }

    fn close(&self) {
        self.close_listeners();
        self.close_connections(Close::Abort);
        let inbox = self.inbox.borrow_mut().take();
        drop(inbox);
    }

    fn close_listeners(&self) {
        let listeners = std::mem::take(&mut *self.listeners.borrow_mut());
        drop(listeners);
    }

    fn close_connections(&self, how: Close) {
        for handle in self.connections.borrow().values() {
            handle.close(how);
        }
    }
}

/// A connection's place in the table and with its worker.
pub(crate) struct Entry {
    core: Rc<WorkerCore>,
    handle: Arc<ConnectionHandle>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.handle.close(Close::Flush);
        self.core.shared.table.remove(&self.handle);
        self.core.connections.borrow_mut().remove(&self.handle.id);
        self.core.left.notify_one();
    }
}
