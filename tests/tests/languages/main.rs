//! Policies that are not written in Rust: `examples/policy-js` and
//! `examples/policy-python`, and `examples/policy-rust` beside them. All three are the
//! same policy, so all three are asked the same.

mod breach;
mod configured;
mod cost;
mod stage;

use policy::Severity;
use policy_wasm::LoadError;
use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host, Worker, admitted, refusal, report};

use crate::stage::{ALL, HOUR_MS, JAVASCRIPT, MONDAY_MS, PYTHON, abroad, desk, settings, with};

#[test]
fn foreign_calls_wait_for_the_morning() {
    let host = Host::new();
    for language in ALL {
        let plugin = language.load(&host, settings());
        let mut worker = Worker::new(&[&plugin]);
        host.clock.set(MONDAY_MS + 8 * HOUR_MS - 60_000);
        let night = worker.judge(abroad());
        let expected = "desk may not call +442079460018 at mon 07:59";
        assert_eq!(refusal(&night), (403, language.guest, expected));
        let alert = &night.alerts.first().expect("an alert").alert;
        assert_eq!(alert.severity, Severity::Warning, "{}", language.guest);
        assert_eq!((&*alert.key, &*alert.text), ("night/desk", expected));
        host.clock.set(MONDAY_MS + 8 * HOUR_MS);
        let day = worker.judge(abroad());
        assert!(admitted(&day), "{}: {day:?}", language.guest);
        assert_eq!(
            report(&day.trace, language.guest).reason,
            "within office hours"
        );
        // A Saturday has no office hours.
        host.clock.set(MONDAY_MS + 5 * 24 * HOUR_MS + 12 * HOUR_MS);
        let reason = refusal(&worker.judge(abroad())).2.to_owned();
        assert!(reason.ends_with("at sat 12:00"), "{reason}");
    }
}

#[test]
fn every_way_to_dial_is_understood_alike() {
    let host = Host::new();
    host.clock.set(MONDAY_MS);
    let cases = [
        ("sip:+4930123456@pbx.example", true),
        ("sip:030123456@pbx.example", true),
        ("sip:100@pbx.example", true),
        ("sip:reception@pbx.example", true),
        ("sip:pbx.example", true),
        ("sip:00442079460018@pbx.example", false),
        ("sip:%2b442079460018@pbx.example", false),
        ("sip:+44-20-7946-0018@pbx.example", false),
        ("tel:+442079460018", false),
        ("sip:100;phone-context=+44@pbx.example", false),
        ("sip:+8835100012345@pbx.example", false),
        ("sip:0000000000000000000000000@pbx.example", false),
    ];
    for language in ALL {
        let plugin = language.load(&host, settings());
        let mut worker = Worker::new(&[&plugin]);
        for (uri, passes) in cases {
            let conclusion = worker.judge(desk().invite(uri));
            assert_eq!(
                admitted(&conclusion),
                passes,
                "{}: {uri}: {conclusion:?}",
                language.guest
            );
        }
    }
}

#[test]
fn only_calls_that_begin_inside_are_looked_at() {
    let host = Host::new();
    host.clock.set(MONDAY_MS);
    for language in ALL {
        let plugin = language.load(&host, settings());
        let mut worker = Worker::new(&[&plugin]);
        let uri = "sip:+442079460018@pbx.example";
        let outside = worker.judge(Caller::at("192.0.2.9").invite(uri));
        assert!(admitted(&outside), "{}: {outside:?}", language.guest);
        // Who has no name is told by the address, of either family.
        for (address, shown) in [
            ("192.0.2.7", "192.0.2.7 may"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6 may"),
        ] {
            let unnamed = worker.judge(Caller::at(address).inside().invite(uri));
            let reason = refusal(&unnamed).2.to_owned();
            assert!(reason.starts_with(shown), "{}: {reason}", language.guest);
        }
        // The manifest says INVITE, so nothing of this pipeline judges others.
        let other = worker.judge(desk().request("OPTIONS", uri, ""));
        assert!(other.trace.is_empty(), "{}: {other:?}", language.guest);
    }
}

#[test]
fn some_calls_are_allowed_in_the_night() {
    let host = Host::new();
    for language in ALL {
        host.clock.set(MONDAY_MS);
        let plugin = language.load(&host, with("per_hour", json!(2)));
        let mut worker = Worker::new(&[&plugin]);
        for _ in 0..2 {
            let conclusion = worker.judge(abroad());
            assert!(admitted(&conclusion), "{}: {conclusion:?}", language.guest);
            let noted = ("night-guard".to_owned(), "counted".to_owned());
            assert_eq!(
                conclusion.account.annotations,
                [noted],
                "{}",
                language.guest
            );
        }
        assert_eq!(
            refusal(&worker.judge(abroad())).0,
            403,
            "{}",
            language.guest
        );
        // Others have calls of their own, and the next hours bring new ones.
        let other = desk().named("lab").invite("sip:+442079460018@pbx.example");
        assert!(admitted(&worker.judge(other)), "{}", language.guest);
        host.clock.set(MONDAY_MS + 3 * HOUR_MS);
        assert!(admitted(&worker.judge(abroad())), "{}", language.guest);
    }
}

#[test]
fn wrong_settings_are_named() {
    let host = Host::new();
    let mut without = settings();
    without.as_object_mut().expect("an object").remove("region");
    let cases: [(Value, &str); 9] = [
        (with("opne", json!(8)), "opne"),
        (without, "region"),
        (with("region", json!("XX")), "region"),
        (with("open", json!(24)), "open"),
        (with("close", json!(8)), "close"),
        (with("days", json!(["mon", "someday"])), "days[1]"),
        (with("utc_offset_minutes", json!(841)), "utc_offset_minutes"),
        (with("per_hour", json!("many")), "per_hour"),
        (with("status", json!(200)), "status"),
    ];
    for language in ALL {
        for (settings, expected) in &cases {
            let error = language.refusal(&host, |source| source.settings = settings.clone());
            let LoadError::Settings { key, message } = &error else {
                panic!("{}: {expected}: {error}", language.guest);
            };
            // What the Rust SDK says of a missing key has its name in the text.
            let named = key == expected || (key.is_empty() && message.contains(expected));
            assert!(named, "{}: {expected}: {error}", language.guest);
            assert!(!message.is_empty(), "{}", language.guest);
        }
    }
}

#[test]
fn the_manifest_tells_what_it_is() {
    let host = Host::new();
    for language in ALL {
        let plugin = language.load(&host, settings());
        let manifest = plugin.manifest();
        let named = (&*manifest.name, &*manifest.version);
        assert_eq!(named, ("night-guard", "1.0.0"), "{}", language.guest);
        assert_eq!(manifest.methods, ["INVITE"]);
        assert!(plugin.judges_requests() && !plugin.judges_responses());
        let schema: Value = serde_json::from_str(&manifest.settings_schema).expect("JSON");
        for key in settings().as_object().expect("an object").keys() {
            let described = schema["properties"][key]["description"].is_string();
            assert!(described, "{}: {key}: {schema}", language.guest);
        }
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    let host = Host::new();
    for language in ALL {
        let error = language.refusal(&host, |source| {
            source.capabilities = policy::Grants::NONE;
        });
        let text = error.to_string();
        assert!(
            text.contains("add \"counters\""),
            "{}: {text}",
            language.guest
        );
    }
}

#[test]
fn a_language_that_needs_more_says_so() {
    let host = Host::new();
    let large = PYTHON.refusal(&host, |source| {
        source.limits.wasm_bytes = policy_wasm::PluginLimits::default().wasm_bytes;
    });
    assert!(matches!(large, LoadError::TooLarge { .. }), "{large}");
    assert!(large.to_string().contains("limits.wasm_mib"), "{large}");
    for language in [JAVASCRIPT, PYTHON] {
        let error = language.refusal(&host, |source| source.limits.memory_bytes = 4 << 20);
        let failure = stage::failure(error).to_string();
        assert!(
            failure.contains("memory_bytes = 4194304"),
            "{}: {failure}",
            language.guest
        );
    }
    let error = PYTHON.refusal(&host, |source| source.limits.instances = 8);
    let failure = stage::failure(error).to_string();
    assert!(failure.contains("instance"), "{failure}");
}
