//! What a datagram is (RFC 7983, RFC 5761), and the headers that the gate reads.

use media::Rejection;

/// What lies in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rtp(RtpHead),
    /// RTCP of this sender.
    Rtcp(u32),
    Dtls,
    /// T.38.
    Udptl,
}

/// The part of an RTP header that matters here (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHead {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

/// Tells by the first byte what a datagram is, and by the second RTP from RTCP: packet
/// types 192 to 223 are no RTP, on a port of their own as on a shared one. STUN and all
/// else has no business here, because the relay speaks no ICE.
pub(crate) fn read(datagram: &[u8]) -> Result<Kind, Rejection> {
    match datagram.first() {
        Some(20..=63) => Ok(Kind::Dtls),
        Some(128..=191) => read_media(datagram).ok_or(Rejection::Malformed),
        _ => Err(Rejection::Malformed),
    }
}

fn read_media(datagram: &[u8]) -> Option<Kind> {
    let (&[_, second, s0, s1, a0, a1, a2, a3], rest) = datagram.split_first_chunk()?;
    if (192..=223).contains(&second) {
        return Some(Kind::Rtcp(u32::from_be_bytes([a0, a1, a2, a3])));
    }
    let ssrc = u32::from_be_bytes(*rest.first_chunk()?);
    Some(Kind::Rtp(RtpHead {
        payload_type: second & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([a0, a1, a2, a3]),
        ssrc,
    }))
}

/// Whether the lengths of all reports in a datagram add up to it (RFC 3550 section
/// 6.1); a datagram may hold one alone (RFC 5506).
pub(crate) fn is_compound(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((&[flags, kind, high, low], _)) = rest.split_first_chunk() {
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        if flags >> 6 != 2 || !(192..=223).contains(&kind) {
            return false;
        }
        match rest.get(length..) {
            Some([]) => return true,
            Some(next) => rest = next,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_first_bytes() {
        let mut packet = [0_u8; 12];
        for first in 0..=255_u8 {
            packet[0] = first;
            let kind = read(&packet);
            match first {
                20..=63 => assert_eq!(kind, Ok(Kind::Dtls)),
                128..=191 => assert!(matches!(kind, Ok(Kind::Rtp(_)))),
                _ => assert_eq!(kind, Err(Rejection::Malformed)),
            }
        }
        packet[0] = 0x80;
        for second in 0..=255_u8 {
            packet[1] = second;
            let rtcp = matches!(read(&packet), Ok(Kind::Rtcp(_)));
            assert_eq!(rtcp, (192..=223).contains(&second));
        }
        assert_eq!(read(&[]), Err(Rejection::Malformed));
        assert_eq!(read(&[0x80; 11]), Err(Rejection::Malformed));
        assert!(read(&[0x80; 12]).is_ok());
        assert_eq!(read(&[0x80, 200, 0, 1, 0, 0, 7]), Err(Rejection::Malformed));
        let report = [0x80, 200, 0, 1, 0, 0, 0, 7];
        assert_eq!(read(&report), Ok(Kind::Rtcp(7)));
    }

    #[test]
    fn reports_add_up() {
        let one = [0x80, 201, 0, 1, 0, 0, 0, 7];
        let mut two = one.to_vec();
        two.extend_from_slice(&[0x81, 202, 0, 0]);
        assert!(is_compound(&one));
        assert!(is_compound(&two));
        for length in 0..two.len() {
            let whole = length == one.len();
            assert_eq!(is_compound(&two[..length]), whole, "{length}");
        }
        two[8] = 0x41;
        assert!(!is_compound(&two));
        two[8] = 0x81;
        two[9] = 0;
        assert!(!is_compound(&two));
    }
}
