//! Where a party's media is, and whether what it says of that is believed.
//!
//! | address in SDP | followed |
//! |---|---|
//! | public | yes |
//! | in the peer's `networks` | yes |
//! | private, loopback, link-local | if the peer's signalling comes from that class |
//! | one of ours | if its signalling does too, and the port is not the relay's |
//! | multicast, reserved | never |
//! | host name | never: a relay that asks DNS can be sent anywhere |
//! | `0.0.0.0`, `::` | it means hold |
//!
//! A peer behind NAT whose address is not followed is waited for; without NAT its
//! stream is refused.

use std::net::{IpAddr, SocketAddr};

use smallvec::{SmallVec, smallvec};

use crate::sdp::description::Said;
use crate::{AddressClass, AnchorConfig, Latch, Remote, Terms, Unacceptable};

/// Below it are services; media that is sent there attacks them.
const LOWEST_PORT: u16 = 1_024;

/// The party's place as it describes it.
pub(super) fn remote(
    said: &Said,
    terms: &Terms,
    config: &AnchorConfig,
) -> Result<Remote, Unacceptable> {
    let (latch, sources): (_, SmallVec<[IpAddr; 1]>) = if terms.nat {
        (
            Latch::FirstFitting,
            smallvec![terms.signalling.to_canonical()],
        )
    } else {
        (Latch::Signalled, SmallVec::new())
    };
    let nowhere = Remote {
        rtp: None,
        rtcp: None,
        latch,
        sources,
        networks: std::sync::Arc::clone(&terms.networks),
    };
    if said.is_held_by_address() {
        return Ok(nowhere);
    }
    let Some(address) = said.address else {
        return if terms.nat {
            Ok(nowhere)
        } else {
            Err(Unacceptable::Address)
        };
    };
    let class = AddressClass::of(address, |_| false);
    if matches!(class, AddressClass::Multicast | AddressClass::Reserved) {
        return Err(Unacceptable::Address);
    }
    let rtp = SocketAddr::new(address, said.port);
    if !may_follow(rtp, terms, config) {
        return if terms.nat {
            Ok(nowhere)
        } else {
            Err(Unacceptable::Address)
        };
    }
    let rtcp = match said.rtcp {
        Some((port, other)) => Some(SocketAddr::new(other.unwrap_or(address), port)),
        None => said
            .port
            .checked_add(1)
            .map(|port| SocketAddr::new(address, port)),
    };
    let rtcp =
        rtcp.filter(|rtcp| rtcp.is_ipv6() == address.is_ipv6() && may_follow(*rtcp, terms, config));
    Ok(Remote {
        rtp: Some(rtp),
        rtcp,
        ..nowhere
    })
}

fn may_follow(target: SocketAddr, terms: &Terms, config: &AnchorConfig) -> bool {
    let (address, port) = (target.ip(), target.port());
    let class = AddressClass::of(address, |_| false);
    let addressable = !matches!(
        class,
        AddressClass::Multicast | AddressClass::Reserved | AddressClass::Unspecified
    );
    if port < LOWEST_PORT || !addressable {
        return false;
    }
    if terms
        .networks
        .iter()
        .any(|network| network.contains(&address))
    {
        return true;
    }
    let owns = |address: IpAddr| config.interfaces.iter().any(|each| each.owns(address));
    let signalling = terms.signalling.to_canonical();
    if owns(address) {
        let relayed = config
            .interfaces
            .iter()
            .any(|each| each.owns(address) && each.ports.contains(&port));
        return owns(signalling) && !relayed;
    }
    class == AddressClass::Public || class == AddressClass::of(signalling, |_| false)
}
