//! One worker thread: a current-thread runtime with the transport's tasks and the
//! timers of one shard.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sip_transaction::TransactionId;
use tokio::sync::oneshot;
use transport::{
    BindError, Inbound, Inbox, ListenerConfig, Received, SendError, Sender, SharedTransport,
    Worker, WorkerHandle,
};

use crate::shards::{Shards, Work};

/// What is still being written when a worker ends gets this long.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A worker whose thread runs, but whose listeners are not open yet.
pub(crate) struct Waiting {
    thread: JoinHandle<()>,
    orders: oneshot::Sender<Orders>,
    ready: std::sync::mpsc::Receiver<Result<WorkerHandle, BindError>>,
    pub(crate) sender: Sender,
}

struct Orders {
    index: usize,
    shards: Arc<Shards>,
    listeners: Vec<ListenerConfig>,
    stop: oneshot::Receiver<()>,
}

/// A worker that is running.
pub(crate) struct Running {
    pub(crate) thread: JoinHandle<()>,
    pub(crate) transport: WorkerHandle,
    pub(crate) stop: oneshot::Sender<()>,
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread or its runtime could not be made.
    #[error("failed to start a worker thread: {0}")]
    Thread(#[from] std::io::Error),
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The thread ended before it was ready.
    #[error("a worker thread ended at once")]
    Ended,
}

/// Start a worker's thread. Its shard can be made once its sender is known.
///
/// # Errors
/// See [`StartError`].
pub(crate) fn prepare(index: usize, shared: &Arc<SharedTransport>) -> Result<Waiting, StartError> {
    let (orders, ordered) = oneshot::channel();
    let (tell_ready, ready) = std::sync::mpsc::channel();
    let (tell_sender, senders) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new()
        .name(format!("sip-{index}"))
        .spawn(move || {
            scheduling::prompt();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let worker = Worker::new(&shared);
                // Whoever started this thread waits for both; if not, there is
                // nobody to work for.
                let _nobody = tell_sender.send(worker.sender());
                if let Ok(orders) = ordered.await {
                    live(worker, orders, &tell_ready).await;
                }
            });
        })?;
    Ok(Waiting {
        thread,
        orders,
        ready,
        sender: senders.recv().map_err(|_| StartError::Ended)?,
    })
}

impl Waiting {
    /// Open the listeners.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(crate) fn begin(
        self,
        index: usize,
        shards: &Arc<Shards>,
        listeners: &[ListenerConfig],
    ) -> Result<Running, StartError> {
        let (stop, stopped) = oneshot::channel();
        let orders = Orders {
            index,
            shards: Arc::clone(shards),
            listeners: listeners.to_vec(),
            stop: stopped,
        };
        self.orders.send(orders).map_err(|_| StartError::Ended)?;
        let transport = self.ready.recv().map_err(|_| StartError::Ended)??;
        Ok(Running {
            thread: self.thread,
            transport,
            stop,
        })
    }
}

/// The transport's way to the shards.
struct Entrance {
    index: usize,
    shards: Arc<Shards>,
}

impl Inbox for Entrance {
    fn deliver(&self, inbound: Inbound) {
        let owner = match &inbound.what {
            Received::Message(message) => self.shards.owner(message.call_id()),
            Received::Invalid(_) => self.index,
        };
        self.shards.give(owner, Work::Inbound(inbound));
    }

    fn failed(&self, transaction: TransactionId, error: SendError) {
        tracing::debug!(%transaction, %error, "message did not leave");
        // A shard sends by the sockets of its own worker.
        self.shards.give(self.index, Work::Failed(transaction));
    }
}

type Ready = std::sync::mpsc::Sender<Result<WorkerHandle, BindError>>;

async fn live(mut worker: Worker, orders: Orders, ready: &Ready) {
    let Orders {
        index,
        shards,
        listeners,
        stop,
    } = orders;
    let entrance = Entrance {
        index,
        shards: Arc::clone(&shards),
    };
    let started = worker.start(&listeners, entrance).map(|()| worker.handle());
    let failed = started.is_err();
    // As above: somebody waits for this.
    let _nobody = ready.send(started);
    if failed {
        return;
    }
    tokio::select! {
        () = shards.drive_timers(index) => {}
        // An error means that nobody is left who could say more.
        _ = stop => {}
    }
    worker.shutdown(LAST_WORDS).await;
}
