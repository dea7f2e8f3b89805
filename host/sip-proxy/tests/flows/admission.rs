//! Nothing is forwarded before a policy has admitted it, and every decision is carried out.

use std::time::Duration;

use policy::{
    Challenge, DialogState, DigestAlgorithm, Effect, HeaderEdit, Outcome, Rejection, Verdict, Zone,
};
use sip_message::{HeaderKind, Method};
use sip_proxy::LogEvent;

use crate::harness::*;

#[test]
fn without_a_decision_nothing_goes_further_than_100() {
    let mut net = Net::new(routing());
    net.slow_policy();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.wait(Duration::from_millis(1_900));
    net.quiet();
    assert_eq!(net.consults.len(), 1);
    let facts = &net.consults[0].1;
    assert_eq!(facts.peer.name.as_deref(), Some("office"));
    assert_eq!(
        (facts.peer.zone, facts.dialog),
        (Zone::Inside, DialogState::None)
    );
}

#[test]
fn a_late_policy_is_a_refusal_and_its_answer_is_ignored() {
    let mut net = Net::new(routing());
    net.slow_policy();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.wait(Duration::from_secs(2));
    net.expect(PBX, 500);
    let consult = net.consults[0].0;
    net.conclude(Outcome::next("too late"));
    assert!(net.log.contains(&LogEvent::ConclusionIgnored { consult }));
    net.wait(Duration::from_secs(60));
    assert!(net.events.is_empty());
}

#[test]
fn a_permit_of_another_consult_admits_nothing() {
    let mut net = Net::new(routing());
    net.slow_policy();
    let first = net.invite().call("one");
    net.send(PBX, &first.text());
    let second = net.invite().call("two");
    net.send(PBX, &second.text());
    net.expect(PBX, 100);
    net.expect(PBX, 100);
    let (one, facts) = net.consults.remove(0);
    let (two, _) = net.consults.remove(0);
    let mut conclusion = conclusion(one, facts, Outcome::next(""));
    conclusion.consult = two;
    net.proxy.handle_conclusion(net.now, conclusion, Vec::new());
    net.drain();
    net.expect(PBX, 500);
    net.quiet();
}

#[test]
fn strangers_are_consulted_on_too() {
    let mut net = Net::new(routing());
    net.policy(|facts| {
        assert_eq!((facts.peer.zone, &facts.peer.name), (Zone::Outside, &None));
        Outcome::reject(403, "who are you")
    });
    let branch = net.branch();
    net.send(STRANGER, &Request::new("INVITE", STRANGER, &branch).text());
    net.expect(STRANGER, 403);
    net.quiet();
}

#[test]
fn a_refusal_carries_status_phrase_and_retry_after() {
    let mut net = Net::new(routing());
    net.policy(|_| {
        let rejection = Rejection {
            status: 480,
            phrase: "Come Back Later".into(),
            retry_after: 30,
        };
        Outcome::of(Verdict::Reject(rejection), "busy")
    });
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let refused = net.expect(PBX, 480);
    assert_eq!(refused.message.reason_phrase(), b"Come Back Later");
    assert_eq!(refused.values(HeaderKind::RetryAfter), ["30"]);
    assert!(refused.message.to_tag().is_some_and(|tag| tag.len() == 16));
    net.quiet();
}

#[test]
fn a_challenge_takes_its_header_from_the_driver() {
    let mut net = Net::new(routing());
    net.policy(|_| {
        let challenge = Challenge {
            realm: "office".into(),
            algorithms: vec![DigestAlgorithm::Sha256],
            as_registrar: false,
            stale: false,
        };
        Outcome::of(Verdict::Challenge(challenge), "prove it")
    });
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let challenged = net.expect(PBX, 407);
    assert_eq!(
        challenged.values(HeaderKind::ProxyAuthenticate),
        ["Digest nonce=x"]
    );
}

#[test]
fn a_redirect_names_its_contacts() {
    let mut net = Net::new(routing());
    let contacts = vec![
        "sip:a@example.com".to_owned(),
        "sip:b@example.com".to_owned(),
    ];
    net.policy(move |_| Outcome::of(Verdict::Redirect(contacts.clone()), "elsewhere"));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let redirected = net.expect(PBX, 302);
    assert_eq!(
        redirected.values(HeaderKind::Contact),
        ["<sip:a@example.com>", "<sip:b@example.com>"]
    );
}

#[test]
fn a_drop_leaves_no_trace_and_its_retransmissions_are_not_judged_again() {
    let mut net = Net::new(routing());
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = std::rc::Rc::clone(&asked);
    net.policy(move |_| {
        count.set(count.get() + 1);
        Outcome::of(Verdict::Drop, "flood")
    });
    let invite = net.invite();
    for _ in 0..3 {
        net.send(PBX, &invite.text());
        net.wait(Duration::from_millis(500));
    }
    net.quiet();
    assert_eq!(asked.get(), 1);
    // When nobody would repeat it any more, it is forgotten.
    net.wait(Duration::from_secs(32));
    net.send(PBX, &invite.text());
    assert_eq!(asked.get(), 2);
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn edits_are_made_and_verified_credentials_stay_here() {
    let mut net = Net::new(routing());
    net.policy(|_| {
        let set = HeaderEdit::Set {
            name: "Subject".into(),
            value: b"new".to_vec(),
        };
        let add = HeaderEdit::Add {
            name: "X-Score".into(),
            value: b"7".to_vec(),
        };
        let remove = HeaderEdit::Remove {
            name: "Organization".into(),
        };
        Outcome::next("")
            .with(Effect::Header(set))
            .with(Effect::Header(add))
            .with(Effect::Header(remove))
            .with(Effect::Identify("alice".into()))
    });
    let invite = net
        .invite()
        .with("Subject", "old")
        .with("Organization", "ours")
        .with(
            "Proxy-Authorization",
            "Digest username=\"a\", realm=\"office\", response=\"1\"",
        )
        .with(
            "Proxy-Authorization",
            "Digest username=\"a\", realm=\"elsewhere\", response=\"2\"",
        )
        .with(
            "Authorization",
            "Digest username=\"a\", realm=\"office\", response=\"3\"",
        );
    net.send(PBX, &invite.text());
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(forwarded.values(HeaderKind::Subject), ["new"]);
    assert!(forwarded.text().contains("X-Score: 7\r\n"));
    assert!(forwarded.values(HeaderKind::Organization).is_empty());
    assert_eq!(
        forwarded.values(HeaderKind::ProxyAuthorization),
        ["Digest username=\"a\", realm=\"elsewhere\", response=\"2\""]
    );
    assert!(forwarded.values(HeaderKind::Authorization).is_empty());
}

#[test]
fn options_to_us_are_answered_when_admitted() {
    let mut net = Net::new(routing());
    let branch = net.branch();
    let options = Request::new("OPTIONS", PBX, &branch).uri("sip:proxy.example");
    net.send(PBX, &options.text());
    let answer = net.expect(PBX, 200);
    assert!(answer.text().contains("Allow: INVITE, ACK"));
    net.policy(|_| Outcome::reject(403, "no scanning"));
    let branch = net.branch();
    let options = Request::new("OPTIONS", STRANGER, &branch)
        .uri("sip:192.0.2.1")
        .call("other");
    net.send(STRANGER, &options.text());
    net.expect(STRANGER, 403);
    net.quiet();
}

#[test]
fn options_to_somebody_behind_us_go_there() {
    let mut net = Net::new(routing());
    let branch = net.branch();
    net.send(PBX, &Request::new("OPTIONS", PBX, &branch).text());
    let forwarded = net.expect_request(TRUNK, Method::Options);
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
}

#[test]
fn a_policy_that_answers_between_two_polls_spares_the_100() {
    let mut net = Net::new(routing());
    net.policy(|_| Outcome::reject(403, ""));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 403);
    net.quiet();
}
