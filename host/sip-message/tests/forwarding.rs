//! Edits, answers and requests of our own: what is not touched stays byte for byte, and nothing
//! can be injected.

use std::net::IpAddr;

use bytes::Bytes;
use sip_message::build::{self, RequestBuilder, Response};
use sip_message::typed::{Challenge, DigestAlgorithm};
use sip_message::{Anomalies, EditError, Edits, HeaderKind, Limits, Message, Method};

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

/// What the message becomes by these edits, as text.
fn edited(change: impl FnOnce(&mut Edits<'_>)) -> String {
    let message = parse(text());
    let mut edits = Edits::new(&message);
    change(&mut edits);
    String::from_utf8(edits.finish().unwrap().to_vec()).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn without_edits_the_message_itself_leaves() {
    let message = parse(text());
    let out = Edits::new(&message).finish().unwrap();
    assert_eq!(out.as_ptr(), message.bytes().as_ptr());
    assert_eq!(
        edited(|edits| {
            edits
                .remove("X-Absent")
                .remove_value(HeaderKind::Contact, 0)
                .stamp_via(None, None);
        })
        .len(),
        text().len() - 1,
        "only the space before a comma goes"
    );
}

#[test]
fn vias_are_pushed_stamped_and_popped() {
    let pushed = edited(|edits| {
        edits.push_via("SIP/2.0/UDP us;branch=z9hG4bKus");
    });
    assert_eq!(
        pushed,
        text().replacen("Via:", "Via: SIP/2.0/UDP us;branch=z9hG4bKus\r\nVia:", 1)
    );
    let stamped = edited(|edits| {
        edits.stamp_via(Some(address("192.0.2.9")), Some(4_000));
    });
    assert_eq!(
        stamped,
        text().replace(
            ";branch=z9hG4bKtop;rport ,",
            ";branch=z9hG4bKtop;rport=4000;received=192.0.2.9,"
        )
    );
    let once = edited(|edits| {
        edits.pop_via();
    });
    assert_eq!(
        once,
        text().replace("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKtop;rport , ", "")
    );
    let twice = edited(|edits| {
        edits.pop_via().pop_via();
    });
    assert_eq!(
        twice,
        text().replace(VIAS.split_inclusive("\r\n").next().unwrap(), "")
    );
    let thrice = edited(|edits| {
        edits.pop_via().pop_via().pop_via().pop_via();
    });
    assert!(!thrice.contains("SIP/2.0/T") && thrice.contains("X-Odd:   kept  as is\r\n"));
    assert_eq!(
        edited(|edits| {
            edits.push_via("SIP/2.0/UDP us;branch=z9hG4bKus").pop_via();
        }),
        text()
    );
}

#[test]
fn what_the_peer_wrote_into_received_is_dropped() {
    let spoofed = text().replace(";rport ,", ";received=6.6.6.6;rport=6;x=\"a;b\" ,");
    let message = parse(&spoofed);
    let mut edits = Edits::new(&message);
    edits.stamp_via(Some(address("2001:db8::1")), None);
    let out = parse(edits.finish().unwrap());
    assert_eq!(
        out.top_via().received_address(),
        Some(address("2001:db8::1"))
    );
    assert_eq!(
        (out.top_via().rport, out.top_via().param(b"x")),
        (Some(None), Some(Some(&b"\"a;b\""[..])))
    );
    assert_eq!(out.vias().count(), 3);
}

#[test]
fn routes_and_record_routes() {
    assert_eq!(
        edited(|edits| {
            edits.pop_route();
        }),
        text().replace("<sip:p1.example;lr>, ", "")
    );
    let popped = edited(|edits| {
        edits.pop_route().pop_route().pop_route();
    });
    assert!(!popped.contains("Route"));
    let pushed = edited(|edits| {
        edits.push_route("<sip:p0.example;lr>");
    });
    assert_eq!(
        pushed,
        text().replacen("Route:", "Route: <sip:p0.example;lr>\r\nRoute:", 1)
    );
    let recorded = parse(edited(|edits| {
        edits
            .push_record_route("<sip:in;lr>")
            .push_record_route("<sip:out;lr>");
    }));
    let order: Vec<_> = recorded
        .record_routes()
        .map(|route| route.unwrap().uri.raw.to_vec())
        .collect();
    assert_eq!(order, [&b"sip:out;lr"[..], b"sip:in;lr"]);
    assert_eq!(
        edited(|edits| {
            edits.remove_value(HeaderKind::Route, 1);
        }),
        text().replace(", <sip:p2.example;lr>", "")
    );
    assert_eq!(
        edited(|edits| {
            edits.remove_value(HeaderKind::Route, 2);
        }),
        text().replace("Route: <sip:p3.example;lr>\r\n", "")
    );
    assert_eq!(
        edited(|edits| {
            edits.remove_value(HeaderKind::Route, 3);
        }),
        text()
    );
}

#[test]
fn fields_are_set_and_removed_by_any_of_their_names() {
    assert_eq!(
        edited(|edits| {
            edits.max_forwards(69);
        }),
        text().replace("Max-Forwards: 70", "Max-Forwards: 69")
    );
    assert_eq!(
        edited(|edits| {
            edits.request_uri("sip:carol@host;x=1");
        }),
        text().replacen("sip:bob@example.net", "sip:carol@host;x=1", 1)
    );
    assert_eq!(
        edited(|edits| {
            edits.set("s", "three");
        }),
        text().replace("Subject: one\r\nsubject: two", "s: three")
    );
    assert_eq!(
        edited(|edits| {
            edits.remove("SUBJECT");
        }),
        text().replace("Subject: one\r\nsubject: two\r\n", "")
    );
    assert_eq!(
        edited(|edits| {
            edits.remove("x-odd");
        }),
        text().replace("X-Odd:   kept  as is\r\n", "")
    );
    assert_eq!(
        edited(|edits| {
            edits.append("X-New", " v ");
        }),
        text().replace("\r\n\r\n", "\r\nX-New: v\r\n\r\n")
    );
    assert_eq!(
        edited(|edits| {
            edits.set("X-New", "v");
        }),
        edited(|edits| {
            edits.append("X-New", "v");
        })
    );
    let message = parse(text().replace("Max-Forwards: 70\r\n", ""));
    let mut edits = Edits::new(&message);
    edits.max_forwards(70);
    assert_eq!(parse(edits.finish().unwrap()).max_forwards(), Some(70));
}

#[test]
fn bodies_are_replaced_with_their_length_and_type() {
    let other = edited(|edits| {
        edits.body(Some("text/plain"), "hello");
    });
    assert_eq!(
        other,
        text()
            .replace("application/sdp", "text/plain")
            .replace("Length: 4\r\n\r\nv=0\n", "Length: 5\r\n\r\nhello")
    );
    let same_type = edited(|edits| {
        edits.body(None, "v=0\r\n");
    });
    assert_eq!(
        same_type,
        text().replace("Length: 4\r\n\r\nv=0\n", "Length: 5\r\n\r\nv=0\r\n")
    );
    let none = edited(|edits| {
        edits.body(None, "");
    });
    assert!(none.ends_with("Content-Length: 0\r\n\r\n") && !none.contains("Content-Type"));
}

#[test]
fn nothing_can_be_injected() {
    let message = parse(text());
    let refused = |change: &dyn Fn(&mut Edits<'_>)| {
        let mut edits = Edits::new(&message);
        change(&mut edits);
        edits.max_forwards(1).finish_error()
    };
    for bad in ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb"] {
        assert_eq!(
            refused(&|edits| {
                edits.set("X", bad);
            }),
            EditError::Value,
            "{bad:?}"
        );
        assert_eq!(
            refused(&|edits| {
                edits.append("X", bad);
            }),
            EditError::Value
        );
        assert_eq!(
            refused(&|edits| {
                edits.insert_front("X", bad);
            }),
            EditError::Value
        );
        assert_eq!(
            refused(&|edits| {
                edits.push_via(bad);
            }),
            EditError::Value
        );
        assert_eq!(
            refused(&|edits| {
                edits.push_route(bad);
            }),
            EditError::Value
        );
        assert_eq!(
            refused(&|edits| {
                edits.append(bad, "v");
            }),
            EditError::Name
        );
        assert_eq!(
            refused(&|edits| {
                edits.request_uri(bad);
            }),
            EditError::StartLine
        );
        assert_eq!(
            refused(&|edits| {
                edits.body(Some(bad), "");
            }),
            EditError::Value
        );
        assert_eq!(
            Response::to(&message, 200).header("X", bad).finish(),
            Err(EditError::Value)
        );
        assert_eq!(
            Response::to(&message, 200).header(bad, "X").finish(),
            Err(EditError::Name)
        );
        assert_eq!(
            Response::to(&message, 200).phrase(bad).finish(),
            Err(EditError::Value)
        );
        assert_eq!(
            Response::to(&message, 200).to_tag(bad).finish(),
            Err(EditError::Tag)
        );
        assert_eq!(
            Response::to(&message, 200).body(bad, "").finish(),
            Err(EditError::Value)
        );
        assert_eq!(
            RequestBuilder::new("INFO", "sip:a").from(bad).finish(),
            Err(EditError::Value)
        );
        assert_eq!(
            RequestBuilder::new(bad, "sip:a").finish(),
            Err(EditError::StartLine)
        );
        assert_eq!(
            RequestBuilder::new("INFO", bad).finish(),
            Err(EditError::StartLine)
        );
    }
    for name in ["", "X Y", "X:", "X-\u{e4}"] {
        assert_eq!(
            refused(&|edits| {
                edits.append(name, "v");
            }),
            EditError::Name,
            "{name:?}"
        );
    }
    for uri in ["", "sip:a b", "<sip:a>", "sip:\"a"] {
        assert_eq!(
            refused(&|edits| {
                edits.request_uri(uri);
            }),
            EditError::StartLine,
            "{uri:?}"
        );
    }
}

trait FinishError {
    fn finish_error(&mut self) -> EditError;
}

impl FinishError for Edits<'_> {
    fn finish_error(&mut self) -> EditError {
        self.clone().finish().expect_err("must be refused")
    }
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
