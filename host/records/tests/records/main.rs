//! Records and alerts through their real threads, files, sockets and processes.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod alerts;
mod http;
mod kill;
mod queue;
mod webhook;

use std::path::Path;
use std::time::{Duration, Instant};

use records::alert::{AlertConfig, AlertService};
use records::service::SqliteConfig;
use records::sqlite::{Filter, Store};
use records::{CallRecord, RecordConfig};

/// Longest wait for anything; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn alerts() -> AlertService {
    AlertService::start(AlertConfig::default()).unwrap()
}

fn to_sqlite(folder: &Path) -> RecordConfig {
    RecordConfig {
        queue: 1_000,
        sqlite: Some(SqliteConfig {
            path: folder.join("records.sqlite"),
            keep: None,
            keep_records: 1_000_000,
        }),
        lines: None,
        webhook: None,
    }
}

fn record(id: String) -> Box<CallRecord> {
    Box::new(CallRecord {
        id,
        call_id: "a@b".to_owned(),
        verdict: "reject".into(),
        ..CallRecord::default()
    })
}

fn stored(folder: &Path) -> Vec<CallRecord> {
    let store = Store::read_only(&folder.join("records.sqlite")).unwrap();
    let all = Filter {
        limit: 100_000,
        ..Filter::default()
    };
    store.find(&all).unwrap()
}
