//! Nanoseconds for one 172-octet RTP packet (G.711, 20 ms): the best of many short batches.
//!
//! `cargo run --release -p srtp --example cost [batches]`

use std::env;
use std::hint::black_box;
use std::time::Instant;

use media::{KeyMaterial, Suite};
use srtp::{ContextLimits, ReceiveContext, SendContext};
use zeroize::Zeroizing;

/// Packets in one batch: short enough to fall between two interruptions.
const BATCH: u16 = 500;
const PACKET: usize = 172;

fn main() {
    let batches = env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(2000);
    println!("{:<26} {:>10} {:>10}", "suite", "protect", "unprotect");
    for suite in [
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm256HmacSha1_32,
    ] {
        match measure(suite, batches) {
            Some((protect, unprotect)) => {
                println!("{:<26} {protect:>7.0} ns {unprotect:>7.0} ns", suite.name());
            }
            None => println!("{:<26} failed", suite.name()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stopwatch, not a part of the room"
)]
fn now() -> Instant {
    Instant::now()
}

fn measure(suite: Suite, batches: u32) -> Option<(f64, f64)> {
    let key_salt = Zeroizing::new(vec![0x42; suite.key_len() + suite.salt_len()]);
    let material = KeyMaterial {
        suite,
        key_salt,
        mki: None,
        lifetime: None,
    };
    let mut send = SendContext::new(&material, ContextLimits::default()).ok()?;
    let mut receive = ReceiveContext::new(&material, ContextLimits::default()).ok()?;
    let mut plain = [0x55; PACKET];
    plain
        .first_chunk_mut::<12>()?
        .copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut packets = vec![[0; 200]; usize::from(BATCH)];
    let mut sequence = 0_u16;
    let mut len = 0;
    let (mut protect, mut unprotect) = (f64::MAX, f64::MAX);
    for _ in 0..batches {
        for packet in &mut packets {
            packet.first_chunk_mut::<PACKET>()?.copy_from_slice(&plain);
            packet
                .get_mut(2..4)?
                .copy_from_slice(&sequence.to_be_bytes());
            sequence = sequence.wrapping_add(1);
        }
        let start = now();
        for packet in &mut packets {
            len = send.protect_rtp(black_box(packet), PACKET).ok()?;
        }
        protect = protect.min(start.elapsed().as_secs_f64());
        let start = now();
        for packet in &mut packets {
            receive.unprotect_rtp(black_box(packet), len).ok()?;
        }
        unprotect = unprotect.min(start.elapsed().as_secs_f64());
    }
    let nanoseconds = |seconds: f64| seconds * 1e9 / f64::from(BATCH);
    Some((nanoseconds(protect), nanoseconds(unprotect)))
}
