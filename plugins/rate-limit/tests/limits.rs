//! Limits, classes of senders and wrong settings of `rate-limit`.

use std::time::Duration;

use rate_limit::RateLimit;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Transport, Verdict, Zone};

fn harness(per: &str) -> Harness<RateLimit> {
    Harness::new(json!({ "rules": [
        { "name": "calls", "per": per, "per_second": 0.5, "burst": 2 },
    ]}))
}

fn from(address: &str) -> Request {
    Request::invite("sip:bob@example.com").from_address(address)
}

/// Sends until refused; how many passed.
fn passed(harness: &Harness<RateLimit>, request: &Request) -> usize {
    (0..100)
        .take_while(|_| harness.call(request).is_next())
        .count()
}

#[test]
fn burst_then_503_then_silence() {
    let harness = harness("source");
    let call = from("192.0.2.1");
    assert_eq!(passed(&harness, &call), 2);
    // One excess token is gone; the bucket of excess has (3 - 1) * 2.
    for _ in 0..3 {
        let outcome = harness.call(&call);
        let Verdict::Reject(rejection) = outcome.verdict() else {
            panic!("{outcome:?}")
        };
        assert_eq!((rejection.status, rejection.retry_after), (503, 2));
    }
    let flood = harness.call(&call);
    assert!(flood.is_silence());
    assert_eq!(flood.reason(), "192.0.2.1 floods rule calls");
    harness.advance(Duration::from_millis(1_999));
    assert!(!harness.call(&call).is_next());
    harness.advance(Duration::from_millis(1));
    assert!(harness.call(&call).is_next());
}

#[test]
fn sources_networks_users_and_peers() {
    let source = harness("source");
    assert_eq!(passed(&source, &from("192.0.2.1")), 2);
    assert_eq!(passed(&source, &from("192.0.2.2")), 2);
    assert_eq!(passed(&source, &from("2001:db8::1")), 2);
    assert_eq!(
        passed(&source, &from("2001:db8::ffff:0:0:1")),
        0,
        "one /64 is one source"
    );
    assert_eq!(passed(&source, &from("2001:db8:0:1::1")), 2);

    let network = harness("network");
    assert_eq!(passed(&network, &from("192.0.2.1")), 2);
    assert_eq!(passed(&network, &from("192.0.2.255")), 0);
    assert_eq!(passed(&network, &from("192.0.3.0")), 2);

    let user = harness("user");
    assert_eq!(
        passed(&user, &from("192.0.2.1")),
        100,
        "nobody is identified"
    );
    assert_eq!(passed(&user, &from("192.0.2.1").identity("alice")), 2);
    assert_eq!(passed(&user, &from("198.51.100.7").identity("alice")), 0);
    assert_eq!(passed(&user, &from("192.0.2.1").identity("bob")), 2);

    let peer = harness("peer");
    assert_eq!(passed(&peer, &from("192.0.2.1")), 100);
    assert_eq!(passed(&peer, &from("192.0.2.1").peer_name("trunk")), 2);
    assert_eq!(passed(&peer, &from("192.0.2.2").peer_name("trunk")), 0);
}

#[test]
fn a_forged_source_takes_nothing_from_its_owner() {
    for per in ["source", "network"] {
        let harness = harness(per);
        for _ in 0..1_000 {
            _ = harness.call(&from("192.0.2.1"));
        }
        assert!(harness.call(&from("192.0.2.1")).is_silence());
        assert!(
            harness.call(&from("192.0.2.1").identity("alice")).is_next(),
            "{per}"
        );
        assert!(
            harness
                .call(&from("192.0.2.1").transport(Transport::Tls))
                .is_next(),
            "{per}"
        );
        assert!(
            harness
                .call(&from("192.0.2.1").peer_name("trunk"))
                .is_next(),
            "{per}"
        );
    }
}

#[test]
fn a_full_table_hits_only_who_could_be_forged() {
    let harness = harness("source");
    harness.set_counters_full(true);
    assert!(harness.call(&from("192.0.2.1")).is_silence());
    assert!(
        harness
            .call(&from("192.0.2.1").transport(Transport::Tcp))
            .is_next()
    );
    assert!(harness.call(&from("192.0.2.1").identity("alice")).is_next());
    assert!(
        harness
            .call(&from("192.0.2.1").peer_name("trunk").zone(Zone::Inside))
            .is_next()
    );
}

#[test]
fn methods_and_exemptions() {
    let harness = Harness::<RateLimit>::new(json!({
        "rules": [
            { "name": "registrations", "per": "source", "methods": ["REGISTER"], "per_second": 1, "burst": 1 },
            { "name": "everything", "per": "source", "per_second": 1, "burst": 4 },
        ],
        "exempt": { "networks": ["10.0.0.0/8"], "peers": ["trunk"] },
    }));
    let request = |method: &str| Request::new(method, "sip:example.com");
    assert_eq!(passed(&harness, &request("BYE")), 100);
    assert_eq!(passed(&harness, &request("ACK")), 100);
    assert_eq!(passed(&harness, &request("REGISTER")), 1);
    assert_eq!(
        passed(&harness, &request("OPTIONS")),
        3,
        "the REGISTER counted here too"
    );
    assert_eq!(
        passed(&harness, &request("INVITE").from_address("10.1.1.1")),
        100
    );
    assert_eq!(passed(&harness, &request("INVITE").peer_name("trunk")), 100);
}

#[test]
fn names_of_any_length_make_keys() {
    let harness = harness("user");
    for length in [0, 1, 199, 200, 201, 5_000] {
        let user = "x".repeat(length);
        let expected = if length > 200 { 0 } else { 2 };
        assert_eq!(
            passed(&harness, &from("192.0.2.1").identity(&user)),
            expected,
            "{length}"
        );
    }
}

#[test]
fn wrong_settings_name_their_key() {
    let rule = |change: Value| {
        let mut rule = json!({ "name": "a", "per": "source", "per_second": 1, "burst": 1 });
        rule.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        rule
    };
    let good = rule(json!({}));
    let wrong = |settings| Harness::<RateLimit>::try_new(&settings).err().unwrap();
    for (change, key) in [
        (json!({ "burst": 0 }), "rules[1].burst"),
        (json!({ "burst": 1_000_001 }), "rules[1].burst"),
        (json!({ "per_second": 0.0009 }), "rules[1].per_second"),
        (json!({ "per_second": 1_000_001 }), "rules[1].per_second"),
        (json!({ "methods": ["invite"] }), "rules[1].methods"),
        (json!({ "name": "a b" }), "rules[1].name"),
        (json!({ "name": "x".repeat(33) }), "rules[1].name"),
        (json!({ "name": "a" }), "rules[1].name"),
        (json!({ "per": "moon" }), "rules[1].per"),
        (json!({ "pr": 1 }), "rules[1].pr"),
    ] {
        let mut named = rule(json!({ "name": "b" }));
        named
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            wrong(json!({ "rules": [good, named] })).key(),
            key,
            "{change}"
        );
    }
    assert_eq!(wrong(json!({ "rules": [] })).key(), "rules");
    assert_eq!(
        wrong(json!({ "rules": [good], "flood_factor": 0 })).key(),
        "flood_factor"
    );
    assert_eq!(
        wrong(json!({ "rules": [good], "ipv4_prefix": 33 })).key(),
        "ipv4_prefix"
    );
    for (burst, rate) in [(1, 0.001), (1_000_000, 1_000_000.0)] {
        let edge = rule(json!({ "burst": burst, "per_second": rate }));
        assert!(Harness::<RateLimit>::try_new(&json!({ "rules": [edge] })).is_ok());
    }
    let many: Vec<_> = (0..17)
        .map(|n| rule(json!({ "name": format!("r{n}") })))
        .collect();
    assert!(Harness::<RateLimit>::try_new(&json!({ "rules": many[..16] })).is_ok());
    assert_eq!(wrong(json!({ "rules": many })).key(), "rules");
}

#[test]
fn a_flood_factor_of_one_is_silent_at_once() {
    let harness = Harness::<RateLimit>::new(json!({
        "rules": [{ "name": "a", "per": "source", "per_second": 1, "burst": 1 }], "flood_factor": 1,
    }));
    assert!(harness.call(&from("192.0.2.1")).is_next());
    assert!(harness.call(&from("192.0.2.1")).is_silence());
}
