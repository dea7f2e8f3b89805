//! What a plugin may do wrong when it is shown a response.

use std::sync::Arc;
use std::time::Instant;

use policy::{CallPass, Decision, ResponseConclusion, ResponseFacts};
use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host, Worker, admitted, message, report};

use crate::stage::{HOSTILE, PATIENCE, victim, wild};

/// A call that this worker admitted, and what it makes of a 486 to it.
struct Answered {
    worker: Worker,
    pass: CallPass,
}

impl Answered {
    fn new(host: &Host, settings: Value) -> Self {
        let wild = wild(host, settings);
        let mut calm = host.source(HOSTILE, json!({ "behaviour": "none", "hook": "response" }));
        calm.name = "calm".into();
        let calm = host.load(calm).expect("it loads");
        let mut worker = Worker::new(&[&wild, &calm]);
        let conclusion = worker.judge(victim());
        let Decision::Admit(permit) = &conclusion.decision else {
            panic!("{conclusion:?}")
        };
        let pass = permit.call_pass();
        Self { worker, pass }
    }

    fn busy(&mut self) -> ResponseConclusion {
        let text = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\n\
            From: <sip:alice@caller.example>;tag=1\r\nTo: <sip:bob@pbx.example>;tag=2\r\n\
            Call-ID: call@caller.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        let peer = Caller::at("192.0.2.9").inside().peer;
        let facts = ResponseFacts {
            message: Arc::new(message(text)),
            peer,
            identity: None,
            caller: None,
        };
        let conclusion =
            self.worker
                .executor
                .judge_response(&self.worker.generation, &self.pass, facts);
        conclusion.expect("two plugins want to see responses")
    }
}

#[test]
fn a_response_passes_whatever_a_plugin_does_to_it() {
    let host = Host::new();
    for (behaviour, text) in [
        ("endless-loop", "deadline_ms = 50"),
        ("memory-growth", "memory_bytes"),
        ("deep-recursion", "stack"),
        ("trap-on-call", "trapped"),
        ("oversized-outcome", "memory_bytes"),
        ("crlf-effect", "control character"),
        ("via-effect", "belongs to the proxy"),
        ("wrong-status", "status 200"),
        ("log-flood", "log_lines"),
        ("host-call-flood", "host_calls"),
    ] {
        let mut call = Answered::new(&host, json!({ "behaviour": behaviour, "hook": "response" }));
        for _ in 0..2 {
            let started = Instant::now();
            let conclusion = call.busy();
            assert!(started.elapsed() < PATIENCE);
            assert!(conclusion.replacement.is_none() && conclusion.header_edits.is_empty());
            assert_eq!(conclusion.trace.len(), 2, "{behaviour}");
            let failure = report(&conclusion.trace, "wild")
                .failure
                .clone()
                .expect("it failed");
            assert!(failure.contains(text), "{behaviour}: {failure}");
            assert_eq!(
                report(&conclusion.trace, "calm").reason,
                "behaves",
                "{behaviour}"
            );
        }
        assert!(
            admitted(&call.worker.judge(victim())),
            "{behaviour}: requests are served as before"
        );
        host.log.take();
    }
}
