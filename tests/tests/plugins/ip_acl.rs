//! `ip-acl`: who may talk to us at all.

use serde_json::{Value, json};
use sip_transaction::Transport;
use sipward_tests::guests::{Caller, Host, Worker, admitted, refusal};

use crate::asking::Ask;
use crate::scene::Scene;
use crate::{dropped, refuses_settings};

#[test]
fn ip_acl_lets_the_longest_network_decide() {
    let host = Host::new();
    let plugin = host.plugin(
        "ip-acl",
        json!({
            "inside": { "default": "allow", "deny": ["10.66.0.0/16"] },
            "outside": {
                "default": "deny",
                "allow": ["198.51.100.0/24", "2001:db8:1::/48"],
                "deny": ["198.51.100.128/25"],
                "require_tls": ["198.51.100.64/26"],
            },
        }),
    );
    let mut worker = Worker::new(&[&plugin]);
    for (caller, allowed) in [
        (Caller::at("198.51.100.0"), true),
        (Caller::at("198.51.100.63"), true),
        (Caller::at("198.51.100.64"), false),
        (Caller::at("198.51.100.64").by(Transport::Tcp), false),
        (Caller::at("198.51.100.64").by(Transport::Tls), true),
        (Caller::at("198.51.100.128").by(Transport::Tls), false),
        (Caller::at("198.51.99.255"), false),
        (Caller::at("198.51.101.0"), false),
        (Caller::at("::ffff:198.51.100.1"), true),
        (Caller::at("2001:db8:1::1"), true),
        (Caller::at("2001:db8:2::1"), false),
        (Caller::at("10.65.255.255").inside(), true),
        (Caller::at("10.66.0.0").inside(), false),
    ] {
        let conclusion = worker.judge(caller.invite("sip:bob@pbx.example"));
        assert_eq!(
            admitted(&conclusion),
            allowed,
            "{caller:?}: {:?}",
            conclusion.decision
        );
        if !allowed {
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (403, "ip-acl"));
            assert!(
                reason.contains("denied")
                    || reason.contains("default deny")
                    || reason.contains("TLS"),
                "{reason}"
            );
        }
    }
}

#[test]
fn ip_acl_can_refuse_without_a_word() {
    let host = Host::new();
    let settings = json!({
        "inside": { "default": "deny" }, "outside": { "default": "deny" }, "answer": "silence"
    });
    let mut worker = Worker::new(&[&host.plugin("ip-acl", settings)]);
    assert!(dropped(
        &worker.judge(Caller::at("192.0.2.1").invite("sip:bob@pbx.example"))
    ));
}

#[test]
fn ip_acl_asks_for_an_identity_where_told() {
    let settings = json!({
        "inside": { "default": "allow" },
        "outside": { "default": "allow", "require_digest": ["81.0.0.0/25"] },
    });
    let mut scene = Scene::new("ip-acl", settings);
    let call = |address: &str| Ask::invite("sip:bob@pbx.example").at(address);
    for (ask, status) in [
        (call("81.0.0.127"), 403),
        (call("81.0.0.128"), 0),
        (call("81.0.0.127").by("alice"), 0),
        (call("81.0.0.127").inside(), 0),
    ] {
        assert_eq!(scene.ask(&ask), status, "{ask:?}");
    }
}

#[test]
fn ip_acl_changes_with_a_reload_and_has_nothing_to_forget() {
    let settings = |allow: Value| json!({ "inside": { "default": "allow" }, "outside": { "default": "deny", "allow": allow } });
    let call = Ask::invite("sip:bob@pbx.example").at("81.0.0.1");
    let mut scene = Scene::new("ip-acl", settings(json!(["82.0.0.0/8"])));
    assert_eq!(scene.ask(&call), 403);
    scene.keeps_settings(settings(json!(["81.0.0.0/33"])), "outside.allow[0]");
    assert_eq!(scene.ask(&call), 403);
    scene.reload(settings(json!(["81.0.0.1/32"])));
    assert_eq!(scene.ask(&call), 0);
    scene.restart();
    assert_eq!(scene.ask(&call), 0);
    assert_eq!(scene.ask(&call.at("81.0.0.2")), 403);
}

#[test]
fn ip_acl_names_the_wrong_key() {
    let zone = || json!({ "default": "allow" });
    refuses_settings(
        "ip-acl",
        &[
            (
                json!({ "inside": zone(), "outside": { "default": "maybe" } }),
                "outside.default",
            ),
            (
                json!({ "inside": zone(), "outside": { "default": "deny", "allow": ["192.0.2.0/33"] } }),
                "outside.allow[0]",
            ),
            (
                json!({ "inside": zone(), "outside": { "default": "deny", "allow": ["192.0.2.0/24"], "deny": ["192.0.2.0/24"] } }),
                "outside.allow",
            ),
            (json!({ "inside": zone() }), ""),
            (json!({ "inside": zone(), "outside": {} }), "outside"),
            (
                json!({ "inside": zone(), "outside": { "default": "deny", "require_tls": ["x"] } }),
                "outside.require_tls[0]",
            ),
            (
                json!({ "inside": { "default": "allow", "require_digest": ["10.0.0.1/8"] }, "outside": zone() }),
                "inside.require_digest[0]",
            ),
            (
                json!({ "inside": zone(), "outside": zone(), "answer": "busy" }),
                "answer",
            ),
            (
                json!({ "inside": zone(), "outside": zone(), "zones": [] }),
                "zones",
            ),
        ],
    );
}
