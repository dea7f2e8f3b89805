//! The fold from outcomes to a decision.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod calls;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use policy::{
    Alert, Capability, Challenge, Conclusion, ConsultId, Decision, DigestAlgorithm, Effect, Grants,
    HeaderEdit, MediaRequirement, MethodSet, OnFailure, Outcome, Peer, Pipeline, PolicyFailure,
    RequestFacts, ResponseFacts, Severity, Stage, Verdict, Zone,
};
use proptest::prelude::*;
use sip_message::{Limits, Message};
use sip_transaction::Transport;

fn message(start_line: &str) -> Arc<Message> {
    let text = format!(
        "{start_line}\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\nCall-ID: c1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.7>\r\nContent-Length: 0\r\n\r\n"
    );
    Arc::new(Message::parse_datagram(text.into(), &Limits::default()).unwrap())
}

fn peer() -> Peer {
    Peer {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        port: 5060,
        transport: Transport::Udp,
        zone: Zone::Outside,
        name: None,
        certificate: None,
        tls: None,
    }
}

fn facts() -> RequestFacts {
    RequestFacts::new(message("INVITE sip:b@example.org SIP/2.0"), peer())
}

fn pipeline(stages: usize) -> Pipeline {
    let stage = |place: usize| {
        let mut stage = Stage::new(format!("p{place}"));
        stage.grants = Grants::NONE
            .with(Capability::EditHeaders)
            .with(Capability::Route);
        stage
    };
    Pipeline {
        name: Arc::from("main"),
        stages: (0..stages).map(stage).collect(),
        generation: 4,
    }
}

fn fold(pipeline: &Pipeline, answers: Vec<Result<Outcome, PolicyFailure>>) -> Conclusion {
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    for answer in answers {
        if run.next_stage().is_none() {
            break;
        }
        run.apply(answer, 3);
    }
    run.conclude()
}

fn status(conclusion: &Conclusion) -> u16 {
    match &conclusion.decision {
        Decision::Refuse(refusal) => refusal.status,
        other => panic!("{other:?}"),
    }
}

fn alert() -> Effect {
    Effect::Alert(Alert {
        key: "here\nnow".into(),
        severity: Severity::Warning,
        text: "look\nhere".into(),
    })
}

#[test]
fn an_empty_pipeline_refuses() {
    let conclusion = fold(&pipeline(0), Vec::new());
    assert_eq!(status(&conclusion), 403);
    assert!(conclusion.decision.reason().contains("empty pipeline"));
    let nothing = Pipeline::reject_all(1);
    assert_eq!(status(&fold(&nothing, Vec::new())), 403);
}

#[test]
fn an_admission_takes_every_answer() {
    let next = || Ok(Outcome::next(""));
    let conclusion = fold(&pipeline(2), vec![next()]);
    assert_eq!(status(&conclusion), 500);
    assert!(conclusion.decision.reason().contains("too late"));
    let conclusion = fold(&pipeline(2), vec![next(), next()]);
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(
        (permit.consult(), permit.generation()),
        (ConsultId::new(1), 4)
    );
    assert_eq!(permit.call_pass().consult(), ConsultId::new(1));
    assert_eq!(conclusion.trace.len(), 2);
    assert_eq!(conclusion.trace[0].micros, 3);
}

#[test]
fn an_answer_nobody_asked_for_changes_nothing() {
    let pipeline = pipeline(1);
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    run.apply(Ok(Outcome::next("")), 0);
    assert_eq!(status(&run.conclude()), 500);
}

#[test]
fn the_first_refusal_wins_and_alerts_survive_it() {
    let conclusion = fold(
        &pipeline(3),
        vec![
            Ok(Outcome::next("")
                .with(alert())
                .with(Effect::Identify("a".into()))),
            Ok(Outcome::reject(486, "busy\r\nforged line").with(alert())),
            Ok(Outcome::reject(403, "never asked")),
        ],
    );
    assert_eq!(status(&conclusion), 486);
    assert_eq!(&**conclusion.decision.plugin().unwrap(), "p1");
    assert_eq!(conclusion.decision.reason(), "busy  forged line");
    assert_eq!(conclusion.alerts.len(), 2);
    assert_eq!(conclusion.alerts[0].alert.text, "look here");
    assert_eq!(conclusion.alerts[0].alert.key, "here now");
    assert_eq!(conclusion.trace.len(), 2);
}

#[test]
fn effects_accumulate() {
    let add = |value: &str| {
        Effect::Header(HeaderEdit::Add {
            name: "X-A".into(),
            value: value.into(),
        })
    };
    let score = |amount| Effect::Score {
        amount,
        reason: String::new(),
    };
    let pipeline = pipeline(2);
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    run.next_stage().unwrap();
    let first = Outcome::next("")
        .with(add("1"))
        .with(score(i32::MAX))
        .with(Effect::LimitDuration(60))
        .with(Effect::RequireMedia(MediaRequirement::EncryptedBoth))
        .with(Effect::Annotate {
            key: "k".into(),
            value: "v".into(),
        })
        .with(Effect::Identify("alice".into()));
    run.apply(Ok(first), 1);
    assert_eq!(run.facts().identity.as_deref(), Some("alice"));
    assert_eq!(run.facts().annotations, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(run.facts().score, i32::MAX);
    run.next_stage().unwrap();
    run.verified_realm("pbx".into());
    let second = Outcome::next("")
        .with(add("2"))
        .with(score(5))
        .with(Effect::LimitDuration(600))
        .with(Effect::RequireMedia(MediaRequirement::Any))
        .with(Effect::Route("carrier".into()));
    run.apply(Ok(second), 1);
    let conclusion = run.conclude();
    assert_eq!(conclusion.score, i32::MAX, "the score saturates");
    let Decision::Admit(permit) = conclusion.decision else {
        panic!("must admit")
    };
    assert_eq!(permit.header_edits().len(), 2);
    assert_eq!(permit.limit_duration(), Some(60));
    assert_eq!(permit.media_requirement(), MediaRequirement::EncryptedBoth);
    assert_eq!(
        permit.call_pass().media_requirement(),
        MediaRequirement::EncryptedBoth
    );
    assert_eq!(permit.route(), Some("carrier"));
    assert_eq!(permit.identity(), Some("alice"));
    assert_eq!(permit.strip_credentials_realm(), Some("pbx"));
    assert_eq!(permit.annotations().len(), 1);
}

#[test]
fn the_strictest_media_holds_in_any_order() {
    use MediaRequirement::{Any, Encrypted, EncryptedBoth};
    let asked = |answers: &[&[MediaRequirement]]| {
        let answers = answers.iter().map(|effects| {
            let outcome = effects.iter().fold(Outcome::next(""), |outcome, it| {
                outcome.with(Effect::RequireMedia(*it))
            });
            Ok(outcome)
        });
        match fold(&pipeline(2), answers.collect()).decision {
            Decision::Admit(permit) => permit.media_requirement(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked(&[&[], &[]]), Any);
    assert_eq!(asked(&[&[Any], &[]]), Any);
    assert_eq!(asked(&[&[], &[Encrypted]]), Encrypted);
    assert_eq!(asked(&[&[Encrypted], &[Any]]), Encrypted);
    assert_eq!(
        asked(&[&[Encrypted, EncryptedBoth, Any], &[Encrypted]]),
        EncryptedBoth
    );
}

#[test]
fn what_media_must_be_means_nothing_for_a_response() {
    let mut run = pipeline(1);
    run.stages[0].methods = MethodSet::ALL;
    let facts = ResponseFacts {
        message: message("SIP/2.0 200 OK"),
        peer: peer(),
        identity: None,
        caller: None,
    };
    let mut run = run.begin_response(facts);
    assert_eq!(run.next_stage(|_| true), Some(0));
    let effect = Effect::RequireMedia(MediaRequirement::Encrypted);
    run.apply(Ok(Outcome::next("").with(effect)), 1);
    let conclusion = run.conclude();
    let failure = conclusion.trace[0].failure.as_deref().unwrap();
    assert!(failure.contains("require-media"), "{failure}");
}

#[test]
fn a_failure_denies_unless_the_operator_wrote_otherwise() {
    let failed = || Err(PolicyFailure::Deadline { limit_ms: 20 });
    let conclusion = fold(&pipeline(1), vec![failed()]);
    assert_eq!(status(&conclusion), 500);
    assert!(conclusion.decision.reason().contains("deadline_ms = 20"));
    let mut lenient = pipeline(2);
    lenient.stages[0].on_failure = OnFailure::Next;
    let conclusion = fold(&lenient, vec![failed(), Ok(Outcome::next(""))]);
    assert!(matches!(conclusion.decision, Decision::Admit(_)));
    assert!(conclusion.trace[0].failure.is_some());
    let conclusion = fold(&lenient, vec![failed(), Ok(Outcome::reject(403, ""))]);
    assert_eq!(status(&conclusion), 403);
}

#[test]
fn a_bad_effect_is_a_failure_and_leaves_nothing_behind() {
    let bad = Outcome::next("")
        .with(Effect::Identify("mallory".into()))
        .with(Effect::Header(HeaderEdit::Set {
            name: "Via".into(),
            value: b"x".to_vec(),
        }));
    let mut lenient = pipeline(1);
    lenient.stages[0].on_failure = OnFailure::Next;
    let conclusion = fold(&lenient, vec![Ok(bad)]);
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(permit.identity(), None);
    assert!(permit.header_edits().is_empty());
    assert!(
        conclusion.trace[0]
            .failure
            .as_ref()
            .unwrap()
            .contains("set-header")
    );
}

#[test]
fn stages_see_their_methods_only_and_somebody_must_judge() {
    let mut some = pipeline(2);
    some.stages[0].methods = MethodSet::from_names(["REGISTER"]);
    let conclusion = fold(&some, vec![Ok(Outcome::next(""))]);
    assert!(matches!(conclusion.decision, Decision::Admit(_)));
    assert_eq!(&*conclusion.trace[0].plugin, "p1");
    some.stages[1].methods = MethodSet::from_names(["REGISTER"]);
    let conclusion = fold(&some, Vec::new());
    assert_eq!(status(&conclusion), 403);
    assert!(
        conclusion
            .decision
            .reason()
            .contains("no plugin handles this method")
    );
}

#[test]
fn what_a_pipeline_piles_up_is_bounded_on_both_sides() {
    let note = || Effect::Annotate {
        key: "k".into(),
        value: String::new(),
    };
    let notes =
        |count: usize| Ok((0..count).fold(Outcome::next(""), |outcome, _| outcome.with(note())));
    let conclusion = fold(&pipeline(2), vec![notes(32), notes(32)]);
    assert!(matches!(conclusion.decision, Decision::Admit(_)));
    let conclusion = fold(&pipeline(3), vec![notes(32), notes(32), notes(1)]);
    assert!(
        conclusion
            .decision
            .reason()
            .contains("pipeline's annotations exceeds its limit of 64")
    );
}

#[test]
fn challenges_redirects_and_drops_end_the_run() {
    let challenge = Verdict::Challenge(Challenge {
        realm: "pbx".into(),
        algorithms: vec![DigestAlgorithm::Sha256],
        as_registrar: true,
        stale: false,
    });
    let conclusion = fold(&pipeline(2), vec![Ok(Outcome::of(challenge, "who?"))]);
    assert!(matches!(&conclusion.decision, Decision::Challenge(spec) if spec.realm == "pbx"));
    let redirect = Verdict::Redirect(vec!["sip:c@example.org".into()]);
    let conclusion = fold(&pipeline(2), vec![Ok(Outcome::of(redirect, ""))]);
    assert!(matches!(&conclusion.decision, Decision::Redirect(to) if to.contacts.len() == 1));
    let conclusion = fold(&pipeline(2), vec![Ok(Outcome::of(Verdict::Drop, "flood"))]);
    assert_eq!(conclusion.decision.name(), "drop");
    assert_eq!(conclusion.decision.reason(), "flood");
}

#[test]
fn a_failed_final_response_can_be_replaced_and_others_not() {
    let pipeline = pipeline(1);
    let judge = |line: &str, outcome: Outcome| {
        let facts = ResponseFacts {
            message: message(line),
            peer: peer(),
            identity: None,
            caller: None,
        };
        let mut run = pipeline.begin_response(facts);
        assert_eq!(run.next_stage(|_| true), Some(0));
        run.apply(Ok(outcome), 1);
        assert_eq!(run.next_stage(|_| true), None);
        run.conclude()
    };
    let busy = "SIP/2.0 486 Busy Here";
    let conclusion = judge(busy, Outcome::reject(480, "hide"));
    assert_eq!(conclusion.replacement.unwrap().status, 480);
    for line in ["SIP/2.0 200 OK", "SIP/2.0 180 Ringing"] {
        let conclusion = judge(line, Outcome::reject(480, ""));
        assert!(conclusion.replacement.is_none());
        assert!(conclusion.trace[0].failure.is_some());
    }
    let conclusion = judge(busy, Outcome::next("").with(Effect::Route("x".into())));
    assert!(
        conclusion.trace[0]
            .failure
            .as_ref()
            .unwrap()
            .contains("means nothing")
    );
    let edit = Effect::Header(HeaderEdit::Remove {
        name: "Server".into(),
    });
    assert_eq!(
        judge(busy, Outcome::next("").with(edit)).header_edits.len(),
        1
    );
}

proptest! {
    /// Whatever a plugin writes into a header, what comes out of an admission
    /// is one line and not one of the proxy's own headers.
    #[test]
    fn no_header_edit_breaks_out(name in "\\PC{0,12}|[A-Za-z-]{1,16}", value in prop::collection::vec(any::<u8>(), 0..64)) {
        let edit = Effect::Header(HeaderEdit::Add { name, value });
        let conclusion = fold(&pipeline(1), vec![Ok(Outcome::next("").with(edit))]);
        if let Decision::Admit(permit) = &conclusion.decision {
            for edit in permit.header_edits() {
                prop_assert!(edit.name().bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
                prop_assert!(policy::is_editable_header(edit.name()));
                let value = edit.value().unwrap_or_default();
                prop_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }

    /// An admission has every stage's consent.
    #[test]
    fn admission_is_unanimous(answers in prop::collection::vec(0u8..4, 0..6)) {
        let consent = !answers.is_empty() && answers.iter().all(|answer| *answer == 0);
        let pipeline = pipeline(answers.len());
        let answers = answers.iter().map(|answer| match answer {
            0 => Ok(Outcome::next("")),
            1 => Ok(Outcome::reject(403, "")),
            2 => Ok(Outcome::of(Verdict::Drop, "")),
            _ => Err(PolicyFailure::Late),
        });
        let conclusion = fold(&pipeline, answers.collect());
        prop_assert_eq!(matches!(conclusion.decision, Decision::Admit(_)), consent);
    }
}

#[test]
fn whoever_stands_in_for_a_candidate_has_his_own_grants() {
    let mut candidate = Stage::new("door");
    candidate.version.candidate = true;
    candidate.grants = Grants::NONE.with(Capability::Route);
    let incumbent = Stage::new("door");
    let pipeline = Pipeline {
        name: "main".into(),
        stages: vec![candidate],
        generation: 1,
    };
    let failure = PolicyFailure::Trap("oh".to_owned());
    let route = || Outcome::next("").with(Effect::Route("b".to_owned()));
    for (stand_in, answer, status) in [
        (Some(&incumbent), route(), Some(500)),
        (Some(&incumbent), Outcome::next(""), None),
        // The version in use would not have been asked: nobody judged the request.
        (None, Outcome::next(""), Some(403)),
    ] {
        let mut run = pipeline.begin(ConsultId::new(1), facts());
        assert!(run.next_stage().is_some());
        run.fall_back(&failure, 3, stand_in);
        if run.next_stage().is_some() {
            let usable = run.apply(Ok(answer), 4);
            assert_eq!(usable, status.is_none());
        }
        let conclusion = run.conclude();
        let failed = &conclusion.trace[0];
        assert!(failed.version.candidate && failed.failure.is_some());
        assert_eq!(conclusion.trace.len(), 1 + usize::from(stand_in.is_some()));
        assert!(
            conclusion
                .trace
                .iter()
                .skip(1)
                .all(|it| !it.version.candidate)
        );
        match conclusion.decision {
            Decision::Refuse(refusal) => assert_eq!(Some(refusal.status), status),
            Decision::Admit(_) => assert_eq!(status, None),
            other => panic!("{other:?}"),
        }
    }
}
