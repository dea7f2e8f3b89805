//! What a book of accounts takes and refuses, and what it yields to those who verify.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step ends a test"
)]

use accounts::{
    ACCOUNTS, Ages, Book, BookError, Broken, Digits, Enrolment, NewPassword, Standing, Summary,
};
use state::digest::{Accounts, Algorithm};

const NOW: u64 = 1_700_000_000_000;
const DAY: u64 = 86_400_000;
const GOOD: &str = "Vq7!mzR2pLx#";
const OTHER: &str = "grau-Kessel 41 Pfoten";

fn enrolment<'a>(user: &'a str) -> Enrolment<'a> {
    Enrolment {
        user,
        realms: &["pbx"],
        groups: &[],
        max_age_days: None,
    }
}

fn add(book: &mut Book, user: &str, password: &str) -> Result<(), BookError> {
    let chosen = NewPassword::Chosen(password);
    book.add(enrolment(user), chosen, NOW).map(drop)
}

fn broken(result: Result<impl Sized, BookError>) -> Vec<Broken> {
    match result.map(drop) {
        Err(BookError::Weak(broken)) => broken,
        other => panic!("not weak: {other:?}"),
    }
}

fn summary(book: &Book, user: &str, now_ms: u64) -> Summary {
    let all = book.summaries(&Ages::default(), now_ms);
    all.into_iter().find(|one| one.user == user).unwrap()
}

#[test]
fn a_password_of_another_account_is_refused_until_that_one_has_a_new_one() {
    let mut book = Book::new().unwrap();
    add(&mut book, "alice", GOOD).unwrap();
    let error = add(&mut book, "bob", GOOD).unwrap_err();
    // It does not say whose: whoever reads that would know a password.
    assert_eq!(
        error.to_string(),
        "this password cannot be used: another account has it"
    );
    assert_eq!(book.len(), 1, "nothing has changed");
    let chosen = NewPassword::Chosen(OTHER);
    assert!(book.rotate("alice", &[], chosen, NOW).unwrap().is_none());
    add(&mut book, "bob", GOOD).unwrap();
    let again = book.rotate("alice", &[], NewPassword::Chosen(GOOD), NOW);
    assert_eq!(broken(again), [Broken::InUse]);
}

#[test]
fn the_same_password_again_is_no_new_one() {
    let mut book = Book::new().unwrap();
    add(&mut book, "alice", GOOD).unwrap();
    let chosen = NewPassword::Chosen(GOOD);
    assert_eq!(
        broken(book.rotate("alice", &[], chosen, NOW + DAY)),
        [Broken::Unchanged]
    );
    assert_eq!(summary(&book, "alice", NOW).changed_ms, NOW);
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let mut book = Book::new().unwrap();
    let told = broken(add(&mut book, "alice", "alice1"));
    assert!(matches!(
        told.as_slice(),
        [
            Broken::Short { characters: 6 },
            Broken::Classes { .. },
            Broken::HasUserName,
            Broken::Common { .. }
        ]
    ));
    assert!(book.is_empty());
}

#[test]
fn a_generated_password_is_shown_once_and_makes_the_hashes() {
    let mut book = Book::new().unwrap();
    let password = book
        .add(enrolment("alice"), NewPassword::Generated, NOW)
        .unwrap()
        .unwrap();
    assert_eq!(password.len(), 24);
    assert!(!format!("{book:?}").contains(&*password));
    // Every algorithm of RFC 8760 is there, as if the password were in the config.
    let (mut ours, mut plain) = (Accounts::builder(), Accounts::builder());
    book.enrol(&Ages::default(), &mut ours).unwrap();
    for algorithm in Algorithm::ALL {
        let hash = algorithm.ha1("alice", "pbx", password.as_bytes());
        assert!(
            ours.hash("alice", "pbx", algorithm, &hash).is_err(),
            "there"
        );
        plain.hash("alice", "pbx", algorithm, &hash).unwrap();
    }
    assert_eq!(ours.build().len(), 1);
}

#[test]
fn names_and_numbers_are_checked() {
    let mut book = Book::new().unwrap();
    for (user, realms, groups, days) in [
        ("a:b", vec!["pbx"], vec![], None),
        ("alice", vec![], vec![], None),
        ("alice", vec!["a\"b"], vec![], None),
        ("alice", vec!["pbx"; 9], vec![], None),
        ("alice", vec!["pbx"], vec!["night shift"], None),
        ("alice", vec!["pbx"], vec![], Some(0)),
        ("alice", vec!["pbx"], vec![], Some(3_651)),
    ] {
        let enrolment = Enrolment {
            user,
            realms: &realms,
            groups: &groups,
            max_age_days: days,
        };
        let refused = book.add(enrolment, NewPassword::Generated, NOW);
        assert!(refused.is_err(), "{enrolment:?}");
    }
    let groups: Vec<String> = (0..33).map(|number| format!("g{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    book.add(enrolment("alice"), NewPassword::Generated, NOW)
        .unwrap();
    assert!(book.set_groups("alice", &groups).is_err());
    book.set_groups("alice", &groups[..32]).unwrap();
    assert!(matches!(
        add(&mut book, "alice", GOOD),
        Err(BookError::Exists(_))
    ));
    for unknown in [
        book.remove("bob"),
        book.set_disabled("bob", true),
        book.set_groups("bob", &[]),
        book.clear_codes("bob"),
        book.set_pin("bob", None).map(drop),
        book.set_totp("bob", Digits::Six, NOW).map(drop),
        book.rotate("bob", &[], NewPassword::Generated, NOW)
            .map(drop),
    ] {
        assert!(matches!(unknown, Err(BookError::Unknown(user)) if user == "bob"));
    }
}

#[test]
fn a_book_has_a_ceiling() {
    let mut book = Book::new().unwrap();
    for number in 0..ACCOUNTS {
        let user = format!("user{number}");
        book.add(enrolment(&user), NewPassword::Generated, NOW)
            .unwrap();
    }
    let full = book.add(enrolment("one-more"), NewPassword::Generated, NOW);
    assert!(matches!(full, Err(BookError::TooMany { .. })));
    book.remove("user0").unwrap();
    book.add(enrolment("one-more"), NewPassword::Generated, NOW)
        .unwrap();
}

#[test]
fn standing_follows_the_age_and_the_operator() {
    let mut book = Book::new().unwrap();
    let weekly = Enrolment {
        max_age_days: Some(7),
        ..enrolment("weekly")
    };
    book.add(weekly, NewPassword::Generated, NOW).unwrap();
    add(&mut book, "alice", GOOD).unwrap();
    let at = |book: &Book, user: &str, days: u64| summary(book, user, NOW + days * DAY).standing;
    assert_eq!(at(&book, "alice", 0), Standing::Good(90));
    assert_eq!(at(&book, "alice", 76), Standing::Expiring(14));
    assert_eq!(at(&book, "alice", 90), Standing::Expired(0));
    assert_eq!(at(&book, "weekly", 0), Standing::Expiring(7));
    assert_eq!(at(&book, "weekly", 8), Standing::Expired(1));
    book.rotate("weekly", &[], NewPassword::Generated, NOW + 8 * DAY)
        .unwrap();
    assert_eq!(at(&book, "weekly", 8), Standing::Expiring(7));
    book.set_disabled("alice", true).unwrap();
    assert_eq!(at(&book, "alice", 0), Standing::Disabled);
    book.set_disabled("alice", false).unwrap();
    assert_eq!(at(&book, "alice", 0), Standing::Good(90));
}

#[test]
fn groups_are_in_order_and_nobody_has_none() {
    let mut book = Book::new().unwrap();
    let night = Enrolment {
        groups: &["staff", "night", "staff"],
        ..enrolment("alice")
    };
    book.add(night, NewPassword::Generated, NOW).unwrap();
    add(&mut book, "bob", GOOD).unwrap();
    let members = book.members();
    assert_eq!(members.groups_of("alice"), ["night", "staff"]);
    assert_eq!(members.groups_of("bob"), [""; 0]);
    assert_eq!(members.groups_of("carol"), [""; 0]);
    let none: [&str; 0] = [];
    book.set_groups("alice", &none).unwrap();
    assert_eq!(book.members().groups_of("alice"), [""; 0]);
}

#[test]
fn codes_come_and_go() {
    let mut book = Book::new().unwrap();
    add(&mut book, "alice", GOOD).unwrap();
    assert!(book.codes(&Ages::default()).is_empty());
    assert_eq!(book.set_pin("alice", None).unwrap().unwrap().len(), 6);
    assert!(book.set_pin("alice", Some("492817")).unwrap().is_none());
    let uri = book.set_totp("alice", Digits::Eight, NOW).unwrap();
    assert!(
        uri.starts_with("otpauth://totp/pbx:alice?secret="),
        "{}",
        *uri
    );
    let one = summary(&book, "alice", NOW);
    assert!(one.pin && one.totp);
    assert_eq!(book.codes(&Ages::default()).len(), 1);
    book.clear_codes("alice").unwrap();
    assert!(book.codes(&Ages::default()).is_empty());
}
