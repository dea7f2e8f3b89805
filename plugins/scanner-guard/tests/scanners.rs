//! What gives a scanner away: signatures, injections, malformed and probing requests.

use std::time::Duration;

use scanner_guard::ScannerGuard;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Anomalies, Dialog, Outcome, Transport, Verdict};

fn guard(settings: Value) -> Harness<ScannerGuard> {
    Harness::new(settings)
}

fn is_silent(outcome: &Outcome) -> bool {
    matches!(outcome.verdict(), Verdict::Drop)
}

fn call() -> Request {
    Request::invite("sip:200@example.com").user_agent("Yealink SIP-T46U 108.86.0.20")
}

#[test]
fn a_telephone_is_let_through_untouched() {
    let guard = guard(json!({}));
    for request in [
        call(),
        call().from_display("Conor O'Brien"),
        call().header(
            "Contact",
            "<sip:alice@10.0.0.5:5060;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
        ),
        Request::register("sip:example.com").header("m", "\"Alice\" <sip:alice@10.0.0.5>"),
        call().header(
            "Authorization",
            "Digest username=\"alice\", realm=\"x\", uri=\"sip:x\"",
        ),
        call().anomalies(
            Anomalies::COMPACT_FORM | Anomalies::VIA_MISMATCH | Anomalies::FOLDED_HEADER,
        ),
        call().from_tag("as7d9f8a"),
    ] {
        let outcome = guard.call(&request);
        assert!(
            outcome.is_next() && outcome.effects().is_empty(),
            "{}",
            outcome.reason()
        );
    }
}

#[test]
fn known_scanners_hear_nothing() {
    let tag = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (svmap, svwar) = (tag("c000020113c4\u{1}2906544386"), tag("1000\u{1}77"));
    for (request, what) in [
        (call().user_agent("friendly-scanner"), "friendly-scanner"),
        (call().user_agent("sipcli/v1.8"), "sipcli"),
        (call().user_agent("VaxSIPUserAgent/3.0"), "vaxsipuseragent"),
        (call().user_agent("pplsip"), "pplsip"),
        (call().user_agent("SUNDAYDDR"), "sundayddr"),
        (call().user_agent("iWar"), "iwar"),
        (call().from_display("sipvicious"), "From has `sipvicious`"),
        (
            call().to_uri("sip:sipvicious@example.com"),
            "To has `sipvicious`",
        ),
        (call().from_tag(&svmap), "tag of sipvicious"),
        (call().from_tag(&svwar), "tag of sipvicious"),
        (call().from_uri("sip:100@1.1.1.1"), "address of sipvicious"),
        (
            call().header("Contact", "sip:123@1.1.1.1"),
            "address of sipvicious",
        ),
    ] {
        let outcome = guard(json!({})).call(&request);
        assert!(is_silent(&outcome), "{what}: {outcome:?}");
        assert!(
            outcome.reason().contains(what),
            "{what}: {}",
            outcome.reason()
        );
        assert_eq!(
            outcome.alerts().count(),
            0,
            "one is not enough for an alert"
        );
    }
    let own =
        guard(json!({ "signatures": { "more_user_agents": ["EvilPhone"], "habits": false } }));
    assert!(is_silent(&own.call(&call().user_agent("the evilphone 3"))));
    assert!(is_silent(&own.call(&call().user_agent("sipcli"))));
    assert!(own.call(&call().from_tag(&svmap)).is_next());
    let replaced = guard(json!({ "signatures": { "user_agents": ["evilphone"] } }));
    assert!(replaced.call(&call().user_agent("sipcli")).is_next());
    assert!(is_silent(&replaced.call(&call().user_agent("EvilPhone"))));
}

#[test]
fn sql_is_found_wherever_it_stands() {
    let sql = "x'%20or%20'1'='1";
    for (request, place) in [
        (call().from_uri(&format!("sip:{sql}@example.com")), "From"),
        (call().from_display("' or 1=1--"), "From"),
        (call().to_uri(&format!("sip:{sql}@example.com")), "To"),
        (
            Request::invite(&format!("sip:{sql}@example.com")).to_uri("sip:200@h"),
            "the Request-URI",
        ),
        (
            call().user_agent("a' UNION SELECT secret FROM sip"),
            "User-Agent",
        ),
        (
            call().header("Contact", format!("<sip:{sql}@10.0.0.5>")),
            "Contact",
        ),
        (
            call().header("Contact", "\"x' or 1=1--\" <sip:a@10.0.0.5>"),
            "Contact",
        ),
        (
            call().header(
                "Authorization",
                "Digest username=\"a'; DROP TABLE users\", realm=\"x\"",
            ),
            "credentials",
        ),
        (
            call().header(
                "Proxy-Authorization",
                "Digest realm=\"x\",username=\"a'--\"",
            ),
            "credentials",
        ),
    ] {
        let outcome = guard(json!({})).call(&request);
        assert!(is_silent(&outcome), "{place}: {outcome:?}");
        assert!(
            outcome.reason().contains(place),
            "{place}: {}",
            outcome.reason()
        );
        let ignoring = guard(json!({ "injection": "ignore" }));
        assert!(ignoring.call(&request).is_next(), "{place}");
    }
}

#[test]
fn small_oddities_count_together_and_do_not_add_up() {
    let four = Anomalies::INVALID_UTF8
        | Anomalies::NEEDLESS_ESCAPE
        | Anomalies::DUPLICATE_HEADER
        | Anomalies::MISSING_MAX_FORWARDS;
    let guard = guard(json!({}));
    for _ in 0..50 {
        let outcome = guard.call(&call().anomalies(four));
        assert!(outcome.is_next(), "{}", outcome.reason());
        assert_eq!(
            outcome.points(),
            40,
            "half of 80: anybody could have written the source"
        );
    }
    let five = four | Anomalies::TRAILING_BYTES;
    assert!(is_silent(&guard.call(&call().anomalies(five))));
}

#[test]
fn malformed_requests_and_unknown_methods_add_up() {
    let malformed = call().anomalies(Anomalies::CONTROL_CHARACTER);
    let harness = guard(json!({}));
    let first = harness.call(&malformed);
    assert!(first.is_next() && first.points() == 25, "{first:?}");
    assert!(is_silent(&harness.call(&malformed)), "50 and 50");
    assert!(
        harness.call(&call()).is_next(),
        "what is not suspicious goes on"
    );
    harness.advance(Duration::from_secs(2 * 3_600));
    assert!(harness.call(&malformed).is_next(), "forgotten");

    let harness = guard(json!({}));
    let strange = Request::new("FROB", "sip:200@example.com");
    for _ in 0..4 {
        assert!(harness.call(&strange).is_next());
    }
    assert!(is_silent(&harness.call(&strange)), "five times 20");
}

#[test]
fn strangers_get_no_answer_to_options() {
    let harness = guard(json!({}));
    let options = Request::new("OPTIONS", "sip:example.com");
    assert!(is_silent(&harness.call(&options)));
    assert!(is_silent(
        &harness.call(&options.clone().transport(Transport::Tcp))
    ));
    let register = Request::register("sip:example.com")
        .header("Authorization", "Digest username=\"alice\", realm=\"x\"");
    assert!(harness.call(&register).is_next());
    assert!(
        harness.call(&options).is_next(),
        "{}",
        "a telephone that registers"
    );
    assert!(is_silent(
        &harness.call(&options.clone().from_address("192.0.2.9"))
    ));
    harness.advance(Duration::from_secs(4 * 3_600 + 1));
    assert!(is_silent(&harness.call(&options)), "long ago");
    let trunk = options.clone().peer_name("carrier");
    assert!(harness.call(&trunk).is_next());
    assert!(
        harness
            .call(&options.clone().dialog(Dialog::Confirmed))
            .is_next()
    );
    let verified = options.clone().identity("alice").verified("alice", "x");
    assert!(harness.call(&verified).is_next());

    assert!(
        guard(json!({ "options": "allow" }))
            .call(&options)
            .is_next()
    );
    let strict = guard(json!({ "options": "silence" }));
    assert!(strict.call(&register).is_next());
    assert!(is_silent(&strict.call(&options)));
    let scoring = guard(json!({ "options": "score" }));
    for _ in 0..9 {
        assert!(scoring.call(&options).is_next());
    }
    assert!(is_silent(&scoring.call(&options)), "ten times 10");
    let weightless = guard(json!({ "points": { "probe": 0 } }));
    assert!(is_silent(&weightless.call(&options)));
}

#[test]
fn trusted_peers_are_exempt() {
    let scanner = call().user_agent("friendly-scanner");
    let trunk = scanner.clone().peer_name("carrier");
    assert!(guard(json!({})).call(&trunk).is_next());
    let strict = json!({ "exempt": { "configured_peers": false } });
    assert!(is_silent(&guard(strict).call(&trunk)));
    let some = guard(json!({ "exempt": {
        "configured_peers": false, "peers": ["carrier"], "networks": ["198.51.100.0/24"]
    } }));
    assert!(some.call(&trunk).is_next());
    assert!(is_silent(&some.call(&scanner.clone().peer_name("pbx"))));
    assert!(
        some.call(&scanner.clone().from_address("198.51.100.7"))
            .is_next()
    );
    assert!(is_silent(&some.call(&scanner)));
}

/// Settings, and the key that is wrong in them.
fn wrong() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "exempted": {} }), "exempted"),
        (
            json!({ "exempt": { "networks": ["x"] } }),
            "exempt.networks[0]",
        ),
        (json!({ "options": "answer" }), "options"),
        (json!({ "injection": true }), "injection"),
        (
            json!({ "signatures": { "user_agents": ["sipcli", "ab"] } }),
            "signatures.user_agents[1]",
        ),
        (
            json!({ "signatures": { "names": ["x".repeat(65)] } }),
            "signatures.names[0]",
        ),
        (
            json!({ "signatures": { "more_user_agents": vec!["abc"; 257] } }),
            "signatures.more_user_agents",
        ),
        (
            json!({ "enumeration": { "callers": 100_001 } }),
            "enumeration.callers",
        ),
        (
            json!({ "enumeration": { "targets": 100_001 } }),
            "enumeration.targets",
        ),
        (
            json!({ "enumeration": { "window_s": 9 } }),
            "enumeration.window_s",
        ),
        (
            json!({ "enumeration": { "window_s": 7_201 } }),
            "enumeration.window_s",
        ),
        (
            json!({ "points": { "signature": 1_001 } }),
            "points.signature",
        ),
        (json!({ "points": { "odd": -1 } }), "points.odd"),
        (
            json!({ "limits": { "silence_at": 0 } }),
            "limits.silence_at",
        ),
        (json!({ "limits": { "ban_at": 99 } }), "limits.ban_at"),
        (json!({ "limits": { "forget_s": 9 } }), "limits.forget_s"),
        (
            json!({ "limits": { "unproved_percent": 101 } }),
            "limits.unproved_percent",
        ),
        (
            json!({ "limits": { "ipv6_prefix": 0 } }),
            "limits.ipv6_prefix",
        ),
        (
            json!({ "limits": { "ipv6_prefix": 129 } }),
            "limits.ipv6_prefix",
        ),
    ]
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in wrong() {
        let error = Harness::<ScannerGuard>::try_new(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
    let bounds = json!({
        "signatures": { "names": ["abc", "x".repeat(64)] },
        "enumeration": { "callers": 0, "targets": 100_000, "window_s": 7_200 },
        "points": { "signature": 0, "odd": 1_000 },
        "limits": { "silence_at": 100, "ban_at": 100, "forget_s": 10, "unproved_percent": 0, "ipv6_prefix": 128 },
    });
    assert!(Harness::<ScannerGuard>::try_new(&bounds).is_ok());
}
