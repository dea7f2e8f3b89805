//! Forged UDP from thousands of addresses, the trunk's own among them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sipward_tests::stage::wire::Request;
use sipward_tests::stage::{Proxy, TRUNK};

use crate::edge::{Edge, FROM_US, OFFICE};
use crate::phone::Phone;
use crate::{DAILY, alone, ordinary_calls};

/// Datagrams per second.
const RATE: u32 = 1_500;

/// An address that nobody else uses, each time another one.
fn forged(serial: u32) -> Ipv4Addr {
    let [.., high, middle, low] = (serial.wrapping_mul(2_654_435_761)).to_be_bytes();
    Ipv4Addr::new(127, 128 + high % 100, middle, low.clamp(1, 254))
}

/// What gets its sender locked out, if anything does.
fn nasty(serial: u32, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let uri = format!("sip:{serial}@{to}");
    let guess = format!(
        "Authorization: Digest username=\"200\", realm=\"sip.example.com\", nonce=\"00\", \
         uri=\"{uri}\", response=\"{serial:032x}\", algorithm=MD5"
    );
    let (method, user, lines) = match serial % 5 {
        0 => (
            "OPTIONS",
            "100".to_owned(),
            vec!["User-Agent: friendly-scanner".to_owned()],
        ),
        1 => ("REGISTER", serial.to_string(), vec![guess]),
        2 => ("REGISTER", "a'%20or%201=1--".to_owned(), Vec::new()),
        3 => ("BOGUS", "x".to_owned(), Vec::new()),
        _ => ("OPTIONS", serial.to_string(), Vec::new()),
    };
    let id = format!("flood-{serial}");
    let request = Request {
        method,
        uri: &uri,
        from: &format!("<sip:{user}@{from}>;tag=f{serial}"),
        to: &format!("<{uri}>"),
        call_id: &id,
        cseq: 1,
        branch: &id,
        lines: &lines,
        description: "",
    };
    request.write(from)
}

/// Floods until it is told to stop; every twentieth datagram bears the address of
/// somebody who is needed.
fn flood(targets: [SocketAddr; 2], over: &AtomicBool, sent: &AtomicU32) {
    let start = Instant::now();
    let mut serial = 0;
    while !over.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * f64::from(RATE)) as u32;
        while serial < due {
            serial += 1;
            let address = match serial % 20 {
                0 => TRUNK,
                10 => OFFICE,
                _ => forged(serial),
            };
            let to = targets[serial as usize % 2];
            // Some addresses are none that a socket can have.
            let Ok(socket) = UdpSocket::bind((address, 0)) else {
                continue;
            };
            let from = socket.local_addr().expect("its address");
            if socket.send_to(&nasty(serial, from, to), to).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn forged_floods_lock_no_trunk_out() {
    let _alone = alone();
    let edge = Edge::new(&FROM_US, &[]);
    let proxy = Proxy::start(&edge.stage);
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let targets = [edge.inside(), edge.outside()];
    let mut carrier = Phone::new(TRUNK, edge.outside(), "+493099887766");
    carrier.patience = Duration::from_secs(6);
    let inbound = format!("sip:+493012340@{}", edge.outside());
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| flood(targets, &over, &sent));
        let calls = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::sleep(Duration::from_secs(2));
            for round in 0..12 {
                let talk = carrier.call(&inbound);
                let talk = talk.unwrap_or_else(|status| panic!("call {round}: {status:?}"));
                assert_eq!(carrier.hang_up(talk), Some(200), "call {round}");
                std::thread::sleep(Duration::from_millis(200));
            }
            ordinary_calls(&edge.stage, &DAILY[..4]);
        }));
        over.store(true, Ordering::Relaxed);
        flood.join().expect("the flood ends");
        if let Err(panic) = calls {
            std::panic::resume_unwind(panic);
        }
    });
    let sent = sent.into_inner();
    assert!(sent > 5_000, "only {sent} datagrams");
    println!("{sent} forged datagrams");
    // And afterwards, from the addresses that were forged most.
    let talk = carrier.call(&inbound).expect("the trunk calls");
    carrier.hang_up(talk);
    ordinary_calls(&edge.stage, &DAILY[4..6]);
    // Nobody was told of a lockout of those who are needed.
    for alarm in edge.alarms.all() {
        let text = alarm.alert["text"].to_string();
        assert!(
            !text.contains(&TRUNK.to_string()) && !text.contains(&OFFICE.to_string()),
            "{}",
            alarm.alert
        );
    }
    let status = proxy.status();
    assert_eq!(status["total"]["plugin_failures"], 0, "{status:#}");
    assert_eq!(edge.trunk.invites().len(), 6, "nothing else went out");
}
