//! SIP messages out of a capture: pcap and pcapng files, and HEP3 in files or within them.
//!
//! ```text
//! file -> frames -> IP, fragments put together -> UDP, TCP streams, HEP3 -> messages
//! ```
//!
//! A capture may come from anywhere, so every byte of it is a stranger's: nothing here
//! panics, every table has a ceiling, and what cannot be read is counted and left out. The
//! file is read once from its beginning to its end and never held in memory.

mod file;
mod fragments;
mod hep;
mod link;
mod streams;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use etherparse::{TcpSlice, UdpSlice};
use serde::Serialize;
use sip_message::{Limits, Message};
use sip_transaction::Transport;

use fragments::{Assembled, Fragments};
use link::Datagram;
use streams::Streams;

pub use file::{CaptureError, read};

/// IP protocol numbers: RFC 791 and the registry of IANA.
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Ports on which SIP is looked for where nothing else is said.
pub const SIP_PORTS: [u16; 2] = [5060, 5080];

/// What is looked for in a capture.
#[derive(Clone, Debug)]
pub struct CaptureSettings {
    /// Ports of UDP and TCP; one of a packet's two has to be among them. HEP3 is found on
    /// all of UDP.
    pub ports: BTreeSet<u16>,
    /// Ceilings of messages.
    pub limits: Limits,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            ports: SIP_PORTS.into_iter().collect(),
            limits: Limits::default(),
        }
    }
}

/// A message and how it went by.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// Where from.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// By what.
    pub transport: Transport,
    /// The message.
    pub message: Arc<Message>,
}

/// What a capture held, and what of it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptureFigures {
    /// Packets of the file, or packets of HEP3 in one that holds these.
    pub packets: u64,
    /// SIP messages.
    pub messages: u64,
    /// Packets that are no IP, of links that are not known, cut off by the capture, or of
    /// other protocols than UDP and TCP.
    pub other_packets: u64,
    /// Packets of other ports, and keep-alives.
    pub other_payloads: u64,
    /// What should have been SIP and cannot be read.
    pub malformed: u64,
    /// Fragments of IP that never became a whole.
    pub fragments_lost: u64,
    /// Times that a TCP stream was given up: bytes were missing, or it was not SIP (TLS, for
    /// one, cannot be read).
    pub streams_lost: u64,
    /// The file ends in the middle of something, or is damaged; what comes after is not
    /// read.
    pub cut_off: bool,
}

/// From frames to messages.
struct Sorter<'s> {
    settings: &'s CaptureSettings,
    fragments: Fragments,
    streams: Streams,
    figures: CaptureFigures,
    sink: &'s mut dyn FnMut(Captured),
}

impl<'s> Sorter<'s> {
    fn new(settings: &'s CaptureSettings, sink: &'s mut dyn FnMut(Captured)) -> Self {
        Self {
            settings,
            fragments: Fragments::default(),
            streams: Streams::new(settings.limits),
            figures: CaptureFigures::default(),
            sink,
        }
    }

    /// Takes a frame of this link type.
    fn frame(&mut self, link: i32, at_us: u64, frame: &[u8]) {
        self.figures.packets += 1;
        let Some(datagram) = link::datagram(link, frame) else {
            self.figures.other_packets += 1;
            return;
        };
        match self.fragments.take(datagram) {
            Assembled::Whole(datagram) => self.datagram(at_us, &datagram),
            Assembled::Waiting => {}
        }
    }

    fn datagram(&mut self, at_us: u64, datagram: &Datagram<'_>) {
        match datagram.protocol {
            UDP => self.udp(at_us, datagram),
            TCP => self.tcp(at_us, datagram),
            _ => self.figures.other_packets += 1,
        }
    }

    fn udp(&mut self, at_us: u64, datagram: &Datagram<'_>) {
        let Ok(udp) = UdpSlice::from_slice(&datagram.payload) else {
            self.figures.other_packets += 1;
            return;
        };
        if hep::is_hep(udp.payload()) {
            return self.hep(udp.payload());
        }
        let source = SocketAddr::new(datagram.source, udp.source_port());
        let destination = SocketAddr::new(datagram.destination, udp.destination_port());
        if !self.is_sip(source, destination) {
            self.figures.other_payloads += 1;
            return;
        }
        self.text(at_us, source, destination, Transport::Udp, udp.payload());
    }

    fn tcp(&mut self, at_us: u64, datagram: &Datagram<'_>) {
        let Ok(tcp) = TcpSlice::from_slice(&datagram.payload) else {
            self.figures.other_packets += 1;
            return;
        };
        let source = SocketAddr::new(datagram.source, tcp.source_port());
        let destination = SocketAddr::new(datagram.destination, tcp.destination_port());
        if !self.is_sip(source, destination) {
            self.figures.other_payloads += 1;
            return;
        }
        let (sink, figures) = (&mut self.sink, &mut self.figures);
        let heard = self.streams.take(source, destination, &tcp, |message| {
            figures.messages += 1;
            sink(Captured {
                at_us,
                source,
                destination,
                transport: Transport::Tcp,
                message: Arc::new(message),
            });
        });
        self.figures.malformed += heard.malformed;
        self.figures.streams_lost += u64::from(heard.lost);
    }

    /// Takes a packet of HEP3, which says itself when and where.
    fn hep(&mut self, packet: &[u8]) {
        match hep::parse(packet) {
            Ok(Some(told)) => {
                let (source, destination) = (told.source, told.destination);
                self.text(
                    told.at_us,
                    source,
                    destination,
                    told.transport,
                    told.payload,
                );
            }
            // Reports of RTCP and the like.
            Ok(None) => self.figures.other_payloads += 1,
            Err(hep::Malformed) => self.figures.malformed += 1,
        }
    }

    fn text(
        &mut self,
        at_us: u64,
        source: SocketAddr,
        destination: SocketAddr,
        transport: Transport,
        text: &[u8],
    ) {
        // Keep-alives: RFC 5626 section 3.5.1 and what phones send in its place.
        if text.len() < 8
            || text
                .iter()
                .all(|byte| byte.is_ascii_whitespace() || *byte == 0)
        {
            self.figures.other_payloads += 1;
            return;
        }
        match Message::parse_datagram(Bytes::copy_from_slice(text), &self.settings.limits) {
            Ok(message) => {
                self.figures.messages += 1;
                (self.sink)(Captured {
                    at_us,
                    source,
                    destination,
                    transport,
                    message: Arc::new(message),
                });
            }
            Err(_) => self.figures.malformed += 1,
        }
    }

    fn is_sip(&self, source: SocketAddr, destination: SocketAddr) -> bool {
        let ports = &self.settings.ports;
        ports.contains(&source.port()) || ports.contains(&destination.port())
    }

    /// What was held; nothing comes any more.
    fn finish(mut self) -> CaptureFigures {
        self.figures.fragments_lost = self.fragments.lost();
        self.figures
    }
}
