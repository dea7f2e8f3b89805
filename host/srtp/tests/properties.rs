//! What holds for every suite and every packet.

#![cfg(test)]

mod support;

use media::{Mki, Suite};
use proptest::prelude::*;
use srtp::{ContextLimits, REPLAY_WINDOW, ReceiveContext, SendContext, SrtpError};
use support::{material, rtcp, rtp, with_room};

const SSRC: u32 = 0x0102_0304;

fn pair(suite: Suite) -> (SendContext, ReceiveContext) {
    let limits = ContextLimits::default();
    (
        SendContext::new(&material(suite), limits).unwrap(),
        ReceiveContext::new(&material(suite), limits).unwrap(),
    )
}

fn any_suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(&Suite::ALL[..])
}

/// A protected packet with the given sequence number, whose payload names it.
fn protected(send: &mut SendContext, sequence: u16) -> (Vec<u8>, Vec<u8>) {
    let plain = rtp(SSRC, sequence, 0, None, &sequence.to_be_bytes());
    let mut buffer = with_room(&plain);
    let len = send.protect_rtp(&mut buffer, plain.len()).unwrap();
    buffer.truncate(len);
    (plain, buffer)
}

fn receive(context: &mut ReceiveContext, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = context.unprotect_rtp(&mut buffer, packet.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rtp_comes_back(
        suite in any_suite(),
        ssrc: u32,
        sequence: u16,
        sources in 0..16_u8,
        words in prop::option::of(0..20_u16),
        payload in prop::collection::vec(any::<u8>(), 0..1400),
    ) {
        let (mut send, mut receive) = pair(suite);
        let plain = rtp(ssrc, sequence, sources, words, &payload);
        let header = plain.len() - payload.len();
        let mut buffer = with_room(&plain);
        let len = send.protect_rtp(&mut buffer, plain.len()).unwrap();
        prop_assert_eq!(len, plain.len() + send.key().rtp_overhead());
        prop_assert_eq!(&buffer[..header], &plain[..header]);
        prop_assert!(buffer[len..].iter().all(|octet| *octet == 0xee), "nothing behind it");
        if payload.len() >= 16 {
            prop_assert_ne!(&buffer[header..plain.len()], &payload[..]);
        }
        prop_assert!(!receive.knows(ssrc));
        let len = receive.unprotect_rtp(&mut buffer, len).unwrap();
        prop_assert_eq!(&buffer[..len], &plain[..]);
        prop_assert!(receive.knows(ssrc));
    }

    #[test]
    fn rtcp_comes_back(suite in any_suite(), ssrc: u32, blocks in 0..32_u8, before in 0..4_u8) {
        let (mut send, mut receive) = pair(suite);
        let plain = rtcp(ssrc, blocks);
        for _ in 0..before {
            send.protect_rtcp(&mut with_room(&plain), plain.len()).unwrap();
        }
        let mut buffer = with_room(&plain);
        let len = send.protect_rtcp(&mut buffer, plain.len()).unwrap();
        prop_assert_eq!(len, plain.len() + send.key().rtcp_overhead());
        prop_assert_eq!(&buffer[..8], &plain[..8]);
        let mut again = buffer.clone();
        let found = receive.unprotect_rtcp(&mut buffer, len).unwrap();
        prop_assert_eq!(&buffer[..found], &plain[..]);
        prop_assert_eq!(receive.unprotect_rtcp(&mut again, len), Err(SrtpError::Replay));
    }

    /// Any octets whatever: an error, never a panic, never a change.
    #[test]
    fn noise_changes_nothing(
        suite in any_suite(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        version in any::<bool>(),
    ) {
        let (mut send, mut context) = pair(suite);
        let mut noise = noise;
        if let (Some(first), true) = (noise.first_mut(), version) {
            *first = *first & 0x3f | 0x80;
        }
        let len = noise.len();
        prop_assert!(context.unprotect_rtp(&mut noise.clone(), len).is_err());
        prop_assert!(context.unprotect_rtcp(&mut noise.clone(), len).is_err());
        prop_assert_eq!(context.key().usage(), Default::default());
        let mut room = with_room(&noise);
        let _ = send.protect_rtp(&mut room, len);
        let mut room = with_room(&noise);
        let _ = send.protect_rtcp(&mut room, len);
    }

    /// Packets in any order within the window, over both ends of the sequence numbers: each is
    /// accepted once.
    #[test]
    fn order_does_not_matter_within_the_window(
        suite in any_suite(),
        start in prop_oneof![any::<u16>(), 65_450..=65_535_u16],
        order in Just((0..REPLAY_WINDOW as u16 / 2).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut send, mut context) = pair(suite);
        let mut packets = vec![protected(&mut send, start)];
        for at in 1..=REPLAY_WINDOW as u16 / 2 {
            packets.push(protected(&mut send, start.wrapping_add(at)));
        }
        let first = packets.remove(0);
        prop_assert_eq!(receive(&mut context, &first.1), Ok(first.0));
        for at in &order {
            let (plain, packet) = &packets[usize::from(*at)];
            prop_assert_eq!(receive(&mut context, packet), Ok(plain.clone()));
            prop_assert_eq!(receive(&mut context, packet), Err(SrtpError::Replay));
        }
        for (_, packet) in &packets {
            prop_assert_eq!(receive(&mut context, packet), Err(SrtpError::Replay));
        }
    }

    /// Losses of less than half of the sequence numbers do not lose the rollover counter.
    #[test]
    fn gaps_do_not_lose_the_rollover_counter(
        suite in any_suite(),
        start: u16,
        gaps in prop::collection::vec(1..32_768_u32, 1..40),
    ) {
        let (mut send, mut context) = pair(suite);
        let mut index = u32::from(start);
        for gap in std::iter::once(0).chain(gaps) {
            index += gap;
            let (plain, packet) = protected(&mut send, index as u16);
            prop_assert_eq!(receive(&mut context, &packet), Ok(plain));
            prop_assert_eq!(context.rollover_counter(SSRC), Some(index >> 16));
            prop_assert_eq!(send.rollover_counter(SSRC), Some(index >> 16));
        }
    }
}

/// Each octet of a packet changed in turn: none is accepted, and the true packet still is.
#[test]
fn no_changed_octet_is_accepted() {
    for suite in Suite::ALL {
        let (mut send, mut context) = pair(suite);
        let plain = rtp(SSRC, 9, 2, Some(2), &[0x55; 40]);
        let mut packet = with_room(&plain);
        let len = send.protect_rtp(&mut packet, plain.len()).unwrap();
        packet.truncate(len);
        for at in 0..len {
            for change in [0x01, 0x80] {
                let mut forged = packet.clone();
                forged[at] ^= change;
                assert!(
                    receive(&mut context, &forged).is_err(),
                    "{} octet {at}",
                    suite.name()
                );
            }
        }
        assert_eq!(context.key().usage(), Default::default());
        assert_eq!(receive(&mut context, &packet), Ok(plain));

        let plain = rtcp(SSRC, 2);
        let mut packet = with_room(&plain);
        let len = send.protect_rtcp(&mut packet, plain.len()).unwrap();
        for at in 0..len {
            let mut forged = packet.clone();
            forged[at] ^= 1;
            assert!(
                context.unprotect_rtcp(&mut forged, len).is_err(),
                "{} {at}",
                suite.name()
            );
        }
        assert_eq!(context.unprotect_rtcp(&mut packet, len), Ok(plain.len()));
    }
}

/// Cut or lengthened packets are not accepted either.
#[test]
fn no_changed_length_is_accepted() {
    for suite in Suite::ALL {
        let (mut send, mut context) = pair(suite);
        let (_, packet) = protected(&mut send, 1);
        for len in 0..packet.len() {
            assert!(receive(&mut context, &packet[..len]).is_err());
        }
        let mut longer = packet.clone();
        longer.push(0);
        assert_eq!(
            receive(&mut context, &longer),
            Err(SrtpError::Authentication)
        );
        assert!(receive(&mut context, &packet).is_ok());
    }
}

/// A forged packet far ahead moves neither the window nor the rollover counter.
#[test]
fn forgeries_do_not_move_the_window() {
    for suite in Suite::ALL {
        let (mut send, mut context) = pair(suite);
        let (_, early) = protected(&mut send, 100);
        let (_, packet) = protected(&mut send, 101);
        assert!(receive(&mut context, &packet).is_ok());
        for sequence in [102_u16, 300, 30_000, 60_000] {
            let mut forged = packet.clone();
            forged[2..4].copy_from_slice(&sequence.to_be_bytes());
            let refused = receive(&mut context, &forged);
            assert!(matches!(
                refused,
                Err(SrtpError::Authentication | SrtpError::Replay)
            ));
        }
        assert_eq!(context.rollover_counter(SSRC), Some(0));
        assert!(receive(&mut context, &early).is_ok(), "still in the window");
    }
}

/// The same sequence number is not sent twice, whatever it carries.
#[test]
fn no_index_is_spent_twice() {
    for suite in Suite::ALL {
        let (mut send, _) = pair(suite);
        protected(&mut send, 500);
        protected(&mut send, 500 + REPLAY_WINDOW as u16);
        for sequence in [500, 500 + REPLAY_WINDOW as u16] {
            let plain = rtp(SSRC, sequence, 0, None, b"other");
            let mut buffer = with_room(&plain);
            let refused = send.protect_rtp(&mut buffer, plain.len());
            assert_eq!(refused, Err(SrtpError::Replay));
            assert_eq!(buffer, with_room(&plain), "left alone");
        }
        // The oldest one that is still told apart, late but new.
        protected(&mut send, 501);
        // Another source has indices of its own.
        let plain = rtp(SSRC + 1, 500, 0, None, b"other");
        assert!(
            send.protect_rtp(&mut with_room(&plain), plain.len())
                .is_ok()
        );
    }
}

/// The master key identifier stands where RFC 3711 and RFC 7714 have it, and must be ours.
#[test]
fn master_key_identifier() {
    for suite in Suite::ALL {
        let mut with = material(suite);
        with.mki = Mki::new(0xa1b2_c3d4, 4);
        let limits = ContextLimits::default();
        let mut send = SendContext::new(&with, limits).unwrap();
        let mut receive_with = ReceiveContext::new(&with, limits).unwrap();
        let (mut send_without, mut receive_without) = pair(suite);
        with.mki = Mki::new(0xa1b2_c3d5, 4);
        let mut receive_other = ReceiveContext::new(&with, limits).unwrap();
        let identifier = [0xa1, 0xb2, 0xc3, 0xd4];

        let plain = rtp(SSRC, 1, 1, Some(1), &[3; 30]);
        let mut packet = with_room(&plain);
        let len = send.protect_rtp(&mut packet, plain.len()).unwrap();
        let mut bare = with_room(&plain);
        let bare_len = send_without.protect_rtp(&mut bare, plain.len()).unwrap();
        assert_eq!(len, bare_len + 4);
        let behind = if suite.is_aead() { 0 } else { suite.tag_len() };
        assert_eq!(packet[len - behind - 4..len - behind], identifier);
        let mut cut = packet[..len].to_vec();
        cut.drain(len - behind - 4..len - behind);
        assert_eq!(cut, bare[..bare_len], "nothing else differs");
        for context in [&mut receive_without, &mut receive_other] {
            let refused = context.unprotect_rtp(&mut packet.clone(), len);
            assert_eq!(refused, Err(SrtpError::Authentication));
        }
        assert_eq!(
            receive_with.unprotect_rtp(&mut packet, len),
            Ok(plain.len())
        );

        let plain = rtcp(SSRC, 1);
        let mut packet = with_room(&plain);
        let len = send.protect_rtcp(&mut packet, plain.len()).unwrap();
        let mut bare = with_room(&plain);
        let bare_len = send_without.protect_rtcp(&mut bare, plain.len()).unwrap();
        assert_eq!(len, bare_len + 4);
        let behind = if suite.is_aead() {
            0
        } else {
            suite.rtcp_tag_len()
        };
        assert_eq!(packet[len - behind - 4..len - behind], identifier);
        let mut cut = packet[..len].to_vec();
        cut.drain(len - behind - 4..len - behind);
        assert_eq!(cut, bare[..bare_len], "nothing else differs");
        for context in [&mut receive_without, &mut receive_other] {
            let refused = context.unprotect_rtcp(&mut packet.clone(), len);
            assert_eq!(refused, Err(SrtpError::Authentication));
        }
        assert_eq!(
            receive_with.unprotect_rtcp(&mut packet, len),
            Ok(plain.len())
        );
    }
}

/// Two sources and their reports run side by side.
#[test]
fn sources_do_not_mix() {
    for suite in Suite::ALL {
        let (mut send, mut context) = pair(suite);
        for number in 0..300_u16 {
            for ssrc in [1, 2, 3] {
                let sequence = number.wrapping_add(65_000 + ssrc as u16 * 150);
                let plain = rtp(ssrc, sequence, 0, None, &[ssrc as u8; 20]);
                let mut buffer = with_room(&plain);
                let len = send.protect_rtp(&mut buffer, plain.len()).unwrap();
                let len = context.unprotect_rtp(&mut buffer, len).unwrap();
                assert_eq!(buffer[..len], plain);
                let plain = rtcp(ssrc, 1);
                let mut buffer = with_room(&plain);
                let len = send.protect_rtcp(&mut buffer, plain.len()).unwrap();
                assert_eq!(context.unprotect_rtcp(&mut buffer, len), Ok(plain.len()));
            }
        }
        assert_eq!(context.key().usage().rtp_packets, 900);
        assert_eq!(context.key().usage().rtcp_packets, 900);
    }
}
