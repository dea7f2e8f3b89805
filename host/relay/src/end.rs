//! One party's end of a stream: what may come in from it, and how it is sent to.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use media::gate::{
    Admission, Bounds, Component, PacketKind, RtcpHeader, RtpHeader, SourceLatch, classify,
};
use media::{EndPlan, Protection, Rejection, StreamKind};

use crate::backend::{Outgoing, RECEIVE_BYTES};
use crate::retired::Retired;
use crate::shield::{FlowStart, Shield, rejection};
use crate::slots::Key;
use crate::tally::Tally;

/// How a datagram came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) component: Component,
    pub(crate) source: SocketAddr,
    pub(crate) now: Instant,
    /// The same in microseconds since the worker began.
    pub(crate) now_us: u64,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rtp(RtpHeader),
    Rtcp,
    Dtls,
    Udptl,
}

/// What became of a datagram that its gate let in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admitted {
    /// Media or a report, unprotected, of this length.
    Media(Kind, usize),
    /// Part of a handshake with us.
    Handshake,
}

/// A datagram that stays here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Counted, and mostly told of.
    Rejected(Rejection),
    /// Perhaps the party's: the next one will show. Counted as of a foreign source.
    Probation,
}

impl From<Rejection> for Dropped {
    fn from(rejection: Rejection) -> Self {
        Dropped::Rejected(rejection)
    }
}

/// Two of something: for RTP and for RTCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByComponent<T> {
    pub(crate) rtp: T,
    pub(crate) rtcp: T,
}

impl<T> ByComponent<T> {
    pub(crate) fn of(&self, component: Component) -> &T {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }

    pub(crate) fn of_mut(&mut self, component: Component) -> &mut T {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) plan: EndPlan,
    pub(crate) sockets: ByComponent<Option<Key>>,
    pub(crate) shield: Shield,
    pub(crate) tally: Tally,
    /// When the last packet that passed every check came.
    pub(crate) heard: Option<Instant>,
    latch: Option<SourceLatch>,
    bounds: ByComponent<Bounds>,
    retired: Retired,
}

impl End {
    /// An end for which nothing is known yet but its ports.
    pub(crate) fn new(plan: &EndPlan) -> Self {
        let bounds = Bounds::new(plan.packets_per_second, plan.packet_bytes, 0);
        End {
            plan: EndPlan {
                remote: None,
                protection: Protection::Closed,
                ..plan.clone()
            },
            sockets: ByComponent::default(),
            shield: Shield::Closed,
            tally: Tally::default(),
            heard: None,
            latch: None,
            bounds: ByComponent {
                rtp: bounds,
                rtcp: bounds,
            },
            retired: Retired::default(),
        }
    }

    /// Follows a new plan. Who was confirmed stays so while the party's address does.
    pub(crate) fn apply(&mut self, plan: EndPlan, start: &FlowStart<'_>) {
        match (&mut self.latch, &plan.remote) {
            // Fax after speech has sequence numbers of its own, often from the same port.
            (Some(latch), Some(remote))
                if self.plan.local == plan.local && self.plan.kind == plan.kind =>
            {
                latch.update(remote);
            }
            (latch, remote) => *latch = remote.clone().map(SourceLatch::new),
        }
        for bounds in [&mut self.bounds.rtp, &mut self.bounds.rtcp] {
            bounds.update(plan.packets_per_second, plan.packet_bytes);
        }
        self.follow(&plan.protection, start);
        self.plan = plan;
    }

    /// Nothing passes any more.
    pub(crate) fn shut(&mut self) {
        let shield = std::mem::take(&mut self.shield);
        let before = std::mem::replace(&mut self.plan.protection, Protection::Closed);
        self.retired.retire(shield, &before);
    }

    fn follow(&mut self, protection: &Protection, start: &FlowStart<'_>) {
        let shield = std::mem::take(&mut self.shield);
        self.shield = shield
            .renewed(&self.plan.protection, protection, &mut self.retired, start)
            .unwrap_or_else(|error| {
                // The room that made the plan checks lengths, so this is ours.
                tracing::error!(%error, "a key of the plan makes no SRTP context");
                Shield::Closed
            });
    }

    /// Whether the party is known and media with it may flow.
    pub(crate) fn is_open(&self) -> bool {
        self.latch.is_some() && !matches!(self.shield, Shield::Closed)
    }

    /// Checks a datagram that came in on the party's side, and opens it. Nothing is
    /// remembered of one that fails, so it can move no latch and put off no timeout.
    pub(crate) fn admit(
        &mut self,
        arrival: Arrival,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Admitted, Dropped> {
        let Some(latch) = &self.latch else {
            return Err(Rejection::Closed.into());
        };
        if matches!(self.shield, Shield::Closed) {
            return Err(Rejection::Closed.into());
        }
        if !latch.screen(arrival.source, arrival.component) {
            return Err(Rejection::Source.into());
        }
        if length > usize::from(self.plan.packet_bytes) || length >= RECEIVE_BYTES {
            return Err(Rejection::Size.into());
        }
        let kind = self.kind(arrival.component, buffer.get(..length).unwrap_or_default())?;
        if kind == Kind::Dtls {
            return Ok(self.admit_handshake(arrival, length)?);
        }
        if !self.shield.has_keys(arrival.component) {
            return Err(Rejection::Closed.into());
        }
        let opened = self
            .shield
            .open(kind, arrival.component, buffer, length)
            .map_err(rejection)?;
        self.admit_opened(kind, arrival, buffer.get(..opened).unwrap_or_default())?;
        // After the question whose it is: others must not use the party's share up.
        let bounds = match kind {
            Kind::Rtcp => &mut self.bounds.rtcp,
            _ => &mut self.bounds.rtp,
        };
        bounds.check(length, arrival.now_us)?;
        self.heard = Some(arrival.now);
        Ok(Admitted::Media(kind, opened))
    }

    /// What a datagram is, if the plan has it: on this port, in this direction.
    fn kind(&self, component: Component, datagram: &[u8]) -> Result<Kind, Rejection> {
        let plan = &self.plan;
        let on_rtp = component == Component::Rtp;
        if plan.kind == StreamKind::Udptl {
            return if plan.sends {
                Ok(Kind::Udptl)
            } else {
                Err(Rejection::Closed)
            };
        }
        match classify(datagram) {
            PacketKind::Rtp if on_rtp => {
                let head = RtpHeader::read(datagram).ok_or(Rejection::Malformed)?;
                let allowed = plan.payload_types;
                if allowed != 0 && allowed >> head.payload_type & 1 == 0 {
                    Err(Rejection::Malformed)
                } else if plan.sends {
                    Ok(Kind::Rtp(head))
                } else {
                    Err(Rejection::Closed)
                }
            }
            PacketKind::Rtcp if on_rtp == plan.rtcp_mux => Ok(Kind::Rtcp),
            PacketKind::Dtls if on_rtp || !plan.rtcp_mux => Ok(Kind::Dtls),
            _ => Err(Rejection::Malformed),
        }
    }

    /// A handshake is with us, or between the parties when they keep the keys.
    fn admit_handshake(&mut self, arrival: Arrival, length: usize) -> Result<Admitted, Rejection> {
        let Arrival {
            component, source, ..
        } = arrival;
        let Some(latch) = &mut self.latch else {
            return Err(Rejection::Closed);
        };
        if matches!(self.shield, Shield::Passthrough) {
            self.bounds.rtcp.check(length, arrival.now_us)?;
            // Nobody else could complete it, so the first that fits is believed.
            latch.confirm(source, component);
            return Ok(Admitted::Media(Kind::Dtls, length));
        }
        let Some(flow) = self.shield.flow_mut(component) else {
            return Err(Rejection::Malformed);
        };
        if latch.destination(component) != Some(source) {
            flow.hears(source, arrival.now)?;
        }
        flow.budget.check(length, arrival.now_us)?;
        Ok(Admitted::Handshake)
    }

    /// Whose a packet is, now that its protection is off.
    fn admit_opened(&mut self, kind: Kind, arrival: Arrival, packet: &[u8]) -> Result<(), Dropped> {
        let Arrival {
            component,
            source,
            now_us,
            ..
        } = arrival;
        let authentic = self.shield.authenticates();
        let Some(latch) = &mut self.latch else {
            return Err(Rejection::Closed.into());
        };
        let admission = match kind {
            Kind::Rtp(head) => latch.admit_rtp(source, head.ssrc, head.sequence, authentic, now_us),
            Kind::Udptl => {
                let sequence = packet.first_chunk().copied().map(u16::from_be_bytes);
                let sequence = sequence.ok_or(Rejection::Malformed)?;
                latch.admit_rtp(source, 0, sequence, false, now_us)
            }
            Kind::Rtcp | Kind::Dtls => {
                let head = if matches!(self.shield, Shield::Passthrough) {
                    RtcpHeader::read(packet)
                } else {
                    RtcpHeader::read_compound(packet, true)
                };
                let ssrc = head.ok_or(Rejection::Malformed)?.ssrc;
                latch.admit_rtcp(source, ssrc, component, authentic)
            }
        };
        match admission {
            Admission::Relay | Admission::Latched => Ok(()),
            Admission::Probation => Err(Dropped::Probation),
            Admission::Rejected(rejection) => Err(rejection.into()),
        }
    }

    /// Reads what [`End::admit`] will need.
    pub(crate) fn warm_receiving(&self) {
        black_box(
            self.latch
                .as_ref()
                .and_then(|it| it.latched(Component::Rtp)),
        );
        black_box((self.plan.packet_bytes, self.plan.payload_types));
        black_box((self.bounds.rtp, self.heard));
        self.tally.warm();
        black_box(std::mem::discriminant(&self.shield));
    }

    /// Reads what [`End::emit`] will need.
    pub(crate) fn warm_sending(&self) {
        black_box(
            self.latch
                .as_ref()
                .and_then(|it| it.latched(Component::Rtp)),
        );
        black_box((self.plan.receives, self.sockets.rtp));
        black_box(std::mem::discriminant(&self.shield));
    }

    /// Protects a packet for the party and says where it goes.
    pub(crate) fn emit(
        &mut self,
        kind: Kind,
        arrived_on: Component,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Outgoing, Rejection> {
        let component = match kind {
            Kind::Rtp(_) | Kind::Udptl => {
                if !self.plan.receives {
                    return Err(Rejection::Closed);
                }
                Component::Rtp
            }
            Kind::Rtcp if self.plan.rtcp_mux => Component::Rtp,
            Kind::Rtcp => Component::Rtcp,
            Kind::Dtls => arrived_on,
        };
        let socket = self.sockets.of(component).ok_or(Rejection::Closed)?;
        let latch = self.latch.as_ref().ok_or(Rejection::Closed)?;
        let to = latch.destination(component).ok_or(Rejection::Closed)?;
        if !self.shield.has_keys(component) {
            return Err(Rejection::Closed);
        }
        let length = self
            .shield
            .close(kind, component, buffer, length)
            .map_err(rejection)?;
        Ok(Outgoing { socket, to, length })
    }

    /// Where our part of a handshake goes.
    pub(crate) fn handshake_target(&mut self, component: Component) -> Option<SocketAddr> {
        let latch = self.latch.as_ref()?;
        if let Some(latched) = latch.latched(component) {
            return Some(latched);
        }
        let heard = self
            .shield
            .flow_mut(component)
            .and_then(|flow| flow.heard_from);
        match heard {
            Some((source, _)) => Some(source),
            None => latch.destination(component),
        }
    }

    /// The party has completed a handshake from that source.
    pub(crate) fn confirm(&mut self, component: Component, source: SocketAddr) {
        if let Some(latch) = &mut self.latch {
            latch.confirm(source, component);
        }
    }
}
