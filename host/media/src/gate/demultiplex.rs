//! What a datagram on a media port is: RFC 7983 section 7, RFC 5761 section 4,
//! RFC 3550 sections 5.1 and 6.4 and appendix A.2.

/// By first octet and, for RTP and RTCP, the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// 0 to 3.
    Stun,
    /// 16 to 19 (RFC 6189).
    Zrtp,
    /// 20 to 63.
    Dtls,
    /// 64 to 79: TURN channel data.
    TurnChannel,
    /// 128 to 191 with a payload type that is no RTCP packet type.
    Rtp,
    /// 128 to 191 with a second octet of 192 to 223.
    Rtcp,
    /// Anything else, or too short for what it claims to be.
    Unknown,
}

/// Tell what a datagram is.
#[must_use]
pub fn classify(packet: &[u8]) -> PacketKind {
    match packet {
        [0..=3, ..] => PacketKind::Stun,
        [16..=19, ..] => PacketKind::Zrtp,
        [20..=63, ..] => PacketKind::Dtls,
        [64..=79, ..] => PacketKind::TurnChannel,
        [128..=191, 192..=223, ..] if packet.len() >= RtcpHeader::LEN => PacketKind::Rtcp,
        [128..=191, 192..=223, ..] => PacketKind::Unknown,
        [128..=191, _, ..] if packet.len() >= RtpHeader::LEN => PacketKind::Rtp,
        _ => PacketKind::Unknown,
    }
}

/// The fixed header of an RTP packet. It is in the clear in SRTP too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Marker bit.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// In units of the payload type's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Octets before the payload: CSRC list and extension included.
    pub length: usize,
}

impl RtpHeader {
    /// Octets of the shortest header.
    pub const LEN: usize = 12;

    /// Read it. `None` unless the version is 2 and CSRC list and extension lie
    /// within the packet. Padding is not looked at: in SRTP it is encrypted.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (fixed, rest) = packet.split_first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        let sources = usize::from(first & 0x0F) * 4;
        let mut length = Self::LEN + sources;
        if first & 0x10 != 0 {
            let [_, _, high, low] = *rest.get(sources..)?.first_chunk::<4>()?;
            length += 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
        }
        (length <= packet.len()).then_some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            length,
        })
    }
}

/// The start of an RTCP packet, which is in the clear in SRTCP too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpHeader {
    /// Type of the first packet of the compound.
    pub packet_type: u8,
    /// Its sender.
    pub ssrc: u32,
}

impl RtcpHeader {
    /// Octets of header and sender.
    pub const LEN: usize = 8;
    /// Sender report.
    pub const SENDER_REPORT: u8 = 200;
    /// Receiver report.
    pub const RECEIVER_REPORT: u8 = 201;

    /// Read it, of RTCP or SRTCP. `None` unless the version is 2 and the type is
    /// one of RTCP's.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let [first, packet_type, _, _, r0, r1, r2, r3] = *packet.first_chunk::<8>()?;
        (first >> 6 == 2 && (192..=223).contains(&packet_type)).then_some(Self {
            packet_type,
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }

    /// Read it and check the compound in the clear: each part has version 2 and an
    /// RTCP type, only the last is padded, and their lengths add up. With
    /// `reduced` the first may be of any type (RFC 5506).
    #[must_use]
    pub fn read_compound(packet: &[u8], reduced: bool) -> Option<Self> {
        let header = Self::read(packet)?;
        let report = [Self::SENDER_REPORT, Self::RECEIVER_REPORT].contains(&header.packet_type);
        if !report && !reduced {
            return None;
        }
        let mut rest = packet;
        while let [first, packet_type, high, low, ..] = *rest {
            let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
            let known = first >> 6 == 2 && (192..=223).contains(&packet_type);
            rest = rest.get(length..).filter(|_| known)?;
            // RFC 3550 section 6.4.1: padding stands in the last packet only.
            if first & 0x20 != 0 && !rest.is_empty() {
                return None;
            }
        }
        rest.is_empty().then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_length(first: u8, second: u8, length: usize) -> PacketKind {
        let mut packet = vec![0; length];
        packet[0] = first;
        packet[1] = second;
        classify(&packet)
    }

    #[test]
    fn first_octets_at_each_bound() {
        use PacketKind::{Dtls, Rtp, Stun, TurnChannel, Unknown, Zrtp};
        for (first, kind) in [
            (0, Stun),
            (3, Stun),
            (4, Unknown),
            (15, Unknown),
            (16, Zrtp),
            (19, Zrtp),
            (20, Dtls),
            (63, Dtls),
            (64, TurnChannel),
            (79, TurnChannel),
            (80, Unknown),
            (127, Unknown),
            (128, Rtp),
            (191, Rtp),
            (192, Unknown),
            (255, Unknown),
        ] {
            assert_eq!(of_length(first, 0, 40), kind, "{first}");
        }
        assert_eq!(classify(b""), Unknown);
    }

    #[test]
    fn rtcp_is_told_by_the_second_octet() {
        for (second, kind) in [
            (191, PacketKind::Rtp),
            (192, PacketKind::Rtcp),
            (200, PacketKind::Rtcp),
            (223, PacketKind::Rtcp),
            (224, PacketKind::Rtp),
        ] {
            assert_eq!(of_length(128, second, 40), kind, "{second}");
        }
        assert_eq!(of_length(128, 0, 11), PacketKind::Unknown);
        assert_eq!(of_length(128, 0, 12), PacketKind::Rtp);
        assert_eq!(of_length(128, 200, 7), PacketKind::Unknown);
        assert_eq!(of_length(128, 200, 8), PacketKind::Rtcp);
    }

    #[test]
    fn an_rtp_header_lies_within_its_packet() {
        let mut packet = vec![0x80, 0x88, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4];
        let header = RtpHeader::read(&packet).unwrap();
        assert_eq!(
            (
                header.marker,
                header.payload_type,
                header.sequence,
                header.timestamp
            ),
            (true, 8, 7, 160)
        );
        assert_eq!((header.ssrc, header.length), (0x0102_0304, 12));
        packet[0] = 0x81;
        assert_eq!(RtpHeader::read(&packet), None, "one CSRC is missing");
        packet.extend([0; 4]);
        assert_eq!(RtpHeader::read(&packet).unwrap().length, 16);
        packet[0] = 0x91;
        assert_eq!(RtpHeader::read(&packet), None, "the extension is missing");
        packet.extend([0xBE, 0xDE, 0, 1]);
        assert_eq!(RtpHeader::read(&packet), None, "a word of it is missing");
        packet.extend([0; 4]);
        assert_eq!(RtpHeader::read(&packet).unwrap().length, 24);
        packet[0] = 0x40;
        assert_eq!(RtpHeader::read(&packet), None, "version 1");
    }

    #[test]
    fn a_compound_adds_up() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let description = [0x81, 202, 0, 2, 0, 0, 0, 9, 1, 0, 0, 0];
        let compound = [&report[..], &description].concat();
        assert_eq!(RtcpHeader::read_compound(&compound, false).unwrap().ssrc, 9);
        assert_eq!(RtcpHeader::read_compound(&compound[..19], false), None);
        let more = [&compound[..], &[0]].concat();
        assert_eq!(RtcpHeader::read_compound(&more, false), None);
        assert_eq!(RtcpHeader::read_compound(&description, false), None);
        assert!(RtcpHeader::read_compound(&description, true).is_some());
        let mut padded = compound.clone();
        padded[0] |= 0x20;
        assert_eq!(RtcpHeader::read_compound(&padded, false), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let kind = classify(&bytes);
            let rtp = RtpHeader::read(&bytes);
            let rtcp = RtcpHeader::read_compound(&bytes, true);
            proptest::prop_assert!(kind != PacketKind::Stun || (rtp.is_none() && rtcp.is_none()));
            proptest::prop_assert!(rtp.is_none_or(|header| header.length <= bytes.len()));
        }
    }
}
