//! `rsip` 0.4.0 beside our parser: one test per known fault, each the reason why our own reader
//! is used there; and where no fault is known, both must agree.

#![cfg(test)]

use bytes::Bytes;
use sip_message::typed::{self, rsip};
use sip_message::{HeaderKind, Host, Limits, Message, NameAddr, REGISTERED, Uri, Via};

use rsip::prelude::*;

const CORE: &str = "Via: SIP/2.0/UDP pbx.example.com:5060;branch=z9hG4bKa1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=f1\r\nTo: <sip:bob@example.net>\r\nCall-ID: c1@pbx\r\nCSeq: 1 INVITE\r\n";

fn invite(extra: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "INVITE sip:bob@example.net SIP/2.0\r\n{CORE}{extra}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ours(bytes: &[u8]) -> Message {
    Message::parse_datagram(Bytes::copy_from_slice(bytes), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn theirs(bytes: &[u8]) -> Result<rsip::Request, rsip::Error> {
    rsip::Request::try_from(bytes.to_vec())
}

fn their_host(uri: &str) -> Option<String> {
    rsip::Uri::try_from(uri)
        .ok()
        .map(|uri| uri.host_with_port.to_string())
}

#[test]
fn agreement_on_a_plain_invite() {
    let bytes = invite("Contact: <sip:alice@192.0.2.1:5062>\r\n", b"v=0\r\n");
    let (ours, theirs) = (ours(&bytes), theirs(&bytes).expect("rsip reads it"));
    assert_eq!(typed::method(ours.method()), Some(theirs.method));
    assert_eq!(typed::uri(&ours.request_uri()).unwrap(), theirs.uri);
    assert_eq!(
        typed::from(&ours.from()).unwrap(),
        theirs.from_header().unwrap().typed().unwrap()
    );
    assert_eq!(
        typed::to(&ours.to()).unwrap(),
        theirs.to_header().unwrap().typed().unwrap()
    );
    assert_eq!(
        typed::via(&ours.top_via()).unwrap(),
        theirs.via_header().unwrap().typed().unwrap()
    );
    let contact = ours.contacts().next().unwrap().unwrap();
    assert_eq!(
        typed::contact(&contact).unwrap(),
        theirs.contact_header().unwrap().typed().unwrap()
    );
    assert_eq!(
        ours.call_id(),
        theirs.call_id_header().unwrap().value().as_bytes()
    );
    assert_eq!(
        ours.cseq().number,
        theirs.cseq_header().unwrap().typed().unwrap().seq
    );
    assert_eq!(ours.body(), &theirs.body[..]);
}

#[test]
fn fault_compact_headers_are_invisible() {
    let bytes = String::from_utf8(invite("", b""))
        .unwrap()
        .replace("From:", "f:")
        .into_bytes();
    assert_eq!(ours(&bytes).from_tag(), Some(&b"f1"[..]));
    assert!(theirs(&bytes).is_ok_and(|request| request.from_header().is_err()));
}

#[test]
fn fault_two_content_lengths_are_accepted() {
    let bytes = invite("Content-Length: 99\r\n", b"");
    assert!(Message::parse_datagram(Bytes::from(bytes.clone()), &Limits::default()).is_err());
    assert!(theirs(&bytes).is_ok());
}

#[test]
fn fault_folding_and_leading_crlf_are_refused() {
    let folded = invite("Subject: a\r\n b\r\n", b"");
    assert_eq!(ours(&folded).header(HeaderKind::Subject), Some(&b"a b"[..]));
    assert!(!theirs(&folded).is_ok_and(|request| {
        request
            .headers
            .iter()
            .any(|header| header.to_string() == "Subject: a b")
    }));
    let leading = [b"\r\n", &invite("", b"")[..]].concat();
    assert_eq!(ours(&leading).call_id(), b"c1@pbx");
    assert!(theirs(&leading).is_err());
}

#[test]
fn fault_the_second_via_of_a_line_is_dropped() {
    let line = "SIP/2.0/UDP a.example;branch=z9hG4bK1, SIP/2.0/UDP b.example;branch=z9hG4bK2";
    let bytes = String::from_utf8(invite("", b""))
        .unwrap()
        .replace("SIP/2.0/UDP pbx.example.com:5060;branch=z9hG4bKa1", line);
    assert_eq!(ours(bytes.as_bytes()).vias().count(), 2);
    let vias = theirs(bytes.as_bytes()).map(|request| {
        request
            .headers
            .iter()
            .filter(|header| matches!(header, rsip::Header::Via(_)))
            .count()
    });
    assert!(!matches!(vias, Ok(2)));
}

#[test]
fn fault_a_binary_body_changes() {
    let body = [0xff, 0xfe, 0x00, 0x80, b'\r', b'\n'];
    let bytes = invite("", &body);
    assert_eq!(ours(&bytes).body(), body);
    let written = theirs(&bytes).map(Vec::<u8>::from).unwrap_or_default();
    assert!(!written.ends_with(&body), "what it writes is text");
}

#[test]
fn fault_the_host_is_taken_from_the_wrong_place() {
    let hidden = "sip:evil.com;x=@trusted.com";
    assert_eq!(
        Uri::parse(hidden.as_bytes()).unwrap().host,
        Host::Name(b"trusted.com")
    );
    assert_ne!(their_host(hidden).as_deref(), Some("trusted.com"));
    let twice = "sip:a@trusted.com@evil.com";
    assert!(Uri::parse(twice.as_bytes()).is_err());
    assert!(their_host(twice).is_some());
}

#[test]
fn fault_users_with_a_dot_are_lost() {
    let uri = "sip:alice.smith@pbx";
    assert_eq!(
        Uri::parse(uri.as_bytes()).unwrap().user,
        Some(&b"alice.smith"[..])
    );
    let user = rsip::Uri::try_from(uri)
        .ok()
        .and_then(|uri| uri.user().map(str::to_owned));
    assert_ne!(user.as_deref(), Some("alice.smith"));
}

#[test]
fn fault_ipv6_references_are_refused_and_written_without_brackets() {
    let uri = "sip:alice@[2001:db8::1]:5070";
    let parsed = Uri::parse(uri.as_bytes()).unwrap();
    assert_eq!(
        (parsed.host.to_string(), parsed.port),
        ("[2001:db8::1]".to_owned(), Some(5070))
    );
    assert_ne!(their_host(uri).as_deref(), Some("[2001:db8::1]:5070"));
    let address = rsip::Host::IpAddr("2001:db8::1".parse().unwrap());
    assert_eq!(address.to_string(), "2001:db8::1");
    assert_eq!(typed::uri(&parsed).unwrap().to_string(), uri);
}

#[test]
fn fault_a_tel_uri_becomes_a_host() {
    let uri = "tel:+12125550101";
    assert_eq!(
        Uri::parse(uri.as_bytes()).unwrap().number(),
        Some(&b"+12125550101"[..])
    );
    assert!(
        rsip::Uri::try_from(uri).is_err(),
        "it takes the number for a port"
    );
    assert!(rsip::Uri::try_from("tel:1234").is_ok_and(|uri| uri.host().to_string() == "tel"));
    assert_eq!(
        typed::uri(&Uri::parse(uri.as_bytes()).unwrap()),
        Err(typed::TypedError::Scheme)
    );
}

#[test]
fn fault_sha_256_is_refused_and_written_as_nobody_reads_it() {
    assert!(rsip::headers::auth::Algorithm::try_from("SHA-256").is_err());
    assert_eq!(rsip::headers::auth::Algorithm::Sha256.to_string(), "SHA256");
}

#[test]
fn fault_reason_phrases_have_no_spaces() {
    assert_eq!(rsip::StatusCode::BadRequest.to_string(), "400 BadRequest");
    assert_eq!(sip_message::reason_phrase(400), "Bad Request");
    // Apart from the spaces both know the same phrases, but for these.
    let renamed = [380, 408, 437, 480, 481, 482, 504, 606];
    for (status, phrase) in REGISTERED {
        let theirs = typed::status_code(*status);
        assert_eq!(theirs.code(), *status);
        let squeezed: String = phrase.chars().filter(char::is_ascii_alphanumeric).collect();
        let same = theirs
            .to_string()
            .to_lowercase()
            .replace([' ', '/', '-'], "")
            .ends_with(&squeezed.to_lowercase());
        assert!(
            same || renamed.contains(status),
            "{status} {phrase}: {theirs}"
        );
    }
}

#[test]
fn fault_methods_are_compared_without_regard_to_case_and_unknown_ones_refused() {
    assert!("invite".parse::<rsip::Method>().is_ok());
    assert_eq!(
        sip_message::Method::from_name(b"invite"),
        sip_message::Method::Other
    );
    assert!("FOO".parse::<rsip::Method>().is_err());
    assert_eq!(typed::method(sip_message::Method::Other), None);
}

#[test]
fn where_no_fault_is_known_both_readers_agree() {
    let hosts = ["example.com", "pbx.example.com", "192.0.2.1"];
    let users = ["alice", "+12125550101", "1000"];
    let tails = [
        "",
        ";transport=tcp",
        ";lr",
        ";user=phone",
        ";maddr=10.0.0.1;ttl=3",
    ];
    for (host, user, tail, port) in hosts
        .iter()
        .flat_map(|host| users.iter().map(move |user| (host, user)))
        .flat_map(|(host, user)| tails.iter().map(move |tail| (host, user, tail)))
        .flat_map(|(host, user, tail)| ["", ":5070"].map(|port| (host, user, tail, port)))
    {
        let text = format!("sip:{user}@{host}{port}{tail}");
        let ours = typed::uri(&Uri::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            ours,
            rsip::Uri::try_from(text.as_str()).expect("rsip reads it"),
            "{text}"
        );
        // It writes a transport in capitals; apart from that what was read.
        assert_eq!(
            ours.to_string().replace("transport=TCP", "transport=tcp"),
            text
        );
        let value = format!("\"A B\" <{text}>;tag=t1");
        let from = typed::from(&NameAddr::parse(value.as_bytes()).unwrap()).unwrap();
        assert_eq!(from.uri, ours);
        assert_eq!(
            from.tag().map(|tag| tag.value().to_owned()).as_deref(),
            Some("t1")
        );
        let via = format!("SIP/2.0/TCP {host}{port};branch=z9hG4bK1");
        let typed_via = typed::via(&Via::parse(via.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            typed_via,
            rsip::headers::Via::new(via.as_str())
                .typed()
                .expect("rsip reads it"),
            "{via}"
        );
        assert_eq!(typed_via.to_string(), via);
    }
}
