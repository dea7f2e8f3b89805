//! One worker: the sockets, connections and tasks of one thread.
//!
//! A worker lives on a current-thread runtime inside a `LocalSet`. It opens its
//! own socket for each listener (`SO_REUSEPORT`), so the kernel spreads peers over
//! workers and no lock is taken to receive. UDP sockets have threads of their own
//! beside it.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use sip_transaction::{ConnectionId, ListenerId, Transport};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, spawn_local};

use crate::config::ListenerConfig;
use crate::connect::Dial;
use crate::connection::READ_BYTES;
use crate::figures::Counters;
use crate::inbound::{BindError, Inbox, SharedInbox};
use crate::listen::StreamListener;
use crate::outlet::{Outlet, WayOut};
use crate::sender::Sender;
use crate::shared::SharedTransport;
use crate::table::{Close, ConnectionHandle};
use crate::udp::DatagramSocket;

/// Commands that wait for one worker: 64; a reload sends a few.
const COMMANDS_MAX: usize = 64;

/// One worker; dropping it ends its listeners and connections.
#[derive(Debug)]
pub struct Worker {
    core: Rc<WorkerCore>,
    commands: mpsc::Sender<Command>,
    receivers: Option<Receivers>,
    /// The tasks for commands and failures.
    tasks: Vec<AbortHandle>,
}

/// Reaches a worker from any thread, to change its listeners while it runs.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    commands: mpsc::Sender<Command>,
}

/// What the worker's own tasks wait for.
#[derive(Debug)]
struct Receivers {
    commands: mpsc::Receiver<Command>,
    dials: mpsc::UnboundedReceiver<Dial>,
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
    outlet: Arc<Outlet>,
    /// Lent to one connection for the length of one read.
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

/// A bound listener: its address, its UDP socket if it is one, its task.
type Opened = (SocketAddr, Option<Arc<DatagramSocket>>, AbortHandle);

/// A listener with its task and thread, which end with it.
struct Listener {
    id: ListenerId,
    outlet: Arc<Outlet>,
    datagrams: Option<Arc<DatagramSocket>>,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.outlet.remove(self.id);
        if let Some(socket) = &self.datagrams {
            socket.close();
        }
        self.task.abort();
    }
}

impl Worker {
    /// A worker without listeners, so that the driver can be given its
    /// [`Sender`] before messages arrive.
    #[must_use]
    pub fn new(shared: &Arc<SharedTransport>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (outlet, dials) = Outlet::new(shared);
        let core = Rc::new(WorkerCore {
            shared: Arc::clone(shared),
            counters: Arc::clone(&outlet.counters),
            outlet,
            scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            inbox: RefCell::new(None),
            listeners: RefCell::new(Vec::new()),
            connections: RefCell::new(HashMap::new()),
            left: Notify::new(),
        });
        Worker {
            core,
            commands,
            receivers: Some(Receivers {
                commands: receiver,
                dials,
            }),
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
        let Some(Receivers {
            commands,
            mut dials,
        }) = self.receivers.take()
        else {
            return Err(BindError::Started);
        };
        let inbox: SharedInbox = Arc::new(inbox);
        *self.core.inbox.borrow_mut() = Some(Arc::clone(&inbox));
        for config in listeners {
            if let Err(error) = self.core.add_listener(config) {
                self.core.close();
                return Err(error);
            }
        }
        let failures = Arc::clone(&self.core.outlet.failures);
        let told = Arc::clone(&inbox);
        let core = Rc::clone(&self.core);
        let tasks = [
            spawn_local(async move {
                loop {
                    let (transaction, error) = failures.next().await;
                    told.failed(transaction, error);
                    // Thousands may fail at once when a trunk goes.
                    tokio::task::consume_budget().await;
                }
            }),
            spawn_local(async move {
                while let Some(dial) = dials.recv().await {
                    spawn_local(dial.run(Rc::clone(&core), Arc::clone(&inbox)));
                }
            }),
            spawn_local(Rc::clone(&self.core).drive_commands(commands)),
        ];
        self.tasks
            .extend(tasks.iter().map(tokio::task::JoinHandle::abort_handle));
        Ok(())
    }

    /// Sends by this worker's sockets and connections.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            outlet: Arc::clone(&self.core.outlet),
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
        self.core.outlet.local_addr(id)
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
        let (local, datagrams, task) = match config.transport {
            Transport::Udp => self.open_datagrams(config, inbox)?,
            Transport::Tcp | Transport::Tls => {
                let socket = StreamListener::bind(config)?;
                let local = socket.local;
                let task = spawn_local(socket.drive_accepting(Rc::clone(self), inbox));
                (local, None, task.abort_handle())
            }
            Transport::Ws | Transport::Wss => return Err(BindError::Unsupported(config.transport)),
        };
        self.outlet.add(WayOut {
            id: config.id,
            transport: config.transport,
            local,
            datagrams: datagrams.clone(),
        });
        self.listeners.borrow_mut().push(Listener {
            id: config.id,
            outlet: Arc::clone(&self.outlet),
            datagrams,
            task,
        });
        Ok(local)
    }

    fn open_datagrams(
        &self,
        config: &ListenerConfig,
        inbox: SharedInbox,
    ) -> Result<Opened, BindError> {
        let socket = Arc::new(DatagramSocket::bind(
            config,
            &self.shared.config().datagrams,
        )?);
        socket
            .start_receiving(Arc::clone(&self.shared), Arc::clone(&self.counters), inbox)
            .map_err(|source| BindError::Socket {
                transport: config.transport,
                bind: config.bind,
                source,
            })?;
        let sending = Arc::clone(&socket).drive_sending(Arc::clone(&self.counters));
        let task = spawn_local(sending).abort_handle();
        Ok((socket.local, Some(socket), task))
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
