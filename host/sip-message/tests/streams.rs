//! Streams: one Content-Length, keep-alives, pipelined messages, bounded buffers.

#![cfg(test)]

use sip_message::{Frame, FrameError, HeaderKind, Limits, Message, ParseErrorKind, StreamFramer};

fn message(call_id: &str, length: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n{length}\r\n{body}"
    )
}

fn sound(call_id: &str, body: &str) -> String {
    message(
        call_id,
        &format!("Content-Length: {}\r\n", body.len()),
        body,
    )
}

/// What came, in short.
fn short(frame: Frame) -> String {
    match frame {
        Frame::Message(message) => {
            let message: &Message = &message;
            format!(
                "{}/{}",
                String::from_utf8_lossy(message.call_id()),
                message.body().len()
            )
        }
        Frame::Invalid(error) => format!("{:?}", error.reason()),
        Frame::Ping => "ping".to_owned(),
        Frame::Pong => "pong".to_owned(),
    }
}

fn drain(framer: &mut StreamFramer, out: &mut Vec<String>) -> Result<(), FrameError> {
    while let Some(frame) = framer.next()? {
        out.push(short(frame));
    }
    Ok(())
}

fn frames(bytes: &[u8]) -> (Vec<String>, Option<FrameError>) {
    let mut framer = StreamFramer::new(Limits::default());
    let mut out = Vec::new();
    framer.push(bytes).unwrap();
    let error = drain(&mut framer, &mut out).err();
    (out, error)
}

#[test]
fn pipelined_messages_with_keep_alives_between_them() {
    let stream = [
        "\r\n\r\n",
        &sound("one", "abc"),
        "\r\n\r\n\r\n\r\n",
        &sound("two", ""),
        "\r\n",
        &sound("three", "\r\n\r\n"),
    ]
    .concat();
    assert_eq!(
        frames(stream.as_bytes()),
        (
            ["ping", "one/3", "ping", "ping", "two/0", "three/4"]
                .map(String::from)
                .to_vec(),
            None
        )
    );
}

#[test]
fn a_single_crlf_is_a_pong_only_after_a_ping_of_ours() {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(b"\r\n").unwrap();
    assert!(framer.next().unwrap().is_none());
    framer.ping_sent();
    assert_eq!(framer.next().unwrap().map(short).as_deref(), Some("pong"));
    framer.push(b"\r\n\r").unwrap();
    assert!(framer.next().unwrap().is_none());
    framer.push(b"\n").unwrap();
    assert_eq!(framer.next().unwrap().map(short).as_deref(), Some("ping"));
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn exactly_one_content_length() {
    for (length, kind) in [
        ("", ParseErrorKind::Missing(HeaderKind::ContentLength)),
        (
            "Content-Length: 0\r\nl: 0\r\n",
            ParseErrorKind::Duplicate(HeaderKind::ContentLength),
        ),
        (
            "Content-Length: 0, 0\r\n",
            ParseErrorKind::Value(HeaderKind::ContentLength),
        ),
        (
            "Content-Length: x\r\n",
            ParseErrorKind::Value(HeaderKind::ContentLength),
        ),
    ] {
        let (out, error) = frames(
            [message("one", length, ""), sound("two", "")]
                .concat()
                .as_bytes(),
        );
        assert_eq!(
            (out, error),
            (vec![format!("{kind:?}")], Some(FrameError::ContentLength)),
            "{length:?}"
        );
    }
    for length in [
        "l: 3\r\n",
        "Content-Length \t:\r\n 3\r\n",
        "CONTENT-LENGTH:3\n",
    ] {
        let (out, error) = frames(
            [message("one", length, "abc"), sound("two", "")]
                .concat()
                .as_bytes(),
        );
        assert_eq!(
            (out, error),
            (vec!["one/3".to_owned(), "two/0".to_owned()], None),
            "{length:?}"
        );
    }
}

#[test]
fn the_refusal_that_ends_a_stream_can_be_answered() {
    let mut framer = StreamFramer::new(Limits::default());
    framer.push(message("one", "", "").as_bytes()).unwrap();
    let Ok(Some(Frame::Invalid(error))) = framer.next() else {
        panic!("must be refused")
    };
    assert!(error.response(b"t").unwrap().starts_with(b"SIP/2.0 400 "));
    assert_eq!(framer.next().err(), Some(FrameError::ContentLength));
    assert_eq!(framer.push(b"x"), Err(FrameError::ContentLength));
}

#[test]
fn a_refused_message_does_not_end_the_stream() {
    let stream = [
        sound("one", "").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        sound("two", ""),
    ]
    .concat();
    assert_eq!(
        frames(stream.as_bytes()),
        (vec!["MethodMismatch".to_owned(), "two/0".to_owned()], None)
    );
}

#[test]
fn what_is_not_sip_ends_the_stream_at_its_first_byte() {
    for start in [
        &b"\x16\x03\x01"[..],
        b"\0",
        b" INVITE",
        b"\rX",
        b"\n",
        b"\xff",
    ] {
        assert_eq!(
            frames(start),
            (Vec::new(), Some(FrameError::NotSip)),
            "{start:?}"
        );
    }
}

#[test]
fn message_bytes_has_two_sides_on_a_stream() {
    let text = sound("one", &"x".repeat(500));
    let limits = Limits {
        message_bytes: text.len(),
        ..Limits::default()
    };
    let run = |text: &str, limits| {
        let mut framer = StreamFramer::new(limits);
        let mut out = Vec::new();
        framer.push(text.as_bytes()).unwrap();
        let error = drain(&mut framer, &mut out).err();
        (out, error)
    };
    assert_eq!(run(&text, limits), (vec!["one/500".to_owned()], None));
    let smaller = Limits {
        message_bytes: text.len() - 1,
        ..limits
    };
    assert_eq!(
        run(&text, smaller),
        (
            vec!["MessageTooLarge".to_owned()],
            Some(FrameError::TooLarge)
        )
    );
    let announced = message("one", "Content-Length: 4294967295\r\n", "");
    assert_eq!(
        run(&announced, limits).1,
        Some(FrameError::TooLarge),
        "refused before the body is waited for"
    );
    let endless = "X".repeat(limits.message_bytes);
    assert_eq!(run(&endless, limits), (Vec::new(), None));
    assert_eq!(
        run(&[&endless, "X"].concat(), limits).1,
        Some(FrameError::TooLarge)
    );
}

#[test]
fn unread_bytes_are_bounded() {
    let limits = Limits {
        message_bytes: 1_000,
        ..Limits::default()
    };
    let mut framer = StreamFramer::new(limits);
    framer.push(&vec![b'X'; 1_000 + 65_536]).unwrap();
    assert_eq!(framer.push(b"X"), Err(FrameError::BufferFull));
}

#[test]
fn one_byte_at_a_time_is_the_same_and_takes_no_square() {
    let stream = [
        "\r\n\r\n",
        &sound("one", &"y".repeat(60_000)),
        &sound("two", ""),
    ]
    .concat();
    let mut framer = StreamFramer::new(Limits::default());
    let mut out = Vec::new();
    for byte in stream.as_bytes() {
        framer.push(&[*byte]).unwrap();
        drain(&mut framer, &mut out).unwrap();
    }
    assert_eq!(out, ["ping", "one/60000", "two/0"]);
}

#[test]
fn a_head_that_is_too_long_is_too_large_however_it_comes() {
    let stream = message("one", "", "");
    let limits = Limits {
        message_bytes: stream.len() - 1,
        ..Limits::default()
    };
    for cut in [1, stream.len()] {
        let mut framer = StreamFramer::new(limits);
        let mut out = Vec::new();
        let error = stream.as_bytes().chunks(cut).find_map(|piece| {
            framer.push(piece).unwrap();
            drain(&mut framer, &mut out).err()
        });
        assert_eq!(error, Some(FrameError::TooLarge), "pieces of {cut}");
        assert_eq!(out, ["MessageTooLarge"], "pieces of {cut}");
    }
}
