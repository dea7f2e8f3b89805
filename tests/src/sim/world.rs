//! A PBX, a proxy and two trunk gateways on a virtual clock and a bad network.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{AnchorConfig, Interface, Mode};
use policy::{
    Conclusion, ConsultId, Decision, DialogState, Pipeline, RequestFacts, ResponseConclusion,
    ResponseFacts, Zone,
};
use sip_message::{Limits, Message};
use sip_proxy::{
    ForkMode, ListenerAddress, MediaConfig, MediaTerms, Output, PeerConfig, PeerKind, ProxyConfig,
    ProxyCore, Routing, Target,
};
use sip_transaction::{Flow, ListenerId, Moment, Transport};

use super::agent::Agent;
use super::judge::{self, Wishes};
use super::network::{Datagram, Network, Weather};
use super::random::Random;
use super::relay::Relay;
use super::script::{Judgement, ResponseJudgement, Script};
use super::watch::Watch;

/// Longer than any world should live: calls are short, tables time out.
const END_OF_TIME: Duration = Duration::from_secs(4 * 3600);

/// What came of one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every rule that was broken; none is the only good number.
    pub violations: Vec<String>,
    /// Hash of everything that was sent, in order and with its time.
    pub trace: u64,
    /// Datagrams that the proxy sent.
    pub datagrams: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Media streams that were opened or changed.
    pub streams: u64,
    /// Responses that a policy marked.
    pub marks: u64,
    /// Virtual time until everything was quiet.
    pub lasted: Duration,
}

/// What a policy says later.
enum Answer {
    Request(Conclusion),
    Response(ConsultId, ResponseConclusion),
}

/// Everything in one place.
pub struct World {
    now: Moment,
    random: Random,
    network: Network,
    core: ProxyCore,
    relay: Relay,
    agents: Vec<Agent>,
    scripts: Arc<Vec<Script>>,
    pipeline: Pipeline,
    conclusions: BTreeMap<(Moment, u64), Answer>,
    concluded: u64,
    watch: Watch,
    show: bool,
}

fn inside(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 5060))
}

fn outside(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5060))
}

const PROXY_HOST: u8 = 254;

fn routing(random: &mut Random) -> Routing {
    let listener = |id, address: SocketAddr, zone, media| ListenerAddress {
        id: ListenerId(id),
        transport: Transport::Udp,
        host: address.ip().to_string(),
        port: address.port(),
        zone: Some(zone),
        media: Some(media),
    };
    let target = |address, priority| Target {
        priority,
        ..Target::new(Transport::Udp, address)
    };
    let network = |address: SocketAddr| ipnet::IpNet::from(address.ip());
    let pbx = PeerConfig::new(
        "pbx",
        Zone::Inside,
        PeerKind::Pbx,
        vec![target(inside(1), 0)],
    )
    .with_sources([network(inside(1))]);
    let gateways = vec![
        target(outside(1), 0),
        target(outside(2), u16::from(random.percent(50))),
    ];
    let mut trunk = PeerConfig::new("trunk", Zone::Outside, PeerKind::Trunk, gateways)
        .with_sources([network(outside(1)), network(outside(2))]);
    trunk.fork = if random.percent(50) {
        ForkMode::Parallel
    } else {
        ForkMode::Serial
    };
    let modes: &[&[Mode]] = &[
        &[Mode::Sdes, Mode::Plain],
        &[Mode::Plain],
        &[Mode::Plain, Mode::Sdes],
        &[Mode::Sdes],
    ];
    trunk.media = Some(MediaTerms {
        modes: random.pick(modes).iter().copied().collect(),
        ..MediaTerms::default()
    });
    let mut routing = Routing {
        listeners: vec![
            listener(1, inside(PROXY_HOST), Zone::Inside, 0),
            listener(2, outside(PROXY_HOST), Zone::Outside, 1),
        ],
        peers: vec![trunk, pbx],
        ..Routing::default()
    };
    // A call whose BYE was lost with its last repetition must still end.
    routing.limits.call_age = Duration::from_secs(600);
    if random.percent(50) {
        routing.response_pipelines = vec![judge::PIPELINE.into()];
    }
    routing
}

/// Two interfaces, sometimes with too few ports for all calls.
fn media(random: &mut Random, seed: [u8; 32]) -> MediaConfig {
    let most = *random.pick(&[20_003, 20_999, 20_999, 20_999, 20_999]);
    let interfaces = [inside(PROXY_HOST), outside(PROXY_HOST)]
        .map(|address| Interface::at(address.ip(), 20_000..=most));
    MediaConfig {
        anchor: AnchorConfig::new(interfaces.into()),
        seed,
    }
}

impl World {
    /// The world of this seed.
    #[must_use]
    pub fn new(seed: u64, show: bool) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + random.below(8) as usize;
        let scripts: Vec<Script> = (0..count)
            .map(|number| Script::of(number, &mut random))
            .collect();
        let scripts = Arc::new(scripts);
        let known = Arc::clone(&scripts);
        let weather = Weather::of(&mut random);
        let routing = Arc::new(routing(&mut random));
        let mut entropy = [0; 32];
        entropy
            .iter_mut()
            .for_each(|byte| *byte = random.bits() as u8);
        let mut config = ProxyConfig::new(entropy, routing);
        config.media = Some(media(&mut random, entropy));
        // Only one gateway calls, or every script from outside would run twice.
        let nobody = Arc::new(Vec::new());
        let mut silent = Agent::new(outside(2), outside(PROXY_HOST), &nobody, true);
        silent.know(&scripts);
        let agents = vec![
            Agent::new(inside(1), inside(PROXY_HOST), &scripts, false),
            Agent::new(outside(1), outside(PROXY_HOST), &scripts, true),
            silent,
        ];
        Self {
            now: Moment::from_micros(0),
            random,
            network: Network::new(weather),
            core: ProxyCore::new(config),
            relay: Relay::default(),
            agents,
            scripts,
            pipeline: judge::pipeline(),
            conclusions: BTreeMap::new(),
            concluded: 0,
            watch: Watch::of(&known),
            show,
        }
    }

    /// Let time pass until nothing is left to do.
    #[must_use]
    pub fn run(mut self) -> Report {
        while let Some(next) = self.next_moment() {
            if next > Moment::from_micros(0) + END_OF_TIME {
                self.watch
                    .violations
                    .push("the world does not come to rest".to_owned());
                break;
            }
            self.now = self.now.max(next);
            self.turn();
        }
        self.check_rest();
        Report {
            violations: self.watch.violations,
            trace: self.watch.trace,
            datagrams: self.watch.datagrams,
            answered: self.watch.answered,
            streams: self.relay.streams,
            marks: self.watch.marks,
            lasted: self.now - Moment::from_micros(0),
        }
    }

    fn next_moment(&self) -> Option<Moment> {
        let agents = self.agents.iter().filter_map(Agent::poll_timeout);
        let conclusion = self.conclusions.keys().next().map(|(at, _)| *at);
        agents
            .chain(conclusion)
            .chain(self.core.poll_timeout())
            .chain(self.network.next_arrival())
            .chain(self.relay.next_event())
            .min()
    }

    fn turn(&mut self) {
        while let Some(datagram) = self.network.arrived(self.now) {
            self.deliver(datagram);
            self.drain();
        }
        while let Some(entry) = self
            .conclusions
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            match entry.remove() {
                Answer::Request(conclusion) => {
                    self.core
                        .handle_conclusion(self.now, conclusion, Vec::new());
                }
                Answer::Response(id, conclusion) => {
                    self.core
                        .handle_response_conclusion(self.now, id, Some(conclusion));
                }
            }
            self.drain();
        }
        while let Some(event) = self.relay.due(self.now) {
            self.core.handle_media_event(self.now, &event);
            self.drain();
        }
        if self.core.poll_timeout().is_some_and(|at| at <= self.now) {
            self.core.handle_timeout(self.now);
        }
        for agent in &mut self.agents {
            if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                agent.handle_timeout(self.now);
            }
        }
        self.drain();
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Ok(message) = Message::parse_datagram(datagram.bytes.clone(), &Limits::default())
        else {
            self.watch
                .violations
                .push(format!("unreadable: {:?}", datagram.bytes));
            return;
        };
        let proxy = [(inside(PROXY_HOST), 1), (outside(PROXY_HOST), 2)];
        if let Some((local, listener)) = proxy.into_iter().find(|(local, _)| *local == datagram.to)
        {
            let flow = Flow {
                transport: Transport::Udp,
                listener: ListenerId(listener),
                local,
                peer: datagram.from,
                connection: None,
            };
            self.core
                .handle_message(self.now, Arc::new(message), &flow, None);
        } else if let Some(agent) = self
            .agents
            .iter_mut()
            .find(|agent| agent.address() == datagram.to)
        {
            agent.handle_message(self.now, message, datagram.from);
        } else {
            self.watch
                .violations
                .push(format!("sent to nobody: {}", datagram.to));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let to = transmit.to.address;
                    let from = if to.ip().to_string().starts_with("10.") {
                        inside(PROXY_HOST)
                    } else {
                        outside(PROXY_HOST)
                    };
                    self.watch
                        .proxy_sent(&transmit.bytes, from, from == outside(PROXY_HOST));
                    self.send(from, to, transmit.bytes);
                }
                Output::Consult { id, facts } => self.consult(id, facts),
                Output::ConsultResponse { id, facts, .. } => self.consult_response(id, facts),
                Output::Call(event) => self.watch.call(&event),
                Output::Log(event) if self.show => {
                    println!("{:>10} {event:?}", self.now.as_micros() / 1000)
                }
                Output::Log(_) => {}
                Output::Media(command) => {
                    if self.show {
                        println!("{:>10} {command:?}", self.now.as_micros() / 1000);
                    }
                    let lives = self.watch.lives(command.session().0);
                    self.relay
                        .command(self.now, &mut self.random, lives, &command);
                }
                Output::MediaClosed(_) => self.watch.records += 1,
            }
        }
        for index in 0..self.agents.len() {
            while let Some((to, bytes)) = self.agents[index].poll_transmit() {
                let from = self.agents[index].address();
                self.send(from, to, bytes);
            }
        }
    }

    fn script(&self, call_id: &[u8]) -> Option<&Script> {
        let is_its = |script: &&Script| script.call_id().as_bytes() == call_id;
        self.scripts.iter().find(is_its)
    }

    fn consult_response(&mut self, id: ConsultId, facts: ResponseFacts) {
        let script = self.script(facts.message.call_id());
        let judgement = script.map_or(ResponseJudgement::Never, |script| script.response);
        let judged = judge::judge_response(&self.pipeline, judgement, id.as_u64(), facts);
        match judged {
            None => {}
            Some((0, conclusion)) => {
                self.core
                    .handle_response_conclusion(self.now, id, Some(conclusion));
            }
            Some((after, conclusion)) => {
                let at = self.now + Duration::from_millis(after);
                self.concluded += 1;
                let answer = Answer::Response(id, conclusion);
                self.conclusions.insert((at, self.concluded), answer);
            }
        }
    }

    fn consult(&mut self, id: ConsultId, facts: RequestFacts) {
        let call_id = facts.message.call_id().to_vec();
        let forgotten = facts.dialog == DialogState::None && facts.message.to_tag().is_some();
        let nobody = (Judgement::Reject(403), Duration::ZERO, Wishes::default());
        let (judgement, after, wishes) = self.script(&call_id).map_or(nobody, |script| {
            let wishes = Wishes {
                encrypted: script.encrypted,
                disguised: script.disguised,
            };
            (script.judgement, script.judged_after, wishes)
        });
        let Some(conclusion) = judge::judge(&self.pipeline, judgement, wishes, id, facts) else {
            return;
        };
        if matches!(conclusion.decision, Decision::Admit(_)) {
            if forgotten {
                self.watch.forgotten.insert(call_id.clone());
            }
            self.watch.admitted.insert(call_id);
        }
        if after.is_zero() {
            self.core
                .handle_conclusion(self.now, conclusion, Vec::new());
        } else {
            self.concluded += 1;
            self.conclusions.insert(
                (self.now + after, self.concluded),
                Answer::Request(conclusion),
            );
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.watch.trace);
        hasher.write_u64(self.now.as_micros());
        hasher.write(to.to_string().as_bytes());
        hasher.write(&bytes);
        self.watch.trace = hasher.finish();
        if self.show {
            let first = bytes
                .split(|&byte| byte == b'\r')
                .next()
                .unwrap_or_default();
            println!(
                "{:>10} {from} > {to} {}",
                self.now.as_micros() / 1000,
                String::from_utf8_lossy(first)
            );
        }
        self.network
            .send(self.now, &mut self.random, Datagram { from, to, bytes });
    }

    fn check_rest(&mut self) {
        let figures = self.core.figures();
        if !figures.at_rest() {
            self.watch
                .violations
                .push(format!("tables are not empty at rest: {figures:?}"));
        }
        self.watch.violations.append(&mut self.relay.violations);
        if !self.relay.at_rest() {
            self.watch
                .violations
                .push(format!("the relay is not at rest: {:?}", self.relay));
        }
        if self.watch.records != self.relay.opened() {
            self.watch.violations.push(format!(
                "{} sessions opened, {} records",
                self.relay.opened(),
                self.watch.records
            ));
        }
        if self.watch.started != self.watch.ended {
            let Watch { started, ended, .. } = self.watch;
            self.watch
                .violations
                .push(format!("{started} calls started and {ended} ended"));
        }
        for agent in &self.agents {
            if !agent.at_rest() {
                self.watch
                    .violations
                    .push(format!("agent {} is not at rest", agent.address()));
            }
            for (script, finals) in &agent.finals {
                let refusals = finals.iter().filter(|status| **status >= 300).count();
                let accepted = finals.iter().any(|status| (200..300).contains(status));
                if refusals > 1 || (refusals == 1 && accepted) {
                    self.watch
                        .violations
                        .push(format!("script {script} got finals {finals:?}"));
                }
            }
        }
    }
}
