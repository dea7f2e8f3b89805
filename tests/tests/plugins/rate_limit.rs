//! `rate-limit`: how many requests a sender may make.

use std::sync::Arc;
use std::time::Duration;

use policy::{Conclusion, Decision};
use policy_wasm::Plugin;
use serde_json::json;
use sip_transaction::Transport;
use sipward_tests::guests::{Caller, Host, Worker, admitted};

use crate::asking::Ask;
use crate::scene::Scene;
use crate::{dropped, refuses_settings};

fn limited(host: &Host, per: &str) -> Arc<Plugin> {
    let settings = json!({
        "rules": [{ "name": "calls", "per": per, "per_second": 1, "burst": 2 }], "flood_factor": 3
    });
    host.plugin("rate-limit", settings)
}

fn call(worker: &mut Worker, caller: &Caller) -> Conclusion {
    worker.judge(caller.invite("sip:bob@pbx.example"))
}

#[test]
fn rate_limit_answers_slight_excess_and_ignores_floods() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    let caller = Caller::at("192.0.2.1");
    for _ in 0..2 {
        assert!(admitted(&call(&mut worker, &caller)), "a burst of two");
    }
    for _ in 0..4 {
        let conclusion = call(&mut worker, &caller);
        let Decision::Refuse(refused) = &conclusion.decision else {
            panic!("{conclusion:?}")
        };
        assert_eq!((refused.status, refused.retry_after), (503, Some(1)));
        assert!(
            refused.reason.contains("exceeds rule calls"),
            "{}",
            refused.reason
        );
    }
    assert!(
        dropped(&call(&mut worker, &caller)),
        "a flood hears nothing"
    );
    assert!(
        admitted(&call(&mut worker, &Caller::at("192.0.2.2"))),
        "others are served"
    );
    host.clock.pass(Duration::from_millis(900));
    assert!(!admitted(&call(&mut worker, &caller)), "no token yet");
    host.clock.pass(Duration::from_millis(1_100));
    assert!(admitted(&call(&mut worker, &caller)), "nobody is banned");
}

#[test]
fn rate_limit_counts_an_ipv6_network_as_one_and_forged_senders_apart() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    assert!(admitted(&call(&mut worker, &Caller::at("2001:db8::1"))));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("2001:db8::ffff:1")
    )));
    assert!(
        !admitted(&call(&mut worker, &Caller::at("2001:db8::2"))),
        "the same /64"
    );
    assert!(
        admitted(&call(&mut worker, &Caller::at("2001:db8:0:1::2"))),
        "another /64"
    );
    // Whoever forges this source by UDP drains no bucket of its owner.
    for _ in 0..50 {
        let _ = call(&mut worker, &Caller::at("192.0.2.1"));
    }
    assert!(dropped(&call(&mut worker, &Caller::at("192.0.2.1"))));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("192.0.2.1").by(Transport::Tls)
    )));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("192.0.2.1").named("carrier")
    )));
}

#[test]
fn rate_limit_never_holds_up_the_end_of_a_call() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    let caller = Caller::at("192.0.2.1");
    while admitted(&call(&mut worker, &caller)) {}
    assert!(admitted(&worker.judge(caller.request(
        "BYE",
        "sip:bob@pbx.example",
        ""
    ))));
}

#[test]
fn rate_limit_counts_for_all_workers_together() {
    let host = Host::new();
    let plugin = limited(&host, "network");
    let mut workers = [Worker::new(&[&plugin]), Worker::new(&[&plugin])];
    assert!(admitted(&call(&mut workers[0], &Caller::at("192.0.2.1"))));
    assert!(admitted(&call(&mut workers[1], &Caller::at("192.0.2.200"))));
    assert!(!admitted(&call(
        &mut workers[0],
        &Caller::at("192.0.2.100")
    )));
}

#[test]
fn rate_limit_goes_on_counting_through_a_reload_and_begins_anew_after_a_restart() {
    let settings = |burst: u32| json!({ "rules": [{ "name": "calls", "per": "user", "per_second": 0.1, "burst": burst }] });
    let alice = || Ask::call("alice", "030123456");
    let mut scene = Scene::new("rate-limit", settings(2));
    assert_eq!((scene.ask(&alice()), scene.ask(&alice())), (0, 0));
    assert_eq!(scene.ask(&alice()), 503);
    assert_eq!(scene.ask(&Ask::call("bob", "030123456")), 0);
    scene.keeps_settings(settings(0), "rules[0].burst");
    scene.reload(settings(2));
    assert_eq!(scene.ask(&alice()), 503, "a reload fills no bucket");
    scene.pass_s(10);
    assert_eq!((scene.ask(&alice()), scene.ask(&alice())), (0, 503));
    // Buckets are in memory: a restart is worth one burst, and no more.
    scene.restart();
    assert_eq!((scene.ask(&alice()), scene.ask(&alice())), (0, 0));
    assert_eq!(scene.ask(&alice()), 503);
}

#[test]
fn rate_limit_names_the_wrong_key() {
    let rule =
        |burst: u32| json!({ "name": "a", "per": "source", "per_second": 1, "burst": burst });
    refuses_settings(
        "rate-limit",
        &[
            (json!({ "rules": [] }), "rules"),
            (json!({ "rules": [rule(1), rule(1)] }), "rules[1].name"),
            (json!({ "rules": [rule(0)] }), "rules[0].burst"),
            (
                json!({ "rules": [rule(1)], "ipv4_prefix": 33 }),
                "ipv4_prefix",
            ),
            (
                json!({ "rules": [rule(1)], "flood_factor": 0 }),
                "flood_factor",
            ),
            (json!({}), ""),
            (
                json!({ "rules": [{ "name": "a b", "per": "source", "per_second": 1, "burst": 1 }] }),
                "rules[0].name",
            ),
            (
                json!({ "rules": [{ "name": "a", "per": "phone", "per_second": 1, "burst": 1 }] }),
                "rules[0].per",
            ),
            (
                json!({ "rules": [{ "name": "a", "per": "source", "per_second": 0, "burst": 1 }] }),
                "rules[0].per_second",
            ),
            (
                json!({ "rules": [rule(1)], "exempt": { "networks": ["x"] } }),
                "exempt.networks[0]",
            ),
            (
                json!({ "rules": [rule(1)], "ipv6_prefix": 0 }),
                "ipv6_prefix",
            ),
            (json!({ "rules": [rule(1)], "rule": [] }), "rule"),
        ],
    );
}
