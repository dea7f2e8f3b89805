//! Dialled codes: PIN and TOTP, replays over a restart, and what looks alike.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failed step ends a test"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use accounts::{
    Ages, Book, CHECKS_BURST, Codes, Dialled, Digits, Enrolment, GUESSES_BURST, NewPassword,
};
use aws_lc_rs::hmac;
use state::{Limits, State};

const NOW: u64 = 1_700_000_010_000;
const STEP: u64 = 30_000;
const PIN: &str = "492817";

/// An authenticator app: it knows the URI alone.
struct App(Vec<u8>, usize);

impl App {
    fn scan(uri: &str) -> Self {
        let part = |name: &str| {
            let (_, rest) = uri.split_once(&format!("{name}=")).unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        let mut bits = 0_u64;
        let mut count = 0;
        let mut secret = Vec::new();
        for letter in part("secret").bytes() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                _ => letter - b'2' + 26,
            };
            bits = bits << 5 | u64::from(value);
            count += 5;
            if count >= 8 {
                count -= 8;
                secret.push(u8::try_from(bits >> count & 255).unwrap());
            }
        }
        Self(secret, part("digits").parse().unwrap())
    }

    fn shows(&self, now_ms: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &(now_ms / STEP).to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 15);
        let four: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().unwrap();
        let number = u64::from(u32::from_be_bytes(four) & 0x7fff_ffff);
        let digits = self.1;
        format!(
            "{:0digits$}",
            number % 10_u64.pow(u32::try_from(digits).unwrap())
        )
    }
}

fn state(folder: Option<&Path>) -> State {
    State::open(folder, Limits::default(), NOW).unwrap()
}

/// `pin` has a PIN, `app` a secret, `none` neither, `off` a PIN and is disabled.
fn book() -> (Book, App) {
    let mut book = Book::new().unwrap();
    for user in ["pin", "app", "none", "off"] {
        let enrolment = Enrolment {
            user,
            realms: &["pbx"],
            groups: &[],
            max_age_days: None,
        };
        book.add(enrolment, NewPassword::Generated, NOW).unwrap();
    }
    book.set_pin("pin", Some(PIN)).unwrap();
    book.set_pin("off", Some(PIN)).unwrap();
    book.set_disabled("off", true).unwrap();
    let uri = book.set_totp("app", Digits::Six, NOW).unwrap();
    (book, App::scan(&uri))
}

fn codes(state: State, forgetful: bool, book: &Book) -> Codes {
    let codes = Codes::new(state, forgetful, NOW).unwrap();
    codes.replace(book.codes(&Ages::default()));
    codes
}

#[test]
fn right_and_wrong_pins() {
    let (book, _) = book();
    let codes = codes(state(None), false, &book);
    assert_eq!(codes.check("pin", PIN, NOW), Dialled::Ok);
    // Good again and again, unlike a one-time code.
    assert_eq!(codes.check("pin", PIN, NOW), Dialled::Ok);
    for (account, code) in [
        ("pin", "492818"),
        ("pin", ""),
        ("pin", "4928170"),
        ("pin", &format!("{PIN}{}", "0".repeat(10_000))),
        ("pin", "é92817é92817é92817"),
        ("none", PIN),
        ("off", PIN),
        ("nobody", PIN),
        ("", PIN),
        (&"x".repeat(10_000), PIN),
    ] {
        assert_eq!(codes.check(account, code, NOW), Dialled::Wrong, "{code}");
    }
    assert_eq!(format!("{codes:?}"), "Codes { accounts: 3, .. }");
}

#[test]
fn codes_end_with_the_account() {
    let (book, _) = book();
    let codes = codes(state(None), false, &book);
    let expires = NOW + 90 * 86_400_000;
    assert_eq!(codes.check("pin", PIN, expires - 1), Dialled::Ok);
    assert_eq!(codes.check("pin", PIN, expires), Dialled::Wrong);
}

#[test]
fn a_one_time_code_is_good_once() {
    let (book, app) = book();
    let codes = codes(state(None), false, &book);
    let shown = app.shows(NOW);
    assert_eq!(codes.check("app", &shown, NOW), Dialled::Ok);
    assert_eq!(codes.check("app", &shown, NOW), Dialled::Replayed);
    assert_eq!(codes.check("app", &shown, NOW + STEP), Dialled::Replayed);
    assert_eq!(codes.check("app", &shown, NOW + 2 * STEP), Dialled::Wrong);
    // A step early is taken, and what is older than the last one taken is not.
    assert_eq!(
        codes.check("app", &app.shows(NOW + 2 * STEP), NOW + STEP),
        Dialled::Ok
    );
    assert_eq!(
        codes.check("app", &app.shows(NOW + STEP), NOW + STEP),
        Dialled::Replayed
    );
    // Nobody else's secret.
    assert_eq!(codes.check("none", &app.shows(NOW), NOW), Dialled::Wrong);
}

#[test]
fn a_restart_does_not_allow_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let (book, app) = book();
    let shown = app.shows(NOW);
    {
        let codes = codes(state(Some(folder.path())), false, &book);
        assert_eq!(codes.check("app", &shown, NOW), Dialled::Ok);
    }
    let again = codes(state(Some(folder.path())), false, &book);
    assert_eq!(again.check("app", &shown, NOW + 1_000), Dialled::Replayed);
    assert_eq!(
        again.check("app", &app.shows(NOW + STEP), NOW + STEP),
        Dialled::Ok
    );
}

#[test]
fn a_forgetful_state_takes_no_code_that_could_have_been_used_before() {
    let (book, app) = book();
    let codes = codes(state(None), true, &book);
    for steps in [0, 1] {
        let at = NOW + steps * STEP;
        assert_eq!(codes.check("app", &app.shows(at), at), Dialled::Replayed);
    }
    let at = NOW + 2 * STEP;
    assert_eq!(codes.check("app", &app.shows(at), at), Dialled::Ok);
}

#[test]
fn a_new_secret_begins_anew() {
    let (mut book, app) = book();
    let codes = codes(state(None), false, &book);
    assert_eq!(codes.check("app", &app.shows(NOW), NOW), Dialled::Ok);
    let uri = book.set_totp("app", Digits::Eight, NOW + 1).unwrap();
    codes.replace(book.codes(&Ages::default()));
    let new = App::scan(&uri);
    assert_eq!(new.shows(NOW).len(), 8);
    assert_eq!(codes.check("app", &new.shows(NOW), NOW), Dialled::Ok);
    assert_eq!(
        codes.check("app", &app.shows(NOW + STEP), NOW + STEP),
        Dialled::Wrong
    );
}

#[test]
fn two_workers_do_not_take_one_code_twice() {
    let (book, app) = book();
    let codes = codes(state(None), false, &book);
    let shown = app.shows(NOW);
    let taken: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let all = (0..5).map(|_| codes.check("app", &shown, NOW));
                    all.filter(|dialled| *dialled == Dialled::Ok).count()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(taken, 1);
}

#[test]
fn guesses_of_one_account_have_a_ceiling_that_refills() {
    let (book, _) = book();
    let codes = codes(state(None), false, &book);
    for _ in 0..GUESSES_BURST - 1 {
        assert_eq!(codes.check("pin", "000001", NOW), Dialled::Wrong);
    }
    assert_eq!(codes.check("pin", PIN, NOW), Dialled::Ok, "the last one");
    assert_eq!(codes.check("pin", PIN, NOW), Dialled::Wrong, "one more");
    assert_eq!(
        codes.check("pin", PIN, NOW + 2_000),
        Dialled::Ok,
        "refilled"
    );
}

#[test]
fn checks_of_all_accounts_have_a_ceiling_and_then_cost_nothing() {
    let (book, _) = book();
    let codes = codes(state(None), false, &book);
    for number in 0..CHECKS_BURST {
        let _wrong = codes.check(&format!("guess-{number}"), PIN, NOW);
    }
    let started = Instant::now();
    for number in 0..1_000 {
        let dialled = codes.check(&format!("more-{number}"), PIN, NOW);
        assert_eq!(dialled, Dialled::Wrong);
    }
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(codes.check("pin", PIN, NOW), Dialled::Wrong);
    assert_eq!(codes.check("pin", PIN, NOW + 20), Dialled::Ok, "refilled");
}

/// The least time of some checks of each kind, which take turns so that all meet the
/// same load; the least is what a busy machine disturbs least.
#[test]
fn an_unknown_account_and_a_wrong_code_take_as_long() {
    let (book, _) = book();
    let codes = codes(state(None), false, &book);
    let kinds = ["pin", "app", "none", "off", "nobody"];
    let mut least = vec![Duration::MAX; kinds.len()];
    for round in 0..40_u64 {
        for (kind, least) in kinds.iter().zip(&mut least) {
            let now = NOW + round * 60_000;
            let started = Instant::now();
            assert_eq!(codes.check(kind, "000001", now), Dialled::Wrong);
            *least = started.elapsed().min(*least);
        }
    }
    println!("{least:?}");
    let (fastest, slowest) = (least.iter().min().unwrap(), least.iter().max().unwrap());
    assert!(*slowest < *fastest * 5 / 4, "{least:?}");
    // What the documents promise, with room for a slow machine.
    assert!(*slowest < Duration::from_millis(20), "{least:?}");
}
