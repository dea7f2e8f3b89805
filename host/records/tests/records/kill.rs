//! `kill -9` in the middle of a load of records: none is lost that was acknowledged.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use records::lines::LinesConfig;
use records::recorder::Stage;
use records::{CallRecord, RecordConfig, RecordService};

use super::{alerts, record, stored, to_sqlite};

/// Says to the child where to write.
const FOLDER: &str = "RECORDS_TEST_FOLDER";
/// Processes killed one after the other, over the same files.
const DEATHS: usize = 4;

fn config(folder: &Path) -> RecordConfig {
    RecordConfig {
        lines: Some(LinesConfig {
            path: folder.join("records.jsonl"),
            file_bytes: 1 << 30,
            files: 2,
        }),
        ..to_sqlite(folder)
    }
}

/// Writes records as fast as it can and says which are acknowledged, until it is killed.
#[test]
#[ignore = "the process that the test below kills"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let alerts = alerts();
    let confirm = |receipts: &[u64]| {
        let said: String = receipts.iter().map(|it| format!("ack {it:x}\n")).collect();
        std::io::stdout().write_all(said.as_bytes()).unwrap();
    };
    let service = RecordService::start(config(&folder), alerts.desk(), confirm).unwrap();
    let recorder = service.recorder();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let id = recorder.begin();
                    let serial = id.split_once('.').unwrap().1;
                    let receipt = u64::from_str_radix(serial, 16).unwrap();
                    let going = record(id.clone());
                    let _given_up = recorder.submit(going, Stage::UnderWay, None);
                    recorder
                        .submit(record(id), Stage::Finished, Some(receipt))
                        .unwrap();
                    while !recorder.has_room() {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
            });
        }
    });
}

/// Starts the child, kills it after so many acknowledgements, and returns them.
fn live_and_die(folder: &Path, acknowledged: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let mut note = |line: &str| {
        // The harness writes its own words before the first of the child's.
        if let Some((_, serial)) = line.split_once("ack ") {
            said.push(serial.to_owned());
        }
        said.len()
    };
    while note(&lines.next().unwrap().unwrap()) < acknowledged {}
    child.kill().unwrap();
    child.wait().unwrap();
    // What was said until the end counts as well, if it was said whole.
    for line in lines.map_while(Result::ok) {
        note(&line);
    }
    said
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for death in 0..DEATHS {
        let said = live_and_die(folder.path(), 300 + 700 * death);
        let rows: HashSet<String> = stored(folder.path()).into_iter().map(|it| it.id).collect();
        // The newest process has the latest prefix of all.
        let own = rows
            .iter()
            .filter_map(|id| id.split_once('.'))
            .max_by_key(|(own, _)| u64::from_str_radix(own, 16).unwrap())
            .unwrap()
            .0;
        all.extend(said.into_iter().map(|serial| format!("{own}.{serial}")));
        let lost: Vec<_> = all.iter().filter(|id| !rows.contains(*id)).collect();
        assert!(
            lost.is_empty(),
            "in SQLite: {} of {}",
            lost.len(),
            all.len()
        );
        let text = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
        let in_lines: HashSet<String> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<CallRecord>(line).ok())
            .map(|record| record.id)
            .collect();
        let lost = all.iter().filter(|id| !in_lines.contains(*id)).count();
        assert_eq!(lost, 0, "in lines, of {}", all.len());
    }
    assert!(all.len() >= 300 * DEATHS);
    // Only the last line of a dead process can be cut off, and the next one removes it.
    let text = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let broken = text.lines().rev().skip(1);
    let broken = broken.filter(|line| serde_json::from_str::<CallRecord>(line).is_err());
    assert_eq!(broken.count(), 0);
}
