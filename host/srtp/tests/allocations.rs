//! No allocation per packet, accepted or refused. The ciphers' own memory is not counted here: it
//! is C and was looked through, and `examples/cost.rs` can be run under a memory checker.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use allocation_counter::measure;
use media::Suite;
use srtp::{ContextLimits, ReceiveContext, SendContext};
use support::{ROOM, material, rtcp, rtp};

#[test]
fn packets_allocate_nothing() {
    for suite in Suite::ALL {
        let limits = ContextLimits::default();
        let mut send = SendContext::new(&material(suite), limits).unwrap();
        let mut receive = ReceiveContext::new(&material(suite), limits).unwrap();
        let plain = rtp(1, 0, 0, None, &[7; 160]);
        let report = rtcp(2, 1);
        let mut buffer = [0; 256];
        let counted = measure(|| {
            for sequence in 65_000..67_000_u32 {
                buffer[..plain.len()].copy_from_slice(&plain);
                buffer[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
                let len = send.protect_rtp(&mut buffer, plain.len()).unwrap();
                let mut copy = buffer;
                copy[30] ^= 1;
                assert!(receive.unprotect_rtp(&mut copy, len).is_err());
                let mut copy = buffer;
                assert_eq!(receive.unprotect_rtp(&mut copy, len), Ok(plain.len()));
                assert!(receive.unprotect_rtp(&mut buffer, len).is_err());

                buffer[..report.len()].copy_from_slice(&report);
                let len = send.protect_rtcp(&mut buffer, report.len()).unwrap();
                let mut copy = buffer;
                assert_eq!(receive.unprotect_rtcp(&mut copy, len), Ok(report.len()));
                assert!(receive.unprotect_rtcp(&mut buffer, len).is_err());
            }
        });
        assert!(buffer.len() > plain.len() + ROOM);
        assert_eq!(counted.count_total, 0, "{}", suite.name());
    }
}

/// Only a source that authenticated may make the table grow, and at most to the ceiling.
#[test]
fn forged_sources_allocate_nothing() {
    for suite in Suite::ALL {
        let limits = ContextLimits::default();
        let mut receive = ReceiveContext::new(&material(suite), limits).unwrap();
        let counted = measure(|| {
            let mut buffer = [0x80; 200];
            for ssrc in 0..1000_u32 {
                buffer[8..12].copy_from_slice(&ssrc.to_be_bytes());
                assert!(receive.unprotect_rtp(&mut buffer, 200).is_err());
                buffer[..8].fill(0x80);
            }
        });
        assert_eq!(counted.count_total, 0, "{}", suite.name());
    }
}
