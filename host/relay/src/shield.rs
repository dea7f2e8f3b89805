//! Protection of one leg: none, SRTP with keys from SDP, SRTP with keys from DTLS.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::gate::{Bounds, Component};
use media::{Protection, Rejection, Suite};
use srtp::{KeyError, ReceiveContext, SendContext, SrtpError};

use crate::dtls::{Handshake, Identity, Progress};
use crate::end::Kind;
use crate::retired::{Flows, Retired};

/// Contexts of one leg, or of one flow of it.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) send: SendContext,
    pub(crate) receive: ReceiveContext,
}

impl Keys {
    /// Whether the lifetime that the parties agreed on is over.
    fn exhausted(&self) -> bool {
        self.send.key().lifetime_reached() || self.receive.key().lifetime_reached()
    }
}

/// One flow with DTLS: RTP, and RTCP if it has a port of its own (RFC 5764 section 4.1).
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) handshake: Handshake,
    /// Datagrams that the party may have looked at.
    pub(crate) budget: Bounds,
    /// Where the party's handshake comes from before its source is confirmed, and
    /// since when.
    pub(crate) heard_from: Option<(SocketAddr, Instant)>,
    keys: Option<Keys>,
    failed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) enum Shield {
    /// Nothing passes.
    #[default]
    Closed,
    Plain,
    Passthrough,
    Sdes(Box<Keys>),
    Dtls(Flows),
}

/// A fitting source whose handshake goes nowhere for so long makes room for another.
const PATIENCE: Duration = Duration::from_secs(3);

impl Shield {
    /// What `protection` asks for. What this was goes to `retired`, and what is wanted
    /// again is taken from there.
    pub(crate) fn renewed(
        self,
        before: &Protection,
        protection: &Protection,
        retired: &mut Retired,
        start: &FlowStart<'_>,
    ) -> Result<Self, KeyError> {
        let dtls = matches!(protection, Protection::Dtls { .. });
        if dtls && before == protection {
            return Ok(self.with_flows(protection, start));
        }
        retired.retire(self, before);
        Ok(match protection {
            Protection::Closed => Shield::Closed,
            Protection::Plain => Shield::Plain,
            Protection::Passthrough => Shield::Passthrough,
            Protection::Sdes { send, receive } => {
                Shield::Sdes(Box::new(retired.keys(send, receive)?))
            }
            Protection::Dtls { .. } => {
                let flows = retired.flows(protection).unwrap_or_default();
                Shield::Dtls(flows).with_flows(protection, start)
            }
        })
    }

    /// Starts the handshakes that are missing.
    fn with_flows(mut self, protection: &Protection, start: &FlowStart<'_>) -> Self {
        if let (
            Shield::Dtls(flows),
            Protection::Dtls {
                active,
                fingerprints,
            },
        ) = (&mut self, protection)
        {
            for (index, flow) in flows.iter_mut().enumerate() {
                let wanted = index == 0 || start.rtcp;
                if flow.is_none() && wanted {
                    *flow = Some(Flow {
                        handshake: Handshake::new(
                            start.identity,
                            *active,
                            fingerprints.clone(),
                            start.now,
                            start.setup,
                        ),
                        budget: Bounds::new(start.per_second, u16::MAX, start.now_us),
                        heard_from: None,
                        keys: None,
                        failed: false,
                    });
                }
            }
        }
        self
    }

    /// The flow of DTLS that a component belongs to.
    pub(crate) fn flow_mut(&mut self, component: Component) -> Option<&mut Flow> {
        let Shield::Dtls(flows) = self else {
            return None;
        };
        let [rtp, rtcp] = flows.as_mut();
        match component {
            Component::Rtp => rtp.as_mut(),
            Component::Rtcp => rtcp.as_mut(),
        }
    }

    fn keys_mut(&mut self, component: Component) -> Option<&mut Keys> {
        match self {
            Shield::Sdes(keys) => Some(keys),
            Shield::Dtls(_) => self.flow_mut(component)?.keys.as_mut(),
            _ => None,
        }
    }

    fn keys(&self, component: Component) -> Option<&Keys> {
        match (self, component) {
            (Shield::Sdes(keys), _) => Some(keys),
            (Shield::Dtls(flows), Component::Rtp) => flows.first()?.as_ref()?.keys.as_ref(),
            (Shield::Dtls(flows), Component::Rtcp) => flows.last()?.as_ref()?.keys.as_ref(),
            _ => None,
        }
    }

    /// Reads what [`Shield::open`] will need.
    pub(crate) fn warm_receiving(&self, component: Component) {
        black_box(self.keys(component).map(|keys| {
            let key = keys.receive.key();
            (
                keys.receive.rollover_counter(0),
                key.usage(),
                key.rtp_overhead(),
            )
        }));
    }

    /// Reads what [`Shield::close`] will need.
    pub(crate) fn warm_sending(&self, component: Component) {
        black_box(self.keys(component).map(|keys| {
            let key = keys.send.key();
            (
                keys.send.rollover_counter(0),
                key.usage(),
                key.rtp_overhead(),
            )
        }));
    }

    /// Whether packets prove by themselves who sent them.
    pub(crate) fn authenticates(&self) -> bool {
        matches!(self, Shield::Sdes(_) | Shield::Dtls(_))
    }

    /// The keys of a flow that needs them; none where packets pass as they are.
    ///
    /// # Errors
    /// It needs keys and has none.
    fn keys_if_any(&mut self, component: Component) -> Result<Option<&mut Keys>, SrtpError> {
        if matches!(self, Shield::Plain | Shield::Passthrough) {
            return Ok(None);
        }
        let keys = self.keys_mut(component);
        keys.map(Some).ok_or(SrtpError::Authentication)
    }

    /// Opens a packet in place; its length without protection.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        component: Component,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        let Some(keys) = self.keys_if_any(component)? else {
            return Ok(length);
        };
        match kind {
            Kind::Rtcp => keys.receive.unprotect_rtcp(buffer, length),
            _ => keys.receive.unprotect_rtp(buffer, length),
        }
    }

    /// Whether packets can be opened and closed now.
    pub(crate) fn has_keys(&mut self, component: Component) -> bool {
        match self {
            Shield::Closed => false,
            Shield::Plain | Shield::Passthrough => true,
            Shield::Sdes(_) | Shield::Dtls(_) => self.keys_mut(component).is_some(),
        }
    }

    /// Closes a packet in place for this party; its length with protection.
    pub(crate) fn close(
        &mut self,
        kind: Kind,
        component: Component,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        let Some(keys) = self.keys_if_any(component)? else {
            return Ok(length);
        };
        match kind {
            Kind::Rtcp => keys.send.protect_rtcp(buffer, length),
            _ => keys.send.protect_rtp(buffer, length),
        }
    }

    /// Whether an agreed lifetime of a key is over.
    pub(crate) fn exhausted(&self) -> bool {
        match self {
            Shield::Sdes(keys) => keys.exhausted(),
            Shield::Dtls(flows) => flows.iter().flatten().any(|flow| {
                let keys = flow.keys.as_ref();
                keys.is_some_and(Keys::exhausted)
            }),
            _ => false,
        }
    }

    /// What operators call it.
    pub(crate) fn cipher(&self) -> &'static str {
        let suite = |keys: &Keys| Suite::name(keys.receive.key().suite());
        match self {
            Shield::Closed | Shield::Plain => "none",
            Shield::Passthrough => "unknown",
            Shield::Sdes(keys) => suite(keys),
            Shield::Dtls(flows) => {
                let keys = flows.iter().flatten().find_map(|flow| flow.keys.as_ref());
                keys.map_or("none", suite)
            }
        }
    }
}

/// What a handshake is started with.
#[derive(Debug)]
pub(crate) struct FlowStart<'a> {
    pub(crate) identity: &'a Arc<Identity>,
    pub(crate) now: Instant,
    pub(crate) now_us: u64,
    pub(crate) setup: Duration,
    pub(crate) per_second: u32,
    /// RTCP has a port of its own, and so a handshake.
    pub(crate) rtcp: bool,
}

impl Flow {
    /// Whether a datagram from a source that is not confirmed may be looked at: the
    /// first keeps the handshake for a while.
    pub(crate) fn hears(&mut self, source: SocketAddr, now: Instant) -> Result<(), Rejection> {
        match self.heard_from {
            Some((before, _)) if before == source => Ok(()),
            Some((_, since)) if now.saturating_duration_since(since) < PATIENCE => {
                Err(Rejection::Source)
            }
            _ => {
                self.heard_from = Some((source, now));
                Ok(())
            }
        }
    }

    /// When the handshake wants to be driven.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.failed {
            return None;
        }
        self.handshake.poll_timeout()
    }

    /// What a step of the handshake means: the reason if it failed just now, and
    /// whether the keys are there since just now.
    pub(crate) fn settle(&mut self, progress: Progress) -> Settled {
        match progress {
            Progress::Established(keys) => {
                let (send, receive) = *keys;
                // Keys of a handshake are new.
                match Retired::default().keys(&send, &receive) {
                    Ok(keys) => {
                        self.keys = Some(keys);
                        Settled::Open
                    }
                    Err(error) => self.fail(error.to_string()),
                }
            }
            Progress::Failed(reason) => self.fail(reason),
            Progress::Waiting => Settled::Nothing,
        }
    }

    fn fail(&mut self, reason: String) -> Settled {
        if self.failed {
            return Settled::Nothing;
        }
        self.failed = true;
        Settled::Failed(reason)
    }

    /// Whether media may flow.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether it is given up.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }
}

/// See [`Flow::settle`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Nothing,
    Open,
    Failed(String),
}

/// What operators and policies are told of a packet that could not be opened.
pub(crate) fn rejection(error: SrtpError) -> Rejection {
    match error {
        SrtpError::Malformed(_) => Rejection::Malformed,
        SrtpError::Replay => Rejection::Replay,
        SrtpError::TooManySources => Rejection::Ssrc,
        SrtpError::Capacity => Rejection::Size,
        SrtpError::KeyExhausted => Rejection::Closed,
        SrtpError::Authentication | SrtpError::Cipher => Rejection::Authentication,
    }
}
