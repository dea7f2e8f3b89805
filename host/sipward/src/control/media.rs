//! The media relay of the process: started once, before the shards that order it
//! about.

use std::sync::{Arc, OnceLock, Weak};

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use relay::{Relay, RelayHandle};

use crate::assemble::MediaBook;
use crate::config::Media;
use crate::shards::{Shards, Work};

/// Files that the rest of the process may have open: connections, the state, logs.
const OTHER_FILES: u64 = 8_192;

/// The shards, once they are there. The relay and the records start before them.
#[derive(Clone, Default)]
pub(super) struct Recipients(Arc<OnceLock<Weak<Shards>>>);

impl Recipients {
    /// From now on events reach the shards.
    pub(super) fn set(&self, shards: &Arc<Shards>) {
        // Nobody sets it twice.
        let _only_once = self.0.set(Arc::downgrade(shards));
    }

    /// Give a shard something to do. Before they are there, nothing can be for them.
    pub(super) fn post(&self, shard: usize, work: Work) {
        if let Some(shards) = self.0.get().and_then(Weak::upgrade) {
            shards.post(shard, work);
        }
    }
}

/// A relay that runs, and what it was started with.
pub(super) struct MediaService {
    relay: Relay,
    pub(super) book: MediaBook,
    pub(super) started: Media,
}

impl MediaService {
    /// Start the relay. What it reports goes to the shard that owns the session, on
    /// that shard's own thread: media does not wait for signalling.
    pub(super) fn start(
        media: &Media,
        shards: usize,
        recipients: &Recipients,
    ) -> anyhow::Result<Self> {
        let book = MediaBook::new(media, shards)?;
        raise_open_files(book.sockets());
        let recipients = recipients.clone();
        let relay = Relay::start(book.relay(media), move |event| {
            recipients.post(event.session().shard(), Work::Media(event));
        })
        .context("failed to start the media relay")?;
        let fingerprint = relay.handle().fingerprint();
        Ok(Self {
            relay,
            book: book.with_fingerprint(fingerprint),
            started: media.clone(),
        })
    }

    pub(super) fn handle(&self) -> RelayHandle {
        self.relay.handle()
    }
}

/// Each port in use is an open file, and the usual soft limit of 1,024 is not two
/// hundred calls. What cannot be raised shows as ports that cannot be opened.
fn raise_open_files(sockets: u64) {
    let wanted = sockets.saturating_add(OTHER_FILES);
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return tracing::warn!(%error, "cannot read the limit of open files"),
    };
    if soft < wanted.min(hard)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)
    {
        return tracing::warn!(soft, wanted, %error, "cannot raise the limit of open files");
    }
    if hard < wanted {
        tracing::warn!(
            hard,
            wanted,
            "the limit of open files is below what all media ports need; raise LimitNOFILE"
        );
    }
}
