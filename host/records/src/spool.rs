//! Records by webhook: POSTs of JSON batches, from a spool on disk that outlives both the
//! process and the receiver's bad days.
//!
//! The writer puts records into the spool as part of writing them; a thread of its own
//! posts the oldest and deletes what was taken. A batch that was taken but not deleted in
//! time is posted again, and the receiver knows it by the records' ids. The body is
//! `{"records": [...]}`, oldest first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, params};

use crate::alert::{Alarm, AlertDesk};
use crate::post::{Post, PostError, Target, TargetError};
use crate::record::CallRecord;
use crate::sqlite::StoreError;

/// Pause after the first failure, doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest pause: a receiver that is back gets its records within minutes.
const RETRY_LONGEST: Duration = Duration::from_secs(300);
/// Failures in a row after which the operator is alerted, about a quarter of a minute:
/// a receiver that restarts is no alert.
const FAILURES_TOLD: u32 = 4;
/// How often the thread looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS spool (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT";

/// Where records are posted and how many may wait.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where to.
    pub target: Target,
    /// The spool's file.
    pub spool: PathBuf,
    /// Records that may wait; further ones are not spooled, but counted and alerted.
    pub spool_max: u64,
    /// Records in one POST; at least 1.
    pub batch: usize,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its spool.
    #[error("spool of the webhook: {0}")]
    Spool(#[from] StoreError),
}

/// What became of records for the webhook.
#[derive(Debug, Default)]
pub struct WebhookCounts {
    /// Records in the spool.
    pub waiting: AtomicU64,
    /// Records that the receiver took.
    pub posted: AtomicU64,
    /// POSTs that failed.
    pub failed: AtomicU64,
    /// Records that the receiver will never take: it says that they are no good.
    pub refused: AtomicU64,
    /// Records that found the spool full.
    pub lost: AtomicU64,
}

/// The writer's end of the spool. The thread that posts ends with it, and leaves what is
/// there to the next.
#[derive(Debug)]
pub(crate) struct Outbox {
    connection: Connection,
    spool_max: u64,
    counts: Arc<WebhookCounts>,
    stop: Arc<Stop>,
    desk: AlertDesk,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: AtomicBool,
    lock: Mutex<bool>,
    news: Condvar,
}

impl Stop {
    /// Waits until the time is over or something was put in; false when it is over for
    /// good.
    fn wait(&self, time: Duration, for_news: bool) -> bool {
        let until = Instant::now() + time;
        let mut news = self.lock.lock();
        let is_over = |news: bool| self.stopped.load(Ordering::Relaxed) || (for_news && news);
        while !is_over(*news) {
            if self.news.wait_until(&mut news, until).timed_out() {
                break;
            }
        }
        *news = false;
        !self.stopped.load(Ordering::Relaxed)
    }

    fn say(&self, stop: bool) {
        let mut news = self.lock.lock();
        *news = true;
        if stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
        drop(news);
        self.news.notify_one();
    }
}

/// Both ends of a webhook, checked, but nothing runs yet.
pub(crate) struct Prepared {
    outbox: Outbox,
    postman: Postman,
}

impl Prepared {
    pub(crate) fn new(
        config: WebhookConfig,
        counts: Arc<WebhookCounts>,
        desk: AlertDesk,
    ) -> Result<Self, WebhookError> {
        let post = Post::new(config.target)?;
        let stop = Arc::new(Stop::default());
        let outbox = Outbox {
            connection: open(&config.spool)?,
            spool_max: config.spool_max,
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
            desk: desk.clone(),
        };
        let postman = Postman {
            connection: open(&config.spool)?,
            post,
            batch: config.batch.max(1),
            counts,
            stop,
            desk,
        };
        Ok(Self { outbox, postman })
    }

    /// Post from now on, as soon as `before` has ended: two would post everything twice.
    pub(crate) fn start(
        self,
        before: Option<JoinHandle<()>>,
    ) -> std::io::Result<(Outbox, JoinHandle<()>)> {
        let postman = self.postman;
        let thread = std::thread::Builder::new()
            .name("records-post".to_owned())
            .spawn(move || {
                scheduling::patient();
                if before.is_some_and(|before| before.join().is_err()) {
                    tracing::error!("the thread that posted records panicked");
                }
                postman.run();
            })?;
        Ok((self.outbox, thread))
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = crate::sqlite::open_file(path)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM spool", [], |row| row.get(0))
}

impl Outbox {
    /// Put records in; they are on the disk when this returns.
    pub(crate) fn write<'r>(
        &mut self,
        records: impl Iterator<Item = &'r CallRecord>,
    ) -> Result<(), StoreError> {
        let change = self.connection.transaction()?;
        let mut waiting = count(&change)?;
        let mut lost = 0_u64;
        {
            let mut insert = change.prepare_cached("INSERT INTO spool (body) VALUES (?)")?;
            for record in records {
                if waiting >= self.spool_max {
                    lost += 1;
                    continue;
                }
                insert.execute(params![serde_json::to_string(record)?])?;
                waiting += 1;
            }
        }
        change.commit()?;
        self.counts.waiting.store(waiting, Ordering::Relaxed);
        self.stop.say(false);
        if lost > 0 {
            self.counts.lost.fetch_add(lost, Ordering::Relaxed);
            let text = format!("{lost} call records do not go to the webhook: its spool is full");
            self.desk
                .raise(Alarm::of_host("records-webhook-full", text));
        }
        Ok(())
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.stop.say(true);
    }
}

/// The thread that posts.
struct Postman {
    connection: Connection,
    post: Post,
    batch: usize,
    counts: Arc<WebhookCounts>,
    stop: Arc<Stop>,
    desk: AlertDesk,
}

impl Postman {
    fn run(mut self) {
        let mut failures = 0_u32;
        let mut size = self.batch;
        // What an earlier process left.
        let left = count(&self.connection).unwrap_or_default();
        self.counts.waiting.store(left, Ordering::Relaxed);
        loop {
            match self.round(&mut size) {
                Ok(Round::Nothing) => {
                    if !self.stop.wait(LOOK_EVERY, true) {
                        return;
                    }
                }
                Ok(Round::Went) => {
                    failures = 0;
                    if self.stop.stopped.load(Ordering::Relaxed) {
                        return;
                    }
                }
                Err(problem) => {
                    failures = failures.saturating_add(1);
                    self.failed(failures, &problem);
                    let pause = RETRY_FIRST * 2_u32.saturating_pow(failures.min(16) - 1);
                    if !self.stop.wait(pause.min(RETRY_LONGEST), false) {
                        return;
                    }
                }
            }
        }
    }

    fn failed(&self, failures: u32, problem: &str) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        let host = self.post.host();
        tracing::warn!(
            host,
            failures,
            problem,
            "call records cannot be posted; trying again"
        );
        if failures == FAILURES_TOLD {
            let text = format!("call records cannot be posted to {host}: {problem}");
            self.desk
                .raise(Alarm::of_host("records-webhook-failing", text));
        }
    }

    /// Post the oldest records.
    fn round(&mut self, size: &mut usize) -> Result<Round, String> {
        let database = |error: rusqlite::Error| format!("spool: {error}");
        let rows = self.oldest(*size).map_err(database)?;
        let Some((last, _)) = rows.last() else {
            return Ok(Round::Nothing);
        };
        let last = *last;
        let bodies: Vec<&str> = rows.iter().map(|(_, body)| body.as_str()).collect();
        let body = format!("{{\"records\":[{}]}}", bodies.join(","));
        let took = match self.post.send("application/json", body.as_bytes()) {
            Ok(()) => &self.counts.posted,
            // One of them is no good: find it, and let the others through.
            Err(error) if error.is_about_the_body() && rows.len() > 1 => {
                *size = rows.len() / 2;
                return Ok(Round::Went);
            }
            Err(error @ PostError::Status(_)) if error.is_about_the_body() => {
                tracing::error!(host = self.post.host(), %error, "the webhook refuses a call record");
                &self.counts.refused
            }
            Err(error) => return Err(error.to_string()),
        };
        self.delete(last).map_err(database)?;
        took.fetch_add(rows.len() as u64, Ordering::Relaxed);
        *size = self.batch.min(size.saturating_mul(2));
        let waiting = count(&self.connection).map_err(database)?;
        self.counts.waiting.store(waiting, Ordering::Relaxed);
        Ok(Round::Went)
    }

    fn oldest(&self, size: usize) -> rusqlite::Result<Vec<(i64, String)>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT n, body FROM spool ORDER BY n LIMIT ?")?;
        let rows = select.query_map(params![size], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    fn delete(&self, last: i64) -> rusqlite::Result<usize> {
        self.connection
            .execute("DELETE FROM spool WHERE n <= ?", params![last])
    }
}

enum Round {
    Went,
    Nothing,
}
