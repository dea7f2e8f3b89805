//! Generated calls as a capture at the proxy has them: both sides of it, with challenges,
//! retransmissions and BYEs.

use std::net::SocketAddr;

use sipward_tests::stage::Stage;

use crate::writer::{ETHERNET, Packet, pcap, udp};

/// When the first call is made: a Saturday evening.
const BEGIN_US: u64 = 1_769_882_400_000_000;

/// The addresses of the capture.
struct Places {
    office: SocketAddr,
    inside: SocketAddr,
    outside: SocketAddr,
    carrier: SocketAddr,
}

/// One generated call.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// Counts from 0.
    pub(crate) number: u64,
    /// Seconds after the first.
    pub(crate) at_s: u64,
    /// Seconds from the answer to the BYE; none if nobody answers.
    pub(crate) talks_s: Option<u64>,
    /// Who is called.
    pub(crate) callee: &'static str,
}

/// One call a second, of one to three minutes; each tenth is dear, each seventh is not
/// answered.
pub(crate) fn many(count: u64) -> Vec<Call> {
    let call = |number: u64| Call {
        number,
        at_s: number,
        talks_s: (!number.is_multiple_of(7)).then_some(60 + number * 37 % 120),
        callee: if number.is_multiple_of(10) {
            "+4990012345"
        } else {
            "+4930123456"
        },
    };
    (0..count).map(call).collect()
}

/// The capture of these calls at a proxy of the stage's ports.
pub(crate) fn capture(stage: &Stage, calls: &[Call]) -> Vec<u8> {
    let at = |port: u16, last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let places = Places {
        office: at(5062, 1),
        inside: at(stage.inside, 1),
        outside: at(stage.outside, 1),
        carrier: at(stage.trunk, 2),
    };
    let mut packets: Vec<Packet> = calls.iter().flat_map(|call| of(&places, *call)).collect();
    packets.sort_by_key(|(at_us, _)| *at_us);
    pcap(ETHERNET, &packets)
}

fn of(places: &Places, call: Call) -> Vec<Packet> {
    let begin = BEGIN_US + call.at_s * 1_000_000;
    let mut packets = Vec::new();
    let mut send = |ms: u64, from: SocketAddr, to: SocketAddr, text: String| {
        packets.push((begin + ms * 1_000, udp(from, to, text.as_bytes())));
    };
    let (office, inside) = (places.office, places.inside);
    let (outside, carrier) = (places.outside, places.carrier);
    let invite = |cseq: u64, credentials: bool| request(call, "INVITE", cseq, "", credentials);
    send(0, office, inside, invite(1, false));
    // It comes once more before its answer is there.
    send(1, office, inside, invite(1, false));
    send(2, inside, office, response(call, 407, 1, "INVITE"));
    send(3, office, inside, request(call, "ACK", 1, ";tag=p", false));
    send(10, office, inside, invite(2, true));
    send(11, inside, office, response(call, 100, 2, "INVITE"));
    send(12, outside, carrier, invite(2, false));
    send(20, carrier, outside, response(call, 180, 2, "INVITE"));
    send(21, inside, office, response(call, 180, 2, "INVITE"));
    let Some(talks_s) = call.talks_s else {
        send(9_000, carrier, outside, response(call, 486, 2, "INVITE"));
        send(9_001, inside, office, response(call, 486, 2, "INVITE"));
        send(
            9_002,
            office,
            inside,
            request(call, "ACK", 2, ";tag=c", false),
        );
        return packets;
    };
    send(5_000, carrier, outside, response(call, 200, 2, "INVITE"));
    send(5_001, inside, office, response(call, 200, 2, "INVITE"));
    send(
        5_002,
        office,
        inside,
        request(call, "ACK", 2, ";tag=c", false),
    );
    let end = 5_000 + talks_s * 1_000;
    send(
        end,
        office,
        inside,
        request(call, "BYE", 3, ";tag=c", false),
    );
    send(
        end + 1,
        outside,
        carrier,
        request(call, "BYE", 3, ";tag=c", false),
    );
    send(end + 2, carrier, outside, response(call, 200, 3, "BYE"));
    send(end + 3, inside, office, response(call, 200, 3, "BYE"));
    packets
}

fn request(call: Call, method: &str, cseq: u64, tag: &str, credentials: bool) -> String {
    let Call { number, callee, .. } = call;
    let uri = format!("sip:{callee}@test.sipward");
    let credentials = match credentials {
        true => format!(
            "Proxy-Authorization: Digest username=\"pbx\", realm=\"test.sipward\", \
             nonce=\"made-elsewhere\", uri=\"{uri}\", algorithm=MD5, qop=auth, nc=00000001, \
             cnonce=\"c0ffee\", response=\"{:032x}\"\r\n",
            number
        ),
        false => String::new(),
    };
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK{number}-{cseq}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:pbx@test.sipward>;tag=o{number}\r\nTo: <{uri}>{tag}\r\n\
         Call-ID: call-{number}@test.sipward\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:pbx@127.0.0.1:5062>\r\n{credentials}Content-Length: 0\r\n\r\n"
    )
}

fn response(call: Call, status: u16, cseq: u64, method: &str) -> String {
    let Call { number, callee, .. } = call;
    let (tag, more) = match status {
        100 => ("", ""),
        407 => (
            ";tag=p",
            "Proxy-Authenticate: Digest realm=\"test.sipward\", nonce=\"made-elsewhere\"\r\n",
        ),
        _ => (";tag=c", ""),
    };
    format!(
        "SIP/2.0 {status} Said\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK{number}-{cseq}-{method}\r\n\
         From: <sip:pbx@test.sipward>;tag=o{number}\r\nTo: <sip:{callee}@test.sipward>{tag}\r\n\
         Call-ID: call-{number}@test.sipward\r\nCSeq: {cseq} {method}\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}
