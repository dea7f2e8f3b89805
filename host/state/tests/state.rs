//! Counters and key-value through the public interface, in memory and on disk.

#![expect(clippy::unwrap_used, reason = "a failed step ends a test")]

use std::path::Path;

use state::{CounterError, Durability, KvError, Limits, State, StateError};

const NOW: u64 = 1_700_000_000_000;

fn open(directory: &Path) -> State {
    State::open(Some(directory), Limits::default(), NOW).unwrap()
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn windows_count_expire_and_reset() {
    let state = State::open(None, Limits::default(), NOW).unwrap();
    let add = |amount, now| state.add("p", "failures", b"bob", amount, 1_000, false, now);
    assert_eq!(add(0, NOW), Ok(0));
    assert_eq!(state.figures().windows, 0, "reading makes no entry");
    assert_eq!(add(2, NOW), Ok(2));
    assert_eq!(add(1, NOW + 500), Ok(3));
    assert_eq!(
        state.add("q", "failures", b"bob", 0, 1_000, false, NOW),
        Ok(0),
        "other scope"
    );
    assert_eq!(
        state.add("p", "failure", b"sbob", 0, 1_000, false, NOW),
        Ok(0),
        "other name"
    );
    state.reset("p", "failures", b"bob").unwrap();
    assert_eq!(add(0, NOW + 500), Ok(0));
    add(1, NOW).unwrap();
    for _ in 0..16 {
        state.sweep(NOW + 1_999);
    }
    assert_eq!(state.figures().windows, 1);
    for _ in 0..16 {
        state.sweep(NOW + 2_000);
    }
    assert_eq!(state.figures().windows, 0);
}

#[test]
fn parts_outside_their_bounds_are_invalid() {
    let limits = Limits {
        window_ms: 1_000,
        value_bytes: 10,
        ..Limits::default()
    };
    let state = State::open(None, limits, NOW).unwrap();
    let add = |window| state.add("p", "n", b"k", 1, window, true, NOW);
    assert_eq!(add(1_000), Ok(1));
    assert_eq!(add(1_001), Err(CounterError::Invalid));
    assert_eq!(add(0), Err(CounterError::Invalid));
    assert_eq!(
        state.take("p", "n", b"k", 1, 0, 1, NOW),
        Err(CounterError::Invalid)
    );
    assert_eq!(
        state.take("p", "n", b"k", 3, 2, 1, NOW),
        Err(CounterError::Invalid)
    );
    assert!(state.take("p", "n", b"k", 2, 2, 1, NOW).unwrap().taken);
    assert_eq!(state.set("p", "k", &[0; 10], 0, NOW), Ok(()));
    assert_eq!(state.set("p", "k", &[0; 11], 0, NOW), Err(KvError::Invalid));
    assert_eq!(state.get("p", "", NOW), Err(KvError::Invalid));
    assert_eq!(state.delete("p", "", NOW), Err(KvError::Invalid));
}

#[test]
fn ceilings_are_per_scope_and_the_dead_make_room() {
    let limits = Limits {
        windows: 3,
        windows_per_scope: 2,
        buckets: 1,
        ..Limits::default()
    };
    let state = State::open(None, limits, NOW).unwrap();
    let add = |scope: &str, key: &[u8], now| state.add(scope, "n", key, 1, 1_000, false, now);
    assert!(add("a", b"1", NOW).is_ok());
    assert!(add("a", b"2", NOW).is_ok());
    assert_eq!(add("a", b"3", NOW), Err(CounterError::Full));
    assert!(add("b", b"1", NOW).is_ok());
    assert_eq!(add("b", b"2", NOW), Err(CounterError::Full));
    assert!(add("a", b"1", NOW).is_ok(), "what is there goes on");
    assert!(add("b", b"2", NOW + 2_000).is_ok());
    assert!(state.take("a", "n", b"1", 1, 1, 1_000, NOW).is_ok());
    assert_eq!(
        state.take("a", "n", b"2", 1, 1, 1_000, NOW),
        Err(CounterError::Full)
    );
    assert!(state.take("a", "n", b"2", 1, 1, 1_000, NOW + 1_000).is_ok());
}

#[test]
fn values_live_until_their_time() {
    let state = State::open(None, Limits::default(), NOW).unwrap();
    state.set("p", "a", b"for ever", 0, NOW).unwrap();
    state.set("p", "b", b"short", 100, NOW).unwrap();
    assert_eq!(state.get("p", "b", NOW + 99).unwrap().unwrap(), "short");
    assert_eq!(state.get("p", "b", NOW + 100), Ok(None));
    assert_eq!(state.delete("p", "b", NOW + 100), Ok(false));
    assert_eq!(state.get("q", "a", NOW), Ok(None));
    assert_eq!(state.get("p", "a", u64::MAX).unwrap().unwrap(), "for ever");
    assert_eq!(state.delete("p", "a", NOW), Ok(true));
    assert_eq!(state.delete("p", "a", NOW), Ok(false));
    assert_eq!(state.figures().values_bytes, 0);
}

#[test]
fn bytes_have_a_ceiling_and_refusal_keeps_the_old_value() {
    let limits = Limits {
        values_per_scope_bytes: 1_000,
        ..Limits::default()
    };
    let state = State::open(None, limits, NOW).unwrap();
    state.set("p", "k", &[1; 800], 0, NOW).unwrap();
    assert_eq!(state.set("p", "l", &[1; 200], 0, NOW), Err(KvError::Full));
    assert_eq!(state.set("p", "k", &[1; 1_000], 0, NOW), Err(KvError::Full));
    assert_eq!(state.get("p", "k", NOW).unwrap().unwrap().len(), 800);
    state.set("p", "k", &[1; 10], 0, NOW).unwrap();
    assert_eq!(state.set("p", "l", &[1; 200], 0, NOW), Ok(()));
}

#[test]
fn what_is_durable_survives_and_what_is_not_does_not() {
    for durability in [Durability::Process, Durability::Disk] {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            durability,
            ..Limits::default()
        };
        let open = || State::open(Some(directory.path()), limits, NOW).unwrap();
        for round in 1..=3u64 {
            let state = open();
            assert_eq!(
                state.add("p", "n", b"kept", 1, 1_000_000, true, NOW),
                Ok(round)
            );
            assert_eq!(
                state.add("p", "n", b"lost", 1, 1_000_000, false, NOW),
                Ok(1)
            );
            state
                .set("p", "k", round.to_string().as_bytes(), 0, NOW)
                .unwrap();
            state.set("p", "gone", b"x", 0, NOW).unwrap();
            state.delete("p", "gone", NOW).unwrap();
            if round == 2 {
                state.checkpoint().unwrap();
            }
        }
        let state = open();
        assert_eq!(state.get("p", "k", NOW).unwrap().unwrap(), "3");
        assert_eq!(state.get("p", "gone", NOW), Ok(None));
        assert_eq!(state.add("p", "n", b"kept", 0, 1_000_000, true, NOW), Ok(3));
        state.reset("p", "n", b"kept").unwrap();
        drop(state);
        assert_eq!(
            open().add("p", "n", b"kept", 0, 1_000_000, true, NOW),
            Ok(0)
        );
    }
}

#[test]
fn what_expired_while_nobody_ran_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    state.add("p", "n", b"k", 1, 1_000, true, NOW).unwrap();
    state.set("p", "k", b"v", 1_000, NOW).unwrap();
    drop(state);
    let later = State::open(Some(directory.path()), Limits::default(), NOW + 2_000).unwrap();
    assert_eq!((later.figures().windows, later.figures().values), (0, 0));
}

#[test]
fn secrets_are_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let secret = open(directory.path()).secret("nonces", NOW).unwrap();
    assert_eq!(
        open(directory.path()).secret("nonces", NOW).unwrap(),
        secret
    );
    assert_ne!(open(directory.path()).secret("other", NOW).unwrap(), secret);
    let memory = State::open(None, Limits::default(), NOW).unwrap();
    assert_ne!(memory.secret("nonces", NOW).unwrap(), secret);
}

#[test]
fn checkpoints_leave_one_snapshot_and_one_journal() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    assert_eq!(files(directory.path()), ["journal.0000000000", "lock"]);
    for round in 1..=3 {
        for id in 0..5_000u32 {
            state
                .add("p", "n", &id.to_be_bytes(), 1, 1_000_000, true, NOW)
                .unwrap();
        }
        state.checkpoint().unwrap();
        assert_eq!(
            files(directory.path()),
            [
                format!("journal.{round:010}"),
                "lock".to_owned(),
                "state.redb".to_owned()
            ]
        );
    }
    drop(state);
    let state = open(directory.path());
    assert_eq!(state.figures().windows, 5_000);
    assert_eq!(
        state.add("p", "n", &77u32.to_be_bytes(), 0, 1_000_000, true, NOW),
        Ok(3)
    );
}

#[test]
fn the_journal_stays_within_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        journal_bytes: 256 << 10,
        ..Limits::default()
    };
    let state = State::open(Some(directory.path()), limits, NOW).unwrap();
    let value = [7; 4_000];
    for round in 0..2_000u32 {
        state
            .set("p", &format!("key{}", round % 20), &value, 0, NOW)
            .unwrap();
        let figures = state.figures();
        assert!(figures.journal_bytes <= limits.journal_bytes, "{figures:?}");
    }
    let figures = state.figures();
    assert!(figures.checkpoints > 5, "{figures:?}");
    assert_eq!(figures.journal_failures, 0);
    drop(state);
    assert_eq!(open(directory.path()).figures().values, 20);
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    let error = State::open(Some(directory.path()), Limits::default(), NOW).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }));
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(state);
    open(directory.path());
}

#[test]
fn threads_lose_no_count() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let state = state.clone();
            scope.spawn(move || {
                for round in 0..2_000u64 {
                    let key = (round % 7).to_be_bytes();
                    state.add("p", "n", &key, 1, 1_000_000, true, NOW).unwrap();
                    if thread == 0 && round % 500 == 0 {
                        state.checkpoint().unwrap();
                    }
                }
            });
        }
    });
    drop(state);
    let state = open(directory.path());
    let sum: u64 = (0..7u64)
        .map(|key| {
            state
                .add("p", "n", &key.to_be_bytes(), 0, 1_000_000, true, NOW)
                .unwrap()
        })
        .sum();
    assert_eq!(sum, 8_000);
}

/// A directory with a snapshot, a journal with records, and both full.
fn populated() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    for id in 0..200u32 {
        state
            .set("p", &format!("key{id}"), &id.to_be_bytes(), 0, NOW)
            .unwrap();
    }
    state.checkpoint().unwrap();
    for id in 200..220u32 {
        state
            .set("p", &format!("key{id}"), &id.to_be_bytes(), 0, NOW)
            .unwrap();
    }
    directory
}

#[test]
fn missing_files_are_never_taken_for_empty() {
    for missing in ["state.redb", "journal.0000000001"] {
        let directory = populated();
        std::fs::remove_file(directory.path().join(missing)).unwrap();
        let error = State::open(Some(directory.path()), Limits::default(), NOW).unwrap_err();
        assert!(matches!(error, StateError::Missing { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(missing) && text.contains("restore the state directory"),
            "{text}"
        );
    }
}

#[test]
fn a_damaged_snapshot_is_an_error_or_harmless_but_never_wrong() {
    let directory = populated();
    let path = directory.path().join("state.redb");
    let whole = std::fs::read(&path).unwrap();
    // The panic of an assertion in the store is expected and caught; it need not
    // be printed each time.
    std::panic::set_hook(Box::new(|_| {}));
    // Most of a small store's file is unused; aim at what is not.
    let used: Vec<usize> = (0..whole.len())
        .step_by(64)
        .filter(|&at| {
            whole[at..whole.len().min(at + 64)]
                .iter()
                .any(|&byte| byte != 0)
        })
        .collect();
    let mut refused = 0;
    for step in 0..60 {
        let mut bytes = whole.clone();
        let at = used[step * used.len() / 60];
        let end = (at + 8).min(bytes.len());
        for byte in &mut bytes[at..end] {
            *byte ^= 0x5a;
        }
        std::fs::write(&path, &bytes).unwrap();
        match State::open(Some(directory.path()), Limits::default(), NOW) {
            Ok(state) => {
                for id in 0..220u32 {
                    let value = state.get("p", &format!("key{id}"), NOW).unwrap().unwrap();
                    assert_eq!(*value, id.to_be_bytes(), "at {at}");
                }
            }
            Err(error) => {
                assert!(matches!(error, StateError::Damaged { .. }), "{error}");
                assert!(error.to_string().contains("state.redb"), "{error}");
                refused += 1;
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(refused > 5, "only {refused} of 60 were noticed");
    for length in [0, 1, 100, 4_096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        match State::open(Some(directory.path()), Limits::default(), NOW) {
            Ok(state) => assert_eq!(state.figures().values, 220, "length {length}"),
            Err(error) => assert!(error.to_string().contains("state.redb"), "{error}"),
        }
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(open(directory.path()).figures().values, 220);
}

#[test]
fn files_are_for_the_service_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    let state = open(&directory);
    state.checkpoint().unwrap();
    for name in files(&directory) {
        let mode = std::fs::metadata(directory.join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}
