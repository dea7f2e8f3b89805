//! The two formats of capture files (draft-ietf-opsawg-pcap and -pcapng), and files of
//! HEP3 packets one after the other.

use std::io::{BufRead, BufReader, Read};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::{CaptureFigures, CaptureSettings, Captured, Sorter, hep};

/// Bytes of the largest block that is read. 1 MiB: a packet has at most 64 KiB, and tools
/// refuse to write more than 256.
const BLOCK_BYTES: usize = 1 << 20;

/// Interfaces of one section. 1,024: one for each network card of a large machine and its
/// virtual ones.
const INTERFACES: usize = 1_024;

const MICROS: u128 = 1_000_000;

/// Why a capture cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file.
    #[error("failed to read it: {0}")]
    Read(#[from] std::io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// Another format.
    #[error("it is neither a pcap nor a pcapng file, nor a file of HEP3 packets")]
    Format,
}

/// Gives every SIP message of a capture to the sink, in the order of the file.
///
/// # Errors
/// It is no capture. One that is cut off or damaged is read up to there, and the figures
/// say so.
pub fn read(
    source: impl Read + Send,
    settings: &CaptureSettings,
    sink: &mut dyn FnMut(Captured),
) -> Result<CaptureFigures, CaptureError> {
    let mut source = BufReader::with_capacity(BLOCK_BYTES, source);
    let mut sorter = Sorter::new(settings, sink);
    let beginning = source.fill_buf()?;
    if beginning.is_empty() {
        return Err(CaptureError::Empty);
    }
    if hep::is_hep(beginning) {
        packets(&mut source, &mut sorter)?;
        return Ok(sorter.finish());
    }
    let reader = create_reader(BLOCK_BYTES, source).map_err(|_| CaptureError::Format)?;
    frames(reader, &mut sorter);
    Ok(sorter.finish())
}

/// Packets of HEP3, each of which says how long it is.
fn packets(source: &mut impl Read, sorter: &mut Sorter<'_>) -> Result<(), CaptureError> {
    let mut packet = Vec::new();
    loop {
        packet.clear();
        source
            .by_ref()
            .take(hep::HEADER_BYTES as u64)
            .read_to_end(&mut packet)?;
        if packet.is_empty() {
            return Ok(());
        }
        let Some(rest) = hep::rest(&packet) else {
            sorter.figures.cut_off = true;
            return Ok(());
        };
        let read = source.by_ref().take(rest as u64).read_to_end(&mut packet)?;
        if read < rest {
            sorter.figures.cut_off = true;
            return Ok(());
        }
        sorter.figures.packets += 1;
        sorter.hep(&packet);
    }
}

/// An interface of a pcapng section.
struct Interface {
    link: i32,
    /// Units of time in a second.
    resolution: u64,
    offset_seconds: i64,
}

/// What is known of the file so far.
#[derive(Default)]
struct Section {
    /// Of a pcap file: its one link type, and whether times are nanoseconds.
    legacy: Option<(i32, bool)>,
    interfaces: Vec<Interface>,
}

fn frames(mut reader: Box<dyn PcapReaderIterator + Send + '_>, sorter: &mut Sorter<'_>) {
    let mut section = Section::default();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                section.block(block, sorter);
                // Else the same block would come for ever.
                if length == 0 {
                    sorter.figures.cut_off = true;
                    return;
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => return,
            Err(PcapError::Incomplete(_)) => {
                let before = reader.data().len();
                if reader.refill().is_err() {
                    sorter.figures.cut_off = true;
                    return;
                }
                let exhausted = reader.reader_exhausted();
                if exhausted && reader.data().is_empty() {
                    return;
                }
                if exhausted && reader.data().len() == before {
                    sorter.figures.cut_off = true;
                    return;
                }
            }
            Err(_) => {
                sorter.figures.cut_off = true;
                return;
            }
        }
    }
}

impl Section {
    fn block(&mut self, block: PcapBlockOwned<'_>, sorter: &mut Sorter<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.legacy = Some((header.network.0, header.is_nanosecond_precision()));
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some((link, nanos)) = self.legacy else {
                    return;
                };
                let fraction = match nanos {
                    true => packet.ts_usec / 1_000,
                    false => packet.ts_usec,
                };
                let at_us = u64::from(packet.ts_sec) * 1_000_000 + u64::from(fraction);
                let length = usize::try_from(packet.caplen).unwrap_or(usize::MAX);
                let data = packet.data.get(..length).unwrap_or(packet.data);
                // The upper half says how many bytes of check sum follow.
                sorter.frame(link & 0xffff, at_us, data);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
                if self.interfaces.len() < INTERFACES {
                    self.interfaces.push(Interface {
                        link: description.linktype.0,
                        resolution: description.ts_resolution().unwrap_or(1_000_000),
                        offset_seconds: description.ts_offset(),
                    });
                }
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let number = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let Some(interface) = self.interfaces.get(number) else {
                    sorter.figures.packets += 1;
                    sorter.figures.other_packets += 1;
                    return;
                };
                let at_us = interface.micros(packet.ts_high, packet.ts_low);
                sorter.frame(interface.link, at_us, packet.packet_data());
            }
            // It has no time, without which nothing can be replayed.
            PcapBlockOwned::NG(Block::SimplePacket(_)) => {
                sorter.figures.packets += 1;
                sorter.figures.other_packets += 1;
            }
            PcapBlockOwned::NG(_) => {}
        }
    }
}

impl Interface {
    fn micros(&self, high: u32, low: u32) -> u64 {
        let units = (u128::from(high) << 32) | u128::from(low);
        let resolution = u128::from(self.resolution.max(1));
        let micros = units * MICROS / resolution;
        let offset = i128::from(self.offset_seconds) * 1_000_000;
        let micros = i128::try_from(micros).unwrap_or(i128::MAX);
        u64::try_from(micros.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}
