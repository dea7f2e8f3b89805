//! One worker thread: a current-thread runtime with the transport's tasks and
//! one shard.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sip_proxy::{ProxyConfig, ProxyCore};
use sip_transaction::TransactionId;
use tokio::sync::{Notify, mpsc, oneshot};
use transport::{
    BindError, Inbound, Inbox, ListenerConfig, Received, SendError, SharedTransport, Worker,
    WorkerHandle,
};

use crate::challenge::Challenger;
use crate::mailbox::{Letter, Post};
use crate::shard::Shard;
use crate::snapshot::Snapshot;

/// What is still being written when a worker ends gets this long.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a worker is made of.
pub(crate) struct Setup {
    pub(crate) index: usize,
    pub(crate) post: Post,
    pub(crate) mailbox: mpsc::Receiver<Letter>,
    pub(crate) shared: Arc<SharedTransport>,
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) proxy: ProxyConfig,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) challenger: Challenger,
}

/// A worker that is running.
pub(crate) struct Running {
    pub(crate) thread: JoinHandle<()>,
    pub(crate) transport: WorkerHandle,
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

/// Start a worker and wait until its listeners are open.
///
/// # Errors
/// See [`StartError`].
pub(crate) fn start(setup: Setup) -> Result<Running, StartError> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name(format!("sip-{}", setup.index))
        .spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, live(setup, ready));
        })?;
    let transport = is_ready.recv().map_err(|_| StartError::Ended)??;
    Ok(Running { thread, transport })
}

/// The transport's end of a shard.
#[derive(Clone)]
struct ShardInbox {
    index: usize,
    post: Post,
    shard: Rc<RefCell<Shard>>,
    turn: Rc<Turn>,
}

/// When the loop has planned to wake, and the way to wake it before.
#[derive(Default)]
struct Turn {
    planned: RefCell<Option<Instant>>,
    sooner: Notify,
}

impl Turn {
    /// Wake the loop if something is due before it would wake by itself.
    fn consider(&self, deadline: Option<Instant>) {
        let planned = *self.planned.borrow();
        let is_sooner = match (deadline, planned) {
            (Some(deadline), Some(planned)) => deadline < planned,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_sooner {
            *self.planned.borrow_mut() = deadline;
            self.sooner.notify_one();
        }
    }
}

impl Inbox for ShardInbox {
    fn deliver(&self, inbound: Inbound) {
        if let Received::Message(message) = &inbound.what {
            let owner = self.post.owner(message.call_id());
            if owner != self.index {
                self.post
                    .try_send(owner, Letter::Inbound(Box::new(inbound)));
                return;
            }
        }
        let mut shard = self.shard.borrow_mut();
        shard.receive(inbound);
        self.turn.consider(shard.deadline());
    }

    fn failed(&self, transaction: TransactionId, error: SendError) {
        tracing::debug!(%transaction, %error, "message did not leave");
        let mut shard = self.shard.borrow_mut();
        shard.failed(transaction);
        self.turn.consider(shard.deadline());
    }
}

type Ready = std::sync::mpsc::Sender<Result<WorkerHandle, BindError>>;

async fn live(setup: Setup, ready: Ready) {
    let Setup {
        index,
        post,
        mut mailbox,
        shared,
        listeners,
        proxy,
        snapshot,
        challenger,
    } = setup;
    let mut worker = Worker::new(&shared);
    let shard = Shard::new(ProxyCore::new(proxy), snapshot, worker.sender(), challenger);
    let shard = Rc::new(RefCell::new(shard));
    let turn = Rc::new(Turn::default());
    let inbox = ShardInbox {
        index,
        post,
        shard: Rc::clone(&shard),
        turn: Rc::clone(&turn),
    };
    let started = worker.start(&listeners, inbox).map(|()| worker.handle());
    let failed = started.is_err();
    // Whoever started this thread waits for it; if not, there is nobody to tell.
    let _nobody = ready.send(started);
    if failed {
        return;
    }
    loop {
        let deadline = shard.borrow().deadline();
        *turn.planned.borrow_mut() = deadline;
        tokio::select! {
            letter = mailbox.recv() => {
                let Some(letter) = letter else { break };
                if !read(&shard, letter) {
                    break;
                }
            }
            () = turn.sooner.notified() => {}
            () = sleep_until(deadline) => shard.borrow_mut().time_out(),
        }
    }
    worker.shutdown(LAST_WORDS).await;
}

/// Act on a letter; false for the last one.
fn read(shard: &RefCell<Shard>, letter: Letter) -> bool {
    let mut shard = shard.borrow_mut();
    match letter {
        Letter::Inbound(inbound) => shard.receive(*inbound),
        Letter::Install(snapshot, done) => {
            shard.install(snapshot);
            answer(done, ());
        }
        Letter::Figures(wanted) => answer(wanted, shard.figures()),
        Letter::Drain => shard.drain(),
        Letter::Stop => return false,
    }
    true
}

fn answer<T>(to: oneshot::Sender<T>, value: T) {
    // Whoever asked may have stopped waiting.
    let _gone = to.send(value);
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
