//! A program of peers, users, clocks and sockets against the transaction layer, in
//! whatever order: it never panics, keeps its limits and comes to rest empty.

use std::time::Duration;

use sip_message::build;
use sip_message::build::Response;
use sip_transaction::{TableLimits, Transport};

use super::Trail;
use super::input::Input;
use super::witness::Witness;

const METHODS: [&str; 8] = [
    "INVITE",
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "REGISTER",
    "FROBNICATE",
];
const STATUSES: [u16; 8] = [100, 180, 200, 202, 302, 401, 503, 603];

/// Steps of one program. More find nothing that fewer did not.
const STEPS: usize = 256;

/// Plays the input as a program.
pub fn transactions(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    let mut input = Input::new(bytes);
    let transport = [Transport::Udp, Transport::Tcp, Transport::Tls][input.below(3)];
    let limits = match input.below(3) {
        0 => TableLimits {
            server: 3,
            reserve: 1,
            client: 2,
        },
        1 => TableLimits {
            server: 0,
            reserve: 0,
            client: 0,
        },
        _ => TableLimits {
            server: 100,
            reserve: 10,
            client: 100,
        },
    };
    let mut witness = Witness::new(transport, limits);
    for _ in 0..STEPS {
        if input.is_over() {
            break;
        }
        step(&mut witness, &mut input);
    }
    let figures = witness.layer.figures();
    for figure in [
        figures.requests_absorbed,
        figures.responses_absorbed,
        figures.requests_repeated,
        figures.responses_repeated,
        figures.merged,
        figures.overloaded,
        figures.acks_dropped,
    ] {
        trail.size(usize::try_from(figure).unwrap_or(usize::MAX));
    }
    for count in witness.come_to_rest() {
        trail.size(count);
    }
    trail.0
}

fn step(witness: &mut Witness, input: &mut Input<'_>) {
    match input.below(12) {
        0..=2 => {
            let request = request(input);
            witness.receive(request);
        }
        3 => {
            let request = request(input);
            witness.send(request);
        }
        4 | 5 => answer_of_a_peer(witness, input),
        6 | 7 => {
            let status = STATUSES[input.below(STATUSES.len())];
            if let Some((id, request)) = witness
                .pick(input.below(256))
                .filter(|(id, _)| !id.is_client())
            {
                witness.respond(id, &request, status);
            }
        }
        8 => follow_up(witness, input),
        9 => {
            if let Some((id, _)) = witness.pick(input.below(256)) {
                if input.yes() {
                    witness.fail(id)
                } else {
                    witness.terminate(id)
                }
            }
        }
        10 => match input.yes() {
            true => witness.wait(Duration::from_millis(u64::from(input.word()))),
            false => {
                let due = witness.layer.poll_timeout();
                let pause = due.map_or(Duration::ZERO, |at| at.since(witness.now));
                witness.wait(pause);
            }
        },
        // Anything at all that the parser accepts.
        _ => {
            let length = usize::from(input.word()) % 1_500;
            let bytes = input.take(length).to_vec();
            witness.receive(bytes);
        }
    }
}

/// A request whose parts come from small sets, so that they meet again.
fn request(input: &mut Input<'_>) -> String {
    let method = input.pick(&METHODS);
    let bits = input.byte();
    let branch = bits & 3;
    let via = match bits >> 2 & 7 {
        0 => "SIP/2.0/UDP 192.0.2.1".to_owned(),
        1 => format!("SIP/2.0/UDP 192.0.2.1;branch=old{branch}"),
        2 => format!("SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK{branch}"),
        3 => format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}.copy"),
        _ => format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}"),
    };
    let from = if bits >> 5 & 1 == 1 { ";tag=alice" } else { "" };
    let to = if bits >> 6 & 1 == 1 { ";tag=bob" } else { "" };
    let cseq = 1 + (bits >> 7);
    format!(
        "{method} sip:bob@192.0.2.200 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@192.0.2.1>{from}\r\nTo: <sip:bob@192.0.2.200>{to}\r\n\
         Call-ID: call-{branch}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A peer answers one of our requests, or one that we never sent.
fn answer_of_a_peer(witness: &mut Witness, input: &mut Input<'_>) {
    let status = STATUSES[input.below(STATUSES.len())];
    let tag = ["bob", "carol"][input.below(2)];
    if let Some((_, request)) = witness.pick(input.below(256)) {
        let response = Response::to(&request, status).to_tag(tag).finish();
        witness.receive(response.expect("a plain answer can be written"));
    }
}

/// What follows a request on its own branch: CANCEL, ACK, or itself again.
fn follow_up(witness: &mut Witness, input: &mut Input<'_>) {
    let Some((_, request)) = witness.pick(input.below(256)) else {
        return;
    };
    match input.below(4) {
        0 => witness.receive(build::cancel_for(&request)),
        1 => {
            let response = Response::to(&request, 486).to_tag("ours").finish();
            let response = response.expect("a plain answer can be written");
            let response =
                sip_message::Message::parse_datagram(response, &sip_message::Limits::default());
            witness.receive(build::ack_for(
                &request,
                &response.expect("our answer is accepted"),
            ));
        }
        2 => witness.send(build::cancel_for(&request)),
        _ => witness.receive(request.bytes().clone()),
    }
}
