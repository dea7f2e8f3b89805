//! Lists as operators write them, and what is found in them.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::collections::BTreeMap;

use lists::{Entry, LineProblem, List, ListError, ListLimits};
use proptest::prelude::*;

fn list(text: &str) -> List {
    List::parse(text.as_bytes(), ListLimits::default()).unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], limits: ListLimits, message: &str) -> ListError {
    let error = List::parse(bytes, limits).unwrap_err();
    assert_eq!(error.to_string(), message);
    error
}

#[test]
fn entries_comments_and_white_space() {
    let list = list(
        "\u{feff}# prices, in thousandths\r\n\
         \r\n\
         +49=12\n\
         \t +491 =  35  # mobile\n\
         +4930\n\
         a key = a value = with more\n\
           # indented\n",
    );
    assert_eq!(list.len(), 4);
    assert_eq!(list.find("+49"), Some("12"));
    assert_eq!(
        list.find("+491"),
        Some("35  # mobile"),
        "a comment has its own line"
    );
    assert_eq!(list.find("+4930"), Some(""));
    assert_eq!(list.find("a key"), Some("a value = with more"));
    assert_eq!(list.find("+493"), None);
    assert_eq!(list.find(""), None);
    let keys: Vec<_> = list.iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["+49", "+491", "+4930", "a key"]);
}

#[test]
fn the_longest_prefix_wins_and_none_is_none() {
    let list = list("+4=a\n+49=b\n+4930=c\n+49301=d\n+4930999=e\n+5=f\n");
    for (text, key, value) in [
        ("+4930123", "+49301", "d"),
        ("+49301", "+49301", "d"),
        ("+49302", "+4930", "c"),
        ("+4930998", "+4930", "c"),
        ("+49309991", "+4930999", "e"),
        ("+4931", "+49", "b"),
        ("+48", "+4", "a"),
        ("+5", "+5", "f"),
    ] {
        assert_eq!(
            list.longest_prefix(text),
            Some(Entry { key, value }),
            "{text}"
        );
    }
    for text in ["", "+", "+3", "+6", "4930", "zzz"] {
        assert_eq!(list.longest_prefix(text), None, "{text}");
    }
    assert_eq!(List::default().longest_prefix("+49"), None);
    assert_eq!(List::default().find("+49"), None);
}

#[test]
fn wrong_lines_are_named() {
    let limits = ListLimits::default();
    refused(
        b"a=1\n\n = 2\n",
        limits,
        "line 3: nothing stands before the `=`; write `key = value`, `key`, or `# comment`",
    );
    refused(b"a=1\n\xff=2\n", limits, "line 2: it is not UTF-8");
    refused(
        b"a=1\nb=\x002\n",
        limits,
        "line 2: a control character stands in it",
    );
    refused(
        b"a\x1b[2J=1",
        limits,
        "line 1: a control character stands in it",
    );
    let error = refused(
        b"b=0\na=1\nc=3\n# a\na=2\na=3\nb=9\n",
        limits,
        "line 5: its key stands in line 2 already",
    );
    let twice = LineProblem::Twice { first: 2 };
    assert!(matches!(error, ListError::Line { line: 5, problem } if problem == twice));
    // The same value is a mistake of the same kind: one of the two will be changed.
    refused(
        b"a=1\na=1",
        limits,
        "line 2: its key stands in line 1 already",
    );
}

#[test]
fn each_limit_stands_between_two_lists() {
    let few = ListLimits {
        list_bytes: 32,
        list_entries: 2,
        list_key_bytes: 3,
        list_value_bytes: 4,
    };
    assert_eq!(List::parse(b"abc=1234\nb=1\n# more", few).unwrap().len(), 2);
    refused(
        b"a=1\nb=1\n#\nc=1\n",
        few,
        "line 4: there are more than list_entries = 2 entries",
    );
    refused(
        b"abcd=1",
        few,
        "line 1: the key is longer than list_key_bytes = 3",
    );
    refused(
        b"abc=12345",
        few,
        "line 1: the value is longer than list_value_bytes = 4",
    );
    assert!(List::parse(&[b'\n'; 32], few).unwrap().is_empty());
    refused(&[b'\n'; 33], few, "it is larger than list_bytes = 32");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.txt");
    std::fs::write(&path, [b'\n'; 33]).unwrap();
    let error = List::read(&path, few).unwrap_err();
    assert!(
        matches!(error, ListError::TooLarge { limit: 32 }),
        "{error}"
    );
    std::fs::write(&path, "abc=1").unwrap();
    assert_eq!(List::read(&path, few).unwrap().find("abc"), Some("1"));
    let error = List::read(&folder.path().join("none"), few).unwrap_err();
    assert!(matches!(error, ListError::File(_)), "{error}");
}

#[test]
fn three_hundred_thousand_entries_are_found_and_take_little() {
    let mut text = String::new();
    for number in 0..300_000_u32 {
        text.push_str(&format!("+49{:07} = {}\n", number * 31, number));
    }
    let list = list(&text);
    assert_eq!(list.len(), 300_000);
    for number in (0..300_000_u32).step_by(997) {
        let key = format!("+49{:07}", number * 31);
        let value = number.to_string();
        assert_eq!(list.find(&key), Some(value.as_str()));
        let entry = list.longest_prefix(&format!("{key}123")).unwrap();
        assert_eq!((entry.key, entry.value), (key.as_str(), value.as_str()));
    }
    assert!(list.bytes() < 300_000 * 30, "{} bytes", list.bytes());
}

proptest! {
    #[test]
    fn as_a_map_would_find(
        entries in prop::collection::btree_map("[ab+]{1,6}", "[a-z]{0,3}", 0..40),
        texts in prop::collection::vec("[ab+]{0,9}", 1..40),
    ) {
        let written: String = entries.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let list = list(&written);
        prop_assert_eq!(list.len(), entries.len());
        for text in &texts {
            prop_assert_eq!(list.find(text), entries.get(text).map(String::as_str));
            prop_assert_eq!(list.longest_prefix(text).map(|it| (it.key, it.value)), longest(&entries, text));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,20}") {
        if let Ok(list) = List::parse(&bytes, ListLimits::default()) {
            let _found = (list.find(&text), list.longest_prefix(&text));
            for entry in list.iter() {
                prop_assert_eq!(list.find(entry.key), Some(entry.value));
            }
        }
    }
}

fn longest<'m>(entries: &'m BTreeMap<String, String>, text: &str) -> Option<(&'m str, &'m str)> {
    entries
        .iter()
        .filter(|(key, _)| text.starts_with(key.as_str()))
        .max_by_key(|(key, _)| key.len())
        .map(|(key, value)| (key.as_str(), value.as_str()))
}
