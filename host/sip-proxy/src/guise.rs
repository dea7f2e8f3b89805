//! Another From and To for the callee: a policy may show it other addresses than those that
//! the caller wrote. Each side goes on seeing the addresses that it knows, in both
//! directions and for as long as the call lasts: RFC 3261 section 12 knows a dialog by its
//! tags, but RFC 2543 peers compare the URIs. The tags are the dialog's own and stay.

use std::sync::Arc;

use policy::Rewrites;
use sip_message::{Edits, HeaderKind, Message, NameAddr};

use crate::dialog::Side;

/// The addresses of a call that differ between its sides. Their size is bounded by that of a
/// message and by what a policy may write.
#[derive(Debug)]
pub(crate) struct Guise {
    /// The caller's address.
    caller: Option<Address>,
    /// The callee's.
    callee: Option<Address>,
}

/// One address, without tag or other parameters.
#[derive(Debug)]
struct Address {
    /// As the caller knows it.
    own: Box<[u8]>,
    /// As the callee knows it.
    shown: Box<[u8]>,
}

impl Address {
    fn of(written: &NameAddr<'_>, shown: &str) -> Self {
        let uri = written.uri.raw;
        let own = match written.display {
            Some(display) => [display, b" <", uri, b">"].concat(),
            None => [b"<", uri, b">"].concat(),
        };
        Self {
            own: own.into(),
            shown: shown.as_bytes().into(),
        }
    }

    /// As the side across from `sender` knows it.
    fn seen_from(&self, sender: Side) -> &[u8] {
        match sender {
            Side::Caller => &self.shown,
            Side::Callee => &self.own,
        }
    }
}

impl Guise {
    /// What a policy wants the callee to see; none if it is what the caller wrote, or if
    /// the request belongs to a dialog that began without us.
    pub(crate) fn of(request: &Message, rewrites: Option<&Rewrites>) -> Option<Arc<Self>> {
        let rewrites = rewrites.filter(|_| request.to_tag().is_none())?;
        let address = |written: NameAddr<'_>, shown: &Option<String>| {
            shown.as_deref().map(|shown| Address::of(&written, shown))
        };
        let guise = Self {
            caller: address(request.from(), &rewrites.from),
            callee: address(request.to(), &rewrites.to),
        };
        (guise.caller.is_some() || guise.callee.is_some()).then(|| Arc::new(guise))
    }

    /// Writes From and To of a request that `sender` sends to the other side.
    pub(crate) fn put_on(&self, edits: &mut Edits<'_>, request: &Message, sender: Side) {
        let (from, to) = match sender {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        if let Some(address) = from {
            edits.set(
                "From",
                with_params(address.seen_from(sender), &request.from()),
            );
        }
        if let Some(address) = to {
            edits.set("To", with_params(address.seen_from(sender), &request.to()));
        }
    }

    /// Writes From and To of a response as whoever sent the request wrote them; the tag is
    /// that of the response (section 8.2.6.2).
    pub(crate) fn take_off(&self, edits: &mut Edits<'_>, response: &Message, request: &Message) {
        if let Some(from) = request.header(HeaderKind::From) {
            edits.set("From", from);
        }
        let Some(to) = request.header(HeaderKind::To) else {
            return;
        };
        match (request.to_tag(), response.to_tag()) {
            (None, Some(tag)) => edits.set("To", [to, b";tag=", tag].concat()),
            _ => edits.set("To", to),
        };
    }

    /// The value of From, tag included, for a request of our own that the other side shall
    /// take for `sender`'s. `party` is how `sender` is known to itself.
    pub(crate) fn party(&self, sender: Side, party: &[u8]) -> Option<Vec<u8>> {
        let address = match sender {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        };
        let written = NameAddr::parse(party).ok()?;
        Some(with_params(address.as_ref()?.seen_from(sender), &written))
    }
}

fn with_params(address: &[u8], written: &NameAddr<'_>) -> Vec<u8> {
    [address, written.params].concat()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sip_message::Limits;

    use super::*;

    fn message(text: &str) -> Message {
        let bytes = Bytes::copy_from_slice(text.replace('\n', "\r\n").as_bytes());
        Message::parse_datagram(bytes, &Limits::default()).unwrap()
    }

    const INVITE: &str = "INVITE sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\n\
        f: \"A, B\" <sip:alice@a.example>;tag=1;x=y\nTo: sip:bob@b.example\nCall-ID: c\n\
        CSeq: 1 INVITE\nContent-Length: 0\n\n";

    fn guise() -> Arc<Guise> {
        let rewrites = Rewrites {
            request_uri: None,
            from: Some("<sip:mask@p.example>".into()),
            to: Some("\"Bob\" <sip:2@q.example>".into()),
        };
        Guise::of(&message(INVITE), Some(&rewrites)).unwrap()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_side_sees_what_it_knows() {
        let invite = message(INVITE);
        let mut edits = Edits::new(&invite);
        guise().put_on(&mut edits, &invite, Side::Caller);
        let sent = message(&text(edits.finish().unwrap().to_vec()).replace("\r\n", "\n"));
        assert_eq!(
            sent.header(HeaderKind::From),
            Some(&b"<sip:mask@p.example>;tag=1;x=y"[..])
        );
        assert_eq!(
            sent.header(HeaderKind::To),
            Some(&b"\"Bob\" <sip:2@q.example>"[..])
        );
        let answer = message(
            "SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\n\
             From: <sip:mask@p.example>;tag=1;x=y\nTo: \"Bob\" <sip:2@q.example>;tag=2\n\
             Call-ID: c\nCSeq: 1 INVITE\nContent-Length: 0\n\n",
        );
        let mut edits = Edits::new(&answer);
        guise().take_off(&mut edits, &answer, &invite);
        let back = text(edits.finish().unwrap().to_vec());
        assert!(
            back.contains("From: \"A, B\" <sip:alice@a.example>;tag=1;x=y\r\n"),
            "{back}"
        );
        assert!(back.contains("To: sip:bob@b.example;tag=2\r\n"), "{back}");
    }

    #[test]
    fn requests_of_our_own_bear_the_address_that_the_other_side_knows() {
        let shown = guise().party(Side::Caller, b"\"A, B\" <sip:alice@a.example>;tag=1");
        assert_eq!(text(shown.unwrap()), "<sip:mask@p.example>;tag=1");
        let own = guise().party(Side::Callee, b"\"Bob\" <sip:2@q.example>;tag=2");
        assert_eq!(text(own.unwrap()), "<sip:bob@b.example>;tag=2");
    }

    #[test]
    fn without_a_wish_there_is_no_guise() {
        let uri_only = Rewrites {
            request_uri: Some("sip:x@y".into()),
            ..Rewrites::default()
        };
        assert!(Guise::of(&message(INVITE), Some(&uri_only)).is_none());
        assert!(Guise::of(&message(INVITE), None).is_none());
    }
}
