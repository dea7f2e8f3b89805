//! The four plugins in one pipeline.

use serde_json::json;
use sipward_tests::guests::{Caller, Worker, admitted};

use crate::door::{ALICE, Door, REALM};

#[test]
fn the_four_together_admit_one_call_and_refuse_each_in_its_turn() {
    let mut door = Door::new();
    let host = &door.host;
    let acl = json!({
        "inside": { "default": "allow" }, "outside": { "default": "allow", "deny": ["203.0.113.0/24"] }
    });
    let rate =
        json!({ "rules": [{ "name": "calls", "per": "source", "per_second": 1, "burst": 4 }] });
    let plugins = [
        host.plugin("ip-acl", acl),
        host.plugin("rate-limit", rate),
        host.plugin(
            "digest-auth",
            json!({ "realm": REALM, "exempt": { "peers": ["carrier"] } }),
        ),
        host.plugin(
            "destination-limits",
            json!({ "default": "deny", "allow": ["+49"], "names": ["bob"] }),
        ),
    ];
    let [acl, rate, digest, destinations] = &plugins;
    door.worker = Worker::new(&[acl, rate, digest, destinations]);
    let conclusion = door.attempt(ALICE);
    assert!(admitted(&conclusion), "{conclusion:?}");
    assert_eq!(conclusion.trace.len(), 4);
    let refused_by = |worker: &mut Worker, facts| {
        let conclusion = worker.judge(facts);
        let plugin = conclusion
            .decision
            .plugin()
            .expect("not admitted")
            .to_string();
        (plugin, conclusion.trace.len())
    };
    let worker = &mut door.worker;
    let scanner = Caller::at("203.0.113.9").invite("sip:bob@pbx.example");
    assert_eq!(refused_by(worker, scanner), ("ip-acl".to_owned(), 1));
    let stranger = Caller::at("192.0.2.77");
    assert_eq!(
        refused_by(worker, stranger.invite("sip:bob@pbx.example")),
        ("digest-auth".to_owned(), 3)
    );
    let premium = Caller::at("192.0.2.78")
        .named("carrier")
        .invite("sip:+1900555@pbx.example");
    assert_eq!(
        refused_by(worker, premium),
        ("destination-limits".to_owned(), 4)
    );
    for _ in 0..3 {
        let _ = worker.judge(stranger.invite("sip:bob@pbx.example"));
    }
    assert_eq!(
        refused_by(worker, stranger.invite("sip:bob@pbx.example")),
        ("rate-limit".to_owned(), 2)
    );
    assert!(door.host.log.take().is_empty(), "nothing was worth a line");
}
