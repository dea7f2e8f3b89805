//! Exchanges between two parties, message by message.

mod addresses;
mod dialogs;
mod lifecycle;
mod modes;
mod random;
mod streams;

use std::sync::Arc;

use base64::Engine as _;
use smallvec::SmallVec;

use super::Anchor;
use crate::{
    AnchorConfig, Body, Carrier, EndPlan, Fingerprint, Interface, Mode, Passage, Refused,
    RelayCommand, Requirement, SessionId, Side, Suite, Terms,
};

const INVITE: Carrier = Carrier::Invite { transaction: 1 };
const OK: Carrier = Carrier::Success { transaction: 1 };
const ACK: Carrier = Carrier::Ack { transaction: 1 };
const RINGING: Carrier = Carrier::Provisional {
    transaction: 1,
    reliable: false,
};
const RELIABLE: Carrier = Carrier::Provisional {
    transaction: 1,
    reliable: true,
};

/// 198.51.100.1 faces callers, 198.51.100.2 and 2001:db8::2 callees.
fn config() -> AnchorConfig {
    let interface = |last| Interface::at([198, 51, 100, last].into(), 20_000..=20_199);
    let callees = Interface {
        bind6: Some("2001:db8::2".parse().unwrap()),
        ..interface(2)
    };
    AnchorConfig {
        fingerprint: Some(Fingerprint::sha256([0xAB; 32])),
        ..AnchorConfig::new(vec![interface(1), callees])
    }
}

fn terms(modes: &[Mode], side: Side) -> Terms {
    Terms {
        modes: SmallVec::from_slice(modes),
        interface: side as u16,
        ipv6: false,
        nat: false,
        signalling: if side == Side::Caller {
            [192, 0, 2, 1]
        } else {
            [203, 0, 113, 1]
        }
        .into(),
        networks: Arc::new([]),
    }
}

/// An anchor with one call.
struct Call {
    anchor: Anchor,
    terms: [Terms; 2],
    requirement: Requirement,
    session: SessionId,
    commands: Vec<RelayCommand>,
}

impl Call {
    fn new(caller: &[Mode], callee: &[Mode]) -> Self {
        Self {
            anchor: Anchor::new(config(), [9; 32]),
            terms: [terms(caller, Side::Caller), terms(callee, Side::Callee)],
            requirement: Requirement::Any,
            session: SessionId::new(0, 1),
            commands: Vec::new(),
        }
    }

    fn requiring(mut self, requirement: Requirement) -> Self {
        self.requirement = requirement;
        self
    }

    fn send(
        &mut self,
        from: Side,
        dialog: u32,
        carrier: Carrier,
        body: &[u8],
    ) -> Result<Body, Refused> {
        let content_type = (!body.is_empty()).then_some(&b"application/sdp"[..]);
        let result = self.anchor.handle_message(Passage {
            session: self.session,
            from,
            dialog,
            carrier,
            content_type,
            body,
            terms: &self.terms,
            requirement: self.requirement,
        });
        self.commands
            .extend(std::iter::from_fn(|| self.anchor.poll_command()));
        result
    }

    /// Send a description and read what comes out.
    fn pass(&mut self, from: Side, dialog: u32, carrier: Carrier, sdp: &str) -> String {
        match self.try_pass(from, dialog, carrier, sdp) {
            Ok(sdp) => sdp,
            Err(refused) => panic!("{refused}: {sdp}"),
        }
    }

    fn try_pass(
        &mut self,
        from: Side,
        dialog: u32,
        carrier: Carrier,
        sdp: &str,
    ) -> Result<String, Refused> {
        match self.send(from, dialog, carrier, sdp.as_bytes())? {
            Body::Replace(body) => Ok(String::from_utf8(body.to_vec()).unwrap()),
            other => panic!("{other:?} for {sdp}"),
        }
    }

    /// Offer in the INVITE, answer in the 2xx of fork 1.
    fn establish(&mut self, offer: &str, answer: &str) -> (String, String) {
        let offered = self.pass(Side::Caller, 0, INVITE, offer);
        let answered = self.pass(Side::Callee, 1, OK, answer);
        self.confirm(1);
        (offered, answered)
    }

    fn confirm(&mut self, dialog: u32) {
        self.anchor.confirm(self.session, dialog);
        self.commands
            .extend(std::iter::from_fn(|| self.anchor.poll_command()));
    }

    fn refuse(&mut self, from: Side, transaction: u64) {
        self.anchor.handle_refusal(self.session, from, transaction);
        self.commands
            .extend(std::iter::from_fn(|| self.anchor.poll_command()));
    }

    /// What the relay was told last of a stream.
    fn plan(&self, stream: u8) -> Option<&[EndPlan; 2]> {
        self.commands
            .iter()
            .rev()
            .find_map(|command| match command {
                RelayCommand::Stream {
                    stream: each, ends, ..
                } if *each == stream => Some(Some(&**ends)),
                RelayCommand::RemoveStream { stream: each, .. } if *each == stream => Some(None),
                _ => None,
            })?
    }

    fn end_of(&self, side: Side) -> &EndPlan {
        side.of(self.plan(0).unwrap())
    }
}

/// One stream of audio at 192.0.2.1 (or another address) with these extra lines.
fn audio(protocol: &str, lines: &[&str]) -> String {
    at("192.0.2.1", 4000, protocol, lines)
}

fn at(address: &str, port: u16, protocol: &str, lines: &[&str]) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    let mut sdp = format!(
        "v=0\r\no=alice 7 7 IN {family} {address}\r\ns=a call\r\nc=IN {family} {address}\r\nt=0 0\r\n\
         m=audio {port} {protocol} 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    );
    for line in lines {
        sdp.push_str(line);
        sdp.push_str("\r\n");
    }
    sdp
}

fn crypto(tag: u32, suite: Suite, octet: u8) -> String {
    let key =
        base64::engine::general_purpose::STANDARD
            .encode(vec![octet; suite.key_len() + suite.salt_len()]);
    format!("a=crypto:{tag} {} inline:{key}", suite.name())
}

const FINGERPRINT: &str = "a=fingerprint:sha-256 11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:\
     11:11:11:11:11:11:11:11:11:11:11:11:11:11:11:11";

/// An answer to a description of ours: the same streams, at this address, with
/// these lines instead of ours.
fn answer(address: &str, offer: &str, lines: &[&str]) -> String {
    let line = offer
        .lines()
        .find(|line| line.starts_with("m=audio"))
        .unwrap();
    let protocol = line.split(' ').nth(2).unwrap();
    at(address, 5000, protocol, lines)
}

fn lines<'a>(sdp: &'a str, prefix: &str) -> Vec<&'a str> {
    sdp.lines()
        .filter(|line| line.starts_with(prefix))
        .collect()
}

fn media(sdp: &str) -> Vec<&str> {
    lines(sdp, "m=")
}
