//! Components of every released version of the policy interface, loaded and asked by
//! this host. Their sources stand in `tests/compat`, each with its own copy of the
//! interface, and are never changed: who finds that a test here fails has broken the
//! plugins of somebody else.

use std::net::SocketAddr;
use std::sync::Arc;

use policy::{
    CallConclusion, CallFacts, CallHappening, Conclusion, Decision, MediaRequirement, RequestFacts,
    ResponseFacts,
};
use policy_wasm::LoadError;
use serde_json::json;
use sipward_tests::guests::{Caller, Host, START_MS, Worker, message, report};

/// A component of each released version.
const RELEASED: [&str; 1] = ["compat-0-1-0"];

/// A worker with one old plugin.
struct Stage {
    guest: &'static str,
    worker: Worker,
}

impl Stage {
    fn all(host: &Host) -> impl Iterator<Item = Self> {
        RELEASED.into_iter().map(|guest| Self {
            guest,
            worker: Worker::new(&[&host.plugin(guest, json!({}))]),
        })
    }

    /// Asks about an INVITE to this user; the plugin does what the user part says.
    fn ask(&mut self, user: &str) -> Conclusion {
        self.judge(invite(user))
    }

    fn judge(&mut self, facts: RequestFacts) -> Conclusion {
        let conclusion = self.worker.judge(facts);
        assert_eq!(self.said(&conclusion).1, None, "{} failed", self.guest);
        conclusion
    }

    /// The plugin's reason, and why it failed if it did.
    fn said(&self, conclusion: &Conclusion) -> (String, Option<String>) {
        let report = report(&conclusion.trace, self.guest);
        (report.reason.clone(), report.failure.clone())
    }

    fn follow(&mut self, facts: &CallFacts, happening: &CallHappening) -> CallConclusion {
        let generation = Arc::clone(&self.worker.generation);
        let told = self
            .worker
            .executor
            .follow(&generation, facts, happening, None);
        let told = told.expect("it follows calls");
        assert_eq!(report(&told.trace, self.guest).failure, None);
        told
    }
}

fn invite(user: &str) -> RequestFacts {
    Caller::at("192.0.2.7").named("office").request(
        "INVITE",
        &format!("sip:{user}@pbx.example;user=phone"),
        "User-Agent: phone/1\r\n",
    )
}

#[test]
fn an_old_plugin_refuses_settings_by_their_key() {
    let host = Host::new();
    for guest in RELEASED {
        let error = host.load(host.source(guest, json!({ "anything": 1 })));
        assert!(matches!(error, Err(LoadError::Settings { key, .. }) if key == "anything"));
    }
}

#[test]
fn an_old_plugin_reads_every_fact() {
    for mut stage in Stage::all(&Host::new()) {
        let conclusion = stage.ask("facts");
        let (said, _) = stage.said(&conclusion);
        let fields: Vec<&str> = said.split('|').collect();
        assert_eq!(
            fields,
            [
                "INVITE",
                "sip:facts@pbx.example;user=phone",
                "pbx.example",
                "user=phone",
                "sip:alice@caller.example",
                "1",
                "",
                "call@caller.example",
                "phone/1",
                "office",
                "Transport::Udp Zone::Outside 5060",
                "",
                "Dialog::None Anomalies(0x0)",
                "",
                "",
                "0 true",
                "",
                "9",
                "1",
                "0",
            ],
            "{said}"
        );
    }
}

#[test]
fn an_old_plugin_calls_every_function() {
    let host = Host::new();
    for mut stage in Stage::all(&host) {
        let state = stage.ask("state");
        assert_eq!(
            stage.said(&state).0,
            format!(
                "clock {START_MS}|counted 2 ()|taken (true, 2)|value () Some(4) true|\
                 held (true, 1) 1|random true"
            )
        );
        let lines = host.log.take();
        let said = |(_, _, text): &(_, _, String)| text == "asks for everything";
        assert!(lines.iter().any(said), "{lines:?}");
        let lookups = stage.ask("lookups");
        assert_eq!(
            stage.said(&lookups).0,
            "verified Verification::Missing CodeVerification::Wrong|place error|\
             number (\"+4930123456\", NumberClass::Fixed)|lists error error|identity false 0 []"
        );
    }
}

#[test]
fn every_verdict_of_an_old_plugin_is_understood() {
    for mut stage in Stage::all(&Host::new()) {
        assert!(matches!(stage.ask("next").decision, Decision::Admit(_)));
        match stage.ask("reject").decision {
            Decision::Refuse(it) => {
                assert_eq!((it.status, it.phrase.as_str()), (603, "As It Was"));
                assert_eq!(it.retry_after, Some(7));
            }
            other => panic!("{other:?}"),
        }
        match stage.ask("challenge").decision {
            Decision::Challenge(it) => {
                assert_eq!((it.realm.as_str(), it.algorithms.len()), ("example.com", 2))
            }
            other => panic!("{other:?}"),
        }
        match stage.ask("redirect").decision {
            Decision::Redirect(it) => assert_eq!(it.contacts, ["sip:elsewhere@example.com"]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(stage.ask("drop").decision, Decision::Drop(_)));
    }
}

#[test]
fn every_effect_of_an_old_plugin_happens() {
    for mut stage in Stage::all(&Host::new()) {
        let conclusion = stage.ask("effects");
        let Decision::Admit(permit) = &conclusion.decision else {
            panic!("{:?}", conclusion.decision);
        };
        assert_eq!(permit.header_edits().len(), 3);
        assert_eq!(
            permit.annotations(),
            [("compat".to_owned(), "yes".to_owned())]
        );
        assert_eq!(permit.account().score, 3);
        assert_eq!(permit.identity(), Some("alice"));
        assert_eq!(permit.limit_duration(), Some(600));
        assert_eq!(permit.route(), Some("carrier"));
        assert_eq!(permit.media_requirement(), MediaRequirement::Encrypted);
        assert_eq!(permit.account().ticks[0].seconds, 60);
        let rewrites = permit.rewrites().expect("addresses are rewritten");
        assert_eq!(rewrites.request_uri.as_deref(), Some("sip:bob@example.net"));
        assert_eq!(rewrites.from.as_deref(), Some("<sip:100@example.net>"));
        assert_eq!(rewrites.to.as_deref(), Some("<sip:200@example.net>"));
        assert_eq!(conclusion.alerts.len(), 1);
        assert_eq!(permit.account().secrets, ["7391"]);
    }
}

#[test]
fn an_effect_of_the_future_refuses_the_outcome() {
    for mut stage in Stage::all(&Host::new()) {
        let conclusion = stage.worker.judge(invite("other"));
        let (_, failure) = stage.said(&conclusion);
        assert!(failure.is_some_and(|why| why.contains("unheard-of")));
    }
}

#[test]
fn an_old_plugin_sees_responses() {
    for mut stage in Stage::all(&Host::new()) {
        let conclusion = stage.ask("next");
        let Decision::Admit(permit) = conclusion.decision else {
            panic!("{:?}", conclusion.decision);
        };
        let generation = Arc::clone(&stage.worker.generation);
        let mut respond = |status: u16| {
            let text = format!(
                "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
                 From: <sip:alice@caller.example>;tag=1\r\nTo: <sip:bob@pbx.example>;tag=2\r\n\
                 Call-ID: call@caller.example\r\nCSeq: 1 INVITE\r\nServer: pbx\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let facts = ResponseFacts {
                message: Arc::new(message(text)),
                peer: Caller::at("192.0.2.9").peer,
                identity: None,
                caller: None,
            };
            let executor = &mut stage.worker.executor;
            let judged = executor.judge_response(&generation, &permit.call_pass(), facts);
            judged.expect("it looks at responses")
        };
        let busy = respond(486);
        assert_eq!(busy.trace[0].reason, "486 Whatever by pbx");
        assert!(busy.replacement.is_none());
        let lost = respond(404).replacement;
        assert_eq!(lost.expect("it is replaced").status, 480);
    }
}

#[test]
fn an_old_plugin_follows_calls() {
    for mut stage in Stage::all(&Host::new()) {
        let conclusion = stage.ask("next");
        let Decision::Admit(permit) = conclusion.decision else {
            panic!("{:?}", conclusion.decision);
        };
        let facts = CallFacts {
            number: 1,
            pass: permit.call_pass(),
            call_id: "call@caller.example".into(),
            request_uri: "sip:next@pbx.example".into(),
            from: "sip:alice@caller.example".into(),
            source: Caller::at("192.0.2.7").peer.address,
            caller: Some("office".into()),
            callee: None,
            started_ms: START_MS,
            answered_ms: None,
        };
        let started = stage.follow(&facts, &CallHappening::Started);
        assert_eq!(started.ticks[0].seconds, 60);
        let answered = stage.follow(&facts, &CallHappening::Answered);
        assert_eq!(answered.limit_duration, Some(600));
        let source: SocketAddr = "198.51.100.1:4000".parse().expect("an address");
        let foreign = CallHappening::ForeignMedia {
            source,
            stream: 0,
            cause: "ssrc",
        };
        let foreign = stage.follow(&facts, &foreign);
        assert_eq!(
            foreign.trace[0].reason,
            "foreign ssrc of sip:next@pbx.example"
        );
        let tick = stage.follow(&facts, &CallHappening::Tick(60));
        assert!(tick.end.is_some() && tick.trace[0].reason.starts_with("tick 60"));
        let ended = CallHappening::Ended {
            cause: "bye",
            status: 0,
            lasted_ms: 60_000,
            caller_media: None,
            callee_media: None,
        };
        let ended = stage.follow(&facts, &ended);
        assert_eq!(ended.trace[0].reason, "ended bye 0 of sip:next@pbx.example");
    }
}
