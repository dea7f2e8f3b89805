//! What plugins see of a request after others have changed it.

use bytes::Bytes;
use sip_message::{Limits, Message};

use super::*;

fn facts() -> RequestFacts {
    let text = "INVITE sip:*4711*0049@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: \"A\" <sip:a@h>;tag=1\r\nTo: <sip:*4711*0049@h>\r\nCall-ID: c\r\n\
         CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let message = Message::parse_datagram(Bytes::from(text), &Limits::default()).unwrap();
    let peer = Peer {
        address: [192, 0, 2, 1].into(),
        port: 5060,
        transport: Transport::Udp,
        zone: Zone::Inside,
        name: None,
        certificate: None,
        tls: None,
    };
    RequestFacts::new(Arc::new(message), peer)
}

/// What guests get is what was written last.
fn assert_handed_over(text: &FactsText) {
    let mut anew = Written::default();
    anew.write(&text.request().unwrap()).unwrap();
    assert!(*text.written().unwrap() == anew);
}

fn at<'a>(facts: &wit::RequestFacts<'a>, span: wit::Span) -> &'a str {
    let start = (span >> 32) as usize;
    let text = &facts.text[start..start + span as u32 as usize];
    std::str::from_utf8(text).unwrap()
}

#[test]
fn addresses_that_a_plugin_chose_are_what_later_ones_see() {
    let mut text = FactsText::default();
    let mut facts = facts();
    text.fill(&facts);
    let seen = text.request().unwrap();
    assert_eq!(at(&seen, seen.request_uri.user.unwrap()), "*4711*0049");
    assert_eq!(at(&seen, seen.from.display.unwrap()), "A");

    facts.identity = Some("alice".to_owned());
    facts.annotations.push(("k".to_owned(), "v".to_owned()));
    let rewrites = Rewrites {
        request_uri: Some("sip:0049@h:5070;user=phone".to_owned()),
        from: Some("\"B\" <sip:+4930@h>".to_owned()),
        to: Some("<tel:+49>".to_owned()),
    };
    text.refresh(&facts, Some(&rewrites));
    let seen = text.request().unwrap();
    assert_eq!(
        at(&seen, seen.request_uri.whole),
        "sip:0049@h:5070;user=phone"
    );
    assert_eq!(at(&seen, seen.request_uri.user.unwrap()), "0049");
    assert_eq!(at(&seen, seen.request_uri.params), "user=phone");
    assert_eq!(seen.request_uri.port, Some(5070));
    assert_eq!(at(&seen, seen.from.display.unwrap()), "B");
    assert_eq!(at(&seen, seen.from.uri.user.unwrap()), "+4930");
    assert_eq!(at(&seen, seen.from.tag.unwrap()), "1");
    assert_eq!(at(&seen, seen.to.uri.user.unwrap()), "+49");
    assert_eq!(seen.to.tag, None);
    assert_eq!(at(&seen, seen.identity.unwrap()), "alice");
    assert_eq!(at(&seen, seen.annotations), "k=v\n");

    assert_handed_over(&text);

    text.refresh(&facts, None);
    let seen = text.request().unwrap();
    assert_eq!(at(&seen, seen.request_uri.user.unwrap()), "*4711*0049");
    assert_eq!(at(&seen, seen.annotations), "k=v\n");
    assert_handed_over(&text);
}

#[test]
fn whatever_a_plugin_says_reaches_the_next_one() {
    let mut text = FactsText::default();
    let mut facts = facts();
    text.fill(&facts);
    assert_handed_over(&text);
    let changes: [fn(&mut RequestFacts); 5] = [
        |_| {},
        |facts| facts.identity = Some("alice".to_owned()),
        |facts| facts.identity = Some("bobby".to_owned()),
        |facts| facts.score = -3,
        |facts| facts.annotations.push(("k".to_owned(), "v".to_owned())),
    ];
    for change in changes {
        change(&mut facts);
        text.refresh(&facts, None);
        let seen = text.request().unwrap();
        let identity = seen.identity.map(|identity| at(&seen, identity));
        assert_eq!(identity, facts.identity.as_deref());
        assert_eq!(seen.score, facts.score);
        let annotations = at(&seen, seen.annotations);
        assert_eq!(annotations.lines().count(), facts.annotations.len());
        assert_handed_over(&text);
    }
    // The next request is another one, and nothing of this is said of it.
    text.fill(&self::facts());
    assert_eq!(text.request().unwrap().identity, None);
    assert_handed_over(&text);
}
