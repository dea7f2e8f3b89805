//! Whose packets a port takes: the source that was signalled or, behind NAT, the
//! first one that fits.
//!
//! ```text
//!             fits, not confirmed              two in sequence,
//!             (probation)                      or authentic
//!   Waiting ─────────────────────► Candidate ─────────────────► Latched
//!      │            exactly the signalled source                   │
//!      └──────────────────────────────────────────────────────────►│
//!      ▲                 another remote was agreed                 │
//!      └───────────────────────────────────────────────────────────┘
//! ```
//!
//! Probation is RFC 3550 appendix A.1 with `MIN_SEQUENTIAL` of 2. A latched source
//! keeps its synchronisation source (SSRC) as well: another one from the same
//! address is taken only after the first has been silent, or when SRTP vouches
//! for it.

use std::net::SocketAddr;

use crate::{Latch, Rejection, Remote};

/// How long a plain stream's SSRC must be silent before another from the same
/// source takes its place: longer than a lost burst, shorter than a party waits
/// for a voice after a transfer.
pub const SSRC_SILENCE_US: u64 = 1_000_000;

/// Sources that may be on probation at once. A spray from one fitting address with
/// many ports must not push the right one out for long.
const CANDIDATES: usize = 4;

/// Which flow of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// Media, and RTCP where both share a port.
    Rtp,
    /// Control on its own port.
    Rtcp,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is the party's.
    Relay,
    /// It is the party's, and the first from this source: where to send has changed.
    Latched,
    /// It may be; the next one decides. Not relayed, not an attack.
    Probation,
    /// It is not.
    Rejected(Rejection),
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
}

#[derive(Debug, Clone, Copy)]
struct Speaker {
    ssrc: u32,
    heard_us: u64,
    /// One that may follow: its SSRC and last sequence number.
    next: Option<(u32, u16)>,
}

/// The latch of one party on one stream.
#[derive(Debug, Clone)]
pub struct SourceLatch {
    remote: Remote,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    speaker: Option<Speaker>,
    /// SSRC of a party's RTCP while it sends no RTP.
    reporter: Option<u32>,
    candidates: [Option<Candidate>; CANDIDATES],
    oldest: usize,
}

impl SourceLatch {
    /// A latch that waits for that party.
    #[must_use]
    pub const fn new(remote: Remote) -> Self {
        Self {
            remote,
            rtp: None,
            rtcp: None,
            speaker: None,
            reporter: None,
            candidates: [None; CANDIDATES],
            oldest: 0,
        }
    }

    /// What was agreed again. The same remote changes nothing, so that a re-INVITE
    /// opens no gap; another one begins anew.
    pub fn update(&mut self, remote: &Remote) {
        if self.remote != *remote {
            *self = Self::new(remote.clone());
        }
    }

    /// The cheap question before any cipher: may a packet from there be the
    /// party's at all?
    #[must_use]
    pub fn screen(&self, source: SocketAddr, component: Component) -> bool {
        match self.latched(component) {
            Some(latched) => latched == source,
            None => self.fits(source, component),
        }
    }

    /// Where this party's packets go: the latched source, else the signalled
    /// address.
    #[must_use]
    pub fn destination(&self, component: Component) -> Option<SocketAddr> {
        self.latched(component).or(match component {
            Component::Rtp => self.remote.rtp,
            Component::Rtcp => self.remote.rtcp,
        })
    }

    /// The source that was found.
    #[must_use]
    pub const fn latched(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.rtp,
            Component::Rtcp => self.rtcp,
        }
    }

    /// The SSRC that the party's media has.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.speaker.map(|speaker| speaker.ssrc)
    }

    /// A DTLS handshake with that source ended well: it is the party.
    pub fn confirm(&mut self, source: SocketAddr, component: Component) {
        if self.screen(source, component) {
            *self.slot(component) = Some(source);
        }
    }

    /// An RTP packet (or a UDPTL one, with SSRC 0) that is well formed and, if
    /// `authentic`, whose SRTP tag was right.
    pub fn admit_rtp(
        &mut self,
        source: SocketAddr,
        ssrc: u32,
        sequence: u16,
        authentic: bool,
        now_us: u64,
    ) -> Admission {
        match self.rtp {
            Some(latched) if latched == source => {
                self.admit_speaker(ssrc, sequence, authentic, now_us)
            }
            Some(_) => Admission::Rejected(Rejection::Source),
            None if !self.fits(source, Component::Rtp) => Admission::Rejected(Rejection::Source),
            None => {
                let known = authentic || self.remote.rtp == Some(source);
                if !known && !self.follows_candidate(source, ssrc, sequence) {
                    return Admission::Probation;
                }
                self.rtp = Some(source);
                self.candidates = [None; CANDIDATES];
                self.speaker = Some(Speaker {
                    ssrc,
                    heard_us: now_us,
                    next: None,
                });
                Admission::Latched
            }
        }
    }

    /// An RTCP packet that is well formed and, if `authentic`, whose SRTCP tag was
    /// right. `component` is `Rtp` where both share a port. Clear RTCP must come
    /// from the media's address and have the media's SSRC, as far as they are known.
    pub fn admit_rtcp(
        &mut self,
        source: SocketAddr,
        ssrc: u32,
        component: Component,
        authentic: bool,
    ) -> Admission {
        if !self.screen(source, component) {
            return Admission::Rejected(Rejection::Source);
        }
        if !authentic {
            if self.rtp.is_some_and(|rtp| rtp.ip() != source.ip()) {
                return Admission::Rejected(Rejection::Source);
            }
            let known = self.ssrc().or(self.reporter);
            if known.is_some_and(|known| known != ssrc) {
                return Admission::Rejected(Rejection::Ssrc);
            }
        }
        if self.latched(component).is_some() {
            return Admission::Relay;
        }
        let signalled = match component {
            Component::Rtp => self.remote.rtp,
            Component::Rtcp => self.remote.rtcp,
        };
        // Control alone opens nothing behind NAT: it has no sequence to check.
        let vouched = authentic || signalled == Some(source) || self.is_beside_media(source);
        if !vouched {
            return Admission::Probation;
        }
        if self.speaker.is_none() {
            self.reporter = Some(ssrc);
        }
        // A shared port is latched by media, or by control that is authentic.
        if component == Component::Rtcp || authentic {
            *self.slot(component) = Some(source);
            return Admission::Latched;
        }
        Admission::Relay
    }

    fn admit_speaker(
        &mut self,
        ssrc: u32,
        sequence: u16,
        authentic: bool,
        now_us: u64,
    ) -> Admission {
        let Some(speaker) = &mut self.speaker else {
            self.speaker = Some(Speaker {
                ssrc,
                heard_us: now_us,
                next: None,
            });
            return Admission::Relay;
        };
        if speaker.ssrc == ssrc {
            speaker.heard_us = now_us;
            speaker.next = None;
            return Admission::Relay;
        }
        // SRTP vouches for every SSRC of its key; which one spoke last is kept for
        // the statistics only.
        if authentic {
            *speaker = Speaker {
                ssrc,
                heard_us: now_us,
                next: None,
            };
            return Admission::Relay;
        }
        if now_us.saturating_sub(speaker.heard_us) < SSRC_SILENCE_US {
            return Admission::Rejected(Rejection::Ssrc);
        }
        if speaker.next == Some((ssrc, sequence.wrapping_sub(1))) {
            *speaker = Speaker {
                ssrc,
                heard_us: now_us,
                next: None,
            };
            self.reporter = None;
            return Admission::Relay;
        }
        speaker.next = Some((ssrc, sequence));
        Admission::Probation
    }

    fn follows_candidate(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        for candidate in self.candidates.iter_mut().flatten() {
            if candidate.source == source {
                let follows =
                    candidate.ssrc == ssrc && candidate.sequence.wrapping_add(1) == sequence;
                (candidate.ssrc, candidate.sequence) = (ssrc, sequence);
                return follows;
            }
        }
        let place = self
            .candidates
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.oldest);
        self.oldest = (place + 1) % CANDIDATES;
        if let Some(slot) = self.candidates.get_mut(place) {
            *slot = Some(Candidate {
                source,
                ssrc,
                sequence,
            });
        }
        false
    }

    fn fits(&self, source: SocketAddr, component: Component) -> bool {
        if component == Component::Rtcp && self.is_beside_media(source) {
            return true;
        }
        self.remote.fits(source, component == Component::Rtcp)
    }

    /// A translator gives control a port that nobody signalled, but the address is that
    /// of the media, and so does a gateway that speaks from elsewhere. Where media comes
    /// from the signalled source, control does too.
    fn is_beside_media(&self, source: SocketAddr) -> bool {
        let elsewhere = self.remote.latch == Latch::FirstFitting || self.rtp != self.remote.rtp;
        elsewhere && self.rtp.is_some_and(|rtp| rtp.ip() == source.ip())
    }

    const fn slot(&mut self, component: Component) -> &mut Option<SocketAddr> {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }
}

#[cfg(test)]
#[path = "latch_tests.rs"]
mod tests;
