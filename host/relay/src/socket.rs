//! Sockets of streams: one for RTP, one for RTCP unless both share it (RFC 3550
//! section 11, RFC 5761).
//!
//! They are not connected to the party's address, although the kernel's path would be
//! a little shorter: a connected socket hides packets from other sources, which must
//! be counted and reported, and a second socket on the port would double them all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use media::gate::Component;
use media::{Interface, LocalPorts};
use socket2::{Domain, Protocol, Socket, Type};

/// Octets of an address as the kernel writes it: `struct sockaddr_in6`, the longer one.
pub(crate) const NAME: usize = 28;

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

/// A `struct sockaddr_in` or `struct sockaddr_in6` as the kernel wrote it.
pub(crate) fn kernel_address(name: &[u8; NAME]) -> Option<SocketAddr> {
    let [f0, f1, p0, p1, rest @ ..] = *name;
    let port = u16::from_be_bytes([p0, p1]);
    match i32::from(u16::from_ne_bytes([f0, f1])) {
        libc::AF_INET => {
            let octets: [u8; 4] = *rest.first_chunk()?;
            Some((Ipv4Addr::from(octets), port).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = *rest.get(4..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*rest.get(20..)?.first_chunk()?);
            let address = Ipv6Addr::from(octets);
            Some(SocketAddrV6::new(address, port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let mut name = [0; NAME];
        name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        name[2..8].copy_from_slice(&[0x13, 0xc4, 192, 0, 2, 7]);
        assert_eq!(
            kernel_address(&name),
            Some("192.0.2.7:5060".parse().unwrap())
        );
        name[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        name[4..].copy_from_slice(&[0; 24]);
        name[8..10].copy_from_slice(&[0x20, 0x01]);
        name[23] = 9;
        assert_eq!(
            kernel_address(&name),
            Some("[2001::9]:5060".parse().unwrap())
        );
        name[0] = 0xff;
        assert_eq!(kernel_address(&name), None);
    }
}
