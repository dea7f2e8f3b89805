//! Every message of RFC 4475 and RFC 5118 has a row here that says what becomes of it. The files
//! are read where they are present; a file without a row fails the test.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sip_message::{Anomalies, Limits, Message, ParseErrorKind};

/// What must become of a message.
enum Expect {
    /// Accepted, with exactly these oddities, and the facts hold.
    Accept(Anomalies, fn(&Message)),
    /// Refused for this reason; answered with this status, or with silence.
    Refuse(fn(&ParseErrorKind) -> bool, Option<u16>),
}

/// Nothing odd.
const NONE: Anomalies = Anomalies::NONE;
const COMPACT: Anomalies = Anomalies::COMPACT_FORM;
const FEED: Anomalies = Anomalies::BARE_LINE_FEED;

fn both(one: Anomalies, two: Anomalies) -> Anomalies {
    one | two
}

/// A refusal for this reason, answered with this status or not at all.
macro_rules! refuse {
    ($pattern:pat, $status:expr) => {
        crate::Expect::Refuse(|kind| matches!(kind, $pattern), $status)
    };
}

mod rfc4475;
mod rfc5118;

fn corpus(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/corpus")
        .join(folder);
    path.is_dir().then_some(path)
}

fn parse(bytes: Vec<u8>) -> Result<Message, sip_message::ParseError> {
    Message::parse_datagram(Bytes::from(bytes), &Limits::default())
}

fn check(name: &str, bytes: Vec<u8>, expect: &Expect) {
    match (parse(bytes), expect) {
        (Ok(message), Expect::Accept(anomalies, facts)) => {
            assert_eq!(message.anomalies(), *anomalies, "{name}");
            facts(&message);
            // The normalised view is clean, and reading it again gives the same bytes.
            let again = parse(message.bytes().to_vec())
                .unwrap_or_else(|error| panic!("{name} again: {error}"));
            assert_eq!(again.bytes(), message.bytes(), "{name}");
            let head = &again.bytes()[..again.bytes().len() - again.body().len()];
            assert!(
                !head
                    .windows(2)
                    .any(|pair| pair[1] == b'\n' && pair[0] != b'\r'),
                "{name}"
            );
        }
        (Err(error), Expect::Refuse(reason, status)) => {
            assert!(reason(error.reason()), "{name}: {:?}", error.reason());
            assert_eq!(error.status(), *status, "{name}: {error}");
            let response = error.response(b"t1");
            assert_eq!(response.is_some(), status.is_some(), "{name}");
            if let (Some(response), Some(status)) = (response, status) {
                assert!(
                    response.starts_with(format!("SIP/2.0 {status} ").as_bytes()),
                    "{name}"
                );
            }
        }
        (Ok(message), Expect::Refuse(..)) => {
            panic!("{name} was accepted with {:?}", message.anomalies())
        }
        (Err(error), Expect::Accept(..)) => panic!("{name} was refused: {error}"),
    }
}

fn run(folder: &str, rows: &[(&str, Expect)], read: fn(Vec<u8>) -> Vec<u8>) {
    let known: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(known.len(), rows.len(), "a row stands twice");
    let Some(path) = corpus(folder) else { return };
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&path).expect("the corpus can be listed") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a plain name");
        assert!(known.contains(name.as_str()), "{folder}/{name} has no row");
        files.insert(name);
    }
    for (name, expect) in rows {
        assert!(
            files.contains(*name),
            "{folder}/{name} has a row and no file"
        );
        check(
            name,
            read(fs::read(path.join(name)).expect("the file can be read")),
            expect,
        );
    }
}

#[test]
fn rfc4475() {
    let rows = rfc4475::rows();
    assert_eq!(rows.len(), 50);
    run("rfc4475", &rows, |bytes| bytes);
}

#[test]
fn rfc5118_as_published_with_bare_line_feeds() {
    let rows = rfc5118::rows(FEED);
    assert_eq!(rows.len(), 12);
    run("rfc5118", &rows, |bytes| bytes);
}

#[test]
fn rfc5118_with_the_line_ends_and_lengths_it_means() {
    run("rfc5118", &rfc5118::rows(NONE), |bytes| {
        let text = String::from_utf8(bytes)
            .expect("text")
            .replace('\n', "\r\n");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return text.into_bytes();
        };
        let lines = head
            .split("\r\n")
            .filter(|line| !line.starts_with("Content-Length"));
        let head = lines.collect::<Vec<_>>().join("\r\n");
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
}
