//! The packets of a measured call: G.711 of 20 ms (RFC 3550, RFC 3551 4.5.14).

/// Octets of an RTP header without contributing sources and extension.
pub(crate) const HEADER: usize = 12;
/// Octets of G.711 in 20 ms.
pub(crate) const PAYLOAD: usize = 160;
/// Payload type of PCMA.
pub(crate) const PCMA: u8 = 8;

/// Every octet sequence that a payload may be a slice of.
#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which would refuse an index out of bounds"
)]
const AUDIO: [u8; PAYLOAD + 256] = {
    let mut audio = [0; PAYLOAD + 256];
    let mut at = 0;
    while at < audio.len() {
        // Any fixed sequence will do; this one has no short period.
        audio[at] = ((at * at * 7 + at * 13) >> 3) as u8;
        at += 1;
    }
    audio
};

/// What makes a packet of this bench: everything else follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Names the stream.
    pub(crate) ssrc: u32,
    /// Counts its packets.
    pub(crate) sequence: u16,
}

impl Stamp {
    /// The RTP packet.
    pub(crate) fn write(self, packet: &mut Vec<u8>) {
        packet.clear();
        packet.extend([0x80, PCMA]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(self.audio());
    }

    /// What it carries.
    fn audio(self) -> &'static [u8] {
        let [.., low] = self
            .ssrc
            .wrapping_add(u32::from(self.sequence))
            .to_be_bytes();
        let from = usize::from(low);
        AUDIO.get(from..from + PAYLOAD).unwrap_or_default()
    }

    /// From the header of a packet that may be sealed; `None` if it is no RTP.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        (packet.len() >= HEADER && packet.first().is_some_and(|it| it >> 6 == 2)).then(|| Self {
            ssrc: ssrc_of(packet),
            sequence: sequence_of(packet),
        })
    }

    /// Whether an RTP packet carries what was sent.
    pub(crate) fn fits(self, packet: &[u8]) -> bool {
        packet.get(HEADER..) == Some(self.audio())
    }
}

/// The synchronisation source in a header; 0 if there is none.
pub(crate) fn ssrc_of(header: &[u8]) -> u32 {
    header
        .get(8..12)
        .and_then(|it| it.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// The sequence number in a header; 0 if there is none.
pub(crate) fn sequence_of(header: &[u8]) -> u16 {
    header
        .get(2..4)
        .and_then(|it| it.try_into().ok())
        .map_or(0, u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_known_by_its_stamp() {
        let stamp = Stamp {
            ssrc: 0x1234_5678,
            sequence: 300,
        };
        let mut packet = Vec::new();
        stamp.write(&mut packet);
        assert_eq!(packet.len(), HEADER + PAYLOAD);
        assert_eq!(Stamp::read(&packet), Some(stamp));
        assert!(stamp.fits(&packet));
        assert_eq!(Stamp::read(&packet[..11]), None);
        packet[HEADER] ^= 1;
        assert!(!stamp.fits(&packet));
    }
}
