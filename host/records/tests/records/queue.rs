//! The queue on both sides of its limit, and a disk that fails.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use records::lines::LinesConfig;
use records::recorder::{Full, Stage};
use records::{CallRecord, RecordConfig, RecordService};

use super::{alerts, eventually, record, stored, to_sqlite};

fn nobody(_: &[u64]) {}

#[test]
fn records_are_on_the_disk_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let service = RecordService::start(to_sqlite(folder.path()), alerts.desk(), nobody).unwrap();
    let recorder = service.recorder();
    recorder
        .submit(record(recorder.begin()), Stage::Finished, None)
        .unwrap();
    let since = Instant::now();
    eventually("the record is written", || service.figures().written == 1);
    assert_eq!(stored(folder.path()).len(), 1);
    // The promise is a second; a machine with other work gets some more.
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_full_queue_loses_counts_and_alerts_what_nobody_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    // Nothing can be written here, so the queue only fills.
    let lines = folder.path().join("lines");
    let blocked = RecordConfig {
        queue: 3,
        sqlite: None,
        lines: Some(LinesConfig {
            path: lines.clone(),
            file_bytes: 1 << 20,
            files: 2,
        }),
        webhook: None,
    };
    let (confirmed, receipts) = mpsc::channel();
    let confirm = move |got: &[u64]| confirmed.send(got.to_vec()).unwrap();
    let mut service = RecordService::start(blocked, alerts.desk(), confirm).unwrap();
    std::fs::remove_file(&lines).unwrap();
    std::fs::create_dir(&lines).unwrap();
    let recorder = service.recorder();
    recorder
        .submit(record(recorder.begin()), Stage::Finished, Some(1))
        .unwrap();
    eventually("writing fails", || service.figures().failed > 0);
    for _ in 0..3 {
        assert!(recorder.has_room());
        recorder
            .submit(record(recorder.begin()), Stage::Finished, None)
            .unwrap();
    }
    assert!(
        !recorder.has_room(),
        "where records are durable, no call is let in now"
    );
    let one_more = recorder.submit(record(recorder.begin()), Stage::Finished, None);
    assert_eq!(one_more, Err(Full));
    let owed = recorder.submit(record(recorder.begin()), Stage::Finished, Some(2));
    assert_eq!(owed, Ok(()), "this call was let in before");
    assert_eq!(service.figures().lost, 1);
    eventually("both are alerted", || alerts.desk().figures().told >= 2);
    assert!(
        receipts.try_recv().is_err(),
        "nothing is acknowledged that is not written"
    );
    // The operator gives them another place.
    let change = service.prepare(to_sqlite(folder.path())).unwrap();
    service.change(change).unwrap();
    let mut got: Vec<u64> = Vec::new();
    eventually("all are written", || {
        got.extend(receipts.try_iter().flatten());
        service.figures().written == 5
    });
    got.extend(receipts.try_iter().flatten());
    assert_eq!(got, [1, 2]);
    assert_eq!(stored(folder.path()).len(), 5);
    assert!(recorder.has_room());
}

#[test]
fn what_waits_at_the_end_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let mut service =
        RecordService::start(to_sqlite(folder.path()), alerts.desk(), nobody).unwrap();
    let recorder = service.recorder();
    for _ in 0..500 {
        recorder
            .submit(record(recorder.begin()), Stage::Finished, None)
            .unwrap();
    }
    service.stop();
    assert_eq!(stored(folder.path()).len(), 500);
    assert_eq!(service.figures().written, 500);
}

#[test]
fn a_call_under_way_leaves_a_trace_that_the_next_process_closes() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let going = |id: String| {
        Box::new(CallRecord {
            started_ms: Some(5),
            ..*record(id)
        })
    };
    let mut first = RecordService::start(to_sqlite(folder.path()), alerts.desk(), nobody).unwrap();
    let recorder = first.recorder();
    recorder
        .submit(going(recorder.begin()), Stage::UnderWay, None)
        .unwrap();
    first.stop();
    assert_eq!(
        (
            stored(folder.path())[0].end.as_deref(),
            first.figures().written
        ),
        (None, 0)
    );
    // Ids begin with the millisecond of the start.
    std::thread::sleep(Duration::from_millis(5));
    let mut second = RecordService::start(to_sqlite(folder.path()), alerts.desk(), nobody).unwrap();
    let recorder = second.recorder();
    recorder
        .submit(going(recorder.begin()), Stage::UnderWay, None)
        .unwrap();
    eventually("both are there", || stored(folder.path()).len() == 2);
    // A reload opens the file again, and its own calls go on.
    let change = second.prepare(to_sqlite(folder.path())).unwrap();
    second.change(change).unwrap();
    second.stop();
    let mut ends: Vec<_> = stored(folder.path()).into_iter().map(|it| it.end).collect();
    ends.sort();
    assert_eq!(ends, [None, Some("interrupted".into())]);
}
