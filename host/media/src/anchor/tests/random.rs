//! Ten thousand random calls, and what must hold in each.

use super::*;
use crate::anchor::entropy::Entropy;
use crate::{Protection, RelayEvent, SessionFigures, StreamKind};

/// A party that says anything.
struct Party<'a>(&'a mut Entropy);

impl Party<'_> {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.below(from.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.0.below(of) == 0
    }

    fn description(&mut self, streams: usize, side: Side) -> String {
        let home = if side == Side::Caller {
            "192.0.2.1"
        } else {
            "203.0.113.1"
        };
        let address = if self.chance(8) {
            self.pick(&[
                "10.0.0.1",
                "0.0.0.0",
                "2001:db8::7",
                "224.0.0.1",
                "198.51.100.1",
                "h.example",
            ])
        } else {
            home
        };
        let family = if address.contains(':') { "IP6" } else { "IP4" };
        let mut sdp = format!("v=0\r\no=- 1 1 IN {family} {home}\r\nc=IN {family} {address}\r\n");
        for index in 0..streams {
            self.stream(index, &mut sdp);
        }
        if self.chance(30) {
            let at = self.0.below(sdp.len());
            let odd = self.pick(&[b'\r', 0, b' ', b'9', 0x7F]);
            let mut bytes = sdp.into_bytes();
            bytes[at] = odd;
            return String::from_utf8(bytes).unwrap();
        }
        sdp
    }

    fn stream(&mut self, index: usize, sdp: &mut String) {
        let port = if self.chance(8) { 0 } else { 4_000 + index * 2 };
        if self.chance(12) {
            sdp.push_str(&format!(
                "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\n"
            ));
            return;
        }
        let protocol = self.pick(&[
            "RTP/AVP",
            "RTP/AVP",
            "RTP/SAVP",
            "RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "TCP/MSRP",
        ]);
        let formats = self.pick(&["0 8 101", "0", "8 0", "96 101", "0 13 72"]);
        sdp.push_str(&format!("m=audio {port} {protocol} {formats}\r\n"));
        if protocol.contains("SAVP") || self.chance(4) {
            for tag in 1..=self.0.below(3) as u32 {
                let suite = self.pick(&Suite::ALL);
                sdp.push_str(&format!("{}\r\n", crypto(tag, suite, tag as u8)));
            }
        }
        if protocol.contains("TLS") || self.chance(6) {
            let setup = self.pick(&["actpass", "active", "passive", "holdconn"]);
            sdp.push_str(&format!("{FINGERPRINT}\r\na=setup:{setup}\r\n"));
        }
        if self.chance(3) {
            sdp.push_str("a=rtcp-mux\r\n");
        }
        let direction = self.pick(&["sendrecv", "sendonly", "recvonly", "inactive"]);
        sdp.push_str(&format!("a={direction}\r\na=rtpmap:96 opus/48000/2\r\n"));
    }

    /// An answer that tries: what we offered comes back with keys and an address.
    fn reply(&mut self, offered: &str, side: Side) -> String {
        if self.chance(10) {
            let streams = self.0.below(3);
            return self.description(streams, side);
        }
        let home = if side == Side::Caller {
            "192.0.2.1"
        } else {
            "203.0.113.1"
        };
        let mut sdp = format!("v=0\r\no=- 1 1 IN IP4 {home}\r\nc=IN IP4 {home}\r\n");
        let mut keyed = false;
        for line in offered.lines().skip_while(|line| !line.starts_with("m=")) {
            let line = match line {
                "a=setup:actpass" => "a=setup:active",
                _ if line.starts_with("c=") || line.starts_with("a=rtcp:") => continue,
                _ if line.starts_with("a=crypto:") && keyed => continue,
                _ => line,
            };
            keyed = !line.starts_with("m=") && (keyed || line.starts_with("a=crypto:"));
            sdp.push_str(line);
            sdp.push_str("\r\n");
        }
        sdp
    }

    fn modes(&mut self) -> Vec<Mode> {
        let all = [Mode::Plain, Mode::Sdes, Mode::Dtls, Mode::Passthrough];
        let first = self.pick(&all);
        let mut modes = vec![first];
        while self.chance(2) {
            modes.push(self.pick(&all));
        }
        modes
    }
}

impl Call {
    /// A random message; the same one again must not matter.
    fn random(&mut self, from: Side, dialog: u32, carrier: Carrier, sdp: &str) -> Option<String> {
        let first = self.send(from, dialog, carrier, sdp.as_bytes());
        let ports = self.anchor.figures().ports_in_use;
        let commands = self.commands.len();
        if first.is_ok() {
            assert_eq!(
                self.send(from, dialog, carrier, sdp.as_bytes()),
                first,
                "{sdp}"
            );
            assert_eq!(self.anchor.figures().ports_in_use, ports);
            assert_eq!(self.commands.len(), commands);
        }
        let Ok(Body::Replace(body)) = first else {
            return None;
        };
        let sdp = String::from_utf8(body.to_vec()).unwrap();
        self.check_description(&sdp, from.other());
        Some(sdp)
    }

    fn check_description(&self, sdp: &str, to: Side) {
        let through = self
            .terms
            .iter()
            .all(|terms| terms.modes[0] == Mode::Passthrough);
        for section in sdp.split("m=").skip(1) {
            let mut fields = section.split([' ', '\r']);
            let (_, port, protocol) = (
                fields.next(),
                fields.next().unwrap(),
                fields.next().unwrap(),
            );
            if port == "0" {
                continue;
            }
            let keyed = section.contains("a=crypto:") || section.contains("a=fingerprint:");
            if self.requirement.binds(to) {
                assert!(keyed, "{sdp}");
                assert!(
                    protocol.contains("SAVP") || section.contains("a=setup") || keyed,
                    "{sdp}"
                );
            }
            assert!(!protocol.contains("SAVP") || keyed, "{sdp}");
            let theirs = section.contains(FINGERPRINT) || section.contains("inline:AQEB");
            assert!(
                through || !theirs,
                "keys of one party never reach the other: {sdp}"
            );
        }
        let ours =
            |line: &str| line.starts_with("c=IN IP4 198.51.100.") || line.contains("2001:db8::2");
        assert!(lines(sdp, "c=").into_iter().all(ours), "{sdp}");
        assert!(!sdp.contains("192.0.2.1") && !sdp.contains("203.0.113.1"));
    }

    /// No leg that must be encrypted is ever opened in the clear.
    fn check_commands(&self) {
        for command in &self.commands {
            let RelayCommand::Stream { ends, .. } = command else {
                continue;
            };
            for side in Side::BOTH {
                let end = side.of(ends);
                let allowed = &side.of(&self.terms).modes;
                match &end.protection {
                    Protection::Closed => assert!(!end.sends && !end.receives),
                    Protection::Plain if end.kind == StreamKind::Udptl => {
                        assert_eq!(self.requirement, Requirement::Any);
                    }
                    Protection::Plain => {
                        assert!(!self.requirement.binds(side) && allowed.contains(&Mode::Plain));
                    }
                    Protection::Sdes { send, receive } => {
                        assert!(send.suite == receive.suite && allowed.contains(&Mode::Sdes));
                    }
                    Protection::Dtls { .. } => assert!(allowed.contains(&Mode::Dtls)),
                    Protection::Passthrough => assert_eq!(allowed[0], Mode::Passthrough),
                }
                assert_eq!(end.local.rtp % 2, 0);
            }
        }
    }

    fn live(&mut self, entropy: &mut Entropy) -> usize {
        let mut agreed = 0;
        let mut streams = 1 + entropy.below(2);
        for round in 1..=1 + entropy.below(4) as u64 {
            let first = round == 1;
            let mut party = Party(entropy);
            let offerer = if first {
                Side::Caller
            } else {
                party.pick(&Side::BOTH)
            };
            let dialog = u32::from(!first);
            let transaction = round;
            let late = first && party.chance(5);
            streams = (streams + usize::from(party.chance(4))).min(4);
            let offer = party.description(streams, if late { Side::Callee } else { offerer });
            let invite = Carrier::Invite { transaction };
            let success = Carrier::Success { transaction };
            if late {
                let _ = self.send(offerer, dialog, invite, b"");
                if let Some(offered) = self.random(Side::Callee, 1, success, &offer) {
                    self.confirm(1);
                    let reply = party.reply(&offered, offerer);
                    let ack = Carrier::Ack { transaction };
                    agreed += usize::from(self.random(offerer, 1, ack, &reply).is_some());
                }
                continue;
            }
            let Some(offered) = self.random(offerer, dialog, invite, &offer) else {
                continue;
            };
            if party.chance(6) {
                self.refuse(offerer, transaction);
                continue;
            }
            if first && party.chance(3) {
                let early = Carrier::Provisional {
                    transaction,
                    reliable: party.chance(2),
                };
                let reply = party.reply(&offered, Side::Callee);
                self.random(Side::Callee, 2, early, &reply);
            }
            let reply = party.reply(&offered, offerer.other());
            if self.random(offerer.other(), 1, success, &reply).is_some() {
                agreed += 1;
                self.confirm(1);
            } else {
                self.refuse(offerer, transaction);
            }
        }
        agreed
    }
}

#[test]
fn ten_thousand_calls_leave_nothing_behind() {
    let mut entropy = Entropy::new([42; 32]);
    let mut call = Call::new(&[Mode::Plain], &[Mode::Plain]);
    let free = call.anchor.figures().ports_free;
    let (mut agreed, mut encrypted) = (0, 0);
    for number in 0..10_000 {
        call.session = SessionId::new(3, number);
        call.commands.clear();
        let mut party = Party(&mut entropy);
        let modes = [party.modes(), party.modes()];
        call.terms = [
            terms(&modes[0], Side::Caller),
            terms(&modes[1], Side::Callee),
        ];
        call.terms[0].nat = party.chance(4);
        call.terms[1].ipv6 = party.chance(10);
        call.requirement = party.pick(&[
            Requirement::Any,
            Requirement::Encrypted,
            Requirement::EncryptedBoth,
        ]);
        let exchanges = call.live(&mut entropy);
        agreed += exchanges;
        encrypted += usize::from(exchanges > 0 && call.requirement != Requirement::Any);
        call.check_commands();
        let session = call.session;
        call.anchor.end(session);
        let opened = call.anchor.poll_command().is_some();
        assert_eq!(opened, !call.commands.is_empty());
        let figures = Box::new(SessionFigures::default());
        call.anchor
            .handle_event(&RelayEvent::Closed { session, figures });
        let figures = call.anchor.figures();
        assert_eq!(
            (figures.sessions, figures.closing, figures.ports_in_use),
            (0, 0, 0)
        );
        assert_eq!(figures.ports_free, free);
    }
    assert!(
        agreed > 1_500 && encrypted > 500,
        "{agreed} {encrypted}: the sample is worth something"
    );
}
