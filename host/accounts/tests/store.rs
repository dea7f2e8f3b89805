//! The store's file: keys, damage, permissions, and writers that are killed.

#![expect(clippy::unwrap_used, reason = "a failed step ends a test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use accounts::{Ages, Book, Enrolment, NewPassword, SealError, StoreError, StoreFile, StoreKey};

const NOW: u64 = 1_700_000_000_000;
const FOLDER: &str = "ACCOUNTS_KILL_TEST_FOLDER";

fn key(digit: &str) -> StoreKey {
    StoreKey::from_text(&digit.repeat(64), "test").unwrap()
}

fn store(folder: &Path) -> StoreFile {
    StoreFile::new(&folder.join("accounts"), key("a"))
}

fn add(store: &StoreFile, user: &str) -> String {
    let enrolment = Enrolment {
        user,
        realms: &["pbx"],
        groups: &["staff"],
        max_age_days: None,
    };
    let added: Result<_, Box<dyn std::error::Error>> =
        store.change(|book| Ok(book.add(enrolment, NewPassword::Generated, NOW)?));
    added.unwrap().unwrap().to_string()
}

fn users(book: &Book) -> Vec<String> {
    let all = book.summaries(&Ages::default(), NOW);
    all.into_iter().map(|one| one.user).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_written_is_read_and_nothing_of_it_is_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(matches!(store.read(), Err(StoreError::Missing(_))));
    let never: Result<(), StoreError> = store.change(|_| Ok(()));
    assert!(matches!(never, Err(StoreError::Missing(_))));
    store.create().unwrap();
    assert!(matches!(store.create(), Err(StoreError::Exists(_))));
    let password = add(&store, "alice-the-user");
    add(&store, "bob");
    assert_eq!(users(&store.read().unwrap()), ["alice-the-user", "bob"]);
    let bytes = std::fs::read(folder.path().join("accounts")).unwrap();
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(!has("alice-the-user") && !has(&password) && !has("realm"));
    assert_eq!(files(folder.path()), ["accounts"]);
    for name in files(folder.path()) {
        let about = std::fs::metadata(folder.path().join(&name)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_refused_change_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.create().unwrap();
    add(&store, "alice");
    let before = std::fs::read(folder.path().join("accounts")).unwrap();
    let refused: Result<(), Box<dyn std::error::Error>> = store.change(|book| {
        book.remove("alice")?;
        Err("changed my mind".into())
    });
    assert_eq!(refused.unwrap_err().to_string(), "changed my mind");
    assert_eq!(
        std::fs::read(folder.path().join("accounts")).unwrap(),
        before
    );
}

#[test]
fn damage_and_other_keys_are_told_and_never_taken_for_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts");
    let store = store(folder.path());
    store.create().unwrap();
    add(&store, "alice");
    let other = StoreFile::new(&path, key("b"));
    let error = other.read().unwrap_err().to_string();
    assert!(
        error.ends_with("it was written with another key"),
        "{error}"
    );
    let sound = std::fs::read(&path).unwrap();
    let cause = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match store.read().unwrap_err() {
            StoreError::Sealed { cause, .. } => cause,
            other => panic!("{other}"),
        }
    };
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(cause(&flipped), SealError::Damaged);
    assert_eq!(cause(&sound[..sound.len() - 1]), SealError::Damaged);
    assert_eq!(cause(b""), SealError::NoStore);
    assert_eq!(cause(b"[accounts]\n"), SealError::NoStore);
    // Nobody changes what he cannot read.
    let change: Result<(), StoreError> = store.change(|_| Ok(()));
    assert!(change.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"[accounts]\n");
    std::fs::write(&path, &sound).unwrap();
    assert_eq!(users(&store.read().unwrap()), ["alice"]);
}

#[test]
fn a_store_larger_than_any_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let file = std::fs::File::create(folder.path().join("accounts")).unwrap();
    file.set_len(accounts::STORE_BYTES + 1).unwrap();
    assert!(matches!(store.read(), Err(StoreError::TooLarge(_))));
    file.set_len(accounts::STORE_BYTES).unwrap();
    assert!(matches!(store.read(), Err(StoreError::Sealed { .. })));
}

#[test]
fn a_new_key_shuts_the_old_one_out_and_passwords_are_still_compared() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    store.create().unwrap();
    let password = add(&store, "alice");
    store.rekey(key("c")).unwrap();
    let path = folder.path().join("accounts");
    assert!(StoreFile::new(&path, key("a")).read().is_err());
    let mut book = StoreFile::new(&path, key("c")).read().unwrap();
    let chosen = NewPassword::Chosen(&password);
    let again = book.rotate("alice", &[], chosen, NOW).unwrap_err();
    assert!(again.to_string().contains("it should replace"), "{again}");
}

/// Root may work on the store of the user who runs the proxy, and must leave it to him.
#[test]
fn whoever_writes_the_store_keeps_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.create().unwrap();
    let path = folder.path().join("accounts");
    // Only root can give files away; for others there is nothing to see here.
    let Ok(()) = std::os::unix::fs::chown(&path, Some(12_345), Some(23_456)) else {
        return;
    };
    add(&store, "alice");
    let about = std::fs::metadata(&path).unwrap();
    assert_eq!((about.uid(), about.gid()), (12_345, 23_456));
}

#[test]
fn writers_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).create().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                for number in 0..10 {
                    add(&store(folder), &format!("user-{writer}-{number}"));
                }
            });
        }
    });
    assert_eq!(store(folder.path()).read().unwrap().len(), 40);
}

/// The child: adds accounts until it is killed, and says which. Does nothing in an
/// ordinary test run.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let store = store(&PathBuf::from(folder));
    let mut out = std::io::stdout();
    let first = store.read().unwrap().len();
    writeln!(out, "\nready").unwrap();
    for number in first.. {
        add(&store, &format!("user-{number:06}"));
        writeln!(out, "added {number}").unwrap();
    }
}

/// A writer that is killed at any moment leaves the store before or after what it was
/// writing, and the next writer goes on.
#[test]
fn kill_9_leaves_the_old_store_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.create().unwrap();
    let mut written = 0;
    for round in 0..25_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().any(|line| line.unwrap() == "ready");
        assert!(ready, "the child came up");
        // Killed at other moments of a writing each time: before the first, and after.
        let waited_for = usize::try_from(round % 3).unwrap();
        let is_added = |line: &String| line.starts_with("added ");
        let mut lines = lines.map_while(Result::ok).filter(is_added);
        let mut told = lines.by_ref().take(waited_for).count();
        std::thread::sleep(Duration::from_micros(round * 370));
        child.kill().unwrap();
        child.wait().unwrap();
        told += lines.count();
        let there = users(&store.read().unwrap());
        let expected: Vec<String> = (0..there.len())
            .map(|number| format!("user-{number:06}"))
            .collect();
        assert_eq!(there, expected);
        let (least, most) = (written + told, written + told + 1);
        assert!(
            (least..=most).contains(&there.len()),
            "{} accounts, {least} were said to be written",
            there.len()
        );
        written = there.len();
    }
    assert!(written > 25, "{written}");
}
