//! The virtual host does what the real one does, at the edges too.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::credentials::{self, CodeVerification};
use sipward_plugin_sdk::geo::{self, GeoError, Place};
use sipward_plugin_sdk::leases::{Lease, LeaseError};
use sipward_plugin_sdk::lists::{self, ListError};
use sipward_plugin_sdk::numbers::{self, NumberClass};
use sipward_plugin_sdk::testing::{Credentials, Happened, Harness, json};
use sipward_plugin_sdk::{
    DigestAlgorithm, clock, counters, identity, keyvalue, prelude::*, testing,
};

type Script = Box<dyn Fn() -> Outcome>;

thread_local! {
    /// What the policies of this file do in every hook.
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

fn play() -> Outcome {
    SCRIPT.with_borrow(|script| {
        script
            .as_ref()
            .map_or_else(Outcome::next, |script| script())
    })
}

/// Every hook does this from now on.
fn script(script: impl Fn() -> Outcome + 'static) {
    SCRIPT.set(Some(Box::new(script)));
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    /// Runs the script in `configure` too.
    #[serde(default)]
    at_once: bool,
}

macro_rules! scripted {
    ($name:ident, $capabilities:expr) => {
        struct $name;

        #[policy]
        impl Policy for $name {
            type Settings = Settings;
            const CAPABILITIES: &'static [Capability] = $capabilities;

            fn configure(settings: Settings) -> Result<Self, SettingsError> {
                if settings.at_once {
                    play();
                }
                Ok(Self)
            }

            fn on_request(&self, _: &Request<'_>) -> Outcome {
                play()
            }

            fn on_response(&self, _: &Response<'_>) -> Outcome {
                play()
            }

            fn on_call_event(&self, _: &Call<'_>, _: &CallEvent<'_>) -> Outcome {
                play()
            }
        }
    };
}

scripted!(
    Granted,
    &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
        Capability::Leases,
        Capability::Geo,
        Capability::Lists,
        Capability::EditHeaders,
        Capability::Route,
    ]
);
scripted!(Bare, &[]);

fn harness() -> Harness<Granted> {
    Harness::new(json!({}))
}

fn invite() -> testing::Request {
    testing::Request::invite("sip:bob@example.com")
}

/// What a script says when it runs in the request hook.
fn said<T: std::fmt::Debug + 'static>(
    harness: &Harness<Granted>,
    request: &testing::Request,
    ask: impl Fn() -> T + 'static,
) -> String {
    script(move || Outcome::next().because(format!("{:?}", ask())));
    harness.call(request).reason().to_owned()
}

/// Whether something panics, and with these words.
fn panics(with: &str, action: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = catch_unwind(AssertUnwindSafe(action));
    std::panic::set_hook(hook);
    let payload = caught.expect_err("it does not panic");
    let text = match payload.downcast_ref::<String>() {
        Some(text) => text.as_str(),
        None => payload.downcast_ref::<&str>().unwrap(),
    };
    assert!(text.contains(with), "{text}");
}

#[test]
fn an_interface_that_is_not_named_fails_the_test() {
    let uses: [(&str, fn()); 6] = [
        ("`counters`", || {
            _ = counters::Window::new("a", 1).add(b"", 1)
        }),
        ("`keyvalue`", || _ = keyvalue::get("a")),
        ("`credentials`", || _ = credentials::check_code("a", "1")),
        ("`leases`", || _ = Lease::new("a").held(b"")),
        ("`geo`", || _ = geo::locate([10, 0, 0, 1].into())),
        ("`lists`", || _ = lists::find("a", "b")),
    ];
    let run = move |used: fn()| {
        move || {
            used();
            Outcome::next()
        }
    };
    for (name, used) in uses {
        script(run(used));
        panics(name, || _ = Harness::<Bare>::new(json!({})).call(&invite()));
        // Named, it works in hooks and not in `configure`.
        assert!(harness().call(&invite()).is_next());
        panics("in configure", || {
            _ = Harness::<Granted>::new(json!({ "at_once": true }))
        });
    }
    script(|| {
        let number = numbers::parse("112", "DE").is_ok();
        Outcome::next().because(format!(
            "{number} {:?} {:?}",
            identity::tls(),
            identity::groups("a")
        ))
    });
    let bare = Harness::<Bare>::new(json!({}));
    assert_eq!(bare.call(&invite()).reason(), "true None []");
}

#[test]
fn effects_that_the_host_would_refuse_fail_the_test() {
    let effects: [(&str, fn(Outcome) -> Outcome); 8] = [
        ("edit-headers", |outcome| outcome.set_header("X-A", "1")),
        ("edit-headers", |outcome| {
            outcome.set_request_uri("sip:a@example.com")
        }),
        ("edit-headers", |outcome| {
            outcome.set_to("<sip:a@example.com>")
        }),
        ("`route`", |outcome| outcome.route("carrier")),
        ("0 seconds", |outcome| outcome.tick_after(0)),
        ("86401 seconds", |outcome| outcome.tick_after(86_401)),
        ("3 bytes", |outcome| outcome.conceal("123")),
        ("65 bytes", |outcome| outcome.conceal("1".repeat(65))),
    ];
    for (with, effect) in effects {
        script(move || effect(Outcome::next()));
        panics(with, || _ = Harness::<Bare>::new(json!({})).call(&invite()));
    }
    script(|| {
        let ticks = Outcome::next().tick_after(1).tick_after(86_400);
        ticks.conceal("1234").conceal("1".repeat(64))
    });
    assert!(Harness::<Bare>::new(json!({})).call(&invite()).is_next());
}

#[test]
fn what_means_nothing_for_a_call_fails_the_test() {
    let outcomes: [fn() -> Outcome; 6] = [
        || Outcome::challenge("example.com"),
        Outcome::silence,
        || Outcome::next().score(1, "late"),
        || Outcome::next().identify("alice"),
        || Outcome::next().set_from("<sip:a@example.com>"),
        || Outcome::next().require_media(MediaRequirement::Encrypted),
    ];
    for outcome in outcomes {
        let harness = harness();
        script(Outcome::next);
        let (_, handle) = harness.begin(&invite());
        script(outcome);
        panics("means nothing", || _ = handle.unwrap().answered());
    }
}

#[test]
fn ticks_count_from_the_answer_and_never_from_the_past() {
    let harness = harness();
    script(|| match clock::now_ms() {
        0 => Outcome::next().tick_after(5).tick_after(5).tick_after(3),
        7_000 => Outcome::next().tick_after(5).tick_after(6),
        _ => Outcome::next(),
    });
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    assert_eq!(handle.advance(Duration::from_secs(4)).len(), 0);
    handle.answered();
    // Asked for at 0 and answered at 4 s: due at 7 and 9 s, and at 10 s the new one.
    let heard: Vec<_> = harness
        .advance(Duration::from_secs(60))
        .into_iter()
        .map(|step| (step.at_ms, step.event))
        .collect();
    assert_eq!(
        heard,
        [
            (7_000, Happened::Tick(3)),
            (9_000, Happened::Tick(5)),
            (10_000, Happened::Tick(6)),
        ]
    );
    script(|| Outcome::next().tick_after(60));
    panics("have passed already", || {
        _ = handle.foreign_media("192.0.2.9:4000", "ssrc")
    });
}

#[test]
fn a_call_ends_when_its_time_is_up() {
    let harness = harness();
    script(|| {
        Outcome::next()
            .limit_duration(30)
            .limit_duration(60)
            .tick_after(30)
    });
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    script(Outcome::next);
    handle.answered();
    assert!(handle.advance(Duration::from_millis(29_999)).is_empty());
    handle.advance(Duration::from_millis(1));
    let steps = handle.steps();
    let tail: Vec<_> = steps
        .iter()
        .rev()
        .take(2)
        .map(|step| step.event.clone())
        .collect();
    assert_eq!(
        tail,
        [
            Happened::Ended("duration-limit".to_owned()),
            Happened::Tick(30)
        ]
    );
    panics("is over", || _ = handle.ended("bye"));

    // A limit that has passed when it is set ends the call at once.
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    handle.answered();
    handle.advance(Duration::from_secs(10));
    script(|| Outcome::next().limit_duration(10));
    handle.foreign_media("[2001:db8::9]:4000", "replay");
    assert!(handle.is_over());
}

#[test]
fn leases_belong_to_calls() {
    const PLACES: Lease = Lease::new("places");
    let harness = harness();
    let hold = || match PLACES.hold(b"k", 2, 5) {
        Ok(holding) => Outcome::next().because(format!("{} {}", holding.granted, holding.held)),
        Err(error) => Outcome::next().because(error.name()),
    };
    script(hold);
    // No call: other methods, requests within a dialog, responses.
    let within = invite().dialog(Dialog::Confirmed);
    let register = testing::Request::register("sip:example.com");
    for request in [&within, &register] {
        assert_eq!(harness.call(request).reason(), "no-call");
    }
    let ringing = testing::Response::new(180, "Ringing");
    assert_eq!(harness.answer(&ringing).reason(), "no-call");

    let (begun, handle) = harness.begin(&invite());
    assert_eq!(begun.reason(), "true 2");
    // `started` held the same key again, and the third wish is one too many.
    let handle = handle.unwrap();
    assert_eq!(harness.held("places", "k"), 4);
    let refused = handle.answered();
    assert_eq!(refused.reason(), "false 4");
    let over = handle.ended("bye");
    assert_eq!(over.reason(), "no-call");
    assert_eq!(harness.leases(), []);

    script(|| {
        let wrong = [
            Lease::new("").hold(b"", 1, 1),
            Lease::new("a").hold(&[0; 257], 1, 1),
            Lease::new("a").hold(b"", 0, 1),
        ];
        assert_eq!(wrong, [Err(LeaseError::Invalid); 3]);
        assert!(
            Lease::new("a")
                .hold(&[0; 256], u64::MAX, u64::MAX)
                .unwrap()
                .granted
        );
        assert!(
            !Lease::new("a")
                .hold(&[0; 256], 1, u64::MAX)
                .unwrap()
                .granted
        );
        let kept = (1..=80_u8).filter(|key| PLACES.hold(&[*key], 1, 1).is_ok());
        Outcome::next().because(kept.count().to_string())
    });
    assert_eq!(
        harness.call(&invite()).reason(),
        "63",
        "64 keys of one call"
    );
}

#[test]
fn lists_and_their_longest_prefixes() {
    let harness = harness().with_list("prices", [("+49", "1"), ("+4990", "9"), ("+49é", "x")]);
    let longest = |text: &'static str| move || lists::longest_prefix("prices", text);
    for (text, key) in [
        ("+49900", "+4990"),
        ("+4990", "+4990"),
        ("+499", "+49"),
        ("+49é1", "+49é"),
    ] {
        let found = said(&harness, &invite(), longest(text));
        assert!(found.contains(&format!("key: {key:?}")), "{found}");
    }
    assert_eq!(said(&harness, &invite(), longest("+4")), "Ok(None)");
    assert_eq!(said(&harness, &invite(), longest("")), "Ok(None)");
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+49")),
        "Ok(Some(\"1\"))"
    );
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+499")),
        "Ok(None)"
    );
    let missing = || [lists::find("none", "") == Err(ListError::NoSuchList)];
    assert_eq!(said(&harness, &invite(), missing), "[true]");
    harness.set_list("prices", []);
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+49")),
        "Ok(None)"
    );
}

#[test]
fn places_are_those_of_the_longest_network() {
    let locate = || geo::locate([192, 0, 2, 9].into());
    let none = || geo::locate([192, 0, 2, 9].into()) == Err(GeoError::Unavailable);
    assert_eq!(said(&harness(), &invite(), none), "true");
    let known = harness()
        .with_place("192.0.0.0/16", Place::in_country("DE"))
        .with_place(
            "192.0.2.0/24",
            Place::in_country("FR").at(48_857_000, 2_352_000),
        )
        .with_place("2001:db8::/32", Place::in_country("NL"));
    let found = said(&known, &invite(), locate);
    assert!(
        found.contains("\"FR\"") && found.contains("48857000"),
        "{found}"
    );
    let moved = known.with_place("192.0.2.0/24", Place::in_country("BE"));
    assert!(said(&moved, &invite(), locate).contains("\"BE\""));
    let mapped = || {
        geo::locate("::ffff:192.0.9.9".parse().unwrap())
            .unwrap()
            .country
    };
    assert_eq!(said(&moved, &invite(), mapped), "\"DE\"");
    let unknown = || geo::locate([10, 0, 0, 1].into()) == Ok(Place::unknown());
    assert_eq!(said(&moved, &invite(), unknown), "true");
}

#[test]
fn identities_are_those_of_the_request_in_hand() {
    let harness = harness()
        .with_user("alice", "secret")
        .with_group("sales", ["alice", "bob"])
        .with_group("board", ["alice"])
        .with_tls("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    let version = || identity::tls().map(|session| session.version);
    assert_eq!(said(&harness, &invite(), version), "None");
    let over_tls = invite().transport(Transport::Wss);
    assert_eq!(said(&harness, &over_tls, version), "Some(\"TLSv1.2\")");
    let modern = invite().tls("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    assert_eq!(said(&harness, &modern, version), "Some(\"TLSv1.3\")");
    let groups = || {
        (
            identity::groups("alice"),
            identity::groups("bob"),
            identity::groups("x"),
        )
    };
    let wanted = r#"(["board", "sales"], ["sales"], [])"#;
    assert_eq!(said(&harness, &invite(), groups), wanted);

    let users = || {
        let verified = identity::verified().into_iter();
        verified
            .map(|who| format!("{}@{}", who.user, who.realm))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&harness, &invite(), users), "[]");
    let before = invite().verified("bob", "office");
    assert_eq!(said(&harness, &before, users), r#"["bob@office"]"#);
}

/// Verifies, and tells whom the host has verified then.
struct Verifies;

#[policy]
impl Policy for Verifies {
    type Settings = Settings;
    const CAPABILITIES: &'static [Capability] = &[Capability::Credentials];

    fn configure(_: Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let _ = credentials::verify(request, "office", &[DigestAlgorithm::Sha256]);
        Outcome::next().because(format!("{}", identity::verified().len()))
    }
}

#[test]
fn verified_users_are_told_in_the_same_request() {
    let harness = Harness::<Verifies>::new(json!({})).with_user("alice", "secret");
    let with = |password: &str| invite().credentials(Credentials::new("office", "alice", password));
    assert_eq!(harness.call(&with("secret")).reason(), "1");
    assert_eq!(harness.call(&with("guess")).reason(), "0");
}

#[test]
fn codes_are_right_wrong_or_used() {
    let harness = harness()
        .with_code("alice", "7391")
        .with_one_time_code("alice", "123456");
    let check = |account: &'static str, code: &'static str| {
        move || credentials::check_code(account, code) == CodeVerification::Ok
    };
    for (account, code, right) in [
        ("alice", "7391", "true"),
        ("alice", "7391", "true"),
        ("alice", "7390", "false"),
        ("bob", "7391", "false"),
        ("alice", "123456", "true"),
        ("alice", "123456", "false"),
    ] {
        assert_eq!(
            said(&harness, &invite(), check(account, code)),
            right,
            "{account} {code}"
        );
    }
    let again = || credentials::check_code("alice", "123456");
    assert_eq!(
        said(&harness, &invite(), again),
        "CodeVerification::Replayed"
    );
}

#[test]
fn numbers_are_the_hosts() {
    let harness = harness();
    let understood = |dialled: &'static str, region: &'static str| {
        script(move || match numbers::parse(dialled, region) {
            Ok(number) => Outcome::next().because(format!("{} {}", number.e164, number.class)),
            Err(error) => Outcome::next().because(error.name()),
        });
        harness.call(&invite()).reason().to_owned()
    };
    for (dialled, region, wanted) in [
        ("030 123456", "DE", "+4930123456 fixed"),
        ("0049-30-123456", "FR", "+4930123456 fixed"),
        ("011 44 20 7183 8750", "US", "+442071838750 fixed"),
        ("0900 1234567", "DE", "+499001234567 premium"),
        ("+881612345678", "DE", "+881612345678 satellite"),
        ("+88216123456", "DE", "+88216123456 satellite"),
        ("+80012345678", "DE", "+80012345678 international-service"),
        ("\u{0660}30123456", "DE", "not-a-number"),
        ("0301", "XX", "no-such-region"),
        ("+999123456", "DE", "no-such-country"),
        ("", "DE", "wrong-length"),
    ] {
        assert_eq!(understood(dialled, region), wanted, "{dialled}");
    }
    let toll_free =
        || numbers::parse("+498001234567", "US").unwrap().class == NumberClass::TollFree;
    assert_eq!(said(&harness, &invite(), toll_free), "true");
}

#[test]
fn a_policy_that_does_not_see_invites_follows_no_calls() {
    struct Registrations;

    #[policy]
    impl Policy for Registrations {
        type Settings = Settings;
        const METHODS: &'static [&'static str] = &["REGISTER"];

        fn configure(_: Settings) -> Result<Self, SettingsError> {
            Ok(Self)
        }

        fn on_call_event(&self, _: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
            panic!("heard {}", event.name())
        }
    }

    let harness = Harness::<Registrations>::new(json!({}));
    let (outcome, handle) = harness.begin(&invite());
    assert!(outcome.is_next());
    assert!(handle.unwrap().ended("bye").is_next());
}
