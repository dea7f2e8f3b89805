//! Address lists, requirements and wrong settings of `ip-acl`.

use ip_acl::IpAcl;
use sipward_plugin_sdk::testing::{Harness, Request, json};
use sipward_plugin_sdk::{Transport, Zone};

fn harness() -> Harness<IpAcl> {
    Harness::new(json!({
        "inside": { "default": "allow", "deny": ["10.66.0.0/16"] },
        "outside": {
            "default": "deny",
            "allow": ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "::ffff:192.0.2.0/120"],
            "deny": ["198.51.100.128/25", "2001:db8:bad::/48"],
            "require_tls": ["203.0.113.0/25"],
            "require_digest": ["203.0.113.0/24"],
        },
    }))
}

fn from(address: &str) -> Request {
    Request::invite("sip:bob@example.com").from_address(address)
}

#[test]
fn the_longest_network_decides() {
    let harness = harness();
    for (address, admitted) in [
        ("198.51.100.0", true),
        ("198.51.100.127", true),
        ("198.51.100.128", false),
        ("198.51.100.255", false),
        ("198.51.101.0", false),
        ("192.0.2.9", true),
        ("::ffff:192.0.2.9", true),
        ("::ffff:192.0.3.9", false),
        ("2001:db8::1", true),
        ("2001:db8:bad::1", false),
        ("2001:db8:bae::1", true),
        ("2001:db9::1", false),
    ] {
        let outcome = harness.call(&from(address));
        assert_eq!(
            outcome.is_next(),
            admitted,
            "{address}: {}",
            outcome.reason()
        );
        assert_eq!(outcome.status(), (!admitted).then_some(403), "{address}");
    }
}

#[test]
fn zones_have_lists_of_their_own() {
    let harness = harness();
    assert!(harness.call(&from("8.8.8.8").zone(Zone::Inside)).is_next());
    assert!(
        harness
            .call(&from("10.65.255.255").zone(Zone::Inside))
            .is_next()
    );
    let outcome = harness.call(&from("10.66.0.0").zone(Zone::Inside));
    assert_eq!(
        (outcome.status(), outcome.reason()),
        (Some(403), "10.66.0.0 is in 10.66.0.0/16, denied")
    );
    assert_eq!(
        harness.call(&from("8.8.8.8")).reason(),
        "8.8.8.8 is in no list, default deny"
    );
}

#[test]
fn requirements_come_on_top() {
    let harness = harness();
    let call = from("203.0.113.1");
    assert_eq!(
        harness.call(&call).reason(),
        "203.0.113.0/25 has to use TLS"
    );
    let call = call.transport(Transport::Tcp);
    assert_eq!(
        harness.call(&call).reason(),
        "203.0.113.0/25 has to use TLS"
    );
    let call = call.transport(Transport::Tls);
    assert_eq!(
        harness.call(&call).reason(),
        "203.0.113.0/24 has to authenticate first"
    );
    assert!(harness.call(&call.identity("alice")).is_next());
    let udp = from("203.0.113.128").identity("alice");
    assert!(
        harness.call(&udp).is_next(),
        "outside the /25 TLS is not required"
    );
    assert!(
        harness
            .call(&from("203.0.113.1").transport(Transport::Wss).identity("a"))
            .is_next()
    );
}

#[test]
fn silence_is_an_answer() {
    let harness = Harness::<IpAcl>::new(json!({
        "inside": { "default": "deny" }, "outside": { "default": "deny" }, "answer": "silence",
    }));
    assert!(harness.call(&from("192.0.2.1")).is_silence());
    assert_eq!(harness.take_host_calls(), 0);
}

#[test]
fn wrong_settings_name_their_key() {
    let wrong = |settings| Harness::<IpAcl>::try_new(&settings).err().unwrap();
    let open = json!({ "default": "allow" });
    let error = wrong(json!({ "inside": open }));
    assert!(error.message().contains("missing field `outside`"));
    let error = wrong(json!({ "inside": {}, "outside": open }));
    assert_eq!(
        (error.key(), error.message()),
        ("inside", "missing field `default`")
    );
    let error = wrong(
        json!({ "inside": { "default": "allow", "deny": ["10.0.0.0/8", "10.0.0.1/8"] }, "outside": open }),
    );
    assert_eq!(error.key(), "inside.deny[1]");
    assert!(
        error.message().contains("did you mean 10.0.0.0/8?"),
        "{error}"
    );
    let error = wrong(json!({ "inside": open, "outside": { "default": "allow", "alow": [] } }));
    assert_eq!(error.key(), "outside.alow");
    let both =
        json!({ "default": "deny", "allow": ["10.0.0.0/8"], "deny": ["::ffff:10.0.0.0/104"] });
    let error = wrong(json!({ "inside": open, "outside": both }));
    assert_eq!(error.key(), "outside.allow");
    assert!(error.message().contains("10.0.0.0/8 stands in `deny` too"));
}

#[test]
fn the_number_of_networks_has_two_sides() {
    let settings = |count: u32| {
        let networks: Vec<_> = (0..count)
            .map(|n| std::net::Ipv4Addr::from(n).to_string())
            .collect();
        json!({ "inside": { "default": "allow", "deny": networks }, "outside": { "default": "allow" } })
    };
    assert!(Harness::<IpAcl>::try_new(&settings(65_536)).is_ok());
    assert!(Harness::<IpAcl>::try_new(&settings(65_537)).is_err());
}
