//! A party's media as plain sockets: what it says is numbered, and what it hears is kept.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::SockRef;

use super::party_ports;

/// Octets that may wait for a party; the kernel gives what it allows.
const BUFFER: usize = 4 << 20;

/// Octets of an RTP header.
pub const HEADER: usize = 12;
/// What honest packets carry.
pub const HONEST: u8 = 0x2a;
/// What an attacker's packets carry.
pub const EVIL: u8 = 0x66;

/// Pairs of ports that are tried; others may test on this machine too.
const PAIRS_TRIED: usize = 100;

/// RTP and RTCP sockets of a party.
#[derive(Debug)]
pub struct Talker {
    /// On an even port.
    pub rtp: UdpSocket,
    /// On the next one.
    pub rtcp: UdpSocket,
    /// Its synchronisation source.
    pub ssrc: u32,
    sequence: u16,
}

impl Talker {
    /// On new ports of an address: the next pair that nobody else has.
    ///
    /// # Panics
    /// All that were tried are taken.
    #[must_use]
    pub fn new(address: Ipv4Addr, ssrc: u32) -> Self {
        let open = |port| -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((address, port))?;
            // One party may be hundreds, and has to sleep now and then.
            SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let pair = (0..PAIRS_TRIED).find_map(|_| {
            let port = party_ports();
            Some((open(port).ok()?, open(port + 1).ok()?))
        });
        let (rtp, rtcp) = pair.expect("a pair of ports for media");
        Self {
            rtp,
            rtcp,
            ssrc,
            sequence: 1,
        }
    }

    /// Its session description; `lines` are added to the audio.
    ///
    /// # Panics
    /// It has no address.
    #[must_use]
    pub fn description(&self, version: u32, profile: &str, lines: &str) -> String {
        let SocketAddr::V4(address) = self.rtp.local_addr().expect("its address") else {
            panic!("IPv4 only");
        };
        let (ip, port) = (address.ip(), address.port());
        format!(
            "v=0\r\no=- 7 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} {profile} 8\r\na=rtpmap:8 PCMA/8000\r\n{lines}"
        )
    }

    /// Its next packet.
    pub fn packet(&mut self) -> Vec<u8> {
        self.sequence += 1;
        rtp(self.ssrc, self.sequence, HONEST)
    }

    /// Sends a packet from its RTP port.
    ///
    /// # Panics
    /// The system does not take it.
    pub fn say(&self, packet: &[u8], to: SocketAddr) {
        self.rtp.send_to(packet, to).expect("a packet leaves");
    }

    /// Everything that has arrived on its RTP port.
    #[must_use]
    pub fn heard(&self) -> Vec<Vec<u8>> {
        all(&self.rtp)
    }

    /// Everything that has arrived on its RTCP port.
    #[must_use]
    pub fn reports(&self) -> Vec<Vec<u8>> {
        all(&self.rtcp)
    }
}

fn all(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2048];
    std::iter::from_fn(|| {
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    })
    .collect()
}

/// A packet of 20 ms of PCMA that carries one octet over and over.
#[must_use]
pub fn rtp(ssrc: u32, sequence: u16, content: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(HEADER + 160, content);
    packet
}

/// A receiver report without blocks, and a canonical name of one octet over and over:
/// the least compound packet (RFC 3550 6.1).
#[must_use]
pub fn rtcp(ssrc: u32, content: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 3]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 5]);
    packet.extend([content; 5]);
    packet.push(0);
    packet
}

/// Whether an attacker's octets are in a packet in the clear.
#[must_use]
pub fn is_evil(packet: &[u8]) -> bool {
    packet.windows(5).any(|it| it == [EVIL; 5])
}

/// Where the audio of a session description is received, and the keys beside it.
///
/// # Panics
/// It names no address.
#[must_use]
pub fn audio_address(description: &str) -> SocketAddr {
    let field = |prefix: &str| description.lines().find_map(|it| it.strip_prefix(prefix));
    let ip = field("c=IN IP4 ").expect("an address").trim();
    let port = field("m=audio ").and_then(|it| it.split(' ').next());
    let port = port.and_then(|it| it.parse().ok()).expect("a port");
    SocketAddr::new(ip.parse().expect("an IP address"), port)
}
