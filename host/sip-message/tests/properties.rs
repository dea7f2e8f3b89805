//! Properties over mutated messages: no input panics, reading what we wrote changes nothing, and
//! a stream is the same however it is cut.

#![cfg(test)]

use bytes::Bytes;
use proptest::prelude::*;
use sip_message::{
    Anomalies, Edits, Frame, HeaderKind, Limits, Message, NameAddr, StreamFramer, Uri, Via, build,
};

const SEEDS: [&str; 4] = [
    "INVITE sip:+1212@example.net;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKb\r\nRoute: <sip:p1;lr>,<sip:p2;lr>\r\nMax-Forwards: 70\r\nFrom: \"Al \\\"x\\\" ice\" <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.net>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1:5060;ob>;expires=60\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\nv=0\r\no=- 1",
    "SIP/2.0 200 OK\r\nv: SIP/2.0/TLS a.example;branch=z9hG4bKx;received=192.0.2.9\r\nf: sip:a@b;tag=1\r\nt: sip:c@d;tag=2\r\ni: q\r\nCSeq: 9 BYE\r\nl: 0\r\n\r\n",
    "REGISTER sip:example.com SIP/2.0\nVia : SIP / 2.0 / UDP h ;\n branch=z9hG4bKq\nFrom: <sip:a@b>;tag=1\nTo: tel:+123;tag=\"x\"\nCall-ID: z\nCSeq: 2\n REGISTER\nContact: *\nExpires: 0\n\n",
    "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP y;branch=z9hG4bK2\r\nMax-Forwards: 0\r\nFrom: <sip:%41@b>;tag=a\r\nTo: <urn:service:sos>\r\nCall-ID: 1\r\nCSeq: 0 OPTIONS\r\nSubject: \"a\x01b\r\n\tc\"\r\nContent-Length: 0\r\n\r\n",
];

/// Pieces that break parsers.
const SPLICES: [&[u8]; 26] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\"",
    b"\\",
    b"<",
    b">",
    b"@",
    b"?",
    b"=",
    b"%",
    b"[",
    b"]",
    b"\r\n ",
    b"\r\n\r\n",
    b"\xff",
    b"\x7f",
    b"Content-Length: 1\r\n",
    b"SIP/2.0",
    b"Via: SIP/2.0/UDP z;branch=z9hG4bKz\r\n",
];

#[derive(Debug, Clone)]
enum Mutation {
    Insert(usize, usize),
    Delete(usize, usize),
    Set(usize, u8),
    Repeat(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 0..SPLICES.len()).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<usize>(), 1usize..20).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<usize>(), 1usize..60).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ]
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (0..SEEDS.len(), prop::collection::vec(mutation(), 0..6)).prop_map(|(seed, mutations)| {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for mutation in mutations {
            let place = |at: usize, bytes: &[u8]| at % (bytes.len() + 1);
            match mutation {
                Mutation::Insert(at, piece) => {
                    let at = place(at, &bytes);
                    bytes.splice(at..at, SPLICES[piece].iter().copied());
                }
                Mutation::Delete(at, count) => {
                    let at = place(at, &bytes);
                    bytes.drain(at..(at + count).min(bytes.len()));
                }
                Mutation::Set(at, byte) => {
                    let at = place(at, &bytes);
                    if let Some(slot) = bytes.get_mut(at) {
                        *slot = byte;
                    }
                }
                Mutation::Repeat(at, count) => {
                    let at = place(at, &bytes);
                    let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    })
}

fn parse(bytes: &[u8]) -> Result<Message, sip_message::ParseError> {
    Message::parse_datagram(Bytes::copy_from_slice(bytes), &Limits::default())
}

/// Calls everything a message offers.
fn visit(message: &Message) {
    let _ = (
        message.request_uri(),
        message.top_via(),
        message.from(),
        message.to(),
        message.cseq(),
        message.body().len(),
    );
    assert!(!message.call_id().is_empty());
    assert!(message.vias().count() >= 1);
    assert!(
        message
            .routes()
            .chain(message.record_routes())
            .chain(message.contacts())
            .all(|address| address.is_ok())
    );
    assert_eq!(
        message.values(HeaderKind::Via).count(),
        message.vias().count(),
        "every Via was checked"
    );
    for header in message.headers() {
        assert!(
            !header
                .value
                .iter()
                .any(|byte| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f),
            "a value is one clean line"
        );
        assert!(message.values_named(header.name).next().is_some());
    }
}

/// Oddities that stay visible in the normalised bytes.
fn lasting(anomalies: Anomalies) -> Vec<&'static str> {
    let kept = Anomalies::COMPACT_FORM
        | Anomalies::INVALID_UTF8
        | Anomalies::NEEDLESS_ESCAPE
        | Anomalies::RFC2543_BRANCH
        | Anomalies::MISSING_MAX_FORWARDS;
    anomalies
        .names()
        .filter(|name| kept.names().any(|kept| kept == *name))
        .collect()
}

/// `PROPTEST_CASES`, or what takes about a second.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(8_192)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_panics_and_what_leaves_reads_the_same(bytes in mutated()) {
        match parse(&bytes) {
            Ok(message) => {
                visit(&message);
                prop_assert_eq!(&message.received()[..], &bytes[..]);
                let out = Edits::new(&message).finish().unwrap();
                if message.anomalies().is_empty() {
                    prop_assert_eq!(&out[..], &bytes[..]);
                }
                let again = parse(&out).expect("what leaves is accepted");
                prop_assert_eq!(again.bytes(), &out);
                prop_assert_eq!(again.received().as_ptr(), again.bytes().as_ptr(), "what leaves needs no second normalising");
                // A dropped duplicate takes its own oddities with it.
                if !message.anomalies().contains(Anomalies::DUPLICATE_HEADER) {
                    prop_assert_eq!(lasting(again.anomalies()), lasting(message.anomalies()));
                }
                prop_assert_eq!(again.call_id(), message.call_id());
                prop_assert_eq!(again.request_uri().raw, message.request_uri().raw);
            }
            Err(error) => {
                if let Some(response) = error.response(b"t") {
                    prop_assert!(error.status().is_some());
                    // 505 copies a Via of another version.
                    let sound = parse(&response).map(|message| message.anomalies().contains(Anomalies::BARE_LINE_FEED));
                    prop_assert!(!matches!(sound, Ok(true)));
                    prop_assert!(response.windows(4).filter(|window| window == b"\r\n\r\n").count() == 1);
                }
            }
        }
    }

    #[test]
    fn edits_of_any_accepted_message_are_accepted(bytes in mutated()) {
        let Ok(message) = parse(&bytes) else { return Ok(()) };
        let mut edits = Edits::new(&message);
        edits.stamp_via(Some("192.0.2.77".parse().unwrap()), Some(7)).push_via("SIP/2.0/UDP us;branch=z9hG4bKus").max_forwards(9).pop_route().push_record_route("<sip:us;lr>").body(Some("text/plain"), "hi");
        let vias = message.vias().count();
        let routes = message.routes().count();
        let limits = Limits { header_bytes: 65_535, via_count: 100, ..Limits::default() };
        let out = Message::parse_datagram(edits.finish().unwrap(), &limits).expect("what leaves is accepted");
        prop_assert_eq!(out.vias().count(), vias + 1);
        prop_assert_eq!(out.vias().nth(1).unwrap().received, Some(&b"192.0.2.77"[..]));
        prop_assert_eq!(out.vias().nth(1).unwrap().rport, Some(Some(7)));
        prop_assert_eq!(out.routes().count(), routes.saturating_sub(1));
        prop_assert_eq!(out.body(), b"hi");
        let mut edits = Edits::new(&out);
        edits.pop_via();
        let back = parse(&edits.finish().unwrap()).expect("what leaves is accepted");
        prop_assert_eq!(back.vias().count(), vias);
        if message.is_request() {
            let response = build::Response::to(&message, 486).to_tag("tt").finish().unwrap();
            let response = parse(&response).expect("our answer is accepted");
            prop_assert_eq!(response.call_id(), message.call_id());
            let cancel = parse(&build::cancel_for(&message)).expect("our CANCEL is accepted");
            prop_assert_eq!(cancel.cseq().number, message.cseq().number);
            prop_assert!(parse(&build::ack_for(&message, &response)).is_ok());
        }
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut(messages in prop::collection::vec(mutated(), 1..4), cuts in prop::collection::vec(1usize..200, 1..40)) {
        let stream = messages.concat();
        let whole = frames(&[&stream]);
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(frames(&pieces), whole);
    }

    #[test]
    fn small_parsers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[sipatel:@;?=<>,\\[\\]%/.\" 0-9A-F]{0,40}") {
        for input in [&bytes[..], text.as_bytes()] {
            let _ = NameAddr::parse(input).map(|address| address.tag());
            let _ = Via::parse(input).map(|via| via.received_address());
            if let Ok(uri) = Uri::parse(input) {
                prop_assert_eq!(uri.raw, input);
                prop_assert!(uri.equivalent(&uri));
                let _ = (uri.host_port(), uri.number(), uri.scheme_name(), uri.is_lr());
            }
        }
    }
}

fn frames(pieces: &[impl AsRef<[u8]>]) -> Vec<String> {
    let mut framer = StreamFramer::new(Limits::default());
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = framer.push(piece.as_ref()) {
            if out.last() != Some(&error.to_string()) {
                out.push(error.to_string());
            }
            break;
        }
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => out.push(format!("{:?}", message.received())),
                Ok(Some(Frame::Invalid(error))) => out.push(format!("{:?}", error.reason())),
                Ok(Some(other)) => out.push(format!("{other:?}")),
                Err(error) => {
                    out.push(error.to_string());
                    break;
                }
            }
        }
    }
    out
}
