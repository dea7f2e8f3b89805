//! Packet by packet the same as another implementation, which has ciphers of its own.

#![cfg(test)]

mod support;

use media::Suite;
use srtp::{ContextLimits, ReceiveContext, SendContext};
use support::{material, rtcp, rtp, with_room};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

fn theirs(suite: Suite) -> Context {
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        Suite::AesCm256HmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let material = material(suite);
    let (key, salt) = material.key_salt.split_at(suite.key_len());
    Context::new(key, salt, profile, None, None).unwrap()
}

/// Five thousand packets over two ends of the sequence numbers, of all header shapes and sizes.
#[test]
fn rtp_is_the_same() {
    for suite in Suite::ALL {
        let mut send = SendContext::new(&material(suite), ContextLimits::default()).unwrap();
        let mut receive = ReceiveContext::new(&material(suite), ContextLimits::default()).unwrap();
        let (mut their_send, mut their_receive) = (theirs(suite), theirs(suite));
        for number in 0..5000_u32 {
            let sequence = (60_000 + number * 29) as u16;
            let payload: Vec<u8> = (0..number % 331).map(|at| (at ^ number) as u8).collect();
            let words = (number % 3 == 0).then_some((number % 5) as u16);
            let plain = rtp(0xdead_beef, sequence, (number % 4) as u8, words, &payload);

            let mut ours = with_room(&plain);
            let len = send.protect_rtp(&mut ours, plain.len()).unwrap();
            let expected = their_send.encrypt_rtp(&plain).unwrap();
            assert_eq!(ours[..len], expected, "{} packet {number}", suite.name());
            assert_eq!(their_receive.decrypt_rtp(&ours[..len]).unwrap(), plain);
            let len = receive.unprotect_rtp(&mut ours, len).unwrap();
            assert_eq!(ours[..len], plain);
        }
        assert_eq!(receive.rollover_counter(0xdead_beef), Some(3));
    }
}

#[test]
fn rtcp_is_the_same() {
    for suite in Suite::ALL {
        let mut send = SendContext::new(&material(suite), ContextLimits::default()).unwrap();
        let mut receive = ReceiveContext::new(&material(suite), ContextLimits::default()).unwrap();
        let (mut their_send, mut their_receive) = (theirs(suite), theirs(suite));
        // Their first index is 1, ours is 0, as RFC 3711 section 3.4 has it.
        let first = rtcp(7, 0);
        let mut ours = with_room(&first);
        let len = send.protect_rtcp(&mut ours, first.len()).unwrap();
        assert_eq!(their_receive.decrypt_rtcp(&ours[..len]).unwrap(), first);
        for number in 0..1000_u32 {
            let plain = rtcp(7, (number % 31) as u8);
            let mut ours = with_room(&plain);
            let len = send.protect_rtcp(&mut ours, plain.len()).unwrap();
            let expected = their_send.encrypt_rtcp(&plain).unwrap();
            assert_eq!(ours[..len], expected, "{} packet {number}", suite.name());
            assert_eq!(their_receive.decrypt_rtcp(&ours[..len]).unwrap(), plain);
            let len = receive.unprotect_rtcp(&mut ours, len).unwrap();
            assert_eq!(ours[..len], plain);
        }
    }
}

/// What they refuse we refuse too.
#[test]
fn a_foreign_key_is_refused() {
    for suite in Suite::ALL {
        let mut other = material(suite);
        other.key_salt[0] ^= 1;
        let mut send = SendContext::new(&other, ContextLimits::default()).unwrap();
        let mut receive = ReceiveContext::new(&material(suite), ContextLimits::default()).unwrap();
        let plain = rtp(1, 1, 0, None, &[5; 160]);
        let mut ours = with_room(&plain);
        let len = send.protect_rtp(&mut ours, plain.len()).unwrap();
        assert!(theirs(suite).decrypt_rtp(&ours[..len]).is_err());
        assert!(receive.unprotect_rtp(&mut ours, len).is_err());
    }
}
