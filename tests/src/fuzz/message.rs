//! One datagram: reading never panics, what leaves reads the same, and what nobody
//! changed leaves as it came.

use bytes::Bytes;
use sip_message::build::{self, Response};
use sip_message::{Anomalies, Edits, HeaderKind, Limits, Message, ParseError};

use super::Trail;
use super::lines::{self, Lines};

/// What leaves may be a little larger than what may come.
const ROOM: Limits = Limits {
    message_bytes: 131_072,
    header_count: 300,
    header_bytes: 65_535,
    via_count: 100,
    uri_bytes: 4_096,
};

/// Headers that forwarding changes: RFC 3261 section 16.6.
const FORWARDED: [HeaderKind; 4] = [
    HeaderKind::Via,
    HeaderKind::MaxForwards,
    HeaderKind::Route,
    HeaderKind::RecordRoute,
];

/// Parses, forwards, parses again; then answers, cancels and acknowledges.
pub fn message(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    match parse(bytes) {
        Err(error) => refusal(&error, &mut trail),
        Ok(message) => {
            assert_eq!(&message.received()[..], bytes);
            visit(&message, &mut trail);
            forward(&message);
            leave_alone(&message);
            if message.is_request() {
                answer(&message);
            } else {
                retreat(&message);
            }
        }
    }
    trail.0
}

/// Parses, forwards and parses again: the part that every forwarded call takes.
pub fn forwarding(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    match parse(bytes) {
        Err(error) => trail.text(&format!("{:?}", error.reason())),
        Ok(message) => {
            forward(&message);
            for name in message.anomalies().names() {
                trail.text(name);
            }
        }
    }
    trail.0
}

fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    Message::parse_datagram(Bytes::copy_from_slice(bytes), &Limits::default())
}

/// Reads a message that we wrote: it must be accepted as it is.
fn again(bytes: Bytes) -> Message {
    let message = match Message::parse_datagram(bytes.clone(), &ROOM) {
        Ok(message) => message,
        Err(error) => panic!(
            "what leaves is refused: {error}: {:?}",
            bytes.escape_ascii().to_string()
        ),
    };
    assert_eq!(
        message.bytes(),
        &bytes,
        "what leaves needs no second normalising"
    );
    message
}

/// Calls what a message offers and checks what its documentation promises.
fn visit(message: &Message, trail: &mut Trail) {
    for name in message.anomalies().names() {
        trail.text(name);
    }
    trail.mark(message.method() as u64);
    trail.mark(u64::from(message.status().unwrap_or_default() / 100));
    assert!(!message.call_id().is_empty());
    assert!(message.cseq().number < 1 << 31);
    assert!(!message.cseq().method_name.is_empty());
    assert!(message.vias().count() >= 1);
    assert_eq!(
        message.vias().count(),
        message.values(HeaderKind::Via).count()
    );
    assert_eq!(
        message.vias().next().map(|via| via.raw),
        Some(message.top_via().raw)
    );
    let addresses = message
        .routes()
        .chain(message.record_routes())
        .chain(message.contacts());
    trail.size(
        addresses
            .inspect(|address| assert!(address.is_ok()))
            .count(),
    );
    let _ = (
        message.from_tag(),
        message.to_tag(),
        message.expires(),
        message.content_length(),
    );
    let _ = (
        message.from().uri.host_port(),
        message.to().uri.number(),
        message.top_via().received_address(),
    );
    if message.is_request() {
        let uri = message.request_uri();
        assert!(!uri.raw.is_empty() && uri.equivalent(&uri));
        trail.mark(uri.scheme as u64);
    }
    for header in message.headers() {
        trail.mark(header.kind as u64);
        assert!(message.values_named(header.name).next().is_some());
        let control = |byte: &u8| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f;
        assert!(
            !header.value.iter().any(control),
            "a value is one clean line"
        );
    }
}

/// What leaves without changes, or with another body only.
fn leave_alone(message: &Message) {
    if message.anomalies().is_empty() {
        assert_eq!(message.bytes(), message.received(), "nothing was odd");
    }
    let copy = again(message.bytes().clone());
    // A dropped duplicate takes its own oddities with it.
    if !message.anomalies().contains(Anomalies::DUPLICATE_HEADER) {
        assert_eq!(lasting(&copy), lasting(message), "what was odd still is");
    }
    let mut edits = Edits::new(message);
    edits.body(Some("text/plain"), "hi");
    let copy = again(edits.finish().expect("a body of clean lines"));
    assert_eq!(copy.body(), b"hi");
    assert_eq!(copy.vias().count(), message.vias().count());
}

/// Oddities that stay visible in normalised bytes.
fn lasting(message: &Message) -> Vec<&'static str> {
    let kept = Anomalies::COMPACT_FORM
        | Anomalies::INVALID_UTF8
        | Anomalies::NEEDLESS_ESCAPE
        | Anomalies::RFC2543_BRANCH
        | Anomalies::MISSING_MAX_FORWARDS;
    let kept: Vec<&str> = kept.names().collect();
    let names = message.anomalies().names();
    names.filter(|name| kept.contains(name)).collect()
}

/// What a proxy does to a message on its way out.
fn forward(message: &Message) {
    let untouched = Edits::new(message).finish().expect("nothing was changed");
    assert_eq!(
        &untouched,
        message.bytes(),
        "without changes the same bytes leave"
    );
    let before = lines::split(message.bytes());
    let mut edits = Edits::new(message);
    edits.stamp_via(Some("192.0.2.77".parse().expect("an address")), Some(5099));
    edits
        .max_forwards(9)
        .pop_route()
        .push_record_route("<sip:proxy.example;lr>");
    edits.push_via("SIP/2.0/UDP proxy.example:5060;branch=z9hG4bKproxy");
    let out = edits.finish().expect("the proxy writes clean lines");
    let after = lines::split(&out);
    assert_eq!(after.lines[0], before.lines[0], "the start-line stays");
    assert_eq!(
        after.without(&FORWARDED),
        before.without(&FORWARDED),
        "untouched lines stay"
    );
    assert_eq!(after.body, before.body, "the body stays");
    assert_one_length(&after);
    let copy = again(out.clone());
    assert_same_core(message, &copy);
    assert_eq!(copy.vias().count(), message.vias().count() + 1);
    assert_eq!(
        copy.routes().count(),
        message.routes().count().saturating_sub(1)
    );
    assert_eq!(
        copy.record_routes().count(),
        message.record_routes().count() + 1
    );
    assert_eq!(copy.max_forwards(), Some(9));
    let stamped = copy.vias().nth(1).expect("the sender's Via");
    assert_eq!(stamped.received, Some(&b"192.0.2.77"[..]));
    assert_eq!(stamped.rport, Some(Some(5099)));
    assert_eq!(stamped.branch, message.top_via().branch);
    let lower = |message: &Message, skip| -> Vec<Vec<u8>> {
        message
            .vias()
            .skip(skip)
            .map(|via| via.raw.to_vec())
            .collect()
    };
    assert_eq!(lower(&copy, 2), lower(message, 1), "Vias of others stay");
}

fn assert_same_core(message: &Message, copy: &Message) {
    assert_eq!(copy.is_request(), message.is_request());
    assert_eq!(copy.status(), message.status());
    assert_eq!(copy.request_uri().raw, message.request_uri().raw);
    assert_eq!(copy.call_id(), message.call_id());
    assert_eq!(copy.cseq(), message.cseq());
    assert_eq!(
        (copy.from_tag(), copy.to_tag()),
        (message.from_tag(), message.to_tag())
    );
    assert_eq!(copy.from().uri.raw, message.from().uri.raw);
    assert_eq!(copy.to().uri.raw, message.to().uri.raw);
    assert_eq!(copy.body(), message.body());
}

/// The body is what exactly one Content-Length says.
fn assert_one_length(lines: &Lines<'_>) {
    let mut lengths = lines
        .headers()
        .filter(|(kind, _)| *kind == HeaderKind::ContentLength);
    let (_, line) = lengths
        .next()
        .expect("a message that leaves has a Content-Length");
    assert!(lengths.next().is_none(), "and no second one");
    let value = &line[line.iter().position(|byte| *byte == b':').expect("a colon") + 1..];
    let number = std::str::from_utf8(value.trim_ascii()).expect("digits");
    assert_eq!(number.parse(), Ok(lines.body.len()));
}

/// What a proxy answers a request with, and what it sends of its own.
fn answer(request: &Message) {
    for status in [100, 200, 486] {
        let made = Response::to(request, status).to_tag("ours").finish();
        let response = again(made.expect("a plain answer can be written"));
        assert_eq!(response.status(), Some(status));
        assert_eq!(response.vias().count(), request.vias().count());
        assert_eq!(response.top_via().raw, request.top_via().raw);
        assert_eq!(
            (response.call_id(), response.cseq()),
            (request.call_id(), request.cseq())
        );
        assert_eq!(response.from_tag(), request.from_tag());
        if status == 486 {
            let ack = again(build::ack_for(request, &response));
            assert_eq!(
                (ack.to_tag(), ack.cseq().number),
                (response.to_tag(), request.cseq().number)
            );
        }
    }
    let cancel = again(build::cancel_for(request));
    assert_eq!(cancel.top_via().raw, request.top_via().raw);
    assert_eq!(cancel.vias().count(), 1);
}

/// A response leaves without the topmost Via: RFC 3261 section 16.7.
fn retreat(response: &Message) {
    let mut edits = Edits::new(response);
    edits.pop_via();
    let out = edits.finish().expect("taking a line off cannot fail");
    if response.vias().count() > 1 {
        let copy = again(out);
        assert_same_core(response, &copy);
        assert_eq!(copy.vias().count(), response.vias().count() - 1);
    }
}

/// What is refused is answered by clean lines, or not at all.
fn refusal(error: &ParseError, trail: &mut Trail) {
    trail.text(&format!("{:?}", error.reason()));
    let response = error.response(b"ours");
    assert_eq!(response.is_some(), error.status().is_some());
    let Some(response) = response else { return };
    trail.mark(1);
    let lines = lines::split(&response);
    let status = error.status().expect("an answer has a status").to_string();
    let start = [b"SIP/2.0 ", status.as_bytes(), b" "].concat();
    assert!(
        lines.lines[0].starts_with(&start),
        "{:?}",
        lines.lines[0].escape_ascii().to_string()
    );
    assert_one_length(&lines);
    assert!(lines.body.is_empty());
    // What stands in these may be as malformed as the request had it, but it stands
    // in its own lines and nothing else does.
    let copied = [
        HeaderKind::From,
        HeaderKind::To,
        HeaderKind::CallId,
        HeaderKind::CSeq,
    ];
    for kind in copied {
        assert_eq!(
            lines.headers().filter(|(other, _)| *other == kind).count(),
            1,
            "{kind:?}"
        );
    }
    let own = [HeaderKind::Via, HeaderKind::ContentLength];
    assert!(
        lines
            .headers()
            .all(|(kind, _)| copied.contains(&kind) || own.contains(&kind))
    );
}
