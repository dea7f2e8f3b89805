//! SIP by hand on one UDP socket: requests exactly as a test writes them, and whatever
//! comes.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_message::{Limits, Message};
use socket2::{Domain, Socket, Type};

/// Bytes that the kernel keeps for a test that is busy.
const RECEIVE_BYTES: usize = 4 << 20;
/// How long a test sleeps between two looks.
const BREATH: Duration = Duration::from_millis(1);

/// A UDP socket that does not block.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    local: SocketAddr,
}

/// A datagram.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// All of it.
    pub bytes: Bytes,
    /// Who sent it.
    pub source: SocketAddr,
}

impl Datagram {
    /// The SIP in it.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        Message::parse_datagram(self.bytes.clone(), &Limits::default()).ok()
    }
}

impl Wire {
    /// On a port; 0 for any.
    ///
    /// # Panics
    /// The port is taken.
    #[must_use]
    pub fn new(address: Ipv4Addr, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        // The system may give less.
        let _less = socket.set_recv_buffer_size(RECEIVE_BYTES);
        let wanted = SocketAddr::from((address, port));
        socket.bind(&wanted.into()).expect("a port for SIP");
        socket.set_nonblocking(true).expect("no blocking");
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr().expect("its address");
        Self { socket, local }
    }

    /// Its address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Send a datagram; one that the system does not take is lost, as on any network.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        let _lost = self.socket.send_to(bytes, to);
    }

    /// What has arrived.
    #[must_use]
    pub fn poll(&self) -> Option<Datagram> {
        let mut buffer = [0; 65_536];
        let (length, source) = self.socket.recv_from(&mut buffer).ok()?;
        Some(Datagram {
            bytes: Bytes::copy_from_slice(&buffer[..length]),
            source,
        })
    }

    /// What arrives within some time.
    #[must_use]
    pub fn receive(&self, wait: Duration) -> Option<Datagram> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(datagram) = self.poll() {
                return Some(datagram);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(BREATH);
        }
    }
}

/// A request whose parts nobody checks.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// From, its tag included.
    pub from: &'a str,
    /// To.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// Number of CSeq.
    pub cseq: u32,
    /// Branch without the magic cookie.
    pub branch: &'a str,
    /// Further header lines.
    pub lines: &'a [String],
    /// Session description; empty for none.
    pub description: &'a str,
}

impl Request<'_> {
    /// The bytes, from this address.
    #[must_use]
    pub fn write(&self, local: SocketAddr) -> Vec<u8> {
        let mut text = format!(
            "{} {} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{};rport\r\n\
             Max-Forwards: 70\r\n\
             From: {}\r\n\
             To: {}\r\n\
             Call-ID: {}\r\n\
             CSeq: {} {}\r\n",
            self.method,
            self.uri,
            self.branch,
            self.from,
            self.to,
            self.call_id,
            self.cseq,
            self.method
        );
        for line in self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if !self.description.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!(
            "Content-Length: {}\r\n\r\n{}",
            self.description.len(),
            self.description
        ));
        text.into_bytes()
    }
}
