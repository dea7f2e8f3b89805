//! Protection of one leg: none, SRTP with keys from SDP, SRTP with keys from DTLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::gate::{Bounds, Component};
use media::{KeyMaterial, Protection, Rejection, Suite};
use srtp::{ContextLimits, KeyError, ReceiveContext, SendContext, SrtpError};

use crate::dtls::{Handshake, Identity, Progress};
use crate::end::Kind;

/// Contexts of one leg, or of one flow of it.
#[derive(Debug)]
pub(crate) struct Keys {
    send: SendContext,
    receive: ReceiveContext,
}

impl Keys {
    fn new(send: &KeyMaterial, receive: &KeyMaterial) -> Result<Self, KeyError> {
        let limits = ContextLimits::default();
        Ok(Keys {
            send: SendContext::new(send, limits)?,
            receive: ReceiveContext::new(receive, limits)?,
        })
    }

    /// Whether the lifetime that the parties agreed on is over.
    fn exhausted(&self) -> bool {
        self.send.lifetime_reached() || self.receive.lifetime_reached()
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
    Dtls(Box<[Option<Flow>; 2]>),
}

/// A fitting source whose handshake goes nowhere for so long makes room for another.
const PATIENCE: Duration = Duration::from_secs(3);

impl Shield {
    /// What `protection` asks for. Contexts whose key stays are kept: a key that began
    /// anew would use its indices twice, and would accept what it had accepted.
    pub(crate) fn renewed(
        self,
        before: &Protection,
        protection: &Protection,
        start: &FlowStart<'_>,
    ) -> Result<Self, KeyError> {
        if matches!(protection, Protection::Dtls { .. }) && before == protection {
            return Ok(self.with_flows(protection, start));
        }
        Ok(match protection {
            Protection::Closed => Shield::Closed,
            Protection::Plain => Shield::Plain,
            Protection::Passthrough => Shield::Passthrough,
            Protection::Sdes { send, receive } => {
                let mut keys = Keys::new(send, receive)?;
                if let (
                    Shield::Sdes(old),
                    Protection::Sdes {
                        send: old_send,
                        receive: old_receive,
                    },
                ) = (self, before)
                {
                    let old = *old;
                    if old_send == send {
                        keys.send = old.send;
                    }
                    if old_receive == receive {
                        keys.receive = old.receive;
                    }
                }
                Shield::Sdes(Box::new(keys))
            }
            Protection::Dtls { .. } => {
                Shield::Dtls(Box::new([None, None])).with_flows(protection, start)
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
        let suite = |keys: &Keys| Suite::name(keys.receive.suite());
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
                match Keys::new(&send, &receive) {
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
