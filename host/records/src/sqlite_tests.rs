//! Records in a real file.

use super::*;
use crate::record::{Points, StreamRecord};

fn record(number: u64) -> CallRecord {
    CallRecord {
        id: format!("a.{number}"),
        at_ms: 1_000 * number,
        number: Some(1 << 63 | number),
        call_id: format!("call-{number}@example.com"),
        method: "INVITE".to_owned(),
        identity: number.is_multiple_of(2).then(|| "alice".to_owned()),
        verdict: "admit".into(),
        started_ms: Some(1_000 * number + 1),
        score: -3,
        points: vec![Points {
            plugin: "fraud".to_owned(),
            amount: -3,
            reason: "known \"number\"".to_owned(),
        }],
        annotations: vec![("class".to_owned(), "mobile".to_owned())],
        ..CallRecord::default()
    }
}

fn finished(number: u64) -> CallRecord {
    CallRecord {
        ended_ms: Some(99),
        lasted_ms: Some(42),
        end: Some("bye".into()),
        status: Some(200),
        media: vec![StreamRecord {
            side: "caller".into(),
            packets: 5,
            mos: Some(4.38),
            rejected: [("source".to_owned(), 2)].into(),
            ..StreamRecord::default()
        }],
        ..record(number)
    }
}

fn all() -> Filter {
    Filter {
        limit: 100,
        ..Filter::default()
    }
}

#[test]
fn what_is_written_is_read_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/records.sqlite");
    let mut store = Store::open(&file).unwrap();
    store.write(&[record(1), record(2)]).unwrap();
    store.write(&[finished(1)]).unwrap();
    drop(store);
    let store = Store::read_only(&file).unwrap();
    assert_eq!(store.find(&all()).unwrap(), [record(2), finished(1)]);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn filters_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("r")).unwrap();
    store
        .write(&(1..=9).map(record).collect::<Vec<_>>())
        .unwrap();
    let found = |filter: Filter| -> Vec<u64> {
        let found = store.find(&filter).unwrap();
        found.iter().map(|record| record.at_ms / 1_000).collect()
    };
    let identity = Some("alice".to_owned());
    assert_eq!(
        found(Filter {
            identity: identity.clone(),
            ..all()
        }),
        [8, 6, 4, 2]
    );
    assert_eq!(
        found(Filter {
            identity,
            since_ms: Some(4_000),
            limit: 2,
            ..all()
        }),
        [8, 6]
    );
    assert_eq!(
        found(Filter {
            since_ms: Some(8_000),
            ..all()
        }),
        [9, 8]
    );
    assert_eq!(
        found(Filter {
            since_ms: Some(8_001),
            ..all()
        }),
        [9]
    );
    let call_id = Some("call-3@example.com".to_owned());
    assert_eq!(found(Filter { call_id, ..all() }), [3]);
    let verdict = Some("reject' OR 1 --".to_owned());
    assert_eq!(found(Filter { verdict, ..all() }), [0_u64; 0]);
    assert_eq!(found(Filter { limit: 0, ..all() }), [0_u64; 0]);
}

#[test]
fn only_calls_of_dead_processes_are_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("r")).unwrap();
    let mut own = record(3);
    own.id = "b.1".to_owned();
    let mut refused = record(4);
    refused.started_ms = None;
    store
        .write(&[record(1), finished(2), own, refused])
        .unwrap();
    assert_eq!(store.settle_interrupted("b.").unwrap(), 1);
    let ends: Vec<_> = store
        .find(&all())
        .unwrap()
        .into_iter()
        .map(|it| it.end)
        .collect();
    assert_eq!(
        ends,
        [None, None, Some("bye".into()), Some("interrupted".into())]
    );
}

#[test]
fn old_and_surplus_records_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("r")).unwrap();
    store
        .write(&(1..=9).map(finished).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(store.trim(0, 9).unwrap(), 0, "all may stay");
    assert_eq!(
        store.trim(3_000, 9).unwrap(),
        2,
        "the third is as old as may be"
    );
    assert_eq!(store.trim(0, 4).unwrap(), 3);
    let left: Vec<u64> = store
        .find(&all())
        .unwrap()
        .iter()
        .map(|it| it.at_ms)
        .collect();
    assert_eq!(left, [9_000, 8_000, 7_000, 6_000]);
}

#[test]
fn a_later_layout_is_refused_and_garbage_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r");
    let store = Store::open(&file).unwrap();
    store
        .connection
        .pragma_update(None, "user_version", LAYOUT + 1)
        .unwrap();
    drop(store);
    let is_newer =
        |opened| matches!(opened, Err(StoreError::Newer { found, .. }) if found == LAYOUT + 1);
    assert!(is_newer(Store::open(&file)));
    assert!(is_newer(Store::read_only(&file)));
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "no database, and longer than a header of one hundred bytes, which is what SQLite looks at first, I believe").unwrap();
    assert!(Store::open(&garbage).is_err());
}

#[test]
fn stages_are_kept_beside_their_record_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r");
    let mut store = Store::open(&file).unwrap();
    let stage = StageRecord {
        plugin: "acl".to_owned(),
        verdict: "next".into(),
        reason: "known".to_owned(),
        micros: 3,
    };
    let with = |number| CallRecord {
        stages: vec![stage.clone()],
        ..record(number)
    };
    store.write(&[with(1), with(2), record(3)]).unwrap();
    store.write(&[with(1)]).unwrap();
    assert_eq!(store.stages("a.1").unwrap(), std::slice::from_ref(&stage));
    assert_eq!(store.stages("a.3").unwrap(), []);
    assert_eq!(store.stages("a.4").unwrap(), []);
    store.trim(1_500, u64::MAX).unwrap();
    assert_eq!(store.stages("a.1").unwrap(), []);
    assert_eq!(store.stages("a.2").unwrap(), [stage]);
}

#[test]
fn a_file_without_stages_is_read_and_gets_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r");
    drop(Store::open(&file).unwrap());
    let older = Connection::open(&file).unwrap();
    older
        .execute_batch("DROP TRIGGER stages_of_call; DROP TABLE stages;")
        .unwrap();
    drop(older);
    let store = Store::read_only(&file).unwrap();
    assert_eq!(store.stages("a.1").unwrap(), []);
    drop(store);
    let mut store = Store::open(&file).unwrap();
    store.write(&[record(1)]).unwrap();
    assert_eq!(store.find(&all()).unwrap(), [record(1)]);
}

#[test]
fn the_first_layout_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r");
    let mut store = Store::open(&file).unwrap();
    store.write([&record(1)]).unwrap();
    store
        .connection
        .execute_batch("ALTER TABLE calls DROP COLUMN versions")
        .unwrap();
    store
        .connection
        .pragma_update(None, "user_version", WITHOUT_VERSIONS)
        .unwrap();
    drop(store);
    let old = Store::read_only(&file).unwrap().find(&all()).unwrap();
    assert!(old.len() == 1 && old[0].versions.is_empty());
    let mut store = Store::open(&file).unwrap();
    assert_eq!(layout(&store.connection).unwrap(), LAYOUT);
    let mut judged = record(2);
    judged.versions.push(crate::record::PluginVersion {
        plugin: "door".to_owned(),
        version: "1.2.0".to_owned(),
        candidate: true,
    });
    store.write([&judged]).unwrap();
    drop(store);
    let found = Store::open(&file).unwrap().find(&all()).unwrap();
    let versions = |id: &str| {
        let mut records = found.iter();
        let record = records.find(|record| record.id == id).unwrap();
        record.versions.clone()
    };
    assert_eq!(versions(&judged.id), judged.versions);
    assert!(versions(&record(1).id).is_empty());
}
