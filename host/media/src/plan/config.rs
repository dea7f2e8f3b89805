//! What the operator says of interfaces and peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{Fingerprint, MediaLimits, MediaTimeouts, Mode};

/// What configuration says of the peer on one leg.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// What may be offered to it and accepted from it, most preferred first.
    ///
    /// A list that holds `Plain` after a secure mode makes an opportunistic offer
    /// (RFC 8643: `RTP/AVP` with keys), a list without `Plain` a strict one.
    /// `Passthrough` counts when it stands first on both legs.
    pub modes: SmallVec<[Mode; 4]>,
    /// Index into [`AnchorConfig::interfaces`].
    pub interface: u16,
    /// Which of the interface's addresses is advertised to it when its own SDP
    /// does not say.
    pub ipv6: bool,
    /// Its media may come from another address than it signals: the first source
    /// that fits is taken.
    pub nat: bool,
    /// Source address of its signalling. A private, loopback or link-local address
    /// in its SDP is followed only if this one is of the same class.
    pub signalling: IpAddr,
    /// Networks that its media may also come from and go to.
    pub networks: Arc<[IpNet]>,
}

/// Addresses and ports of one network that media is relayed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// IPv4 address that sockets are bound to.
    pub bind4: Option<Ipv4Addr>,
    /// IPv6 address that sockets are bound to.
    pub bind6: Option<Ipv6Addr>,
    /// IPv4 address written into SDP, if it is not the bound one.
    pub advertised4: Option<Ipv4Addr>,
    /// IPv6 address written into SDP, if it is not the bound one.
    pub advertised6: Option<Ipv6Addr>,
    /// Even ports are for RTP; RTCP has the next odd one.
    pub ports: RangeInclusive<u16>,
}

impl Interface {
    /// One address, bound and written into SDP, with these ports.
    #[must_use]
    pub fn at(address: IpAddr, ports: RangeInclusive<u16>) -> Self {
        let (bind4, bind6) = match address {
            IpAddr::V4(v4) => (Some(v4), None),
            IpAddr::V6(v6) => (None, Some(v6)),
        };
        Self {
            bind4,
            bind6,
            advertised4: None,
            advertised6: None,
            ports,
        }
    }

    /// Address that sockets of the family are bound to.
    #[must_use]
    pub fn bind(&self, ipv6: bool) -> Option<IpAddr> {
        if ipv6 {
            self.bind6.map(IpAddr::V6)
        } else {
            self.bind4.map(IpAddr::V4)
        }
    }

    /// Address that stands in SDP for the family.
    #[must_use]
    pub fn advertised(&self, ipv6: bool) -> Option<IpAddr> {
        let bound = self.bind(ipv6)?;
        let advertised = if ipv6 {
            self.advertised6.map(IpAddr::V6)
        } else {
            self.advertised4.map(IpAddr::V4)
        };
        Some(advertised.unwrap_or(bound))
    }

    /// The address is one of this interface's, bound or advertised.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.bind4 == Some(v4) || self.advertised4 == Some(v4),
            IpAddr::V6(v6) => self.bind6 == Some(v6) || self.advertised6 == Some(v6),
        }
    }
}

/// What one shard's anchor works with. On reload interfaces may be added at the
/// end and change their ports; an index keeps its meaning while calls last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorConfig {
    /// Networks that media is relayed on.
    pub interfaces: Vec<Interface>,
    /// Ceilings.
    pub limits: MediaLimits,
    /// This shard's index.
    pub shard: usize,
    /// Shards there are; each has its slice of the ports.
    pub shards: usize,
    /// Times after which the relay ends a call.
    pub timeouts: MediaTimeouts,
    /// Fingerprint of the relay's DTLS certificate; without it `Mode::Dtls` is
    /// neither offered nor accepted.
    pub fingerprint: Option<Fingerprint>,
}

impl AnchorConfig {
    /// For a host with one shard, without DTLS, and with the default of everything else.
    #[must_use]
    pub fn new(interfaces: Vec<Interface>) -> Self {
        Self {
            interfaces,
            limits: MediaLimits::default(),
            shard: 0,
            shards: 1,
            timeouts: MediaTimeouts::default(),
            fingerprint: None,
        }
    }
}

/// What cannot work in an [`AnchorConfig`]: the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// An advertised address has no bound one of its family, or none is bound.
    #[error("media interface {0} binds no address of an advertised family")]
    NoAddress(usize),
    /// An unspecified address would stand in SDP.
    #[error("media interface {0} binds every address and advertises none")]
    Unspecified(usize),
    /// Fewer port pairs than shards.
    #[error("media interface {0} has fewer port pairs than there are workers")]
    TooFewPorts(usize),
    /// Two interfaces would bind the same ports.
    #[error("media interfaces {0} and {1} share an address and ports")]
    Overlap(usize, usize),
    /// Port 0 cannot be named in SDP.
    #[error("media interface {0} includes port 0")]
    PortZero(usize),
}

impl AnchorConfig {
    /// Find what cannot work.
    ///
    /// # Errors
    /// The first [`ConfigFault`].
    pub fn check(&self) -> Result<(), ConfigFault> {
        for (index, interface) in self.interfaces.iter().enumerate() {
            check_interface(index, interface, self.shards.max(1))?;
            let earlier = self.interfaces.iter().take(index).enumerate();
            for (other, before) in earlier {
                let address = [false, true].into_iter().any(|ipv6| {
                    interface.bind(ipv6).is_some() && interface.bind(ipv6) == before.bind(ipv6)
                });
                let ports = interface.ports.start() <= before.ports.end()
                    && before.ports.start() <= interface.ports.end();
                if address && ports {
                    return Err(ConfigFault::Overlap(other, index));
                }
            }
        }
        Ok(())
    }
}

fn check_interface(index: usize, interface: &Interface, shards: usize) -> Result<(), ConfigFault> {
    let unbound = |ipv6: bool, advertised: bool| advertised && interface.bind(ipv6).is_none();
    if (interface.bind4.is_none() && interface.bind6.is_none())
        || unbound(false, interface.advertised4.is_some())
        || unbound(true, interface.advertised6.is_some())
    {
        return Err(ConfigFault::NoAddress(index));
    }
    if [false, true].into_iter().any(|ipv6| {
        interface
            .advertised(ipv6)
            .is_some_and(|address| address.is_unspecified())
    }) {
        return Err(ConfigFault::Unspecified(index));
    }
    if *interface.ports.start() == 0 {
        return Err(ConfigFault::PortZero(index));
    }
    let first = usize::from(*interface.ports.start()).next_multiple_of(2);
    let pairs = (usize::from(*interface.ports.end()) + 1).saturating_sub(first) / 2;
    if pairs < shards {
        return Err(ConfigFault::TooFewPorts(index));
    }
    Ok(())
}
