//! Messages that the host makes itself: answers, ACK, CANCEL, requests, challenges.

#![cfg(test)]

use std::net::IpAddr;

use bytes::Bytes;
use sip_message::build::{self, RequestBuilder, Response};
use sip_message::typed::{Challenge, DigestAlgorithm};
use sip_message::{Anomalies, EditError, HeaderKind, Limits, Message, Method};

const HEAD: &str = "INVITE sip:bob@example.net SIP/2.0\r\n";
const VIAS: &str = "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKtop;rport , SIP/2.0/TCP b.example;branch=z9hG4bKlow\r\nX-Odd:   kept  as is\r\nv: SIP/2.0/TLS c.example;branch=z9hG4bKend\r\n";
const REST: &str = "Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\nRoute: <sip:p3.example;lr>\r\nMax-Forwards: 70\r\nFrom: \"A, l\" <sip:alice@example.com>;tag=f1\r\nTo: <sip:bob@example.net>\r\nCall-ID: c1@10.0.0.1\r\nCSeq: 7 INVITE\r\nTimestamp: 54.1\r\nSubject: one\r\nsubject: two\r\nContent-Type: application/sdp\r\n";
const BODY: &str = "Content-Length: 4\r\n\r\nv=0\n";

fn text() -> String {
    [HEAD, VIAS, REST, BODY].concat()
}

fn parse(bytes: impl AsRef<[u8]>) -> Message {
    Message::parse_datagram(Bytes::copy_from_slice(bytes.as_ref()), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn responses_copy_what_matches_them() {
    let request = parse(text());
    let trying = parse(Response::to(&request, 100).to_tag("t").finish().unwrap());
    assert_eq!(
        (trying.status(), trying.reason_phrase(), trying.to_tag()),
        (Some(100), &b"Trying"[..], None)
    );
    assert_eq!(trying.header(HeaderKind::Timestamp), Some(&b"54.1"[..]));
    let busy = parse(
        Response::to(&request, 486)
            .phrase("Besetzt")
            .to_tag("t9")
            .stamp_via(Some(address("192.0.2.9")), Some(4_000))
            .header("Retry-After", "5")
            .body("text/plain", "no")
            .finish()
            .unwrap(),
    );
    assert_eq!(
        (busy.status(), busy.reason_phrase(), busy.body()),
        (Some(486), &b"Besetzt"[..], &b"no"[..])
    );
    assert_eq!(
        (busy.to_tag(), busy.from_tag(), busy.call_id()),
        (Some(&b"t9"[..]), Some(&b"f1"[..]), &b"c1@10.0.0.1"[..])
    );
    assert_eq!((busy.cseq().number, busy.method()), (7, Method::Invite));
    let branches: Vec<_> = busy
        .vias()
        .map(|via| via.branch.unwrap().to_vec())
        .collect();
    assert_eq!(branches, [&b"z9hG4bKtop"[..], b"z9hG4bKlow", b"z9hG4bKend"]);
    assert_eq!(
        (busy.top_via().rport, busy.top_via().received),
        (Some(Some(4_000)), Some(&b"192.0.2.9"[..]))
    );
    assert_eq!(busy.header(HeaderKind::Timestamp), None);
    assert_eq!(
        (trying.anomalies(), busy.anomalies()),
        (Anomalies::NONE, Anomalies::NONE)
    );
    let tagged = parse(text().replace(
        "<sip:bob@example.net>\r\n",
        "<sip:bob@example.net>;tag=own\r\n",
    ));
    let response = parse(Response::to(&tagged, 200).to_tag("new").finish().unwrap());
    assert_eq!(response.to_tag(), Some(&b"own"[..]));
    for status in [99, 700] {
        assert_eq!(
            Response::to(&request, status).finish(),
            Err(EditError::Status)
        );
    }
    for status in [100, 699] {
        assert!(Response::to(&request, status).finish().is_ok());
    }
}

#[test]
fn ack_and_cancel_stand_on_the_branch_of_the_invite() {
    let invite = parse(text());
    let response = parse(Response::to(&invite, 503).to_tag("t5").finish().unwrap());
    let ack = parse(build::ack_for(&invite, &response));
    let cancel = parse(build::cancel_for(&invite));
    for (message, method, tag) in [
        (&ack, Method::Ack, Some(&b"t5"[..])),
        (&cancel, Method::Cancel, None),
    ] {
        assert_eq!(
            (message.method(), message.cseq().number, message.to_tag()),
            (method, 7, tag)
        );
        assert_eq!(message.request_uri().raw, b"sip:bob@example.net");
        assert_eq!(
            (message.vias().count(), message.top_via().branch),
            (1, Some(&b"z9hG4bKtop"[..]))
        );
        assert_eq!(
            (message.call_id(), message.from_tag()),
            (&b"c1@10.0.0.1"[..], Some(&b"f1"[..]))
        );
        assert_eq!(
            (message.routes().count(), message.anomalies()),
            (3, Anomalies::NONE)
        );
        assert!(message.body().is_empty());
    }
}

#[test]
fn requests_of_our_own_are_sound() {
    let builder = RequestBuilder::new("BYE", "sip:bob@192.0.2.4:5070")
        .via("SIP/2.0/UDP us;branch=z9hG4bK1")
        .from("<sip:a@b>;tag=1")
        .to("<sip:c@d>;tag=2")
        .call_id("c")
        .cseq(8)
        .route("<sip:p;lr>");
    let bye = parse(
        builder
            .clone()
            .header("Reason", "SIP;cause=200")
            .finish()
            .unwrap(),
    );
    assert_eq!(
        (bye.method(), bye.max_forwards(), bye.anomalies()),
        (Method::Bye, Some(70), Anomalies::NONE)
    );
    assert_eq!(bye.cseq().number, 8);
    let few = parse(
        builder
            .header("Max-Forwards", "3")
            .body("text/plain", "x")
            .finish()
            .unwrap(),
    );
    assert_eq!((few.max_forwards(), few.body()), (Some(3), &b"x"[..]));
}

#[test]
fn challenges_name_their_algorithm_as_rfc_8760_does() {
    let mut challenge = Challenge {
        realm: "a \"b\" \\",
        nonce: "n",
        opaque: Some("o"),
        algorithm: DigestAlgorithm::Sha256,
        stale: false,
    };
    assert_eq!(
        challenge.value().unwrap(),
        "Digest realm=\"a \\\"b\\\" \\\\\", nonce=\"n\", opaque=\"o\", qop=\"auth\", algorithm=SHA-256"
    );
    challenge.stale = true;
    challenge.algorithm = DigestAlgorithm::Md5;
    assert!(
        challenge.value().unwrap().contains("stale=true")
            && challenge.value().unwrap().ends_with("algorithm=MD5")
    );
    challenge.nonce = "n\r\nEvil: 1";
    assert_eq!(challenge.value(), Err(EditError::Value));
}
