//! The transport field of an `m=` line: RFC 3551, 3711, 4585, 5124, 5764, and
//! ITU-T T.38 annex D.

use smallvec::SmallVec;

/// What keys the profile promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    /// `RTP/AVP`: none; keys beside it are an opportunistic offer (RFC 8643).
    Open,
    /// `RTP/SAVP`.
    Savp,
    /// `UDP/TLS/RTP/SAVP`.
    Tls,
}

/// An RTP profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) security: Security,
    /// Early feedback of RFC 4585: `AVPF` rather than `AVP`.
    pub(crate) feedback: bool,
}

impl Profile {
    pub(crate) const fn name(self) -> &'static str {
        match (self.security, self.feedback) {
            (Security::Open, false) => "RTP/AVP",
            (Security::Open, true) => "RTP/AVPF",
            (Security::Savp, false) => "RTP/SAVP",
            (Security::Savp, true) => "RTP/SAVPF",
            (Security::Tls, false) => "UDP/TLS/RTP/SAVP",
            (Security::Tls, true) => "UDP/TLS/RTP/SAVPF",
        }
    }

    pub(crate) const fn is_secure(self) -> bool {
        !matches!(self.security, Security::Open)
    }
}

/// The transport of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rtp(Profile),
    /// T.38.
    Udptl,
    /// Not ours to relay; the token is kept so that its place can be refused.
    Other(SmallVec<[u8; 24]>),
}

impl Protocol {
    pub(crate) fn read(text: &[u8]) -> Self {
        let profile = [Security::Open, Security::Savp, Security::Tls]
            .into_iter()
            .flat_map(|security| [false, true].map(|feedback| Profile { security, feedback }))
            .find(|profile| text.eq_ignore_ascii_case(profile.name().as_bytes()));
        match profile {
            Some(profile) => Self::Rtp(profile),
            None if text.eq_ignore_ascii_case(b"udptl") => Self::Udptl,
            None => Self::Other(SmallVec::from_slice(text)),
        }
    }

    pub(crate) fn name(&self) -> &[u8] {
        match self {
            Self::Rtp(profile) => profile.name().as_bytes(),
            Self::Udptl => b"udptl",
            Self::Other(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in [
            "RTP/AVP",
            "RTP/AVPF",
            "RTP/SAVP",
            "RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "UDP/TLS/RTP/SAVPF",
        ] {
            let protocol = Protocol::read(name.as_bytes());
            assert!(matches!(protocol, Protocol::Rtp(profile)
                if profile.is_secure() == name.contains("SAVP")
                    && profile.feedback == name.ends_with('F')));
            assert_eq!(protocol.name(), name.as_bytes());
        }
        assert_eq!(Protocol::read(b"UDPTL"), Protocol::Udptl);
        assert_eq!(Protocol::read(b"TCP/MSRP").name(), b"TCP/MSRP");
        assert!(matches!(
            Protocol::read(b"UDP/DTLS/SCTP"),
            Protocol::Other(_)
        ));
    }
}
