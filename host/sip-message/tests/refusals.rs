//! Messages made to be read in two ways, one fault each: refused or normalised as the table in
//! the crate's documentation says.

#![cfg(test)]

use bytes::Bytes;
use sip_message::{Anomalies, HeaderKind, Limits, Message, ParseError, ParseErrorKind, UriError};

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
fn the_sound_message_of_these_tests_is_clean_and_not_copied() {
    let bytes = Bytes::from(with(""));
    let message = Message::parse_datagram(bytes.clone(), &Limits::default()).unwrap();
    assert_eq!(message.anomalies(), Anomalies::NONE);
    assert_eq!(message.bytes().as_ptr(), bytes.as_ptr());
    assert_eq!(message.content_length(), Some(0));
}

#[test]
fn a_header_that_decides_what_the_message_is_may_stand_once() {
    for (kind, line) in [
        (HeaderKind::From, "From: <sip:alice@example.com>;tag=f1\r\n"),
        (HeaderKind::From, "f: <sip:eve@example.com>;tag=f2\r\n"),
        (HeaderKind::To, "t: <sip:bob@example.net>\r\n"),
        (HeaderKind::CallId, "i: c1@192.0.2.1\r\n"),
        (HeaderKind::CSeq, "CSEQ: 1 INVITE\r\n"),
        (HeaderKind::MaxForwards, "Max-Forwards: 70\r\n"),
    ] {
        assert_eq!(refused(with(line)), ParseErrorKind::Duplicate(kind));
        assert_eq!(parse(with(line)).unwrap_err().status(), Some(400));
    }
}

#[test]
fn two_content_lengths_are_one_or_a_refusal() {
    let same = accepted(with("l: 0\r\n"));
    assert!(same.anomalies().contains(Anomalies::DUPLICATE_HEADER));
    assert_eq!(same.values(HeaderKind::ContentLength).count(), 1);
    assert_eq!(
        refused(with("l: 1\r\n")),
        ParseErrorKind::Duplicate(HeaderKind::ContentLength)
    );
    for value in ["0, 0", "+0", "-1", "0x0", "", "4294967296", "0 0"] {
        let text = format!("{START}{CORE}Content-Length: {value}\r\n\r\n");
        assert_eq!(
            refused(text),
            ParseErrorKind::Value(HeaderKind::ContentLength),
            "{value}"
        );
    }
}

#[test]
fn other_single_headers_may_repeat_their_value_only() {
    let line = "Content-Type: application/sdp\r\n";
    let message = accepted(with(&[line, line].concat()));
    assert_eq!(
        message
            .headers()
            .filter(|header| header.kind == HeaderKind::ContentType)
            .count(),
        1
    );
    assert_eq!(
        refused(with(&[line, "c: text/plain\r\n"].concat())),
        ParseErrorKind::Duplicate(HeaderKind::ContentType)
    );
    assert_eq!(
        refused(with("Refer-To: <sip:a@b>\r\nr: <sip:c@d>\r\n")),
        ParseErrorKind::Duplicate(HeaderKind::ReferTo)
    );
}

#[test]
fn what_is_missing_is_named() {
    for (kind, line) in [
        (
            HeaderKind::Via,
            "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1\r\n",
        ),
        (HeaderKind::From, "From: <sip:alice@example.com>;tag=f1\r\n"),
        (HeaderKind::To, "To: <sip:bob@example.net>\r\n"),
        (HeaderKind::CallId, "Call-ID: c1@192.0.2.1\r\n"),
        (HeaderKind::CSeq, "CSeq: 1 INVITE\r\n"),
    ] {
        let error = parse(with("").replace(line, "")).unwrap_err();
        assert_eq!(*error.reason(), ParseErrorKind::Missing(kind));
        assert_eq!(
            (error.status(), error.response(b"t")),
            (None, None),
            "nobody could match an answer"
        );
    }
}

#[test]
fn line_ends_are_normalised_or_refused() {
    let bare = accepted(with("").replace("\r\n", "\n"));
    assert_eq!(bare.anomalies(), Anomalies::BARE_LINE_FEED);
    assert_eq!(bare.bytes(), with("").as_bytes().to_vec().as_slice());
    assert!(bare.received().iter().all(|byte| *byte != b'\r'));
    for lone in [
        "X-A: one\rtwo\r\n",
        "X-A: one\r\r\n",
        "X-A\r: one\r\n",
        "X-A: one\rX-B: two\n",
    ] {
        let kind = refused(with(lone));
        assert!(
            matches!(
                kind,
                ParseErrorKind::BareCarriageReturn | ParseErrorKind::HeaderLine
            ),
            "{lone:?}: {kind:?}"
        );
    }
    let smuggled = format!("{START}{CORE}X: a\n\nContent-Length: 0\r\n\r\n");
    let message = accepted(smuggled);
    assert!(
        message
            .anomalies()
            .contains(Anomalies::MISSING_CONTENT_LENGTH),
        "the first empty line ends the headers"
    );
    assert_eq!(message.body(), b"Content-Length: 0\r\n\r\n");
}

#[test]
fn control_characters_stand_in_quotes_only_and_never_leave() {
    for byte in (0u8..0x20)
        .filter(|byte| !b"\t\r\n".contains(byte))
        .chain([0x7f])
    {
        let control = char::from(byte);
        assert_eq!(
            refused(with(&format!("Subject: a{control}b\r\n"))),
            ParseErrorKind::ControlCharacter,
            "{byte:#x}"
        );
        let quoted = accepted(with(&format!("Contact: \"a{control}b\" <sip:a@b>\r\n")));
        assert_eq!(
            quoted.anomalies(),
            Anomalies::CONTROL_CHARACTER,
            "{byte:#x}"
        );
        assert_eq!(
            quoted.header(HeaderKind::Contact),
            Some(&b"\"a?b\" <sip:a@b>"[..])
        );
        let start = with("").replace("sip:bob", &format!("sip:b{control}ob"));
        assert!(matches!(
            refused(start),
            ParseErrorKind::ControlCharacter | ParseErrorKind::StartLine
        ));
    }
}

#[test]
fn oddities_of_layout_are_normalised() {
    let text = format!(
        "\r\n\r\n{START}{CORE}X-Fold: one\r\n\t two\n   three \r\nX-Space \t: v\r\nContent-Length: 0\r\n\r\n"
    );
    let message = accepted(text);
    let expected = Anomalies::FOLDED_HEADER
        | Anomalies::BARE_LINE_FEED
        | Anomalies::SPACE_BEFORE_COLON
        | Anomalies::OTHER;
    assert_eq!(message.anomalies(), expected);
    assert_eq!(
        message.bytes(),
        with("X-Fold: one two three\r\nX-Space: v\r\n")
            .as_bytes()
            .to_vec()
            .as_slice()
    );
    let lower = accepted(with("").replacen("SIP/2.0", "sip/2.0", 1));
    assert_eq!(
        (lower.anomalies(), &lower.bytes()[..]),
        (Anomalies::OTHER, with("").as_bytes())
    );
}

#[test]
fn malformed_lines_are_refused() {
    for line in [
        "no colon here\r\n",
        ": empty name\r\n",
        "Bad Name: v\r\n",
        "Bäd: v\r\n",
        "X@Y: v\r\n",
    ] {
        assert_eq!(refused(with(line)), ParseErrorKind::HeaderLine, "{line:?}");
    }
    let fold_first = format!("{START} folded\r\n{CORE}Content-Length: 0\r\n\r\n");
    assert_eq!(refused(fold_first), ParseErrorKind::HeaderLine);
}

#[test]
fn start_lines() {
    for (line, kind) in [
        (
            "INVITE sip:bob@example.net SIP/3.0",
            ParseErrorKind::Version,
        ),
        (
            "INVITE  sip:bob@example.net SIP/2.0",
            ParseErrorKind::StartLine,
        ),
        (
            "INVITE sip:bob@example.net  SIP/2.0",
            ParseErrorKind::StartLine,
        ),
        (
            "INVITE sip:bob@example.net SIP/2.0 ",
            ParseErrorKind::StartLine,
        ),
        (
            "INVITE\tsip:bob@example.net SIP/2.0",
            ParseErrorKind::StartLine,
        ),
        (
            "INV(TE sip:bob@example.net SIP/2.0",
            ParseErrorKind::StartLine,
        ),
        (
            " INVITE sip:bob@example.net SIP/2.0",
            ParseErrorKind::StartLine,
        ),
        ("INVITE SIP/2.0", ParseErrorKind::StartLine),
        ("GET / HTTP/1.1", ParseErrorKind::NotSip),
        ("INVITE sip:bob@example.net", ParseErrorKind::NotSip),
    ] {
        let text = format!("{line}\r\n{CORE}Content-Length: 0\r\n\r\n");
        assert_eq!(refused(text), kind, "{line:?}");
    }
    for line in [
        "SIP/2.0 099 Low",
        "SIP/2.0 700 High",
        "SIP/2.0 20 OK",
        "SIP/2.0 2000 OK",
        "SIP/2.0  200 OK",
        "SIP/3.0 200 OK",
    ] {
        let error = parse(format!("{line}\r\n{CORE}Content-Length: 0\r\n\r\n")).unwrap_err();
        assert_eq!(error.status(), None, "a response is never answered: {line}");
    }
    let bare = accepted(format!("SIP/2.0 200\r\n{CORE}Content-Length: 0\r\n\r\n"));
    assert_eq!(
        (bare.status(), bare.anomalies()),
        (Some(200), Anomalies::OTHER)
    );
    assert!(bare.bytes().starts_with(b"SIP/2.0 200 \r\n"));
}

#[test]
fn the_method_of_cseq_is_that_of_the_request_exactly() {
    assert_eq!(
        refused(with("").replace("1 INVITE", "1 invite")),
        ParseErrorKind::MethodMismatch
    );
    let other = with("").replace("INVITE", "FOO");
    assert_eq!(accepted(&other).method_name(), b"FOO");
    assert_eq!(
        refused(other.replace("1 FOO", "1 XFOO")),
        ParseErrorKind::MethodMismatch
    );
    assert_eq!(
        accepted(with("").replace("CSeq: 1 ", "CSeq: 2147483647 "))
            .cseq()
            .number,
        2_147_483_647
    );
    assert_eq!(
        refused(with("").replace("CSeq: 1 ", "CSeq: 2147483648 ")),
        ParseErrorKind::Value(HeaderKind::CSeq)
    );
    assert_eq!(
        refused(with("").replace("CSeq: 1 INVITE", "CSeq: 1 INVITE x")),
        ParseErrorKind::Value(HeaderKind::CSeq)
    );
}

#[test]
fn limits_have_two_sides() {
    let limits = Limits {
        message_bytes: with("").len(),
        ..Limits::default()
    };
    let at = |text: &str, limits: &Limits| {
        Message::parse_datagram(Bytes::copy_from_slice(text.as_bytes()), limits)
    };
    assert!(at(&with(""), &limits).is_ok());
    assert_eq!(
        *at(&with("X: y\r\n"), &limits).unwrap_err().reason(),
        ParseErrorKind::MessageTooLarge
    );

    let limits = Limits {
        header_count: 8,
        ..Limits::default()
    };
    assert!(at(&with("X: y\r\n"), &limits).is_ok());
    assert_eq!(
        *at(&with("X: y\r\nX: y\r\n"), &limits).unwrap_err().reason(),
        ParseErrorKind::TooManyHeaders
    );

    let line = |len: usize| format!("X: {}\r\n", "y".repeat(len - 5));
    assert!(parse(with(&line(8_192))).is_ok());
    assert_eq!(refused(with(&line(8_193))), ParseErrorKind::HeaderTooLong);
    let folded = format!("X: a\r\n {}\r\n", "y".repeat(8_192 - 9));
    assert!(parse(with(&folded)).is_ok());
    assert_eq!(
        refused(with(&folded.replace(" y", " yy"))),
        ParseErrorKind::HeaderTooLong
    );

    let via = |count: usize| "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n".repeat(count);
    assert_eq!(accepted(with(&via(69))).vias().count(), 70);
    let error = parse(with(&via(70))).unwrap_err();
    assert_eq!(
        (*error.reason(), error.status()),
        (ParseErrorKind::TooManyVias, Some(483))
    );
    let joined = format!(
        "Via: {}\r\n",
        vec!["SIP/2.0/UDP a;branch=z9hG4bK1"; 70].join(",")
    );
    assert_eq!(refused(with(&joined)), ParseErrorKind::TooManyVias);

    let uri = |len: usize| {
        with("").replace(
            "sip:bob@example.net SIP",
            &format!("sip:{}@example.net SIP", "b".repeat(len - 16)),
        )
    };
    assert!(parse(uri(2_048)).is_ok());
    let error = parse(uri(2_049)).unwrap_err();
    assert_eq!(
        (*error.reason(), error.status()),
        (ParseErrorKind::RequestUri(UriError::TooLong), Some(414))
    );
}

#[test]
fn hops_and_expiry() {
    for (value, hops) in [("0", 0), ("255", 255), ("0070", 70)] {
        assert_eq!(
            accepted(with("").replace("Forwards: 70", &format!("Forwards: {value}")))
                .max_forwards(),
            Some(hops)
        );
    }
    for value in ["256", "-1", "7O", ""] {
        let text = with("").replace("Forwards: 70", &format!("Forwards: {value}"));
        assert_eq!(
            refused(text),
            ParseErrorKind::Value(HeaderKind::MaxForwards),
            "{value}"
        );
    }
    assert_eq!(
        accepted(with("Expires: 4294967295\r\n")).expires(),
        Some(u32::MAX)
    );
    let unreadable = accepted(with("Expires: 4294967296\r\n"));
    assert_eq!(
        (unreadable.expires(), unreadable.anomalies()),
        (None, Anomalies::OTHER)
    );
}

#[test]
fn bodies_are_bytes() {
    let head = format!("{START}{CORE}Content-Length: 4\r\n\r\n");
    let whole = [head.as_bytes(), &[0, 0xff, b'\r', 0x80]].concat();
    let message = accepted(&whole);
    assert_eq!(
        (message.body(), message.anomalies()),
        (&[0, 0xff, b'\r', 0x80][..], Anomalies::NONE)
    );
    let long = accepted([&whole[..], b"tail"].concat());
    assert_eq!(
        (long.body().len(), long.anomalies(), long.bytes().len()),
        (4, Anomalies::TRAILING_BYTES, whole.len())
    );
    assert_eq!(
        refused(&whole[..whole.len() - 1]),
        ParseErrorKind::BodyTruncated
    );
    let none = accepted([format!("{START}{CORE}\r\n").as_bytes(), &[1, 2, 3]].concat());
    assert_eq!((none.body(), none.content_length()), (&[1, 2, 3][..], None));
    assert!(
        none.bytes()
            .ends_with(b"Content-Length: 3\r\n\r\n\x01\x02\x03")
    );
    let latin = accepted(
        [
            START.as_bytes(),
            CORE.as_bytes(),
            b"Subject: caf\xe9\r\nContent-Length: 0\r\n\r\n",
        ]
        .concat(),
    );
    assert_eq!(
        (latin.anomalies(), latin.header(HeaderKind::Subject)),
        (Anomalies::INVALID_UTF8, Some(&b"caf\xe9"[..]))
    );
}

#[test]
fn cut_off_anywhere_is_refused_or_means_no_body() {
    let text = with("X: y\r\n");
    for end in 0..text.len() {
        match parse(&text[..end]) {
            Ok(message) => assert!(message.anomalies().intersects(Anomalies::OTHER), "at {end}"),
            Err(error) => assert!(error.response(b"t").is_none() || error.status().is_some()),
        }
    }
    assert_eq!(refused(""), ParseErrorKind::Empty);
    assert_eq!(refused("\r\n\r\n"), ParseErrorKind::Empty);
    assert_eq!(refused("INVITE"), ParseErrorKind::Truncated);
}
