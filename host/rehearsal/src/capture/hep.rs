//! HEP3, in which proxies and agents report messages to a capture server:
//! <https://github.com/sipcapture/HEP>, version 3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sip_transaction::Transport;

/// Bytes before the first chunk: the name of the protocol and the length of all.
pub(super) const HEADER_BYTES: usize = 6;

/// Bytes before the value of a chunk: vendor, type, length.
const CHUNK_BYTES: usize = 6;

const MAGIC: &[u8] = b"HEP3";

/// Chunk types of the protocol itself, vendor 0.
mod chunk {
    pub(super) const PROTOCOL: u16 = 0x0002;
    pub(super) const SOURCE_V4: u16 = 0x0003;
    pub(super) const DESTINATION_V4: u16 = 0x0004;
    pub(super) const SOURCE_V6: u16 = 0x0005;
    pub(super) const DESTINATION_V6: u16 = 0x0006;
    pub(super) const SOURCE_PORT: u16 = 0x0007;
    pub(super) const DESTINATION_PORT: u16 = 0x0008;
    pub(super) const SECONDS: u16 = 0x0009;
    pub(super) const MICROS: u16 = 0x000a;
    pub(super) const KIND: u16 = 0x000b;
    pub(super) const PAYLOAD: u16 = 0x000f;
}

/// The kind of payload that SIP is.
const SIP: u8 = 1;

/// A message as it was reported.
#[derive(Debug)]
pub(super) struct Told<'p> {
    pub(super) at_us: u64,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) transport: Transport,
    pub(super) payload: &'p [u8],
}

/// It is no packet of HEP3, or something that every one has is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whether bytes begin like a packet of HEP3.
pub(super) fn is_hep(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Bytes of a packet after its header; none if this is no header.
pub(super) fn rest(header: &[u8]) -> Option<usize> {
    let length = u16::from_be_bytes(header.get(4..HEADER_BYTES)?.try_into().ok()?);
    is_hep(header)
        .then(|| usize::from(length).checked_sub(HEADER_BYTES))
        .flatten()
}

/// What the chunks say.
#[derive(Default)]
struct Chunks<'p> {
    protocol: Option<u8>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: u16,
    destination_port: u16,
    seconds: Option<u32>,
    micros: u32,
    kind: Option<u8>,
    payload: Option<&'p [u8]>,
}

/// Reads a packet; nothing if it reports something else than SIP.
pub(super) fn parse(packet: &[u8]) -> Result<Option<Told<'_>>, Malformed> {
    let length = rest(packet).ok_or(Malformed)?;
    let end = HEADER_BYTES + length;
    let mut chunks = packet.get(HEADER_BYTES..end).ok_or(Malformed)?;
    let mut told = Chunks::default();
    while !chunks.is_empty() {
        let vendor = number(chunks.get(..2))?;
        let kind = number(chunks.get(2..4))?;
        let length = usize::from(number(chunks.get(4..CHUNK_BYTES))?);
        let value = chunks.get(CHUNK_BYTES..length).ok_or(Malformed)?;
        if vendor == 0 {
            told.chunk(kind, value)?;
        }
        // A length below that of the chunk's own header was refused above.
        chunks = chunks.get(length..).ok_or(Malformed)?;
    }
    if told.kind != Some(SIP) {
        return Ok(None);
    }
    told.finish().ok_or(Malformed).map(Some)
}

impl<'p> Chunks<'p> {
    fn chunk(&mut self, kind: u16, value: &'p [u8]) -> Result<(), Malformed> {
        match kind {
            chunk::PROTOCOL => self.protocol = Some(*value.first().ok_or(Malformed)?),
            chunk::SOURCE_V4 => self.source = Some(v4(value)?),
            chunk::DESTINATION_V4 => self.destination = Some(v4(value)?),
            chunk::SOURCE_V6 => self.source = Some(v6(value)?),
            chunk::DESTINATION_V6 => self.destination = Some(v6(value)?),
            chunk::SOURCE_PORT => self.source_port = number(Some(value))?,
            chunk::DESTINATION_PORT => self.destination_port = number(Some(value))?,
            chunk::SECONDS => self.seconds = Some(long(value)?),
            chunk::MICROS => self.micros = long(value)?,
            chunk::KIND => self.kind = Some(*value.first().ok_or(Malformed)?),
            chunk::PAYLOAD => self.payload = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Option<Told<'p>> {
        let micros = u64::from(self.seconds?) * 1_000_000 + u64::from(self.micros);
        Some(Told {
            at_us: micros,
            source: SocketAddr::new(self.source?, self.source_port),
            destination: SocketAddr::new(self.destination?, self.destination_port),
            transport: match self.protocol {
                Some(super::TCP) => Transport::Tcp,
                // Agents of TLS say so in a chunk of their own making.
                _ => Transport::Udp,
            },
            payload: self.payload?,
        })
    }
}

fn number(bytes: Option<&[u8]>) -> Result<u16, Malformed> {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u16::from_be_bytes).ok_or(Malformed)
}

fn long(bytes: &[u8]) -> Result<u32, Malformed> {
    bytes
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| Malformed)
}

fn v4(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    let octets: [u8; 4] = bytes.try_into().map_err(|_| Malformed)?;
    Ok(Ipv4Addr::from(octets).into())
}

fn v6(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    let octets: [u8; 16] = bytes.try_into().map_err(|_| Malformed)?;
    Ok(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
}
