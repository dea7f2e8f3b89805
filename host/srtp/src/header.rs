//! The octets of RTP and RTCP headers that SRTP needs: RFC 3550 sections 5.1, 5.3.1 and 6.4.1.

use crate::error::SrtpError;

/// RTP without contributing sources and extension, in octets.
const FIXED_RTP_HEADER: usize = 12;

/// The part of an RTCP packet that stays in clear, in octets (RFC 3711 section 3.4).
pub(crate) const RTCP_HEADER: usize = 8;

/// What SRTP reads of an RTP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Octets before the payload: the fixed header, contributing sources and extension.
    pub(crate) len: usize,
}

impl RtpHeader {
    /// Reads the header of `packet`, which may be RTP or SRTP.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, SrtpError> {
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_RTP_HEADER>() else {
            return Err(SrtpError::Malformed("shorter than an RTP header"));
        };
        let &[flags, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = fixed;
        if flags >> 6 != 2 {
            return Err(SrtpError::Malformed("not RTP version 2"));
        }
        let sources = usize::from(flags & 0x0f) * 4;
        let mut len = FIXED_RTP_HEADER + sources;
        if flags & 0x10 != 0 {
            let words = match rest.get(sources..).and_then(|at| at.first_chunk::<4>()) {
                Some(&[_, _, high, low]) => usize::from(u16::from_be_bytes([high, low])),
                None => return Err(SrtpError::Malformed("RTP extension cut short")),
            };
            len += 4 + words * 4;
        }
        if len > packet.len() {
            return Err(SrtpError::Malformed("RTP header longer than the packet"));
        }
        Ok(Self {
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            sequence: u16::from_be_bytes([s0, s1]),
            len,
        })
    }
}

/// The source that sends the RTCP packet, which may be SRTCP.
pub(crate) fn parse_rtcp_sender(packet: &[u8]) -> Result<u32, SrtpError> {
    let Some(&[flags, _, _, _, c0, c1, c2, c3]) = packet.first_chunk::<RTCP_HEADER>() else {
        return Err(SrtpError::Malformed("shorter than an RTCP header"));
    };
    if flags >> 6 != 2 {
        return Err(SrtpError::Malformed("not RTCP version 2"));
    }
    Ok(u32::from_be_bytes([c0, c1, c2, c3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![flags, 0, 0x12, 0x34, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn plain_header() {
        let header = RtpHeader::parse(&packet(0x80, &[])).unwrap();
        assert_eq!(
            header,
            RtpHeader {
                ssrc: 0xcafe_babe,
                sequence: 0x1234,
                len: 12
            }
        );
    }

    #[test]
    fn contributing_sources_and_extension_are_header() {
        let mut rest = vec![0; 8];
        rest.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9, 1]);
        assert_eq!(
            RtpHeader::parse(&packet(0x92, &rest)).unwrap().len,
            12 + 8 + 8
        );
        assert_eq!(
            RtpHeader::parse(&packet(0x92, &rest[..16])).unwrap().len,
            28
        );
        assert!(RtpHeader::parse(&packet(0x92, &rest[..15])).is_err());
        assert!(RtpHeader::parse(&packet(0x92, &rest[..11])).is_err());
        assert!(RtpHeader::parse(&packet(0x92, &rest[..7])).is_err());
    }

    #[test]
    fn fifteen_sources_need_their_octets() {
        assert_eq!(RtpHeader::parse(&packet(0x8f, &[0; 60])).unwrap().len, 72);
        assert!(RtpHeader::parse(&packet(0x8f, &[0; 59])).is_err());
    }

    #[test]
    fn short_and_foreign_packets_are_refused() {
        assert!(RtpHeader::parse(&packet(0x80, &[])[..11]).is_err());
        assert!(RtpHeader::parse(&packet(0x40, &[])).is_err());
        assert!(parse_rtcp_sender(&[0x80, 200, 0, 1, 0, 0, 0]).is_err());
        assert!(parse_rtcp_sender(&[0xc0, 200, 0, 1, 0, 0, 0, 7]).is_err());
        assert_eq!(parse_rtcp_sender(&[0x80, 200, 0, 1, 0, 0, 0, 7]), Ok(7));
    }
}
