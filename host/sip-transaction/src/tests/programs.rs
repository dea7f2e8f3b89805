//! Random programs: whatever peers, users, clocks and sockets do in whatever order, the
//! layer never panics, tells of each end exactly once and last, and comes to rest.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::stage::{Request, Stage};
use crate::{Event, Refused, TableLimits, TransactionId, Transport};

#[derive(Clone, Debug)]
enum Step {
    Receive {
        method: &'static str,
        branch: u8,
        legacy: bool,
        to_tag: bool,
        copy: bool,
    },
    ReceiveResponse {
        method: &'static str,
        branch: u8,
        status: u16,
    },
    Send {
        method: &'static str,
        branch: u8,
    },
    Respond {
        which: usize,
        status: u16,
    },
    TransportError {
        which: usize,
    },
    Terminate {
        which: usize,
    },
    Wait {
        millis: u64,
    },
    WakeExactly,
}

const METHODS: [&str; 6] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "FROBNICATE"];
const STATUSES: [u16; 8] = [100, 180, 200, 202, 302, 401, 503, 603];

fn step() -> impl Strategy<Value = Step> {
    let method = || prop::sample::select(&METHODS[..]);
    let status = || prop::sample::select(&STATUSES[..]);
    prop_oneof![
        6 => (method(), 0..4_u8, prop::bool::weighted(0.2), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(method, branch, legacy, to_tag, copy)| {
                Step::Receive { method, branch, legacy, to_tag, copy }
            }),
        5 => (method(), 0..4_u8, status())
            .prop_map(|(method, branch, status)| Step::ReceiveResponse { method, branch, status }),
        3 => (method(), 0..4_u8).prop_map(|(method, branch)| Step::Send { method, branch }),
        5 => (any::<usize>(), status()).prop_map(|(which, status)| Step::Respond { which, status }),
        1 => any::<usize>().prop_map(|which| Step::TransportError { which }),
        1 => any::<usize>().prop_map(|which| Step::Terminate { which }),
        3 => (0..40_000_u64).prop_map(|millis| Step::Wait { millis }),
        3 => Just(Step::WakeExactly),
    ]
}

/// Follows the events of a stage and keeps the rules that hold for all of them.
struct Witness {
    stage: Stage,
    known: Vec<TransactionId>,
    requests: HashMap<TransactionId, Request>,
    ended: HashSet<TransactionId>,
    limits: TableLimits,
}

impl Witness {
    fn new(transport: Transport, limits: TableLimits) -> Self {
        Self {
            stage: Stage::with(transport, limits),
            known: Vec::new(),
            requests: HashMap::new(),
            ended: HashSet::new(),
            limits,
        }
    }

    fn pick(&self, which: usize) -> Option<TransactionId> {
        (!self.known.is_empty()).then(|| self.known[which % self.known.len()])
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Receive {
                method,
                branch,
                legacy,
                to_tag,
                copy,
            } => self.receive(method, branch, legacy, to_tag, copy),
            Step::ReceiveResponse {
                method,
                branch,
                status,
            } => {
                let request = Request::new(method, &branch.to_string());
                self.stage.receive_bytes(request.response(status, "bob"));
            }
            Step::Send { method, branch } => self.send(method, branch),
            Step::Respond { which, status } => {
                if let Some(id) = self.pick(which).filter(|id| !id.is_client()) {
                    let response = self.requests[&id].response(status, "bob");
                    let outcome = self
                        .stage
                        .layer
                        .respond(self.stage.now, id, status, response);
                    assert_eq!(outcome.is_err(), self.ended.contains(&id));
                }
            }
            Step::TransportError { which } => {
                if let Some(id) = self.pick(which) {
                    self.stage.layer.handle_transport_error(self.stage.now, id);
                }
            }
            Step::Terminate { which } => {
                if let Some(id) = self.pick(which) {
                    self.stage.layer.terminate(id);
                    assert!(!self.stage.layer.contains(id));
                }
            }
            Step::Wait { millis } => {
                self.stage.now += Duration::from_millis(millis);
                self.stage.layer.handle_timeout(self.stage.now);
                assert!(
                    self.stage
                        .layer
                        .poll_timeout()
                        .is_none_or(|at| at > self.stage.now)
                );
            }
            Step::WakeExactly => {
                if let Some(at) = self.stage.layer.poll_timeout() {
                    self.stage.now = self.stage.now.max(at);
                    self.stage.layer.handle_timeout(self.stage.now);
                }
            }
        }
        self.collect(None);
    }

    fn receive(
        &mut self,
        method: &'static str,
        branch: u8,
        legacy: bool,
        to_tag: bool,
        copy: bool,
    ) {
        let mut request = if legacy {
            Request::legacy(method)
        } else {
            Request::new(method, &branch.to_string())
        };
        if copy && !legacy {
            request.via.push_str("copy");
        }
        if to_tag {
            request = request.to_tag("bob");
        }
        self.stage.receive(&request);
        self.collect(Some(&request));
    }

    fn send(&mut self, method: &'static str, branch: u8) {
        let request = Request::new(method, &branch.to_string());
        match self.stage.try_send(&request) {
            Ok(id) => self.begin(id, &request),
            Err(Refused::TableFull) => {
                assert!(self.stage.layer.client_len() >= self.limits.client);
            }
            Err(Refused::NotTransactional) => assert_eq!(method, "ACK"),
            Err(Refused::BranchInUse) => assert!(self.stage.layer.client_len() > 0),
            Err(Refused::NoBranch) => panic!("it has one"),
        }
    }

    fn begin(&mut self, id: TransactionId, request: &Request) {
        assert!(!self.known.contains(&id), "{id} was used before");
        self.known.push(id);
        self.requests.insert(id, request.clone());
    }

    fn collect(&mut self, request: Option<&Request>) {
        while self.stage.layer.poll_transmit().is_some() {}
        while let Some(event) = self.stage.layer.poll_event() {
            match event {
                Event::Request { id, .. } => self.begin(id, request.unwrap()),
                Event::Cancel { id, target, .. } => {
                    self.begin(id, request.unwrap());
                    assert!(target.is_none_or(|target| {
                        self.requests[&target].method == "INVITE" && !self.ended.contains(&target)
                    }));
                }
                Event::Response { id, .. }
                | Event::Timeout { id }
                | Event::TransportFailed { id }
                | Event::Unacknowledged { id } => {
                    assert!(
                        self.known.contains(&id) && !self.ended.contains(&id),
                        "{id}"
                    );
                }
                Event::Terminated { id } => {
                    assert!(self.known.contains(&id));
                    assert!(self.ended.insert(id), "{id} ended twice");
                    assert!(!self.stage.layer.contains(id));
                }
                Event::Ack { .. } | Event::StrayResponse { .. } => {}
            }
        }
        let layer = &self.stage.layer;
        assert_eq!(layer.len(), self.known.len() - self.ended.len());
        assert!(layer.server_len() <= self.limits.server + self.limits.reserve);
        assert!(layer.client_len() <= self.limits.client);
        assert!(layer.queue_len() <= 2 * layer.len() + 64);
        let (keys, merged, client_keys) = layer.index_sizes();
        assert_eq!(
            (keys, client_keys),
            (layer.server_len(), layer.client_len())
        );
        assert!(merged <= keys);
    }

    /// The users answer or give up what only they can end, and time passes.
    fn come_to_rest(mut self) {
        for id in self.known.clone() {
            if id.is_client() {
                continue;
            }
            let response = self.requests[&id].response(500, "bob");
            let _ = self.stage.layer.respond(self.stage.now, id, 500, response);
        }
        self.play(&Step::Wait { millis: 33_000 });
        self.play(&Step::Wait { millis: 33_000 });
        // Only client INVITEs that ring are left: their Timer C is the user's.
        for id in self.known.clone() {
            if self.stage.layer.contains(id) {
                assert!(id.is_client() && self.requests[&id].method == "INVITE");
                self.stage.layer.terminate(id);
            }
        }
        self.collect(None);
        assert_eq!(self.ended.len(), self.known.len());
        self.stage.assert_at_rest();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // More by PROPTEST_CASES.
        cases: ProptestConfig::default().cases.max(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_program_comes_to_rest(
        steps in prop::collection::vec(step(), 0..120),
        reliable in any::<bool>(),
        tight in any::<bool>(),
    ) {
        let transport = if reliable { Transport::Tcp } else { Transport::Udp };
        let limits = if tight {
            TableLimits { server: 3, reserve: 1, client: 2 }
        } else {
            TableLimits { server: 100, reserve: 10, client: 100 }
        };
        let mut witness = Witness::new(transport, limits);
        for step in &steps {
            witness.play(step);
        }
        witness.come_to_rest();
    }
}
