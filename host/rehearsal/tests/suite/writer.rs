//! Writes captures byte by byte, so that no parser is tested with itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The link types that tests need.
pub(crate) const ETHERNET: u32 = 1;

/// A packet of a capture: when, in microseconds since 1970, and its bytes.
pub(crate) type Packet = (u64, Vec<u8>);

/// A pcap file of microseconds, little-endian.
pub(crate) fn pcap(link: u32, packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, link] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for (at_us, bytes) in packets {
        let length = bytes.len() as u32;
        let (seconds, micros) = (at_us / 1_000_000, at_us % 1_000_000);
        for word in [seconds as u32, micros as u32, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(bytes);
    }
    file
}

/// UDP in Ethernet.
pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(source.port(), destination.port(), payload);
    ethernet(
        source.ip(),
        &ip(source.ip(), destination.ip(), 17, &datagram),
    )
}

/// A UDP header and what follows it.
pub(crate) fn udp_datagram(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend_from_slice(&source.to_be_bytes());
    bytes.extend_from_slice(&destination.to_be_bytes());
    bytes.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    bytes
}

/// IP of the family of its addresses.
pub(crate) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ipv4(source, destination, protocol, payload, 0, 0)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ipv6(source, destination, protocol, payload)
        }
        _ => panic!("two families"),
    }
}

/// IPv4 with this identification and these flags and offset.
pub(crate) fn ipv4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
    identification: u16,
    fragment: u16,
) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&identification.to_be_bytes());
    bytes.extend_from_slice(&fragment.to_be_bytes());
    bytes.extend_from_slice(&[64, protocol, 0, 0]);
    bytes.extend_from_slice(&source.octets());
    bytes.extend_from_slice(&destination.octets());
    bytes.extend_from_slice(payload);
    bytes
}

/// IPv6.
pub(crate) fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[next, 64]);
    bytes.extend_from_slice(&source.octets());
    bytes.extend_from_slice(&destination.octets());
    bytes.extend_from_slice(payload);
    bytes
}

/// Ethernet around IP of the family of this address.
pub(crate) fn ethernet(family: IpAddr, payload: &[u8]) -> Vec<u8> {
    let kind: u16 = if family.is_ipv4() { 0x0800 } else { 0x86dd };
    let mut bytes = vec![2; 12];
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
