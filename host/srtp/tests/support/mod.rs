//! Keys and packets that the tests share.

#![expect(clippy::cast_possible_truncation, reason = "octets of test data")]

use media::{KeyMaterial, Suite};
use zeroize::Zeroizing;

/// The most that any suite adds: SRTCP with GCM and a master key identifier of four octets.
pub(crate) const ROOM: usize = 24;

pub(crate) fn material(suite: Suite) -> KeyMaterial {
    let len = suite.key_len() + suite.salt_len();
    let key_salt = Zeroizing::new((0..len).map(|at| (at * 37 + 11) as u8).collect());
    KeyMaterial {
        suite,
        key_salt,
        mki: None,
        lifetime: None,
    }
}

/// An RTP packet with `sources` contributing sources and, with `words`, an extension.
pub(crate) fn rtp(
    ssrc: u32,
    sequence: u16,
    sources: u8,
    words: Option<u16>,
    payload: &[u8],
) -> Vec<u8> {
    let extension = if words.is_some() { 0x10 } else { 0 };
    let mut packet = vec![0x80 | extension | sources, 0x80];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    for source in 0..u32::from(sources) {
        packet.extend_from_slice(&source.to_be_bytes());
    }
    if let Some(words) = words {
        packet.extend_from_slice(&[0xbe, 0xde]);
        packet.extend_from_slice(&words.to_be_bytes());
        // One-octet elements of three octets each (RFC 8285).
        (0..words).for_each(|_| packet.extend_from_slice(&[0x12, 1, 2, 3]));
    }
    packet.extend_from_slice(payload);
    packet
}

/// A receiver report with as many blocks as `blocks`.
pub(crate) fn rtcp(ssrc: u32, blocks: u8) -> Vec<u8> {
    let mut packet = vec![0x80 | blocks, 201];
    packet.extend_from_slice(&(1 + u16::from(blocks) * 6).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..usize::from(blocks) * 24).map(|at| at as u8));
    packet
}

/// `packet` with [`ROOM`] behind it.
pub(crate) fn with_room(packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ROOM, 0xee);
    buffer
}
