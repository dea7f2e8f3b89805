//! What is on the wire: tcpdump on the loopback interface, and the RTP in its file.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sound::from_a_law;
use super::{PORTS, RELAY};
use crate::stage::Stage;

/// How long tcpdump may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running capture of all datagrams from and to the relay's ports.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: PathBuf,
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A datagram that was seen.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Who was to get it.
    pub to: SocketAddrV4,
    /// What it carried.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Start it and wait until it sees packets.
    ///
    /// # Panics
    /// tcpdump is missing or may not capture.
    #[must_use]
    pub fn start(stage: &Stage, first_port: u16) -> Self {
        let file = stage.path("capture.pcap");
        let errors = stage.path("capture.err");
        let ports = format!("{first_port}-{}", first_port + PORTS - 1);
        let child = Command::new("tcpdump")
            .args(["-i", "lo", "-n", "-U", "-s", "0", "-B", "8192", "-w"])
            .arg(&file)
            .args(["udp", "and", "host", &RELAY.to_string()])
            .args(["and", "portrange", &ports])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).expect("a file for tcpdump's words"))
            .spawn()
            .expect("tcpdump is missing; run `cargo xtask setup`");
        let mut capture = Self { child, file };
        let deadline = Instant::now() + PATIENCE;
        let words = || fs::read_to_string(&errors).unwrap_or_default();
        while !words().contains("listening on") {
            let ended = capture.child.try_wait().expect("to look at tcpdump");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "tcpdump cannot capture; this test needs root or CAP_NET_RAW: {}",
                words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        capture
    }

    /// End it; what was seen, in order.
    ///
    /// # Panics
    /// It does not end, or its file cannot be read.
    #[must_use]
    pub fn datagrams(mut self) -> Vec<Datagram> {
        // What was seen just now is on its way to the file.
        std::thread::sleep(Duration::from_millis(500));
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(sent.expect("kill runs").success());
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("to look at it").is_none() {
            assert!(Instant::now() < deadline, "tcpdump does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        parse(&fs::read(&self.file).expect("its file"))
    }
}

/// The UDP datagrams of a pcap file of Ethernet frames, in this machine's byte order.
fn parse(file: &[u8]) -> Vec<Datagram> {
    let (head, mut rest) = file.split_at(24);
    assert_eq!(head[..4], 0xa1b2_c3d4_u32.to_ne_bytes(), "not a pcap file");
    assert_eq!(head[20..24], 1_u32.to_ne_bytes(), "not Ethernet frames");
    let mut datagrams = Vec::new();
    while let Some((record, after)) = rest.split_at_checked(16) {
        let length = u32::from_ne_bytes([record[8], record[9], record[10], record[11]]);
        let Some((frame, after)) = after.split_at_checked(length as usize) else {
            break;
        };
        datagrams.extend(datagram(frame));
        rest = after;
    }
    datagrams
}

fn datagram(frame: &[u8]) -> Option<Datagram> {
    let ip = frame.get(14..)?;
    let header = usize::from(*ip.first()? & 15) * 4;
    let udp = ip.get(header..)?;
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = ip.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let port = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    Some(Datagram {
        from: SocketAddrV4::new(address(12)?, port(0)?),
        to: SocketAddrV4::new(address(16)?, port(2)?),
        payload: udp.get(8..)?.to_vec(),
    })
}

/// The media that one party sent or received: what a wiretap on its leg can know.
#[derive(Debug, Default)]
pub struct Tapped {
    /// Packets of RTP, as their headers say.
    pub packets: usize,
    /// What they carry, in order, without what may be a tag.
    pub payload: Vec<u8>,
    /// The same as sound, if it were A-law.
    pub sound: Vec<i16>,
}

/// What was sent from ports of one party to those of another that is G.711 of 20 ms, or
/// looks like it.
#[must_use]
pub fn tapped(datagrams: &[Datagram], from: &Range<u16>, to: &Range<u16>) -> Tapped {
    let mut tapped = Tapped::default();
    for it in datagrams {
        let rtp = it.payload.len() >= 172
            && it.payload[0] >> 6 == 2
            && it.payload[1] & 0x7f == 8
            && it.to.port() % 2 == 0;
        if rtp && from.contains(&it.from.port()) && to.contains(&it.to.port()) {
            tapped.packets += 1;
            tapped.payload.extend(&it.payload[12..172]);
        }
    }
    let sound = tapped.payload.iter().map(|it| from_a_law(*it));
    tapped.sound = sound.collect();
    tapped
}
