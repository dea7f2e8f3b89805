//! Sockets as SIP wants them: shared by workers, of one address family.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::DatagramLimits;

/// Connections that the kernel holds for a busy worker: 1,024.
const BACKLOG: i32 = 1_024;

/// Silence before the kernel asks whether the peer is still there, and the pause
/// before it asks again.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// A peer that has acknowledged nothing for so long, neither data nor three
/// questions of the kernel, is gone: 30 s, so that whoever comes after a failed
/// transaction (32 s) finds a new connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

fn bind(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // Peers would otherwise appear as IPv4-mapped addresses, which no list matches.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A blocking socket; a thread waits in it.
pub(crate) fn bind_udp(address: SocketAddr, limits: &DatagramLimits) -> io::Result<UdpSocket> {
    let socket = bind(address, Type::DGRAM, Protocol::UDP)?;
    // The kernel's own maximum wins; less than asked is no reason to fail.
    let _ = socket.set_recv_buffer_size(limits.receive_buffer);
    let _ = socket.set_send_buffer_size(limits.send_buffer);
    if address.ip().is_unspecified() {
        // Only then is the address that a datagram was sent to unknown.
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    Ok(socket.into())
}

pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address, Type::STREAM, Protocol::TCP)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket to connect from, bound to the listener's address if that is one address.
pub(crate) fn outbound(peer: SocketAddr, local: IpAddr) -> io::Result<tokio::net::TcpSocket> {
    let socket = match peer {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    if !local.is_unspecified() {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    Ok(socket)
}

/// Options of every connection. None is worth losing a connection for.
pub(crate) fn tune(stream: &tokio::net::TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}
