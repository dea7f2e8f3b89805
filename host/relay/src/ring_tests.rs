//! The ring with real sockets, where the kernel allows it.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use super::*;

/// More datagrams than there are buffers, each sent back: none is lost or mixed up.
#[test]
fn every_buffer_comes_back() {
    let Ok(mut ring) = Ring::new() else {
        return;
    };
    let (ours, theirs) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let from = theirs.local_addr().unwrap();
    ring.receive(ours.as_raw_fd(), 5).unwrap();
    let soon = Some(Duration::from_secs(5));
    let mut echoed = 0_u16;
    for number in 0..3 * BUFFERS {
        theirs
            .send_to(&number.to_be_bytes(), ours.local_addr().unwrap())
            .unwrap();
        while echoed <= number {
            ring.wait(Duration::ZERO, 1, soon).unwrap();
            while let Some(completion) = ring.completion() {
                match completion {
                    Completion::Datagram(Datagram {
                        token,
                        source,
                        mut lease,
                        length,
                    }) => {
                        assert_eq!((token, source, length), (5, Some(from), 2));
                        let packet = ring.packet_mut(&mut lease);
                        assert_eq!(packet[..2], echoed.to_be_bytes());
                        packet[2] = 1;
                        ring.send(ours.as_raw_fd(), lease, 3, from);
                        echoed += 1;
                    }
                    Completion::Sent { ok } => assert!(ok),
                    other => panic!("{other:?}"),
                }
            }
        }
        ring.wait(Duration::ZERO, 1, Some(Duration::ZERO)).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(theirs.recv(&mut buffer).unwrap(), 3);
        assert_eq!(buffer[..3], [(number >> 8) as u8, number as u8, 1]);
    }
    ring.cancel(5).unwrap();
    let mut ended = false;
    while !ended {
        ring.wait(Duration::ZERO, 1, soon).unwrap();
        while let Some(completion) = ring.completion() {
            ended |= matches!(
                completion,
                Completion::Ended {
                    token: 5,
                    error: libc::ECANCELED
                }
            );
        }
    }
}

#[test]
fn without_buffers_packets_wait_in_their_socket() {
    let Ok(mut ring) = Ring::new() else {
        return;
    };
    let (ours, theirs) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    ring.receive(ours.as_raw_fd(), 5).unwrap();
    let mut leases = Vec::new();
    let ended = 'full: loop {
        theirs.send_to(b"x", ours.local_addr().unwrap()).unwrap();
        ring.wait(Duration::ZERO, 1, Some(Duration::from_secs(5)))
            .unwrap();
        while let Some(completion) = ring.completion() {
            match completion {
                Completion::Datagram(Datagram { lease, .. }) => leases.push(lease),
                Completion::Ended { error, .. } => break 'full error,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!((ended, leases.len()), (libc::ENOBUFS, 1_024));
    theirs.send_to(b"x", ours.local_addr().unwrap()).unwrap();
    for lease in leases {
        ring.recycle(lease);
    }
    ring.receive(ours.as_raw_fd(), 6).unwrap();
    ring.wait(Duration::ZERO, 1, Some(Duration::from_secs(5)))
        .unwrap();
    let completion = ring.completion();
    assert!(matches!(
        completion,
        Some(Completion::Datagram(Datagram { token: 6, .. }))
    ));
    let Some(Completion::Datagram(Datagram { lease, .. })) = completion else {
        return;
    };
    ring.recycle(lease);
}
