//! Which source is the party's (RFC 7362 section 4 on latching), for one flow.
//!
//! The signalled address is believed at once. Any other must fit the plan and then show
//! that it speaks: authenticated by its SRTP tag, or, in the clear, by a second packet of
//! the same synchronization source that follows the first. The first of the two is
//! dropped, so that a single packet thrown at every port reaches nobody. Whoever is
//! confirmed stays; all others are foreign.

use std::net::SocketAddr;

use media::{Rejection, Remote};

/// The second packet may be so many after the first: 32, half a second of loss.
const FOLLOWS_WITHIN: u16 = 32;

/// What is known of a source before its packet was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The party's, confirmed or signalled.
    Known,
    /// Fits, and nobody is confirmed yet.
    Fitting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
}

/// The source of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source {
    confirmed: Option<SocketAddr>,
    candidate: Option<Candidate>,
}

impl Source {
    /// The address that was confirmed.
    pub(crate) fn confirmed(&self) -> Option<SocketAddr> {
        self.confirmed
    }

    /// Whether a packet from `source` may be looked at.
    pub(crate) fn check(
        &self,
        source: SocketAddr,
        remote: &Remote,
        rtcp: bool,
    ) -> Result<Standing, Rejection> {
        if let Some(confirmed) = self.confirmed {
            return if confirmed == source {
                Ok(Standing::Known)
            } else {
                Err(Rejection::Source)
            };
        }
        let signalled = if rtcp { remote.rtcp } else { remote.rtp };
        if signalled == Some(source) {
            Ok(Standing::Known)
        } else if remote.fits(source, rtcp) {
            Ok(Standing::Fitting)
        } else {
            Err(Rejection::Source)
        }
    }

    /// The party has proved itself from `source`.
    pub(crate) fn confirm(&mut self, source: SocketAddr) {
        self.confirmed = Some(source);
        self.candidate = None;
    }

    /// A fitting source sent RTP in the clear: confirmed if this follows its last one.
    pub(crate) fn offer(
        &mut self,
        source: SocketAddr,
        ssrc: u32,
        sequence: u16,
    ) -> Result<(), Rejection> {
        let follows = self.candidate.is_some_and(|before| {
            before.source == source
                && before.ssrc == ssrc
                && (1..=FOLLOWS_WITHIN).contains(&sequence.wrapping_sub(before.sequence))
        });
        if follows {
            self.confirm(source);
            return Ok(());
        }
        self.candidate = Some(Candidate {
            source,
            ssrc,
            sequence,
        });
        Err(Rejection::Source)
    }
}

#[cfg(test)]
mod tests {
    use media::Latch;
    use smallvec::smallvec;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn remote(latch: Latch) -> Remote {
        Remote {
            rtp: Some(address("192.0.2.1:4000")),
            rtcp: Some(address("192.0.2.1:4001")),
            latch,
            sources: smallvec!["198.51.100.7".parse().unwrap()],
            networks: [].into(),
        }
    }

    #[test]
    fn signalled_is_known_and_others_are_foreign() {
        let source = Source::default();
        let remote = remote(Latch::Signalled);
        let check = |from: &str, rtcp| source.check(address(from), &remote, rtcp);
        assert_eq!(check("192.0.2.1:4000", false), Ok(Standing::Known));
        assert_eq!(check("192.0.2.1:4001", true), Ok(Standing::Known));
        assert_eq!(check("192.0.2.1:4001", false), Err(Rejection::Source));
        assert_eq!(check("198.51.100.7:9", false), Err(Rejection::Source));
    }

    #[test]
    fn behind_nat_the_first_that_speaks_stays() {
        let mut source = Source::default();
        let remote = remote(Latch::FirstFitting);
        let (first, other) = (address("198.51.100.7:9"), address("198.51.100.7:10"));
        assert_eq!(source.check(first, &remote, false), Ok(Standing::Fitting));
        assert_eq!(source.offer(first, 1, 65_535), Err(Rejection::Source));
        // Another source, another stream, the same packet again: each starts over.
        assert_eq!(source.offer(other, 1, 0), Err(Rejection::Source));
        assert_eq!(source.offer(first, 1, 65_535), Err(Rejection::Source));
        assert_eq!(source.offer(first, 2, 0), Err(Rejection::Source));
        assert_eq!(source.offer(first, 2, 0), Err(Rejection::Source));
        assert_eq!(source.offer(first, 2, 33), Err(Rejection::Source));
        assert_eq!(source.offer(first, 2, 65), Ok(()));
        assert_eq!(source.confirmed(), Some(first));
        assert_eq!(source.check(first, &remote, false), Ok(Standing::Known));
        assert_eq!(source.check(other, &remote, false), Err(Rejection::Source));
        let signalled = address("192.0.2.1:4000");
        assert_eq!(source.check(signalled, &remote, false), Err(Rejection::Source));
    }
}
