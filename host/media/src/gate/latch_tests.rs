//! Exchanges of packets against the latch, hostile ones first.

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::smallvec;

use super::{Admission, CANDIDATES, Component, SSRC_SILENCE_US, SourceLatch};
use crate::{Latch, Rejection, Remote};

const SOURCE: Admission = Admission::Rejected(Rejection::Source);
const SSRC: Admission = Admission::Rejected(Rejection::Ssrc);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn signalled() -> Remote {
    Remote {
        rtp: Some(address("192.0.2.1:4000")),
        rtcp: Some(address("192.0.2.1:4001")),
        latch: Latch::Signalled,
        sources: smallvec![],
        networks: Arc::new([]),
    }
}

fn natted() -> Remote {
    Remote {
        rtp: None,
        rtcp: None,
        latch: Latch::FirstFitting,
        sources: smallvec!["203.0.113.7".parse().unwrap()],
        networks: Arc::new([]),
    }
}

#[test]
fn only_the_signalled_source_passes() {
    let mut latch = SourceLatch::new(signalled());
    for other in ["192.0.2.1:4002", "192.0.2.2:4000"] {
        assert!(!latch.screen(address(other), Component::Rtp));
        assert_eq!(latch.admit_rtp(address(other), 1, 1, false, 0), SOURCE);
        assert_eq!(latch.admit_rtp(address(other), 1, 2, true, 0), SOURCE);
    }
    assert_eq!(
        latch.admit_rtp(address("192.0.2.1:4000"), 1, 1, false, 0),
        Admission::Latched
    );
    assert_eq!(
        latch.admit_rtp(address("192.0.2.1:4000"), 1, 2, false, 0),
        Admission::Relay
    );
    assert_eq!(
        latch.admit_rtp(address("192.0.2.2:4000"), 1, 3, false, 0),
        SOURCE
    );
}

#[test]
fn behind_nat_two_in_sequence_latch_and_later_sources_do_not() {
    let mut latch = SourceLatch::new(natted());
    let (party, other) = (address("203.0.113.7:61000"), address("203.0.113.7:61002"));
    assert_eq!(latch.destination(Component::Rtp), None);
    assert_eq!(
        latch.admit_rtp(address("198.51.100.1:61000"), 9, 1, false, 0),
        SOURCE
    );
    assert_eq!(
        latch.admit_rtp(party, 1, 10, false, 0),
        Admission::Probation
    );
    assert_eq!(
        latch.admit_rtp(other, 2, 50, false, 0),
        Admission::Probation
    );
    assert_eq!(
        latch.admit_rtp(party, 1, 12, false, 0),
        Admission::Probation,
        "a gap"
    );
    assert_eq!(
        latch.admit_rtp(party, 3, 13, false, 0),
        Admission::Probation,
        "another SSRC"
    );
    assert_eq!(latch.admit_rtp(party, 3, 14, false, 0), Admission::Latched);
    assert_eq!(latch.admit_rtp(other, 2, 51, false, 0), SOURCE);
    assert_eq!(latch.destination(Component::Rtp), Some(party));
}

#[test]
fn an_authentic_packet_needs_no_second_one() {
    let mut latch = SourceLatch::new(natted());
    let party = address("203.0.113.7:61000");
    assert_eq!(latch.admit_rtp(party, 1, 10, true, 0), Admission::Latched);
    assert_eq!(
        latch.admit_rtp(party, 2, 99, true, 0),
        Admission::Relay,
        "SRTP vouches"
    );
    assert_eq!(latch.ssrc(), Some(2));
}

#[test]
fn a_spray_of_single_packets_never_latches() {
    let mut latch = SourceLatch::new(natted());
    for port in 1_024..9_000 {
        let source = SocketAddr::new("203.0.113.7".parse().unwrap(), port);
        assert_eq!(
            latch.admit_rtp(source, u32::from(port), port, false, 0),
            Admission::Probation
        );
    }
    assert_eq!(latch.latched(Component::Rtp), None);
    let party = address("203.0.113.7:61000");
    assert_eq!(latch.admit_rtp(party, 1, 1, false, 0), Admission::Probation);
    for port in 0..CANDIDATES as u16 - 1 {
        let source = SocketAddr::new("203.0.113.7".parse().unwrap(), 700 + port);
        latch.admit_rtp(source, 5, 5, false, 0);
    }
    assert_eq!(latch.admit_rtp(party, 1, 2, false, 0), Admission::Latched);
}

#[test]
fn a_wrong_ssrc_waits_for_silence() {
    let mut latch = SourceLatch::new(signalled());
    let party = address("192.0.2.1:4000");
    latch.admit_rtp(party, 1, 1, false, 0);
    assert_eq!(
        latch.admit_rtp(party, 2, 1, false, SSRC_SILENCE_US - 1),
        SSRC
    );
    assert_eq!(
        latch.admit_rtp(party, 2, 2, false, SSRC_SILENCE_US),
        Admission::Probation
    );
    assert_eq!(
        latch.admit_rtp(party, 1, 2, false, SSRC_SILENCE_US),
        Admission::Relay
    );
    assert_eq!(
        latch.admit_rtp(party, 2, 3, false, SSRC_SILENCE_US),
        SSRC,
        "it spoke again"
    );
    let later = 3 * SSRC_SILENCE_US;
    assert_eq!(
        latch.admit_rtp(party, 2, 4, false, later),
        Admission::Probation
    );
    assert_eq!(
        latch.admit_rtp(party, 2, 6, false, later),
        Admission::Probation,
        "a gap"
    );
    assert_eq!(latch.admit_rtp(party, 2, 7, false, later), Admission::Relay);
    assert_eq!(latch.admit_rtp(party, 1, 3, false, later), SSRC);
}

#[test]
fn the_same_remote_again_keeps_the_latch_and_another_resets_it() {
    let mut latch = SourceLatch::new(signalled());
    let party = address("192.0.2.1:4000");
    latch.admit_rtp(party, 1, 1, false, 0);
    latch.update(&signalled());
    assert_eq!(
        latch.admit_rtp(party, 2, 2, false, 0),
        SSRC,
        "a re-INVITE is no opening"
    );
    let moved = Remote {
        rtp: Some(address("192.0.2.9:5000")),
        ..signalled()
    };
    latch.update(&moved);
    assert_eq!(latch.admit_rtp(party, 1, 2, false, 0), SOURCE);
    assert_eq!(
        latch.admit_rtp(address("192.0.2.9:5000"), 8, 1, false, 0),
        Admission::Latched
    );
}

#[test]
fn networks_of_the_operator_fit() {
    let networks = Arc::new(["198.51.100.0/24".parse().unwrap()]);
    let mut latch = SourceLatch::new(Remote {
        networks,
        ..signalled()
    });
    let gateway = address("198.51.100.9:7000");
    assert_eq!(
        latch.admit_rtp(gateway, 1, 1, false, 0),
        Admission::Probation
    );
    assert_eq!(latch.admit_rtp(gateway, 1, 2, false, 0), Admission::Latched);
    assert_eq!(
        latch.admit_rtp(address("192.0.2.1:4000"), 1, 3, false, 0),
        SOURCE
    );
}

#[test]
fn control_is_checked_likewise() {
    let mut latch = SourceLatch::new(signalled());
    let (rtp, rtcp) = (address("192.0.2.1:4000"), address("192.0.2.1:4001"));
    latch.admit_rtp(rtp, 1, 1, false, 0);
    let component = Component::Rtcp;
    assert_eq!(
        latch.admit_rtcp(address("192.0.2.2:4001"), 1, component, false),
        SOURCE
    );
    assert_eq!(
        latch.admit_rtcp(address("192.0.2.1:4003"), 1, component, false),
        SOURCE,
        "the party's address, but another port"
    );
    assert_eq!(latch.admit_rtcp(rtcp, 2, component, false), SSRC);
    assert_eq!(
        latch.admit_rtcp(rtcp, 1, component, false),
        Admission::Latched
    );
    assert_eq!(
        latch.admit_rtcp(rtcp, 1, component, false),
        Admission::Relay
    );
    assert_eq!(
        latch.admit_rtcp(address("192.0.2.1:4003"), 1, component, false),
        SOURCE
    );
    assert_eq!(
        latch.admit_rtcp(rtp, 1, Component::Rtp, false),
        Admission::Relay,
        "shared port"
    );
    assert_eq!(latch.admit_rtcp(rtp, 7, Component::Rtp, false), SSRC);
}

#[test]
fn control_comes_from_where_a_gateway_speaks() {
    let network = "198.51.100.0/24".parse().unwrap();
    let mut latch = SourceLatch::new(Remote {
        networks: Arc::new([network]),
        ..signalled()
    });
    let gateway = address("198.51.100.9:7000");
    latch.admit_rtp(gateway, 1, 1, false, 0);
    assert_eq!(latch.admit_rtp(gateway, 1, 2, false, 0), Admission::Latched);
    assert_eq!(
        latch.admit_rtcp(address("198.51.100.9:7001"), 1, Component::Rtcp, false),
        Admission::Latched
    );
}

#[test]
fn control_alone_opens_nothing_behind_nat() {
    let mut latch = SourceLatch::new(natted());
    let party = address("203.0.113.7:61001");
    assert_eq!(
        latch.admit_rtcp(party, 1, Component::Rtcp, false),
        Admission::Probation
    );
    assert_eq!(latch.latched(Component::Rtcp), None);
    latch.admit_rtp(address("203.0.113.7:61000"), 1, 1, true, 0);
    assert_eq!(
        latch.admit_rtcp(party, 1, Component::Rtcp, false),
        Admission::Latched
    );
    let mut latch = SourceLatch::new(natted());
    assert_eq!(
        latch.admit_rtcp(party, 1, Component::Rtcp, true),
        Admission::Latched
    );
}

#[test]
fn one_who_only_listens_reports_with_one_ssrc() {
    let mut latch = SourceLatch::new(signalled());
    let rtcp = address("192.0.2.1:4001");
    assert_eq!(
        latch.admit_rtcp(rtcp, 5, Component::Rtcp, false),
        Admission::Latched
    );
    assert_eq!(latch.admit_rtcp(rtcp, 6, Component::Rtcp, false), SSRC);
}

#[test]
fn a_handshake_confirms_only_what_fits() {
    let mut latch = SourceLatch::new(natted());
    latch.confirm(address("198.51.100.1:1000"), Component::Rtp);
    assert_eq!(latch.latched(Component::Rtp), None);
    latch.confirm(address("203.0.113.7:1000"), Component::Rtp);
    latch.confirm(address("203.0.113.7:1002"), Component::Rtp);
    assert_eq!(
        latch.latched(Component::Rtp),
        Some(address("203.0.113.7:1000"))
    );
}
