//! Sockets of streams: one for RTP, one for RTCP unless both share it (RFC 3550
//! section 11, RFC 5761).
//!
//! They are not connected to the party's address, although the kernel's path would be
//! a little shorter: a connected socket hides packets from other sources, which must
//! be counted and reported, and a second socket on the port would double them all.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use media::gate::Component;
use media::{Interface, LocalPorts};
use socket2::{Domain, Protocol, Socket, Type};

/// A bound socket on its way to the worker.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) local: LocalPorts,
    pub(crate) component: Component,
    pub(crate) socket: UdpSocket,
}

/// Binds one socket of `local`, without `SO_REUSEADDR`: a port that anyone else has
/// is refused, and nobody can take ours.
pub(crate) fn open(
    interfaces: &[Interface],
    local: LocalPorts,
    component: Component,
) -> io::Result<Opened> {
    let address = address(interfaces, local, component)
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // Sources would otherwise appear as IPv4-mapped addresses.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(Opened {
        local,
        component,
        socket: socket.into(),
    })
}

fn address(
    interfaces: &[Interface],
    local: LocalPorts,
    component: Component,
) -> Option<SocketAddr> {
    let interface = interfaces.get(usize::from(local.interface))?;
    let port = match component {
        Component::Rtp => local.rtp,
        Component::Rtcp => local.rtcp(),
    };
    Some(SocketAddr::new(interface.bind(local.ipv6)?, port))
}
