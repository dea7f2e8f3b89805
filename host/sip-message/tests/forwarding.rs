//! Edits, answers and requests of our own: what is not touched stays byte for byte, and nothing
//! can be injected.

#![cfg(test)]

use std::net::IpAddr;

use bytes::Bytes;
use sip_message::build::{RequestBuilder, Response};
use sip_message::{EditError, Edits, HeaderKind, Limits, Message};

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

/// Characters that would begin another line, or that parsers read differently.
const CONTROLS: [&str; 6] = ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb"];

#[test]
fn nothing_can_be_injected() {
    let message = parse(text());
    let refused = |change: &dyn Fn(&mut Edits<'_>)| {
        let mut edits = Edits::new(&message);
        change(&mut edits);
        edits.max_forwards(1).finish_error()
    };
    for bad in CONTROLS {
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
    }
}

#[test]
fn names_and_uris_must_be_whole() {
    let message = parse(text());
    let refused = |change: &dyn Fn(&mut Edits<'_>)| {
        let mut edits = Edits::new(&message);
        change(&mut edits);
        edits.max_forwards(1).finish_error()
    };
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
fn nothing_can_be_injected_into_what_we_make() {
    let message = parse(text());
    for bad in CONTROLS {
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
}
