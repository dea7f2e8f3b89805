//! Session descriptions on their way through the proxy: RFC 3264 in the flows of RFC 3261,
//! 3262 and 3311, and what happens when one does not pass.

mod endings;
mod forks;
mod negotiation;
mod refusals;

use std::sync::Arc;

use media::{AnchorConfig, Interface, OfferLimits, read_offer};
use sip_message::Method;
use sip_proxy::{MediaConfig, ProxyConfig, Routing};

use crate::harness::*;
use crate::relay::OURS;

/// Media addresses of the parties.
const ALICE: &str = "10.0.0.10";
const BOB: &str = "203.0.113.1";

fn interface(ports: std::ops::RangeInclusive<u16>) -> AnchorConfig {
    AnchorConfig::new(vec![Interface::at(OURS.parse().unwrap(), ports)])
}

/// A proxy whose listeners all have the media interface.
fn net_with(mut routing: Routing, ports: std::ops::RangeInclusive<u16>) -> Net {
    for listener in &mut routing.listeners {
        listener.media = Some(0);
    }
    let mut config = ProxyConfig::new([42; 32], Arc::new(routing));
    config.media = Some(MediaConfig {
        anchor: interface(ports),
        seed: [7; 32],
    });
    Net::with(config)
}

fn net() -> Net {
    net_with(routing(), 20_000..=20_199)
}

/// A description of one audio stream.
fn sdp(address: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}

/// Says that it is SDP, and is not.
const GARBAGE: &str = "v=0\r\nthis is no description\r\n";

/// The port that a message names for its one stream, at our address.
#[track_caller]
fn our_port(sent: &Sent) -> u16 {
    let streams = read_offer(sent.message.body(), &OfferLimits::default())
        .unwrap_or_else(|error| panic!("{error} in {}", sent.text()));
    assert_eq!(streams.len(), 1, "{}", sent.text());
    assert_eq!(streams[0].address, OURS.as_bytes(), "{}", sent.text());
    for party in [ALICE, BOB] {
        let body = String::from_utf8_lossy(sent.message.body());
        assert!(!body.contains(party), "{party} is named in {body}");
    }
    streams[0].port
}

#[track_caller]
fn no_body(sent: &Sent) {
    assert!(sent.message.body().is_empty(), "{}", sent.text());
    assert!(!sent.text().contains("Content-Type"), "{}", sent.text());
}

impl Net {
    /// Alice offers, and her INVITE reaches the trunk.
    fn offered(&mut self) -> Sent {
        let invite = self.invite().sdp(&sdp(ALICE, 4_000));
        self.send(PBX, &invite.text());
        self.expect(PBX, 100);
        self.expect_request(TRUNK, Method::Invite)
    }

    /// Alice offers, Bob answers, and both hear each other.
    fn talking(&mut self) -> Established {
        let invite = self.offered();
        self.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
        let ok = self.expect(PBX, 200);
        let call = Established { invite, ok };
        self.acknowledge(&call, 1);
        call
    }

    fn acknowledge(&mut self, call: &Established, cseq: u32) {
        let ack = self.caller_request(call, "ACK", cseq);
        self.send(PBX, &ack.text());
        self.expect_request(TRUNK, Method::Ack);
        self.quiet();
    }

    /// A BYE for each side, and then nothing is left.
    #[track_caller]
    fn ended_both_ways(&mut self) {
        self.expect_request(PBX, Method::Bye);
        self.expect_request(TRUNK, Method::Bye);
        self.quiet();
        self.over();
    }

    /// Everything is given back, and every session was closed once.
    #[track_caller]
    fn over(&mut self) {
        assert!(self.rest().at_rest(), "{:?}", self.proxy.figures());
        assert!(self.media.open.is_empty(), "{:?}", self.media.open);
        assert_eq!(self.records.len(), self.media.closed);
    }
}
