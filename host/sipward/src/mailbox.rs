//! How shards reach each other: bounded queues of letters.
//!
//! A message that arrives on a worker that does not own its call is handed over
//! once. When the owner's box is full the message is dropped and counted: SIP
//! over UDP retransmits, and a queue that grows helps nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use transport::Inbound;

use crate::snapshot::Snapshot;
use crate::status::ShardFigures;

/// Letters waiting at one shard; a tenth of a second of the most that one core
/// can take.
pub const MAILBOX_LETTERS: usize = 4096;

/// What a shard can be told.
pub enum Letter {
    /// A message for a call that this shard owns.
    Inbound(Box<Inbound>),
    /// Use this configuration from now on.
    Install(Arc<Snapshot>, oneshot::Sender<()>),
    /// Tell figures.
    Figures(oneshot::Sender<ShardFigures>),
    /// Take no new calls.
    Drain,
    /// End.
    Stop,
}

/// The sending ends of every shard's mailbox.
#[derive(Clone)]
pub struct Post {
    boxes: Arc<[mpsc::Sender<Letter>]>,
    lost: Arc<AtomicU64>,
    /// Secret, so that nobody can aim all calls at one worker.
    seed: u64,
}

impl Post {
    /// Boxes for `shards` shards: the sending ends, and each one's receiver.
    #[must_use]
    pub fn new(shards: usize, seed: u64) -> (Self, Vec<mpsc::Receiver<Letter>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mpsc::channel(MAILBOX_LETTERS)).unzip();
        (
            Self {
                boxes: senders.into(),
                lost: Arc::default(),
                seed,
            },
            receivers,
        )
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.boxes.len()
    }

    /// The shard that owns every message with this Call-ID.
    #[must_use]
    pub fn owner(&self, call_id: &[u8]) -> usize {
        use std::hash::{BuildHasher, Hasher};
        if self.boxes.len() < 2 {
            return 0;
        }
        let mut hasher = foldhash::quality::FixedState::with_seed(self.seed).build_hasher();
        hasher.write(call_id);
        (hasher.finish() % self.boxes.len() as u64) as usize
    }

    /// Hand a letter to a shard; lost and counted if its box is full.
    pub fn try_send(&self, shard: usize, letter: Letter) {
        let delivered = self
            .boxes
            .get(shard)
            .is_some_and(|mailbox| mailbox.try_send(letter).is_ok());
        if !delivered {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hand a letter to a shard, waiting for room. False if the shard ended.
    pub async fn send(&self, shard: usize, letter: Letter) -> bool {
        match self.boxes.get(shard) {
            Some(mailbox) => mailbox.send(letter).await.is_ok(),
            None => false,
        }
    }

    /// Letters lost because a box was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
