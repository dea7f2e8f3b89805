//! Both sides of each limit, and what must stay hidden.

use media::Suite;

use super::{any_material, with_room};
use crate::{
    ContextLimits, MAX_PACKET, MAX_RTCP_PACKETS, MAX_RTP_PACKETS, ReceiveContext, SendContext,
    SrtpError,
};

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[7; 20]);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[7; 24]);
    packet
}

#[test]
fn hard_lifetime_of_a_key() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
        let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
        send.key_mut().usage.rtp_packets = MAX_RTP_PACKETS - 1;
        receive.key_mut().usage.rtp_packets = MAX_RTP_PACKETS - 1;
        let mut packets: Vec<_> = (0..2).map(|at| with_room(&rtp(1, at), 16)).collect();
        let len = send.protect_rtp(&mut packets[0], 32).unwrap();
        assert_eq!(
            send.protect_rtp(&mut packets[1], 32),
            Err(SrtpError::KeyExhausted)
        );
        assert_eq!(packets[1], with_room(&rtp(1, 1), 16), "left alone");
        assert!(receive.unprotect_rtp(&mut packets[0], len).is_ok());
        send.key_mut().usage.rtp_packets = 0;
        let len = send.protect_rtp(&mut packets[1], 32).unwrap();
        assert_eq!(
            receive.unprotect_rtp(&mut packets[1], len),
            Err(SrtpError::KeyExhausted)
        );

        send.key_mut().usage.rtcp_packets = MAX_RTCP_PACKETS - 1;
        receive.key_mut().usage.rtcp_packets = MAX_RTCP_PACKETS - 1;
        let mut packets: Vec<_> = (0..2).map(|_| with_room(&rtcp(1), 20)).collect();
        let len = send.protect_rtcp(&mut packets[0], 32).unwrap();
        assert_eq!(
            send.protect_rtcp(&mut packets[1], 32),
            Err(SrtpError::KeyExhausted)
        );
        assert!(receive.unprotect_rtcp(&mut packets[0], len).is_ok());
        send.key_mut().usage.rtcp_packets = 0;
        let len = send.protect_rtcp(&mut packets[1], 32).unwrap();
        assert_eq!(
            receive.unprotect_rtcp(&mut packets[1], len),
            Err(SrtpError::KeyExhausted)
        );
    }
}

#[test]
fn agreed_lifetime_is_only_reported() {
    let mut material = any_material(Suite::AeadAes128Gcm);
    material.lifetime = Some(2);
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    for (sequence, reached) in [(0, false), (1, true), (2, true)] {
        send.protect_rtp(&mut with_room(&rtp(1, sequence), 16), 32)
            .unwrap();
        assert_eq!(send.key().lifetime_reached(), reached);
    }
    assert_eq!(send.key().usage().rtp_packets, 3);
}

#[test]
fn rollover_counter_ends_with_the_key() {
    let material = any_material(Suite::AeadAes128Gcm);
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
    send.start_at(1, u32::MAX).unwrap();
    receive.start_at(1, u32::MAX).unwrap();
    let mut last = with_room(&rtp(1, u16::MAX), 16);
    let len = send.protect_rtp(&mut last, 32).unwrap();
    receive.unprotect_rtp(&mut last, len).unwrap();
    assert_eq!(send.rollover_counter(1), Some(u32::MAX));
    assert_eq!(receive.rollover_counter(1), Some(u32::MAX));
    let mut over = with_room(&rtp(1, 0), 16);
    assert_eq!(
        send.protect_rtp(&mut over, 32),
        Err(SrtpError::KeyExhausted)
    );
    assert_eq!(
        receive.unprotect_rtp(&mut over, 48),
        Err(SrtpError::KeyExhausted)
    );
    assert_eq!(send.start_at(1, 0), Err(SrtpError::Replay));
    assert_eq!(receive.start_at(1, 0), Err(SrtpError::Replay));
}

#[test]
fn sources_have_a_ceiling() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let limits = ContextLimits { sources: 2 };
        let mut wide = SendContext::new(&material, ContextLimits::default()).unwrap();
        let mut send = SendContext::new(&material, limits).unwrap();
        let mut receive = ReceiveContext::new(&material, limits).unwrap();
        for ssrc in [1, 2, 3] {
            let expected = (ssrc == 3).then_some(SrtpError::TooManySources);
            let mut packet = with_room(&rtp(ssrc, 5), 16);
            assert_eq!(send.protect_rtp(&mut packet.clone(), 32).err(), expected);
            let len = wide.protect_rtp(&mut packet, 32).unwrap();
            assert_eq!(receive.unprotect_rtp(&mut packet, len).err(), expected);
            let mut packet = with_room(&rtcp(ssrc), 20);
            assert_eq!(send.protect_rtcp(&mut packet.clone(), 32).err(), expected);
            let len = wide.protect_rtcp(&mut packet, 32).unwrap();
            assert_eq!(receive.unprotect_rtcp(&mut packet, len).err(), expected);
            assert_eq!(receive.knows(ssrc), ssrc != 3);
        }
    }
}

#[test]
fn forged_sources_take_no_place() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let mut receive = ReceiveContext::new(&material, ContextLimits { sources: 1 }).unwrap();
        for ssrc in 0..100 {
            let mut forged = with_room(&rtp(ssrc, 5), 16);
            assert_eq!(
                receive.unprotect_rtp(&mut forged, 48),
                Err(SrtpError::Authentication)
            );
            let mut forged = with_room(&rtcp(ssrc), 20);
            assert_eq!(
                receive.unprotect_rtcp(&mut forged, 52),
                Err(SrtpError::Authentication)
            );
            assert!(!receive.knows(ssrc));
        }
        assert_eq!(receive.key().usage().rtp_packets, 0);
        let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
        let mut packet = with_room(&rtp(100, 5), 16);
        let len = send.protect_rtp(&mut packet, 32).unwrap();
        assert_eq!(receive.unprotect_rtp(&mut packet, len), Ok(32));
    }
}

#[test]
fn room_and_size_have_two_sides() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
        let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
        let (more, more_rtcp) = (send.key().rtp_overhead(), send.key().rtcp_overhead());
        let mut tight = with_room(&rtp(1, 1), more - 1);
        assert_eq!(send.protect_rtp(&mut tight, 32), Err(SrtpError::Capacity));
        let mut enough = with_room(&rtp(1, 1), more);
        assert_eq!(send.protect_rtp(&mut enough, 32), Ok(32 + more));
        let mut tight = with_room(&rtcp(1), more_rtcp - 1);
        assert_eq!(send.protect_rtcp(&mut tight, 32), Err(SrtpError::Capacity));
        let mut enough = with_room(&rtcp(1), more_rtcp);
        assert_eq!(send.protect_rtcp(&mut enough, 32), Ok(32 + more_rtcp));

        let mut large = with_room(&rtp(1, 2), MAX_PACKET);
        let most = MAX_PACKET - more;
        assert!(matches!(
            send.protect_rtp(&mut large, most + 1),
            Err(SrtpError::Malformed(_))
        ));
        assert_eq!(send.protect_rtp(&mut large, most), Ok(MAX_PACKET));
        let mut beyond = large.clone();
        assert_eq!(receive.unprotect_rtp(&mut large, MAX_PACKET), Ok(most));
        assert!(matches!(
            receive.unprotect_rtp(&mut beyond, MAX_PACKET + 1),
            Err(SrtpError::Malformed(_))
        ));
        let len = beyond.len();
        assert!(receive.unprotect_rtp(&mut beyond, len + 1).is_err());
    }
}

#[test]
fn short_packets_are_malformed_not_forged() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
        let least = 12 + receive.key().rtp_overhead();
        let mut packet = with_room(&rtp(1, 1), 64);
        for len in 0..least {
            let refused = receive.unprotect_rtp(&mut packet, len);
            assert!(matches!(refused, Err(SrtpError::Malformed(_))), "{len}");
        }
        assert_eq!(
            receive.unprotect_rtp(&mut packet, least),
            Err(SrtpError::Authentication)
        );
        let least = 8 + receive.key().rtcp_overhead();
        let mut packet = with_room(&rtcp(1), 64);
        for len in 0..least {
            let refused = receive.unprotect_rtcp(&mut packet, len);
            assert!(matches!(refused, Err(SrtpError::Malformed(_))), "{len}");
        }
        assert_eq!(
            receive.unprotect_rtcp(&mut packet, least),
            Err(SrtpError::Authentication)
        );
    }
}

#[test]
fn wrong_key_lengths_are_refused() {
    for suite in Suite::ALL {
        for change in [-1_isize, 1] {
            let mut material = any_material(suite);
            let len = material.key_salt.len().checked_add_signed(change).unwrap();
            material.key_salt.resize(len, 0);
            assert!(SendContext::new(&material, ContextLimits::default()).is_err());
            assert!(ReceiveContext::new(&material, ContextLimits::default()).is_err());
        }
    }
}

#[test]
fn debug_shows_no_key() {
    for suite in Suite::ALL {
        let material = any_material(suite);
        let send = SendContext::new(&material, ContextLimits::default()).unwrap();
        let receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
        let name = suite.name();
        let shown = format!(
            "{{ key: MasterKey {{ suite: {name:?}, usage: KeyUsage {{ rtp_packets: 0, \
             rtcp_packets: 0 }}, .. }}, sources: Sources {{ entries: [], ceiling: 64, last: 0 }} }}"
        );
        assert_eq!(format!("{send:?}"), format!("SendContext {shown}"));
        assert_eq!(format!("{receive:?}"), format!("ReceiveContext {shown}"));
    }
}
