//! One party's end of a stream: what may come in from it, and how it is sent to.

use std::net::SocketAddr;
use std::time::Instant;

use media::{EndPlan, Rejection, StreamKind};

use crate::backend::{Outgoing, RECEIVE_BYTES};
use crate::meter::{Bucket, Pin};
use crate::packet::{self, Kind};
use crate::shield::{FlowStart, Shield, rejection};
use crate::slots::Key;
use crate::socket::Component;
use crate::source::{Source, Standing};
use crate::tally::Tally;

/// How a datagram came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) component: Component,
    pub(crate) source: SocketAddr,
    pub(crate) now: Instant,
    /// Microseconds since the worker began, for the jitter.
    pub(crate) at_us: u64,
}

/// What became of a datagram that its gate let in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admitted {
    /// Media or a report, unprotected, of this length.
    Media(Kind, usize),
    /// Part of a handshake with us.
    Handshake,
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
    sources: ByComponent<Source>,
    pin: Pin,
    rates: ByComponent<Bucket>,
}

impl End {
    /// An end to which nothing was done yet.
    pub(crate) fn new(plan: &EndPlan, now: Instant) -> Self {
        let rate = Bucket::new(plan.packets_per_second, now);
        End {
            plan: EndPlan {
                remote: None,
                protection: media::Protection::Closed,
                ..plan.clone()
            },
            sockets: ByComponent::default(),
            shield: Shield::Closed,
            tally: Tally::default(),
            heard: None,
            sources: ByComponent::default(),
            pin: Pin::default(),
            rates: ByComponent {
                rtp: rate,
                rtcp: rate,
            },
        }
    }

    /// Follows a new plan. Who was confirmed stays so while the party's address does.
    pub(crate) fn apply(&mut self, plan: EndPlan, start: &FlowStart<'_>) {
        let moved = self.plan.remote != plan.remote || self.plan.local != plan.local;
        if moved {
            self.sources = ByComponent::default();
            self.pin = Pin::default();
        }
        self.rates.rtp.set_rate(plan.packets_per_second);
        self.rates.rtcp.set_rate(plan.packets_per_second);
        let shield = std::mem::take(&mut self.shield);
        self.shield = shield
            .renewed(&self.plan.protection, &plan.protection, start)
            .unwrap_or_else(|error| {
                // The room that made the plan checks lengths, so this is ours.
                tracing::error!(%error, "a key of the plan makes no SRTP context");
                Shield::Closed
            });
        self.plan = plan;
    }

    /// Nothing passes any more.
    pub(crate) fn shut(&mut self) {
        self.shield = Shield::Closed;
        self.plan.protection = media::Protection::Closed;
    }

    /// Whether the party is known and media with it may flow.
    pub(crate) fn is_open(&self) -> bool {
        self.plan.remote.is_some() && !matches!(self.shield, Shield::Closed)
    }

    /// Checks a datagram from the party's side, and opens it.
    pub(crate) fn admit(
        &mut self,
        arrival: Arrival,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Admitted, Rejection> {
        let Some(remote) = &self.plan.remote else {
            return Err(Rejection::Closed);
        };
        if matches!(self.shield, Shield::Closed) {
            return Err(Rejection::Closed);
        }
        let component = arrival.component;
        let rtcp = component == Component::Rtcp;
        let standing = self
            .sources
            .of(component)
            .check(arrival.source, remote, rtcp)?;
        if length > usize::from(self.plan.packet_bytes) || length >= RECEIVE_BYTES {
            return Err(Rejection::Size);
        }
        let datagram = buffer.get(..length).ok_or(Rejection::Size)?;
        let kind = match self.plan.kind {
            StreamKind::Udptl => Kind::Udptl,
            StreamKind::Rtp => packet::read(datagram)?,
        };
        self.check_kind(kind, component)?;
        if kind == Kind::Dtls {
            return self.admit_handshake(standing, arrival, length);
        }
        let length = if self.shield.authenticates() {
            let opened = self.shield.open(kind, component, buffer, length);
            opened.map_err(rejection)?
        } else {
            self.check_clear(kind, standing, arrival, datagram)?;
            length
        };
        if matches!(kind, Kind::Rtcp(_))
            && !matches!(self.shield, Shield::Passthrough)
            && !packet::is_compound(buffer.get(..length).unwrap_or_default())
        {
            return Err(Rejection::Malformed);
        }
        let rate = match kind {
            Kind::Rtcp(_) => &mut self.rates.rtcp,
            _ => &mut self.rates.rtp,
        };
        rate.take(arrival.now)?;
        // Only here the packet is known to be the party's.
        self.sources.of_mut(component).confirm(arrival.source);
        self.heard = Some(arrival.now);
        Ok(Admitted::Media(kind, length))
    }

    /// Whether the plan has this kind of packet, on this port, in this direction.
    fn check_kind(&self, kind: Kind, component: Component) -> Result<(), Rejection> {
        let here = match kind {
            Kind::Rtcp(_) => self.plan.rtcp_mux == (component == Component::Rtp),
            Kind::Dtls => component == Component::Rtp || !self.plan.rtcp_mux,
            Kind::Rtp(_) | Kind::Udptl => component == Component::Rtp,
        };
        if !here {
            return Err(Rejection::Malformed);
        }
        if let Kind::Rtp(head) = kind {
            let allowed = self.plan.payload_types;
            if allowed != 0 && allowed >> head.payload_type & 1 == 0 {
                return Err(Rejection::Malformed);
            }
        }
        if matches!(kind, Kind::Rtp(_) | Kind::Udptl) && !self.plan.sends {
            return Err(Rejection::Closed);
        }
        Ok(())
    }

    /// A handshake is with us, or between the parties when they keep the keys.
    fn admit_handshake(
        &mut self,
        standing: Standing,
        arrival: Arrival,
        length: usize,
    ) -> Result<Admitted, Rejection> {
        if matches!(self.shield, Shield::Passthrough) {
            self.rates.rtcp.take(arrival.now)?;
            self.sources
                .of_mut(arrival.component)
                .confirm(arrival.source);
            return Ok(Admitted::Media(Kind::Dtls, length));
        }
        let Some(flow) = self.shield.flow_mut(arrival.component) else {
            return Err(Rejection::Malformed);
        };
        if standing == Standing::Fitting {
            flow.hears(arrival.source, arrival.now)?;
        }
        flow.budget.take(arrival.now)?;
        Ok(Admitted::Handshake)
    }

    /// Checks what carries no proof of its sender.
    fn check_clear(
        &mut self,
        kind: Kind,
        standing: Standing,
        arrival: Arrival,
        datagram: &[u8],
    ) -> Result<(), Rejection> {
        let Arrival { source, now, .. } = arrival;
        match kind {
            Kind::Rtp(head) => {
                if standing == Standing::Fitting {
                    self.sources.rtp.offer(source, head.ssrc, head.sequence)?;
                }
                self.pin.check(head.ssrc, now)
            }
            Kind::Rtcp(ssrc) => {
                self.pin.check_report(ssrc)?;
                // A report confirms nobody before media did.
                if standing == Standing::Fitting && !self.pin.is_set() {
                    return Err(Rejection::Source);
                }
                Ok(())
            }
            Kind::Udptl => {
                let sequence = datagram.first_chunk().copied().map(u16::from_be_bytes);
                let sequence = sequence.ok_or(Rejection::Malformed)?;
                if standing == Standing::Fitting {
                    self.sources.rtp.offer(source, 0, sequence)?;
                }
                Ok(())
            }
            Kind::Dtls => Err(Rejection::Malformed),
        }
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
            Kind::Rtcp(_) if self.plan.rtcp_mux => Component::Rtp,
            Kind::Rtcp(_) => Component::Rtcp,
            Kind::Dtls => arrived_on,
        };
        let socket = self.sockets.of(component).ok_or(Rejection::Closed)?;
        let to = self.target(component).ok_or(Rejection::Closed)?;
        if !self.shield.can_send(component) {
            return Err(Rejection::Closed);
        }
        let length = self
            .shield
            .close(kind, component, buffer, length)
            .map_err(rejection)?;
        Ok(Outgoing { socket, to, length })
    }

    /// Where packets for the party go.
    pub(crate) fn target(&mut self, component: Component) -> Option<SocketAddr> {
        if let Some(confirmed) = self.sources.of(component).confirmed() {
            return Some(confirmed);
        }
        let heard = self.shield.flow_mut(component).and_then(|flow| flow.heard_from);
        if let Some((source, _)) = heard {
            return Some(source);
        }
        let remote = self.plan.remote.as_ref()?;
        match component {
            Component::Rtp => remote.rtp,
            Component::Rtcp => remote.rtcp,
        }
    }

    /// The party proved itself by a handshake from where it was heard.
    pub(crate) fn confirm_handshake(&mut self, component: Component, source: Option<SocketAddr>) {
        if let Some(source) = source {
            self.sources.of_mut(component).confirm(source);
        }
    }
}
