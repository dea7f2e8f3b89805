//! Captures of every kind, whole, damaged and made of noise.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step ends a test"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;
use rehearsal::capture::{self, CaptureError, CaptureFigures, CaptureSettings, Captured};
use sip_transaction::Transport;

#[path = "suite/writer.rs"]
mod writer;

use writer::{ETHERNET, Packet, ethernet, ip, ipv4, ipv6, pcap, udp, udp_datagram};

const AT_US: u64 = 1_769_846_400_123_456;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn phone() -> SocketAddr {
    address("192.0.2.7:5060")
}

fn proxy() -> SocketAddr {
    address("198.51.100.1:5060")
}

fn options(call_id: &str, padding: usize) -> Vec<u8> {
    format!(
        "OPTIONS sip:proxy.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{call_id}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nSubject: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(padding)
    )
    .into_bytes()
}

fn read(file: &[u8]) -> (Vec<Captured>, CaptureFigures) {
    let mut heard = Vec::new();
    let settings = CaptureSettings::default();
    let figures = capture::read(file, &settings, &mut |captured| heard.push(captured)).unwrap();
    assert_eq!(heard.len() as u64, figures.messages);
    (heard, figures)
}

fn call_ids(heard: &[Captured]) -> Vec<String> {
    let text = |captured: &Captured| String::from_utf8_lossy(captured.message.call_id()).into();
    heard.iter().map(text).collect()
}

fn one(link: u32, frame: Vec<u8>) -> Captured {
    let (heard, figures) = read(&pcap(link, &[(AT_US, frame)]));
    let [captured] = &heard[..] else {
        panic!("link {link}: {figures:?}")
    };
    assert_eq!(captured.at_us, AT_US);
    captured.clone()
}

#[test]
fn every_link_is_understood() {
    let inner = ip(
        phone().ip(),
        proxy().ip(),
        17,
        &udp_datagram(5060, 5060, &options("c", 0)),
    );
    let with = |head: &[u8]| [head, &inner].concat();
    let sll = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x08, 0x00];
    let mut sll2 = vec![0x08, 0x00];
    sll2.extend_from_slice(&[0; 18]);
    let mut vlan = vec![2; 12];
    vlan.extend_from_slice(&[0x81, 0x00, 0, 7, 0x08, 0x00]);
    for (link, frame) in [
        (ETHERNET, ethernet(phone().ip(), &inner)),
        (ETHERNET, with(&vlan)),
        (0, with(&[2, 0, 0, 0])),
        (108, with(&[0, 0, 0, 2])),
        (101, inner.clone()),
        (12, inner.clone()),
        (228, inner.clone()),
        (113, with(&sll)),
        (276, with(&sll2)),
    ] {
        let captured = one(link, frame);
        assert_eq!((captured.source, captured.destination), (phone(), proxy()));
        assert_eq!(captured.transport, Transport::Udp);
    }
    let six = [address("[2001:db8::7]:5060"), address("[2001:db8::1]:5080")];
    let captured = one(ETHERNET, udp(six[0], six[1], &options("c", 0)));
    assert_eq!([captured.source, captured.destination], six);
}

#[test]
fn what_is_not_sip_is_counted() {
    let elsewhere = address("198.51.100.1:4000");
    let packets: Vec<Packet> = vec![
        (
            AT_US,
            udp(address("192.0.2.7:4000"), elsewhere, &options("c", 0)),
        ),
        (AT_US, udp(phone(), proxy(), b"\r\n\r\n")),
        (
            AT_US,
            udp(phone(), proxy(), b"INVITE this is no message\r\n\r\n"),
        ),
        (AT_US, vec![0; 60]),
        (
            AT_US,
            ethernet(phone().ip(), &ip(phone().ip(), proxy().ip(), 1, &[8; 20])),
        ),
    ];
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert!(heard.is_empty());
    assert_eq!(
        figures,
        CaptureFigures {
            packets: 5,
            other_payloads: 2,
            malformed: 1,
            other_packets: 2,
            ..CaptureFigures::default()
        }
    );
}

/// An IPv4 datagram in two fragments.
fn fragments(identification: u16, call_id: &str) -> [Vec<u8>; 2] {
    let datagram = udp_datagram(5060, 5060, &options(call_id, 2_000));
    let (first, second) = datagram.split_at(1_480);
    let v4 = |address: SocketAddr| match address.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let piece = |payload, fragment| {
        let bytes = ipv4(
            v4(phone()),
            v4(proxy()),
            17,
            payload,
            identification,
            fragment,
        );
        ethernet(phone().ip(), &bytes)
    };
    [piece(first, 0x2000), piece(second, 1_480 / 8)]
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let [first, second] = fragments(7, "a");
    let [early, late] = fragments(8, "b");
    let [lost, _] = fragments(9, "c");
    let packets = [first, late, lost, second, early].map(|frame| (AT_US, frame));
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert_eq!(call_ids(&heard), ["a", "b"]);
    assert_eq!(figures.fragments_lost, 1);
}

#[test]
fn fragments_of_ipv6_are_put_together() {
    let [source, destination] = ["2001:db8::7", "2001:db8::1"].map(|it| it.parse().unwrap());
    let datagram = udp_datagram(5060, 5060, &options("six", 2_000));
    let (first, second) = datagram.split_at(1_232);
    let piece = |payload: &[u8], field: u16| {
        let mut extension = vec![17, 0];
        extension.extend_from_slice(&field.to_be_bytes());
        extension.extend_from_slice(&77_u32.to_be_bytes());
        extension.extend_from_slice(payload);
        let bytes = ipv6(source, destination, 44, &extension);
        (AT_US, ethernet(IpAddr::V6(source), &bytes))
    };
    let packets = [piece(second, 1_232), piece(first, 1)];
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert_eq!(call_ids(&heard), ["six"], "{figures:?}");
}

#[test]
fn unfinished_datagrams_have_a_ceiling() {
    let packets: Vec<Packet> = (0..1_000)
        .map(|number| {
            let [first, _] = fragments(number, "c");
            (AT_US, first)
        })
        .collect();
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert!(heard.is_empty());
    assert_eq!(figures.fragments_lost, 1_000);
}

/// A TCP segment with these flags.
fn segment(sequence: u32, flags: u8, payload: &[u8]) -> Packet {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&40_000_u16.to_be_bytes());
    bytes.extend_from_slice(&5060_u16.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend_from_slice(payload);
    let bytes = ip(phone().ip(), proxy().ip(), 6, &bytes);
    (AT_US, ethernet(phone().ip(), &bytes))
}

const SYN: u8 = 2;
const ACK: u8 = 16;

#[test]
fn a_stream_is_put_together_in_any_order_and_past_the_end_of_numbers() {
    let stream = [options("a", 10), options("b", 10), options("c", 10)].concat();
    let begin = u32::MAX - 100;
    let at = |from: usize, to: usize| {
        let sequence = begin.wrapping_add(1).wrapping_add(from as u32);
        segment(sequence, ACK, &stream[from..to])
    };
    let end = stream.len();
    let packets = [
        segment(begin, SYN, &[]),
        at(0, 50),
        at(150, 300),
        // A retransmission with more than was there.
        at(20, 150),
        at(400, end),
        at(300, 400),
        at(0, 50),
    ];
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert_eq!(call_ids(&heard), ["a", "b", "c"], "{figures:?}");
    assert!(heard.iter().all(|it| it.transport == Transport::Tcp));
    assert_eq!(figures.streams_lost, 0);
}

#[test]
fn a_stream_whose_beginning_is_missing_is_joined_at_a_message() {
    let message = options("a", 10);
    let packets = [
        segment(500, ACK, b"the rest of something"),
        segment(1_000, ACK, &message),
        segment(1_000 + message.len() as u32, ACK, &options("b", 0)),
    ];
    let (heard, _) = read(&pcap(ETHERNET, &packets));
    assert_eq!(call_ids(&heard), ["a", "b"]);
}

#[test]
fn a_stream_with_a_hole_is_given_up_and_joined_again() {
    let mut packets = vec![segment(0, SYN, &[]), segment(1, ACK, &options("a", 0))];
    for number in 0..70 {
        packets.push(segment(100_000 + number * 10, ACK, b"0123456789"));
    }
    packets.push(segment(500_000, ACK, &options("b", 0)));
    let (heard, figures) = read(&pcap(ETHERNET, &packets));
    assert_eq!(call_ids(&heard), ["a", "b"]);
    assert_eq!(figures.streams_lost, 1);
    let noise = [
        segment(0, SYN, &[]),
        segment(1, ACK, &[0x16, 3, 1, 2, 0, 1]),
    ];
    let (_, figures) = read(&pcap(ETHERNET, &noise));
    assert_eq!(figures.streams_lost, 1, "TLS cannot be read");
}

/// A HEP3 packet around a payload.
fn hep(payload: &[u8], kind: u8) -> Vec<u8> {
    let mut chunks = Vec::new();
    let mut chunk = |number: u16, value: &[u8]| {
        chunks.extend_from_slice(&[0, 0]);
        chunks.extend_from_slice(&number.to_be_bytes());
        chunks.extend_from_slice(&(6 + value.len() as u16).to_be_bytes());
        chunks.extend_from_slice(value);
    };
    chunk(1, &[2]);
    chunk(2, &[17]);
    chunk(3, &[192, 0, 2, 7]);
    chunk(4, &[198, 51, 100, 1]);
    chunk(7, &5060_u16.to_be_bytes());
    chunk(8, &5060_u16.to_be_bytes());
    chunk(9, &((AT_US / 1_000_000) as u32).to_be_bytes());
    chunk(10, &((AT_US % 1_000_000) as u32).to_be_bytes());
    chunk(11, &[kind]);
    chunk(15, payload);
    let mut packet = b"HEP3".to_vec();
    packet.extend_from_slice(&(6 + chunks.len() as u16).to_be_bytes());
    packet.extend_from_slice(&chunks);
    packet
}

#[test]
fn reports_are_read_from_a_file_and_within_a_capture() {
    let file = [
        hep(&options("a", 0), 1),
        hep(b"rtcp", 5),
        hep(&options("b", 0), 1),
    ]
    .concat();
    let (heard, figures) = read(&file);
    assert_eq!(call_ids(&heard), ["a", "b"]);
    assert_eq!((heard[0].source, heard[0].at_us), (phone(), AT_US));
    assert_eq!((figures.packets, figures.other_payloads), (3, 1));

    let agent = udp(
        address("10.0.0.1:9999"),
        address("10.0.0.2:9060"),
        &file[..hep(&options("a", 0), 1).len()],
    );
    let (heard, _) = read(&pcap(ETHERNET, &[(1, agent)]));
    assert_eq!((heard[0].source, heard[0].at_us), (phone(), AT_US));

    let (heard, figures) = read(&file[..file.len() - 1]);
    assert_eq!((heard.len(), figures.cut_off), (1, true));
}

fn pcapng(nanoseconds: bool, packets: &[Packet]) -> Vec<u8> {
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    }
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend_from_slice(&[1, 0, 0, 0]);
    section.extend_from_slice(&[0xff; 8]);
    let mut interface = vec![1, 0, 0, 0];
    interface.extend_from_slice(&65_535_u32.to_le_bytes());
    if nanoseconds {
        interface.extend_from_slice(&[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    }
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    for (at_us, frame) in packets {
        let units = if nanoseconds { at_us * 1_000 } else { *at_us };
        let mut body = 0_u32.to_le_bytes().to_vec();
        body.extend_from_slice(&((units >> 32) as u32).to_le_bytes());
        body.extend_from_slice(&(units as u32).to_le_bytes());
        body.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        body.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        body.extend_from_slice(frame);
        file.extend_from_slice(&block(6, &body));
    }
    file
}

#[test]
fn the_newer_format_is_read_with_either_resolution() {
    for nanoseconds in [false, true] {
        let packets = [
            (AT_US, udp(phone(), proxy(), &options("a", 1))),
            (AT_US + 1, udp(phone(), proxy(), &options("b", 2))),
        ];
        let (heard, figures) = read(&pcapng(nanoseconds, &packets));
        assert_eq!(call_ids(&heard), ["a", "b"], "{figures:?}");
        assert_eq!((heard[0].at_us, heard[1].at_us), (AT_US, AT_US + 1));
        assert!(!figures.cut_off);
    }
}

#[test]
fn other_files_are_refused_and_cut_off_ones_read_as_far_as_they_go() {
    let read_all = |file: &[u8]| capture::read(file, &CaptureSettings::default(), &mut |_| {});
    assert!(matches!(read_all(b""), Err(CaptureError::Empty)));
    assert!(matches!(read_all(b"GIF89a..."), Err(CaptureError::Format)));
    let packets = [
        (AT_US, udp(phone(), proxy(), &options("a", 0))),
        (AT_US, udp(phone(), proxy(), &options("b", 0))),
    ];
    for file in [pcap(ETHERNET, &packets), pcapng(true, &packets)] {
        let (heard, figures) = read(&file);
        assert_eq!((heard.len(), figures.cut_off), (2, false));
        let (heard, figures) = read(&file[..file.len() - 5]);
        assert_eq!((heard.len(), figures.cut_off), (1, true));
    }
    // A packet that claims to be larger than anything that is read.
    let mut huge = pcap(ETHERNET, &packets[..1]);
    huge.extend_from_slice(&[
        0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f,
    ]);
    huge.extend_from_slice(&[0; 100]);
    let (heard, figures) = read(&huge);
    assert_eq!((heard.len(), figures.cut_off), (1, true));
}

fn whole_files() -> Vec<Vec<u8>> {
    let [first, second] = fragments(3, "f");
    let packets = [
        (AT_US, udp(phone(), proxy(), &options("a", 0))),
        (AT_US, first),
        (AT_US, second),
        segment(0, SYN, &[]),
        segment(1, ACK, &options("t", 0)),
        (AT_US, udp(phone(), proxy(), &hep(&options("h", 0), 1))),
    ];
    vec![
        pcap(ETHERNET, &packets),
        pcap(113, &packets),
        pcapng(false, &packets),
        [hep(&options("a", 0), 1), hep(&options("b", 0), 1)].concat(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of a stranger's file never panic, and nothing is made of nothing.
    #[test]
    fn noise_is_read_without_harm(file in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut heard = 0_usize;
        let _ = capture::read(&file[..], &CaptureSettings::default(), &mut |_| heard += 1);
        prop_assert!(heard * 20 <= file.len());
    }

    #[test]
    fn damaged_files_are_read_without_harm(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = whole_files().swap_remove(which);
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        file.truncate(cut.index(file.len()) + 1);
        let mut heard = 0_usize;
        let _ = capture::read(&file[..], &CaptureSettings::default(), &mut |_| heard += 1);
        prop_assert!(heard <= 8, "{heard}");
    }
}
