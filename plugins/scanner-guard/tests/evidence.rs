//! Whom evidence counts against: nobody but a sender who proved where it is.

use std::time::Duration;

use scanner_guard::ScannerGuard;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Outcome, Severity, Transport, Verdict};

fn guard(settings: Value) -> Harness<ScannerGuard> {
    Harness::new(settings)
}

fn is_silent(outcome: &Outcome) -> bool {
    matches!(outcome.verdict(), Verdict::Drop)
}

fn call() -> Request {
    Request::invite("sip:200@example.com")
}

fn scan() -> Request {
    call().user_agent("friendly-scanner")
}

fn register(user: &str) -> Request {
    Request::register("sip:example.com")
        .from_uri(&format!("sip:{user}@example.com"))
        .to_uri(&format!("sip:{user}@example.com"))
}

#[test]
fn a_proved_source_is_banned_at_the_third_strike() {
    let guard = guard(json!({}));
    let tcp = |request: Request| request.transport(Transport::Tcp);
    for _ in 0..2 {
        let outcome = guard.call(&tcp(scan()));
        assert!(is_silent(&outcome) && outcome.alerts().count() == 0);
        assert!(guard.call(&tcp(call())).is_next(), "not banned yet");
    }
    let third = guard.call(&tcp(scan()));
    let alert = third.alerts().next().unwrap();
    assert!(is_silent(&third));
    assert_eq!(
        (alert.severity, alert.key.as_str()),
        (Severity::Warning, "scanner/192.0.2.1/32")
    );
    let banned = guard.call(&tcp(call()));
    assert!(
        is_silent(&banned) && banned.reason().contains("banned"),
        "{}",
        banned.reason()
    );
    assert_eq!(banned.alerts().count(), 0, "one alert is enough");
    assert!(is_silent(&guard.call(&call().transport(Transport::Tls))));

    assert!(guard.call(&tcp(call().from_address("192.0.2.2"))).is_next());
    assert!(
        guard.call(&call()).is_next(),
        "UDP from there may be somebody else"
    );
    let alice = tcp(call()).identity("alice").verified("alice", "x");
    assert!(
        guard.call(&alice).is_next(),
        "whoever has a password is somebody else"
    );

    guard.restart();
    assert!(
        is_silent(&guard.call(&tcp(call()))),
        "a restart forgets no ban"
    );
    guard.advance(Duration::from_secs(2 * 3_600));
    assert!(guard.call(&tcp(call())).is_next(), "a ban ends");
}

#[test]
fn a_forged_source_is_never_banned() {
    let guard = guard(json!({}));
    for _ in 0..1_000 {
        let outcome = guard.call(&scan());
        assert!(is_silent(&outcome));
        assert_eq!(
            outcome.alerts().count(),
            0,
            "alarms cannot be forged either"
        );
    }
    assert!(guard.call(&call()).is_next());
    assert!(guard.call(&register("alice")).is_next());
    for transport in [
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ] {
        assert!(guard.call(&call().transport(transport)).is_next());
    }
    let claimed = call().identity("alice");
    assert!(guard.call(&claimed).is_next());
}

#[test]
fn a_verified_user_is_banned_alone() {
    let guard = guard(json!({}));
    let user = |name: &str, request: Request| request.identity(name).verified(name, "x");
    for _ in 0..3 {
        assert!(is_silent(&guard.call(&user("mallory", scan()))));
    }
    assert!(is_silent(&guard.call(&user("mallory", call()))));
    assert!(
        guard
            .call(&user("mallory", call().from_address("192.0.2.2")))
            .is_next()
    );
    assert!(guard.call(&user("alice", call())).is_next());
    assert!(guard.call(&call().transport(Transport::Tcp)).is_next());
}

#[test]
fn an_ipv6_source_is_a_whole_network() {
    let guard = guard(json!({}));
    let at = |address: &str| scan().transport(Transport::Tls).from_address(address);
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
        assert!(is_silent(&guard.call(&at(address))));
    }
    let quiet = |address: &str| call().transport(Transport::Tls).from_address(address);
    assert!(is_silent(&guard.call(&quiet("2001:db8::4"))));
    assert!(guard.call(&quiet("2001:db8:0:1::4")).is_next());
}

#[test]
fn counting_up_extensions_ends_at_the_limit() {
    let guard = guard(json!({ "enumeration": { "callers": 5 } }));
    for extension in 100..105 {
        assert!(guard.call(&register(&extension.to_string())).is_next());
    }
    for _ in 0..2 {
        let outcome = guard.call(&register("105"));
        assert!(is_silent(&outcome), "trying again makes nobody known");
        assert!(
            outcome.reason().contains("too many users"),
            "{}",
            outcome.reason()
        );
    }
    assert!(
        guard.call(&register("104")).is_next(),
        "telephones that were there go on"
    );
    assert!(
        guard
            .call(&register("105").from_address("192.0.2.2"))
            .is_next()
    );
    assert!(
        guard
            .call(&register("105").transport(Transport::Tcp))
            .is_next()
    );
    guard.advance(Duration::from_secs(1_201));
    assert!(guard.call(&register("105")).is_next());
}

#[test]
fn counting_up_over_tcp_is_a_ban() {
    let guard = guard(json!({ "enumeration": { "callers": 5 } }));
    let tcp = |user: u32| register(&user.to_string()).transport(Transport::Tcp);
    for extension in 100..105 {
        assert!(guard.call(&tcp(extension)).is_next());
    }
    for extension in 105..108 {
        assert!(is_silent(&guard.call(&tcp(extension))));
    }
    let known = guard.call(&tcp(100));
    assert!(
        is_silent(&known) && known.reason().contains("banned"),
        "{}",
        known.reason()
    );
}

#[test]
fn callers_and_targets_are_counted_apart() {
    let settings = json!({ "enumeration": { "callers": 3, "targets": 6 } });
    let to = |user: u32| Request::invite(&format!("sip:{user}@example.com"));
    let harness = guard(settings.clone());
    for target in 0..6 {
        assert!(harness.call(&to(target)).is_next());
    }
    let seventh = harness.call(&to(6));
    assert!(is_silent(&seventh) && seventh.reason().contains("calls too many"));
    assert!(
        harness
            .call(&to(6).identity("alice").verified("alice", "x"))
            .is_next()
    );
    let harness = guard(settings.clone());
    let from = |user: u32| call().from_uri(&format!("sip:{user}@example.com"));
    for caller in 0..3 {
        assert!(harness.call(&from(caller)).is_next());
    }
    assert!(is_silent(&harness.call(&from(3))));
    let off = guard(json!({ "enumeration": { "callers": 0, "targets": 0 } }));
    for user in 0..500 {
        assert!(off.call(&register(&user.to_string())).is_next());
        assert!(off.call(&to(user)).is_next());
    }
}

#[test]
fn a_full_table_is_borne_by_whoever_could_be_forged() {
    let guard = guard(json!({}));
    guard.set_counters_full(true);
    assert!(is_silent(&guard.call(&call())));
    assert!(guard.call(&call().transport(Transport::Tcp)).is_next());
    assert!(
        guard
            .call(&call().identity("alice").verified("alice", "x"))
            .is_next()
    );
    assert!(guard.call(&call().peer_name("carrier")).is_next());
    assert!(is_silent(&guard.call(&scan().transport(Transport::Tcp))));
    guard.set_counters_full(false);
    assert!(guard.call(&call()).is_next());
}

#[test]
fn names_of_any_length_are_counted() {
    let guard = guard(json!({ "enumeration": { "callers": 1 } }));
    let long = |tail: &str| register(&format!("{}{tail}", "x".repeat(300)));
    assert!(guard.call(&long("a")).is_next());
    assert!(guard.call(&long("b")).is_next(), "the same first 200 bytes");
    assert!(is_silent(&guard.call(&register("y"))));
}

#[test]
fn a_clean_request_costs_few_host_calls() {
    let guard = guard(json!({}));
    let _warm = guard.take_host_calls();
    assert!(guard.call(&call().transport(Transport::Tcp)).is_next());
    assert!(
        guard.take_host_calls() <= 5,
        "a ban, two names, two numbers of names"
    );
    assert!(guard.call(&call().transport(Transport::Tcp)).is_next());
    assert!(guard.take_host_calls() <= 3);
    assert!(guard.call(&call().peer_name("carrier")).is_next());
    assert_eq!(guard.take_host_calls(), 0);
}

#[test]
fn a_reload_keeps_what_is_known() {
    let guard = guard(json!({}));
    for _ in 0..3 {
        let _strike = guard.call(&scan().transport(Transport::Tcp));
    }
    guard
        .reload(&json!({ "limits": { "ban_at": 500 } }))
        .unwrap();
    assert!(guard.call(&call().transport(Transport::Tcp)).is_next());
    guard.reload(&json!({})).unwrap();
    assert!(is_silent(&guard.call(&call().transport(Transport::Tcp))));
}
