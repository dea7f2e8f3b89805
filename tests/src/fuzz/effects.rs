//! What plugins answer, folded by the pipeline and written into a message: whatever
//! they say, no line is written that they may not write.

use std::sync::Arc;

use policy::{
    Conclusion, ConsultId, Decision, Grants, HeaderEdit, OnFailure, Peer, Permit, Pipeline,
    RequestFacts, ResponseFacts, Stage, Zone, check_outcome, is_editable_header,
};
use sip_message::build::Response;
use sip_message::{Edits, HeaderKind, Limits, Message, Uri};
use sip_transaction::Transport;

use super::Trail;
use super::input::Input;
use super::lines;
use super::outcome::{answer, grants};

const INVITE: &str = "INVITE sip:bob@pbx.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\nv: SIP/2.0/TCP 192.0.2.8;branch=z9hG4bKdef\r\n\
    Max-Forwards: 70\r\nFrom: <sip:alice@carrier.example>;tag=1\r\nt: <sip:bob@pbx.example>\r\n\
    Call-ID: call@carrier.example\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.7>\r\n\
    Record-Route: <sip:edge.example;lr>\r\ns: lunch\r\nSubject: again\r\nExpires: 60\r\n\
    User-Agent:  Phone/1 \r\nReplaces: 1@a;to-tag=2;from-tag=3\r\nX-Note: a, b\r\n\
    Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

const BUSY: &str = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\n\
    From: <sip:alice@carrier.example>;tag=1\r\nTo: <sip:bob@pbx.example>;tag=9\r\n\
    Call-ID: call@carrier.example\r\nCSeq: 1 INVITE\r\nX-Note: a\r\nContent-Length: 0\r\n\r\n";

/// A pipeline of up to four plugins, and what each of them answers.
pub fn effects(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    let mut input = Input::new(bytes);
    let pipeline = pipeline(&mut input);
    judge_request(&pipeline, &mut input, &mut trail);
    judge_response(&pipeline, &mut input, &mut trail);
    trail.0
}

fn pipeline(input: &mut Input<'_>) -> Pipeline {
    let stage = |place: usize, input: &mut Input<'_>| {
        let mut stage = Stage::new(format!("p{place}"));
        stage.on_failure = if input.yes() {
            OnFailure::Next
        } else {
            OnFailure::Deny
        };
        stage.grants = grants(input);
        stage
    };
    let count = input.below(5);
    Pipeline {
        name: Arc::from("main"),
        stages: (0..count).map(|place| stage(place, input)).collect(),
        generation: 1,
    }
}

fn message(text: &'static str) -> Arc<Message> {
    let message = Message::parse_datagram(text.as_bytes().into(), &Limits::default());
    Arc::new(message.expect("a plain message is accepted"))
}

fn peer() -> Peer {
    Peer {
        address: [192, 0, 2, 7].into(),
        port: 5060,
        transport: Transport::Udp,
        zone: Zone::Outside,
        name: None,
        certificate: None,
        tls: None,
    }
}

fn judge_request(pipeline: &Pipeline, input: &mut Input<'_>, trail: &mut Trail) {
    let request = message(INVITE);
    let mut run = pipeline.begin(
        ConsultId::new(7),
        RequestFacts::new(Arc::clone(&request), peer()),
    );
    let mut granted = Grants::NONE;
    let mut refused = None;
    while let Some(stage) = run.next_stage() {
        let answer = answer(input);
        let checked = answer
            .clone()
            .and_then(|outcome| check_outcome(&outcome, stage.grants, &stage.limits));
        match &checked {
            Ok(()) => {
                granted = stage.grants.iter().fold(granted, Grants::with);
                trail.mark(1);
            }
            Err(failure) => {
                trail.text(failure.kind());
                if stage.on_failure == OnFailure::Deny {
                    refused.get_or_insert(failure.to_string());
                }
            }
        }
        run.apply(answer, 1);
        assert!(run.facts().annotations.len() <= 64);
    }
    let conclusion = run.conclude();
    trail.text(conclusion.decision.name());
    check_conclusion(&conclusion, &request);
    if refused.is_some() {
        assert!(
            !matches!(conclusion.decision, Decision::Admit(_)),
            "refused by {refused:?}"
        );
    }
    if let Decision::Admit(permit) = &conclusion.decision {
        assert!(!pipeline.stages.is_empty(), "an empty pipeline refuses");
        let may_edit = granted.contains(policy::Capability::EditHeaders);
        assert!(
            may_edit || permit.header_edits().is_empty(),
            "edits need their grant"
        );
        assert!(granted.contains(policy::Capability::Route) || permit.route().is_none());
        trail.size(permit.header_edits().len());
        check_permit(permit, &request);
    }
}

fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// What goes to logs and to peers is one line each, and can be sent.
fn check_conclusion(conclusion: &Conclusion, request: &Message) {
    assert!(conclusion.alerts.len() <= 32);
    assert!(
        conclusion
            .alerts
            .iter()
            .all(|raised| is_line(&raised.alert.text))
    );
    for report in &conclusion.trace {
        assert!(is_line(&report.reason) && report.failure.as_deref().is_none_or(is_line));
    }
    assert!(is_line(conclusion.decision.reason()));
    let made = match &conclusion.decision {
        Decision::Admit(_) | Decision::Drop(_) => return,
        Decision::Refuse(refusal) => {
            assert!((400..=699).contains(&refusal.status));
            let response = Response::to(request, refusal.status);
            if refusal.phrase.is_empty() {
                response
            } else {
                response.phrase(&refusal.phrase)
            }
        }
        Decision::Challenge(challenge) => {
            assert!((1..=3).contains(&challenge.algorithms.len()));
            let value = format!("Digest realm=\"{}\", nonce=\"n\"", challenge.realm);
            assert_eq!(
                value.matches('"').count(),
                4,
                "the realm stays in its quotes"
            );
            Response::to(request, 407).header("Proxy-Authenticate", value)
        }
        Decision::Redirect(redirection) => {
            assert!((1..=10).contains(&redirection.contacts.len()));
            redirection
                .contacts
                .iter()
                .fold(Response::to(request, 302), |response, contact| {
                    assert!(Uri::parse(contact.as_bytes()).is_ok());
                    response.header("Contact", format!("<{contact}>"))
                })
        }
    };
    let bytes = made
        .to_tag("ours")
        .finish()
        .expect("what was checked can be written");
    let _ = lines::split(&bytes);
    let response = Message::parse_datagram(bytes.clone(), &Limits::default());
    let response = response.expect("what we answer is accepted");
    assert_eq!(response.bytes(), &bytes);
    if let Decision::Redirect(redirection) = &conclusion.decision {
        assert_eq!(response.contacts().count(), redirection.contacts.len());
    }
}

fn check_permit(permit: &Permit, request: &Message) {
    assert_eq!(permit.consult(), ConsultId::new(7));
    assert!(permit.annotations().len() <= 64);
    assert!(
        permit
            .annotations()
            .iter()
            .all(|(key, value)| is_line(key) && is_line(value))
    );
    assert!(permit.identity().is_none_or(is_line) && permit.route().is_none_or(is_line));
    assert_ne!(permit.limit_duration(), Some(0));
    check_edits(permit.header_edits(), request);
}

/// Writes the edits as the proxy does and reads the result with another reader.
fn check_edits(changes: &[HeaderEdit], message: &Message) {
    assert!(changes.len() <= 64);
    let mut edits = Edits::new(message);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let before = lines::split(message.bytes());
    expected.extend(before.lines.iter().skip(1).map(|line| line.to_vec()));
    for change in changes {
        assert!(
            is_editable_header(change.name()),
            "{} belongs to the proxy",
            change.name()
        );
        match change {
            HeaderEdit::Set { name, value } => edits.set(name, value),
            HeaderEdit::Add { name, value } => edits.append(name, value),
            HeaderEdit::Remove { name } => edits.remove(name),
        };
        model(&mut expected, change);
    }
    let out = edits.finish().expect("what was checked can be written");
    let after = lines::split(&out);
    assert_eq!(after.lines[0], before.lines[0], "the start-line stays");
    assert_eq!(after.body, before.body, "the body stays");
    let written: Vec<&[u8]> = after.lines.iter().skip(1).copied().collect();
    assert_eq!(
        written, expected,
        "each line is one that was there or one that was asked for"
    );
    let room = Limits {
        header_bytes: 16_384,
        message_bytes: 131_072,
        ..Limits::default()
    };
    let copy = Message::parse_datagram(out.clone(), &room).expect("what leaves is accepted");
    assert_eq!(
        copy.bytes(),
        &out,
        "what leaves needs no second normalising"
    );
    let own = |message: &Message| -> Vec<(Vec<u8>, Vec<u8>)> {
        let names = message
            .headers()
            .filter(|header| !is_editable_header(&String::from_utf8_lossy(header.name)));
        names
            .map(|header| (header.name.to_vec(), header.value.to_vec()))
            .collect()
    };
    assert_eq!(own(&copy), own(message), "the proxy's own headers stay");
}

/// The same edit on a list of lines, as the interface documents it.
fn model(lines: &mut Vec<Vec<u8>>, change: &HeaderEdit) {
    let name = change.name().as_bytes();
    let same = |line: &Vec<u8>| {
        let other = lines::name(line);
        let kind = HeaderKind::from_name(name);
        let kinds = kind != HeaderKind::Other && kind == HeaderKind::from_name(other);
        kinds || other.eq_ignore_ascii_case(name)
    };
    let fresh = change.value().map(|value| {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = value
            .iter()
            .position(|byte| !blank(byte))
            .unwrap_or(value.len());
        let end = value
            .iter()
            .rposition(|byte| !blank(byte))
            .map_or(start, |last| last + 1);
        [name, b": ", &value[start..end]].concat()
    });
    match (change, fresh) {
        (HeaderEdit::Set { .. }, Some(fresh)) => match lines.iter().position(same) {
            Some(at) => {
                lines.retain(|line| !same(line));
                lines.insert(at, fresh);
            }
            None => lines.push(fresh),
        },
        (HeaderEdit::Add { .. }, Some(fresh)) => lines.push(fresh),
        _ => lines.retain(|line| !same(line)),
    }
}

fn judge_response(pipeline: &Pipeline, input: &mut Input<'_>, trail: &mut Trail) {
    let busy = message(BUSY);
    let facts = ResponseFacts {
        message: Arc::clone(&busy),
        peer: peer(),
        identity: None,
        caller: None,
    };
    let mut run = pipeline.begin_response(facts);
    while let Some(place) = run.next_stage(|_| true) {
        assert!(place < pipeline.stages.len());
        run.apply(answer(input), 1);
    }
    let conclusion = run.conclude();
    for report in &conclusion.trace {
        assert!(is_line(&report.reason) && report.failure.as_deref().is_none_or(is_line));
    }
    assert!(
        conclusion
            .alerts
            .iter()
            .all(|raised| is_line(&raised.alert.text))
    );
    trail.size(conclusion.header_edits.len());
    check_edits(&conclusion.header_edits, &busy);
    if let Some(replacement) = &conclusion.replacement {
        trail.mark(u64::from(replacement.status / 100));
        assert!((400..=699).contains(&replacement.status) && is_line(&replacement.phrase));
    }
}
