//! Streams of one description: places, formats, directions, control, fax, bodies.

use super::*;
use crate::{Codec, OfferError, StreamKind, Unacceptable};

const PLAIN: [Mode; 1] = [Mode::Plain];
const CALLEE: &str = "203.0.113.1";

#[test]
fn everything_is_written_from_what_was_understood() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let offered = call.pass(
        Side::Caller,
        0,
        INVITE,
        &audio(
            "RTP/AVP",
            &[
                "a=fmtp:101 0-16",
                "a=fmtp:96 not-offered",
                "a=ptime:20",
                "a=maxptime:x",
                "a=candidate:1 1 UDP 1 10.0.0.1 9 typ host",
                "a=ice-ufrag:abcd",
                "a=ice-pwd:efgh",
                "a=tool:secret",
                "a=rtcp-fb:* nack",
                "a=label:1",
                "b=AS:80",
                "a=sendrecv",
            ],
        ),
    );
    let port = call.end_of(Side::Callee).local.rtp;
    let rest = offered.split_once("s=-").unwrap().1;
    assert_eq!(
        rest,
        format!(
            "\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\nb=AS:80\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=label:1\r\n\
             a=rtcp:{}\r\na=sendrecv\r\n",
            port + 1
        )
    );
    assert!(!offered.contains("alice") && !offered.contains("192.0.2.1"));
}

#[test]
fn refused_and_unknown_streams_keep_their_place() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let more = "m=application 4004 UDP/DTLS/SCTP webrtc-datachannel\r\nm=video 4002 RTP/AVP 96\r\n\
                a=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 0\r\n";
    let offered = call.pass(Side::Caller, 0, INVITE, &(audio("RTP/AVP", &[]) + more));
    assert_eq!(
        media(&offered)[1],
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
    );
    assert_eq!(media(&offered)[3], "m=audio 0 RTP/AVP 0");
    assert!(!media(&offered)[2].starts_with("m=video 0 "));
    let reply = at(CALLEE, 5000, "RTP/AVP", &[])
        + "m=application 0 UDP/DTLS/SCTP x\r\nm=video 0 RTP/AVP 96\r\nm=audio 5004 RTP/AVP 0\r\n";
    let answered = call.pass(Side::Callee, 1, OK, &reply);
    call.confirm(1);
    let answered = media(&answered);
    assert_eq!(answered.len(), 4);
    assert_eq!(
        answered[1],
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
    );
    assert_eq!(answered[2], "m=video 0 RTP/AVP 96");
    assert_eq!(
        answered[3], "m=audio 0 RTP/AVP 0",
        "what was not offered is not taken"
    );
    assert!(call.plan(0).is_some() && call.plan(2).is_none() && call.plan(3).is_none());
}

#[test]
fn nothing_that_can_be_relayed_is_refused() {
    for sdp in [
        "v=0\r\nc=IN IP4 192.0.2.1\r\nm=message 4000 TCP/MSRP *\r\n",
        "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000/2 RTP/AVP 0\r\n",
        "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 udptl t38\r\n",
    ] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        let result = call.try_pass(Side::Caller, 0, INVITE, sdp);
        assert_eq!(result, Err(Unacceptable::NoStream.into()), "{sdp}");
    }
    let mut call = Call::new(&PLAIN, &PLAIN);
    let gone = call.pass(Side::Caller, 0, INVITE, "v=0\r\nm=audio 0 RTP/AVP 0\r\n");
    assert!(
        gone.contains("c=IN IP4 198.51.100.2\r\n") && gone.ends_with("m=audio 0 RTP/AVP 0\r\n")
    );
}

#[test]
fn an_answer_is_a_subset_by_codec_not_by_number() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let offer = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 96 0 97 18\r\n\
                 a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\na=fmtp:18 annexb=no\r\n";
    let reply = "v=0\r\nc=IN IP4 203.0.113.1\r\nm=audio 5000 RTP/AVP 111 101 8\r\n\
                 a=rtpmap:111 OPUS/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:111 useinbandfec=1\r\n";
    let (offered, answered) = call.establish(offer, reply);
    assert!(media(&offered)[0].ends_with(" 96 0 97 18") && offered.contains("a=fmtp:18 annexb=no"));
    assert!(
        media(&answered)[0].ends_with(" 111 101"),
        "8 was not offered"
    );
    assert!(answered.contains("a=fmtp:111 useinbandfec=1\r\n"));
    let types = |side| call.end_of(side).payload_types;
    assert_eq!(types(Side::Caller), 1 << 111 | 1 << 101);
    assert_eq!(types(Side::Callee), 1 << 96 | 1 << 97);
    let formats = &call.end_of(Side::Callee).formats;
    assert_eq!(
        (formats[0].clock_rate, formats[0].codec),
        (48_000, Codec::Opus)
    );
    assert_eq!(formats[1].codec, Codec::TelephoneEvent);

    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, offer);
    let none =
        "v=0\r\nc=IN IP4 203.0.113.1\r\nm=audio 5000 RTP/AVP 8 96\r\na=rtpmap:96 iLBC/8000\r\n";
    let result = call.try_pass(Side::Callee, 1, OK, none);
    assert_eq!(result, Err(Unacceptable::AnswerFormats.into()));
}

#[test]
fn answers_with_other_streams_are_refused() {
    for reply in [
        "v=0\r\n".to_owned(),
        at(CALLEE, 5000, "RTP/AVP", &["m=audio 5002 RTP/AVP 0"]),
        at(CALLEE, 5000, "RTP/AVP", &[]).replace("m=audio", "m=video"),
        at(CALLEE, 5000, "RTP/AVP", &[]).replace("RTP/AVP 0 8 101", "udptl t38"),
    ] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
        let result = call.try_pass(Side::Callee, 1, OK, &reply);
        assert_eq!(result, Err(Unacceptable::AnswerStreams.into()), "{reply}");
    }
}

#[test]
fn directions_and_hold() {
    for (offer, reply, caller, callee, held) in [
        ("sendrecv", "sendrecv", (true, true), (true, true), false),
        ("sendonly", "recvonly", (true, false), (false, true), true),
        ("recvonly", "sendonly", (false, true), (true, false), true),
        ("inactive", "inactive", (false, false), (false, false), true),
        ("sendonly", "sendrecv", (true, false), (false, true), true),
    ] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        let offered = call.pass(
            Side::Caller,
            0,
            INVITE,
            &audio("RTP/AVP", &[&format!("a={offer}")]),
        );
        assert!(offered.ends_with(&format!("a={offer}\r\n")));
        call.pass(
            Side::Callee,
            1,
            OK,
            &answer(CALLEE, &offered, &[&format!("a={reply}")]),
        );
        let of = |side| (call.end_of(side).sends, call.end_of(side).receives);
        assert_eq!(
            (of(Side::Caller), of(Side::Callee)),
            (caller, callee),
            "{offer} {reply}"
        );
        let told = call
            .commands
            .iter()
            .any(|each| matches!(each, RelayCommand::OnHold { held: true, .. }));
        assert_eq!(told, held);
    }
}

#[test]
fn hold_by_address_and_back() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(&audio("RTP/AVP", &[]), &at(CALLEE, 5000, "RTP/AVP", &[]));
    let invite = Carrier::Invite { transaction: 2 };
    let offered = call.pass(
        Side::Caller,
        1,
        invite,
        &at("0.0.0.0", 4000, "RTP/AVP", &[]),
    );
    assert!(offered.contains("c=IN IP4 198.51.100.2\r\n") && offered.ends_with("a=sendonly\r\n"));
    let ok = Carrier::Success { transaction: 2 };
    call.pass(
        Side::Callee,
        1,
        ok,
        &at(CALLEE, 5000, "RTP/AVP", &["a=recvonly"]),
    );
    assert!(
        call.end_of(Side::Caller)
            .remote
            .as_ref()
            .unwrap()
            .rtp
            .is_none()
    );
    assert!(!call.end_of(Side::Caller).receives);
    let invite = Carrier::Invite { transaction: 3 };
    call.pass(Side::Caller, 1, invite, &audio("RTP/AVP", &[]));
    let ok = Carrier::Success { transaction: 3 };
    call.pass(Side::Callee, 1, ok, &at(CALLEE, 5000, "RTP/AVP", &[]));
    let holds: Vec<bool> = call
        .commands
        .iter()
        .filter_map(|each| match each {
            RelayCommand::OnHold { held, .. } => Some(*held),
            _ => None,
        })
        .collect();
    assert_eq!(holds, [true, false]);
}

#[test]
fn control_has_its_own_port_or_shares_one() {
    for (offer_mux, answer_mux) in [(false, false), (true, false), (true, true)] {
        let line = |mux| if mux { "a=rtcp-mux" } else { "a=rtcp:7777" };
        let mut call = Call::new(&PLAIN, &PLAIN);
        let offered = call.pass(
            Side::Caller,
            0,
            INVITE,
            &audio("RTP/AVP", &[line(offer_mux)]),
        );
        assert_eq!(offered.contains("a=rtcp-mux\r\n"), offer_mux);
        let reply = answer(CALLEE, &offered, &[line(answer_mux)]);
        let answered = call.pass(Side::Callee, 1, OK, &reply);
        assert_eq!(
            answered.contains("a=rtcp-mux\r\n"),
            offer_mux,
            "each leg by itself"
        );
        for (side, mux, plain) in [
            (Side::Caller, offer_mux, 7_777),
            (Side::Callee, answer_mux, 7_777),
        ] {
            let end = call.end_of(side);
            let remote = end.remote.as_ref().unwrap();
            assert_eq!(end.rtcp_mux, mux);
            let port = remote.rtcp.unwrap().port();
            assert_eq!(
                port,
                if mux {
                    remote.rtp.unwrap().port()
                } else {
                    plain
                }
            );
        }
    }
    let mut call = Call::new(&PLAIN, &PLAIN);
    let sdp = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 72\r\na=rtcp-mux\r\n";
    assert!(
        !call.pass(Side::Caller, 0, INVITE, sdp).contains("rtcp-mux"),
        "72 looks like RTCP"
    );
}

#[test]
fn fax_passes_where_clear_media_may() {
    let fax = |address: &str| {
        format!(
            "v=0\r\nc=IN IP4 {address}\r\nm=image 6000 udptl t38\r\na=T38FaxVersion:0\r\n\
             a=T38FaxUdpEC:t38UDPRedundancy\r\na=sqn: 0\r\n"
        )
    };
    let mut call = Call::new(&PLAIN, &PLAIN);
    let (offered, answered) = call.establish(&fax("192.0.2.1"), &fax(CALLEE));
    for sdp in [offered, answered] {
        assert!(media(&sdp)[0].ends_with(" udptl t38"), "{sdp}");
        assert_eq!(
            lines(&sdp, "a="),
            ["a=T38FaxVersion:0", "a=T38FaxUdpEC:t38UDPRedundancy"]
        );
    }
    assert_eq!(call.end_of(Side::Caller).kind, StreamKind::Udptl);
    let mut call = Call::new(&PLAIN, &PLAIN).requiring(Requirement::Encrypted);
    let result = call.try_pass(Side::Caller, 0, INVITE, &fax("192.0.2.1"));
    assert_eq!(result, Err(Unacceptable::NotEncrypted.into()));
    let mut call = Call::new(&PLAIN, &[Mode::Sdes]);
    let result = call.try_pass(Side::Caller, 0, INVITE, &fax("192.0.2.1"));
    assert_eq!(result, Err(Unacceptable::Mode.into()));
}

#[test]
fn a_description_among_other_parts() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let body = format!(
        "--x\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--x\r\nContent-Type: application/isup\r\n\r\n\
         \x01\r\n--x--\r\n",
        audio("RTP/AVP", &[])
    );
    let passage = |carrier, from, content_type, body| Passage {
        session: SessionId::new(0, 1),
        from,
        dialog: 0,
        carrier,
        content_type: Some(content_type),
        body,
        terms: &call.terms,
        requirement: Requirement::Any,
    };
    let kind = b"multipart/mixed;boundary=x";
    let result = call
        .anchor
        .handle_message(passage(INVITE, Side::Caller, kind, body.as_bytes()));
    let Ok(Body::Replace(sent)) = result else {
        panic!("{result:?}")
    };
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(sent.contains("c=IN IP4 198.51.100.2") && !sent.contains("192.0.2.1"));
    assert!(sent.ends_with("\r\n--x\r\nContent-Type: application/isup\r\n\r\n\x01\r\n--x--\r\n"));
    let result = call
        .anchor
        .handle_message(passage(INVITE, Side::Caller, kind, b"--y"));
    assert_eq!(result, Err(Unacceptable::Multipart.into()));
    let result =
        call.anchor
            .handle_message(passage(Carrier::Other, Side::Caller, kind, body.as_bytes()));
    assert!(
        matches!(result, Ok(Body::Replace(rest)) if !rest.starts_with(b"--x\r\nContent-Type: application/sdp"))
    );
    let xml = passage(INVITE, Side::Caller, b"application/xml", b"<x/>");
    assert_eq!(call.anchor.handle_message(xml), Ok(Body::AsIs));
    let other = passage(Carrier::Other, Side::Caller, b"application/sdp", b"v=0\r\n");
    assert_eq!(call.anchor.handle_message(other), Ok(Body::Remove));
}

#[test]
fn what_cannot_be_read_is_refused_as_malformed() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    for (sdp, error) in [
        ("hello", OfferError::Version),
        ("v=0\r\nm=audio x RTP/AVP 0\r\n", OfferError::Media(2)),
        ("v=0\r\nm=audio 4 RTP/AVP 200\r\n", OfferError::Media(2)),
        ("v=0\r\nc=IN IP4\r\n", OfferError::Connection(2)),
    ] {
        let refused = call.try_pass(Side::Caller, 0, INVITE, sdp).unwrap_err();
        assert_eq!(
            (refused.status(), &refused),
            (400, &Refused::Malformed(error))
        );
        assert_eq!(call.anchor.figures().sessions, 0);
    }
}

#[test]
fn a_stream_becomes_fax_and_speech_again_with_new_keys() {
    let both = [Mode::Sdes, Mode::Plain];
    let mut call = Call::new(&both, &PLAIN);
    let key = crypto(1, Suite::AeadAes128Gcm, 1);
    let speech = audio("RTP/SAVP", &[&key]);
    let reply = at(CALLEE, 5000, "RTP/AVP", &[]);
    let (_, first) = call.establish(&speech, &reply);
    let ports = call.anchor.figures().ports_in_use;
    let fax = |address| format!("v=0\r\nc=IN IP4 {address}\r\nm=image 6000 udptl t38\r\n");
    let transaction = 2;
    call.pass(
        Side::Callee,
        1,
        Carrier::Invite { transaction },
        &fax(CALLEE),
    );
    let ok = Carrier::Success { transaction };
    call.pass(Side::Caller, 1, ok, &fax("192.0.2.1"));
    let kinds = Side::BOTH.map(|side| call.end_of(side).kind);
    assert_eq!(kinds, [StreamKind::Udptl; 2]);
    let transaction = 3;
    call.pass(Side::Caller, 1, Carrier::Invite { transaction }, &speech);
    let ok = Carrier::Success { transaction };
    let last = call.pass(Side::Callee, 1, ok, &reply);
    assert_eq!(call.end_of(Side::Caller).kind, StreamKind::Rtp);
    assert_ne!(lines(&first, "a=crypto:"), lines(&last, "a=crypto:"));
    assert_eq!(
        call.anchor.figures().ports_in_use,
        ports,
        "the place keeps its ports"
    );
}
