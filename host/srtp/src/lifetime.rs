//! How much one master key may protect: RFC 3711 section 9.2, and the lifetime that SDES agrees
//! on (RFC 4568 section 6.1).

use crate::error::SrtpError;

/// SRTP packets that one master key may protect, all sources together.
pub const MAX_RTP_PACKETS: u64 = 1 << 48;

/// SRTCP packets that one master key may protect, all sources together.
pub const MAX_RTCP_PACKETS: u64 = 1 << 31;

/// What one master key has protected so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// SRTP packets sent, or received and authenticated.
    pub rtp_packets: u64,
    /// SRTCP packets sent, or received and authenticated.
    pub rtcp_packets: u64,
}

impl KeyUsage {
    /// May one more SRTP packet be protected?
    pub(crate) fn check_rtp(&self) -> Result<(), SrtpError> {
        if self.rtp_packets >= MAX_RTP_PACKETS {
            Err(SrtpError::KeyExhausted)
        } else {
            Ok(())
        }
    }

    /// May one more SRTCP packet be protected?
    pub(crate) fn check_rtcp(&self) -> Result<(), SrtpError> {
        if self.rtcp_packets >= MAX_RTCP_PACKETS {
            Err(SrtpError::KeyExhausted)
        } else {
            Ok(())
        }
    }

    /// Has SRTP or SRTCP used up `agreed` packets?
    pub(crate) fn reached(&self, agreed: Option<u64>) -> bool {
        agreed.is_some_and(|limit| self.rtp_packets >= limit || self.rtcp_packets >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_the_hard_limits() {
        let mut usage = KeyUsage {
            rtp_packets: MAX_RTP_PACKETS - 1,
            rtcp_packets: MAX_RTCP_PACKETS - 1,
        };
        assert_eq!(usage.check_rtp(), Ok(()));
        assert_eq!(usage.check_rtcp(), Ok(()));
        usage.rtp_packets += 1;
        usage.rtcp_packets += 1;
        assert_eq!(usage.check_rtp(), Err(SrtpError::KeyExhausted));
        assert_eq!(usage.check_rtcp(), Err(SrtpError::KeyExhausted));
    }

    #[test]
    fn both_sides_of_an_agreed_lifetime() {
        let usage = KeyUsage {
            rtp_packets: 10,
            rtcp_packets: 3,
        };
        assert!(!usage.reached(None));
        assert!(!usage.reached(Some(11)));
        assert!(usage.reached(Some(10)));
        let reports = KeyUsage {
            rtp_packets: 0,
            rtcp_packets: 3,
        };
        assert!(reports.reached(Some(3)));
        assert!(!reports.reached(Some(4)));
    }
}
