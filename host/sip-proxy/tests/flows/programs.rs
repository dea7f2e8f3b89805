//! Random programs of endpoints, policies and time: whatever they do, nothing is forwarded
//! that was not admitted, an INVITE gets one final response, and in the end every table
//! is empty.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use policy::{Outcome, Verdict};
use proptest::prelude::*;
use sip_message::Method;
use sip_proxy::{CallEvent, EndReason, FailoverOn, ForkMode, Routing};
use sip_transaction::Moment;

use crate::harness::*;

/// One thing that happens; the numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Invite(u8),
    Cancel(u8),
    Decide(u8),
    Reply(u8, u8),
    Within(u8, u8),
    TransportError(u8),
    EndCall(u8),
    Wait(u32),
    Repeat(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Invite),
        1 => any::<u8>().prop_map(Step::Cancel),
        4 => any::<u8>().prop_map(Step::Decide),
        6 => any::<(u8, u8)>().prop_map(|(which, status)| Step::Reply(which, status)),
        2 => any::<(u8, u8)>().prop_map(|(which, method)| Step::Within(which, method)),
        1 => any::<u8>().prop_map(Step::TransportError),
        1 => any::<u8>().prop_map(Step::EndCall),
        2 => (0u32..70_000).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Repeat),
    ]
}

const STATUSES: [u16; 14] = [
    100, 180, 183, 200, 200, 302, 401, 404, 408, 486, 487, 500, 503, 603,
];

struct World {
    net: Net,
    invites: Vec<Request>,
    times: HashMap<String, Moment>,
    forwarded: Vec<Sent>,
    admitted: HashSet<Vec<u8>>,
    /// Final responses by the caller's branch.
    finals: HashMap<String, Vec<u16>>,
}

fn pick<T>(list: &[T], which: u8) -> Option<&T> {
    (!list.is_empty()).then(|| &list[usize::from(which) % list.len()])
}

impl World {
    fn new(routing: Routing) -> Self {
        let mut net = Net::new(routing);
        net.slow_policy();
        Self {
            net,
            invites: Vec::new(),
            times: HashMap::new(),
            forwarded: Vec::new(),
            admitted: HashSet::new(),
            finals: HashMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Invite(call) => {
                let number = u32::try_from(self.invites.len()).unwrap();
                let call = format!("call-{}", call % 8);
                let invite = self.net.invite().call(&call).cseq(number + 1);
                self.net.send(PBX, &invite.text());
                self.times.insert(invite.via.clone(), self.net.now);
                self.invites.push(invite);
            }
            Step::Repeat(which) => {
                // Nobody repeats a request for longer than its transaction lasts.
                let invite = pick(&self.invites, *which).cloned();
                let fresh = |invite: &Request| {
                    self.sent_at(invite) + Duration::from_secs(30) > self.net.now
                };
                if let Some(invite) = invite.filter(fresh) {
                    self.net.send(PBX, &invite.text());
                }
            }
            Step::Cancel(which) => {
                if let Some(mut cancel) = pick(&self.invites, *which).cloned() {
                    cancel.method = "CANCEL";
                    self.net.send(PBX, &cancel.text());
                }
            }
            Step::Decide(decision) => self.decide(*decision),
            Step::Reply(which, status) => {
                let status = STATUSES[usize::from(*status) % STATUSES.len()];
                if let Some(request) = pick(&self.forwarded, *which).cloned() {
                    let tag = format!("tag{}", which % 3);
                    self.net.reply(&request, status, &tag);
                }
            }
            Step::Within(which, method) => {
                if let Some(invite) = pick(&self.invites, *which).cloned() {
                    let method =
                        ["ACK", "BYE", "INFO", "INVITE", "PRACK"][usize::from(*method) % 5];
                    let branch = self.net.branch();
                    let mut request = Request::new(method, PBX, &branch)
                        .call(&invite.call_id)
                        .cseq(2);
                    request.to.push_str(&format!(";tag=tag{}", which % 3));
                    self.net.send(PBX, &request.text());
                }
            }
            Step::TransportError(which) => {
                let transaction =
                    pick(&self.forwarded, *which).and_then(|sent| sent.transmit.transaction);
                if let Some(transaction) = transaction {
                    self.net
                        .proxy
                        .handle_transport_error(self.net.now, transaction);
                    self.net.drain();
                }
            }
            Step::EndCall(which) => {
                let mut calls: Vec<_> = self.net.proxy.calls().collect();
                calls.sort();
                if let Some(call) = pick(&calls, *which) {
                    self.net
                        .proxy
                        .end_call(self.net.now, *call, EndReason::Operator);
                    self.net.drain();
                }
            }
            Step::Wait(millis) => self.net.wait(Duration::from_millis((*millis).into())),
        }
        self.look_at_the_wire();
    }

    fn sent_at(&self, invite: &Request) -> Moment {
        self.times[&invite.via]
    }

    fn decide(&mut self, decision: u8) {
        let Some((_, facts)) = self.net.consults.first() else {
            return;
        };
        let key = facts.message.call_id().to_vec();
        let outcome = match decision % 6 {
            0 => Outcome::reject(403, ""),
            1 => Outcome::of(Verdict::Drop, ""),
            _ => {
                self.admitted.insert(key);
                Outcome::next("")
            }
        };
        self.net.conclude(outcome);
    }

    fn look_at_the_wire(&mut self) {
        while let Some(sent) = self.net.take() {
            let to_pbx = sent.transmit.to.address == address(PBX);
            match sent.message.status() {
                Some(status)
                    if to_pbx && status >= 200 && sent.message.method() == Method::Invite =>
                {
                    let via = sent.branch();
                    self.finals.entry(via).or_default().push(status);
                }
                Some(_) => {}
                None => {
                    // Whatever goes out belongs to a call that a policy has admitted.
                    let call_id = sent.message.call_id().to_vec();
                    assert!(self.admitted.contains(&call_id), "{}", sent.text());
                    self.forwarded.push(sent);
                }
            }
        }
    }

    /// Everybody falls silent; the host ends what is left.
    fn settle(&mut self) {
        self.net.wait(Duration::from_secs(400));
        let calls: Vec<_> = self.net.proxy.calls().collect();
        for call in calls {
            self.net
                .proxy
                .end_call(self.net.now, call, EndReason::Operator);
            self.net.drain();
        }
        self.net.wait(Duration::from_secs(400));
        self.look_at_the_wire();
    }
}

fn check(routing: Routing, steps: &[Step]) {
    let mut world = World::new(routing);
    for step in steps {
        world.step(step);
    }
    world.settle();
    let figures = world.net.proxy.figures();
    assert!(figures.at_rest(), "{figures:?}");
    for (branch, statuses) in &world.finals {
        let mut different: Vec<u16> = statuses.clone();
        different.dedup();
        assert!(different.len() == 1, "{branch} got {statuses:?}");
    }
    let (mut started, mut ended) = (HashSet::new(), HashSet::new());
    for event in &world.net.events {
        match event {
            CallEvent::Started { call, .. } => assert!(started.insert(*call)),
            CallEvent::Answered { call, .. } => {
                assert!(started.contains(call) && !ended.contains(call));
            }
            CallEvent::Tick { call, .. } => assert!(!ended.contains(call)),
            CallEvent::Ended { call, .. } => assert!(ended.insert(*call)),
        }
    }
    assert_eq!(started, ended);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn serial_programs_end_at_rest(steps in prop::collection::vec(step(), 1..60)) {
        check(routing_to(&[TRUNK, TRUNK_2], |peer| peer.failover = FailoverOn::AnyFailure), &steps);
    }

    #[test]
    fn parallel_programs_end_at_rest(steps in prop::collection::vec(step(), 1..60)) {
        check(routing_to(&[TRUNK, TRUNK_2, TRUNK_3], |peer| peer.fork = ForkMode::Parallel), &steps);
    }
}
