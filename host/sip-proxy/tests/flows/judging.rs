//! Response hooks: a response of an admitted request waits for its policy, those after it
//! wait behind it, and all of them pass in the end.

use std::time::Duration;

use policy::{
    ConsultId, Effect, HeaderEdit, Outcome, Rejection, ResponseConclusion, ResponseFacts, Verdict,
};
use sip_message::Method;
use sip_proxy::{CallEvent, EndReason, LogEvent, Routing};

use crate::harness::*;

/// What the policy says to a response; none if it says it later.
pub(crate) type ResponseJudge = Box<dyn FnMut(&ResponseFacts) -> Option<Outcome>>;

impl Net {
    /// A policy that answers about responses at once.
    fn response_policy(&mut self, judge: impl FnMut(&ResponseFacts) -> Outcome + 'static) {
        let mut judge = judge;
        self.judge_response = Box::new(move |facts| Some(judge(facts)));
    }

    pub(crate) fn conclude_response(
        &mut self,
        id: ConsultId,
        facts: ResponseFacts,
        outcome: Outcome,
    ) {
        let conclusion = response_conclusion(facts, outcome);
        self.proxy
            .handle_response_conclusion(self.now, id, Some(conclusion));
    }

    /// The answer to the question about a response at this place.
    fn conclude_asked(&mut self, place: usize, outcome: Outcome) {
        let (id, facts) = self.asked.remove(place);
        self.conclude_response(id, facts, outcome);
        self.drain();
    }

    /// An INVITE on its way to the trunk.
    fn inviting(&mut self) -> Sent {
        let invite = self.invite();
        self.send(PBX, &invite.text());
        self.expect(PBX, 100);
        self.expect_request(TRUNK, Method::Invite)
    }
}

fn response_conclusion(facts: ResponseFacts, outcome: Outcome) -> ResponseConclusion {
    let pipeline = pipeline();
    let mut run = pipeline.begin_response(facts);
    while run.next_stage(|_| true).is_some() {
        run.apply(Ok(outcome.clone()), 1);
    }
    run.conclude()
}

fn judged() -> Routing {
    let mut routing = routing();
    routing.response_pipelines = vec!["test".into()];
    routing
}

fn marked(value: &str) -> Outcome {
    let add = HeaderEdit::Add {
        name: "X-Judged".into(),
        value: value.as_bytes().to_vec(),
    };
    Outcome::next("").with(Effect::Header(add))
}

fn mark(sent: &Sent) -> Option<String> {
    let value = sent.message.header_named(b"X-Judged")?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[test]
fn responses_of_other_pipelines_are_not_asked_about() {
    let mut net = Net::new(routing());
    net.response_policy(|_| panic!("nobody asked"));
    net.call();
    let mut routing = routing();
    routing.response_pipelines = vec!["another".into()];
    let mut net = Net::new(routing);
    net.response_policy(|_| panic!("nobody asked"));
    net.call();
}

#[test]
fn every_response_but_100_is_shown_and_edited() {
    let mut net = Net::new(judged());
    net.policy(|_| Outcome::next("").with(Effect::Identify("alice".into())));
    net.response_policy(|facts| {
        assert_eq!(facts.peer.name.as_deref(), Some("carrier"));
        assert_eq!(facts.caller.as_deref(), Some("office"));
        assert_eq!(facts.identity.as_deref(), Some("alice"));
        let remove = HeaderEdit::Remove {
            name: "Server".into(),
        };
        let status = facts.message.status().unwrap_or_default();
        marked(&status.to_string()).with(Effect::Header(remove))
    });
    let forwarded = net.inviting();
    net.reply(&forwarded, 100, "");
    net.quiet();
    net.reply_with(&forwarded, 180, "bob", &[("Server", "secret/1")]);
    let ringing = net.expect(PBX, 180);
    assert_eq!(mark(&ringing).as_deref(), Some("180"));
    assert!(!ringing.text().contains("secret"));
    net.reply(&forwarded, 200, "bob");
    assert_eq!(mark(&net.expect(PBX, 200)).as_deref(), Some("200"));
    assert!(matches!(net.events[1], CallEvent::Answered { .. }));
}

#[test]
fn a_bye_has_its_responses_shown_too() {
    let mut net = Net::new(judged());
    net.response_policy(|facts| marked(&format!("{:?}", facts.message.method())));
    let call = net.call();
    let bye = net.callee_request(&call, "BYE", 7);
    net.send(TRUNK, &bye.text());
    let sent = net.expect_request(PBX, Method::Bye);
    net.reply(&sent, 200, "alice");
    assert_eq!(mark(&net.expect(TRUNK, 200)).as_deref(), Some("Bye"));
    assert_eq!(net.ended(), Some(EndReason::Bye));
}

#[test]
fn a_refusal_can_be_replaced_and_the_call_ends_with_what_was_sent() {
    let mut net = Net::new(judged());
    net.response_policy(|_| {
        let rejection = Rejection {
            status: 480,
            phrase: "Later".into(),
            retry_after: 9,
        };
        Outcome::of(Verdict::Reject(rejection), "hidden")
    });
    let forwarded = net.inviting();
    net.reply(&forwarded, 302, "bob");
    net.expect_request(TRUNK, Method::Ack);
    let refused = net.expect(PBX, 480);
    assert_eq!(refused.message.reason_phrase(), b"Later");
    assert!(refused.text().contains("Retry-After: 9\r\n"));
    assert_eq!(net.ended(), Some(EndReason::Refused { status: 480 }));
}

#[test]
fn a_success_cannot_be_replaced() {
    let mut net = Net::new(judged());
    net.response_policy(|_| Outcome::reject(403, "too late for that"));
    net.call();
    assert_eq!(net.ended(), None);
}

#[test]
fn responses_leave_in_the_order_in_which_they_came() {
    let mut net = Net::new(judged());
    let forwarded = net.inviting();
    net.reply(&forwarded, 180, "bob");
    net.reply(&forwarded, 183, "bob");
    net.reply(&forwarded, 200, "bob");
    net.quiet();
    assert!(
        net.events
            .iter()
            .all(|event| !matches!(event, CallEvent::Answered { .. }))
    );
    net.conclude_asked(2, marked("3"));
    net.conclude_asked(1, marked("2"));
    net.quiet();
    net.conclude_asked(0, marked("1"));
    for (status, expected) in [(180, "1"), (183, "2"), (200, "3")] {
        assert_eq!(mark(&net.expect(PBX, status)).as_deref(), Some(expected));
    }
    net.quiet();
    assert!(matches!(net.events[1], CallEvent::Answered { .. }));
    net.rest();
}

#[test]
fn a_late_policy_lets_the_response_pass_as_it_is() {
    let mut net = Net::new(judged());
    let forwarded = net.inviting();
    net.reply(&forwarded, 180, "bob");
    net.wait(Duration::from_millis(1_999));
    net.quiet();
    net.wait(Duration::from_millis(1));
    assert_eq!(mark(&net.expect(PBX, 180)), None);
    let (consult, _) = net.asked[0];
    assert!(net.log.contains(&LogEvent::ConsultLate { consult }));
    net.conclude_asked(0, marked("late"));
    net.quiet();
    assert!(net.log.contains(&LogEvent::ConclusionIgnored { consult }));
}

#[test]
fn a_repeated_success_leaves_with_the_same_changes() {
    let mut net = Net::new(judged());
    let forwarded = net.inviting();
    net.reply(&forwarded, 200, "bob");
    net.reply(&forwarded, 200, "bob");
    assert_eq!(net.asked.len(), 1, "the same question twice");
    net.conclude_asked(0, marked("1"));
    assert_eq!(mark(&net.expect(PBX, 200)).as_deref(), Some("1"));
    net.quiet();
    net.reply(&forwarded, 200, "bob");
    assert_eq!(mark(&net.expect(PBX, 200)).as_deref(), Some("1"));
    assert!(net.asked.is_empty());
    // Another callee of the same fork is another response.
    net.reply(&forwarded, 200, "carol");
    assert_eq!(net.asked.len(), 1);
}

#[test]
fn an_answer_of_ours_waits_behind_a_response_too() {
    let mut net = Net::new(judged());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 183, "bob");
    let mut cancel = invite.clone();
    cancel.method = "CANCEL";
    net.send(PBX, &cancel.text());
    net.expect(PBX, 200);
    net.expect_request(TRUNK, Method::Cancel);
    // The callee never answers: after 64 times T1 the 487 is ours.
    net.judge_response = Box::new(|_| Some(Outcome::next("")));
    net.conclude_asked(0, Outcome::next(""));
    net.expect(PBX, 183);
    net.wait(Duration::from_secs(33));
    net.expect(PBX, 487);
    assert_eq!(net.ended(), Some(EndReason::Cancelled));
}

#[test]
fn a_bye_that_overtakes_the_success_ends_the_call() {
    let mut net = Net::new(judged());
    let forwarded = net.inviting();
    net.reply(&forwarded, 200, "bob");
    let mut bye = Request::new("BYE", TRUNK, "z9hG4bKearly").uri(&format!("sip:alice@{PBX}"));
    bye.from = "<sip:100@proxy.example>;tag=bob".into();
    bye.to = "<sip:alice@10.0.0.10>;tag=alice".into();
    net.send(TRUNK, &bye.text());
    let sent = net.expect_request(PBX, Method::Bye);
    net.reply(&sent, 200, "alice");
    net.conclude_asked(1, Outcome::next(""));
    net.expect(TRUNK, 200);
    assert_eq!(net.ended(), None);
    net.conclude_asked(0, Outcome::next(""));
    net.expect(PBX, 200);
    assert_eq!(net.ended(), Some(EndReason::Bye));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn what_waits_is_bounded() {
    let mut routing = judged();
    routing.limits.held_responses = 3;
    let mut net = Net::new(routing);
    let forwarded = net.inviting();
    for _ in 0..10 {
        net.reply(&forwarded, 183, "bob");
    }
    assert_eq!(net.asked.len(), 3);
    // The final response is not among those that are dropped.
    net.reply(&forwarded, 486, "bob");
    assert_eq!(net.asked.len(), 4);
    net.wait(Duration::from_secs(2));
    for status in [183, 183, 183, 486] {
        net.expect(PBX, status);
    }
}

#[test]
fn without_room_for_a_question_the_response_passes() {
    let mut routing = judged();
    routing.limits.pending_consults = 1;
    let mut net = Net::new(routing);
    let forwarded = net.inviting();
    net.reply(&forwarded, 180, "bob");
    net.reply(&forwarded, 183, "bob");
    assert_eq!(net.asked.len(), 1);
    net.quiet();
    net.conclude_asked(0, marked("1"));
    assert_eq!(mark(&net.expect(PBX, 180)).as_deref(), Some("1"));
    assert_eq!(mark(&net.expect(PBX, 183)), None);
}
