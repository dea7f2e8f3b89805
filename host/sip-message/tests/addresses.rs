//! Vias and addresses with two meanings, values split at commas, and what a refusal answers.

#![cfg(test)]

use bytes::Bytes;
use sip_message::{Anomalies, HeaderKind, Host, Limits, Message, ParseError, ParseErrorKind};

const START: &str = "INVITE sip:bob@example.net SIP/2.0\r\n";
const CORE: &str = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1\r\nMax-Forwards: 70\r\n\
    From: <sip:alice@example.com>;tag=f1\r\nTo: <sip:bob@example.net>\r\n\
    Call-ID: c1@192.0.2.1\r\nCSeq: 1 INVITE\r\n";

fn parse(text: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    Message::parse_datagram(Bytes::copy_from_slice(text.as_ref()), &Limits::default())
}

/// A sound INVITE with `extra` header lines.
fn with(extra: &str) -> String {
    format!("{START}{CORE}{extra}Content-Length: 0\r\n\r\n")
}

fn refused(text: impl AsRef<[u8]>) -> ParseErrorKind {
    *parse(text).expect_err("must be refused").reason()
}

fn accepted(text: impl AsRef<[u8]>) -> Message {
    parse(text).unwrap_or_else(|error| panic!("must be accepted: {error}"))
}

#[test]
fn addresses_that_two_readers_split_differently_are_refused() {
    for contact in [
        "sip:a@b?Route=x",
        "sip:a,b@c",
        "sip:a;x@b",
        "\"open <sip:a@b>",
        "\"a\" junk <sip:a@b>",
        "<sip:a@b",
        "sip:a@b>",
        "<sip:a@b>junk",
        "<sip:a@b> <sip:c@d>",
        "<sip:a@b>;;q=1",
        "<sip:a@b>;q=",
        "< sip:a@b>",
        "<sip:a@b >",
        "a:b <sip:a@b>",
        "<<sip:a@b>>",
        "",
        "<sip:a@b>,",
        "<sip:a@b>,,<sip:c@d>",
        "*, <sip:a@b>",
    ] {
        let kind = refused(with(&format!("Contact: {contact}\r\n")));
        assert!(
            matches!(kind, ParseErrorKind::Address(HeaderKind::Contact, _)),
            "{contact}: {kind:?}"
        );
    }
    for route in ["sip:a@b;lr", "<sip:a@b;lr>;", "<sip:a@b;lr;lr>"] {
        let kind = refused(with(&format!("Route: {route}\r\n")));
        assert!(
            matches!(kind, ParseErrorKind::Address(HeaderKind::Route, _)),
            "{route}: {kind:?}"
        );
    }
    let tags = with("").replace("tag=f1", "tag=f1;TAG=f2");
    assert!(matches!(
        refused(tags),
        ParseErrorKind::Address(HeaderKind::From, _)
    ));
    let star = accepted(with("Contact: *\r\n"));
    assert_eq!(star.contacts().count(), 0);
}

#[test]
fn values_are_split_at_commas_outside_quotes_and_brackets() {
    let message = accepted(with(
        "Contact: \"a, \\\"b\" <sip:a@b;x=1>;q=0.1 , <sip:a,b@c>\r\nm: sip:d@e;p=\"x,y\"\r\nSubject: a, b\r\n",
    ));
    let contacts: Vec<_> = message
        .contacts()
        .map(|contact| contact.unwrap().uri.raw.to_vec())
        .collect();
    assert_eq!(contacts, [&b"sip:a@b;x=1"[..], b"sip:a,b@c", b"sip:d@e"]);
    assert_eq!(
        message.values(HeaderKind::Subject).collect::<Vec<_>>(),
        [&b"a, b"[..]]
    );
    assert_eq!(message.values_named(b"m").count(), 3);
}

#[test]
fn vias_with_two_meanings_are_refused() {
    for params in [
        ";branch=a;branch=b",
        ";received=1.1.1.1;received=2.2.2.2",
        ";rport;rport=5",
        ";rport=0",
        ";rport=65536",
        ";rport=x",
        ";ttl=256",
        ";ttl=1;ttl=2",
        ";maddr=a;maddr=b",
        ";;branch=a",
        ";branch=",
        ";branch=\"a\"",
        ";",
        " junk",
        ";branch=a junk",
        ":0",
        ":65536",
        ":",
    ] {
        let text = with("").replace(":5060;branch=z9hG4bKa1", params);
        assert!(matches!(refused(&text), ParseErrorKind::Via(_)), "{params}");
        assert_eq!(parse(&text).unwrap_err().status(), None, "{params}");
    }
    let lower = with("Via: SIP/2.0/TCP bad host\r\n");
    assert_eq!(
        parse(lower).unwrap_err().status(),
        Some(400),
        "the topmost Via is sound"
    );
    let message = accepted(with("").replace(";branch", ";rport;branch"));
    assert_eq!(message.top_via().rport, Some(None));
    assert_eq!(message.top_via().sent_by(), b"192.0.2.1:5060");
    assert_eq!(
        message.top_via().host,
        Host::V4("192.0.2.1".parse().unwrap())
    );
}

#[test]
fn an_answer_to_a_refusal_copies_what_matches_it_and_nothing_else() {
    let text = with("Subject: x\x01y\r\n").replace(
        "Max-Forwards: 70\r\n",
        "v: SIP/2.0/TCP\r\n b.example ; branch=z9hG4bKb\r\n",
    );
    let error = parse(&text).unwrap_err();
    assert_eq!(error.status(), Some(400));
    let response = accepted(error.response(b"tt").unwrap());
    assert_eq!(response.anomalies(), Anomalies::NONE);
    assert_eq!(
        (response.status(), response.to_tag()),
        (Some(400), Some(&b"tt"[..]))
    );
    assert_eq!(response.call_id(), b"c1@192.0.2.1");
    assert_eq!(response.vias().count(), 2);
    assert_eq!(error.top_via().unwrap().branch, Some(&b"z9hG4bKa1"[..]));
    let injected = error.response(b"t\r\nEvil: 1").unwrap();
    assert!(!injected.windows(4).any(|window| window == b"Evil"));
    assert_eq!(
        parse(text.replace("INVITE", "ACK")).unwrap_err().status(),
        None,
        "an ACK is never answered"
    );
    let dirty = with("").replace("Call-ID: c1", "Call-ID: c\x01");
    assert_eq!(
        parse(dirty).unwrap_err().status(),
        None,
        "what we would copy is itself unclean"
    );
}

#[test]
fn needless_escapes_are_seen() {
    let escaped = |user: &str| {
        accepted(with("").replacen("sip:bob@", &format!("sip:{user}@"), 1)).anomalies()
    };
    assert_eq!(escaped("%62ob"), Anomalies::NEEDLESS_ESCAPE);
    assert_eq!(escaped("b%40b"), Anomalies::NONE);
    assert_eq!(escaped("%2B1"), Anomalies::NONE);
    assert_eq!(escaped("%40%31"), Anomalies::NEEDLESS_ESCAPE);
}
