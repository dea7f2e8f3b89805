//! Two parties with real sockets, a relay between them, and what an attacker has.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use media::{
    Codec, EndPlan, Format, Interface, KeyMaterial, Latch, LocalPorts, MediaTimeouts, Protection,
    RelayCommand, RelayEvent, Remote, SessionFigures, SessionId, Side, StreamFigures, StreamKind,
    Suite,
};
use relay::{BackendChoice, DtlsClient, Relay, RelayConfig, RelayHandle, RelayLimits};
use smallvec::smallvec;
use zeroize::Zeroizing;

/// What must come, comes within this, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// What must not come is waited for this long.
pub(crate) const WHILE: Duration = Duration::from_millis(60);

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
static NEXT_SESSION: AtomicU64 = AtomicU64::new(1);

/// Ports that were free a moment ago; tests of other processes start elsewhere.
pub(crate) fn free_ports() -> LocalPorts {
    loop {
        let step = NEXT_PORT.fetch_add(2, Ordering::Relaxed);
        let base = 11_000 + (std::process::id() % 64) as u16 * 256;
        let rtp = base + step % 16_000;
        let free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if free(rtp) && free(rtp + 1) {
            return LocalPorts {
                interface: 0,
                ipv6: false,
                rtp,
            };
        }
    }
}

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A phone.
pub(crate) struct Party {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// Our ports that face it.
    pub(crate) ours: LocalPorts,
}

impl Party {
    pub(crate) fn new() -> Self {
        Self::at([127, 0, 0, 1])
    }

    /// With an address of its own.
    pub(crate) fn at(address: [u8; 4]) -> Self {
        let socket = || {
            let socket = UdpSocket::bind(SocketAddr::from((address, 0))).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket
        };
        Party {
            rtp: socket(),
            rtcp: socket(),
            ours: free_ports(),
        }
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote {
            rtp: Some(self.rtp.local_addr().unwrap()),
            rtcp: Some(self.rtcp.local_addr().unwrap()),
            latch: Latch::Signalled,
            sources: smallvec![],
            networks: [].into(),
        }
    }

    pub(crate) fn plan(&self, protection: Protection) -> EndPlan {
        EndPlan {
            local: self.ours,
            remote: Some(self.remote()),
            rtcp_mux: false,
            protection,
            sends: true,
            receives: true,
            payload_types: 1 | 1 << 8 | 1 << 101,
            formats: smallvec![
                Format {
                    payload_type: 0,
                    clock_rate: 8_000,
                    codec: Codec::G711
                },
                Format {
                    payload_type: 101,
                    clock_rate: 8_000,
                    codec: Codec::TelephoneEvent
                }
            ],
            kind: StreamKind::Rtp,
            packets_per_second: 4_000,
            packet_bytes: 1_472,
        }
    }

    /// Sends to the relay.
    pub(crate) fn send(&self, packet: &[u8]) {
        self.rtp.send_to(packet, address(self.ours.rtp)).unwrap();
    }

    pub(crate) fn send_rtcp(&self, packet: &[u8]) {
        self.rtcp
            .send_to(packet, address(self.ours.rtcp()))
            .unwrap();
    }

    /// The next packet of RTP, and that it came from our port.
    pub(crate) fn receive(&self) -> Vec<u8> {
        receive(&self.rtp, self.ours.rtp)
    }

    pub(crate) fn receive_rtcp(&self) -> Vec<u8> {
        receive(&self.rtcp, self.ours.rtcp())
    }

    /// That nothing comes for a while.
    pub(crate) fn hears_nothing(&self) {
        for socket in [&self.rtp, &self.rtcp] {
            socket.set_read_timeout(Some(WHILE)).unwrap();
            let mut buffer = [0; 2_048];
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                panic!("heard {:?} from {from}", &buffer[..length]);
            }
            socket.set_read_timeout(Some(SOON)).unwrap();
        }
    }
}

fn receive(socket: &UdpSocket, port: u16) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let (length, from) = socket.recv_from(&mut buffer).expect("a packet");
    assert_eq!(from, address(port));
    buffer[..length].to_vec()
}

/// A packet of G.711.
pub(crate) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..160_u8).map(|octet| octet.wrapping_add(sequence as u8)));
    packet
}

/// A receiver report.
pub(crate) fn report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

pub(crate) fn key(suite: Suite, seed: u8) -> KeyMaterial {
    let length = suite.key_len() + suite.salt_len();
    let octets = (0..length).map(|at| seed.wrapping_mul(31).wrapping_add(at as u8));
    KeyMaterial::new(suite, Zeroizing::new(octets.collect())).unwrap()
}

/// Keys of a leg as the relay has them.
pub(crate) fn sdes(suite: Suite, seed: u8) -> Protection {
    Protection::Sdes {
        send: key(suite, seed),
        receive: key(suite, seed + 1),
    }
}

/// Whether this kernel, and whoever contains us, has io_uring.
pub(crate) fn io_uring_is_allowed() -> bool {
    let config = RelayConfig {
        workers: 1,
        backend: BackendChoice::IoUring,
        ..RelayConfig::default()
    };
    Relay::start(config, |_| {}).is_ok()
}

/// A relay, and one call.
pub(crate) struct Call {
    _relay: Relay,
    pub(crate) handle: RelayHandle,
    pub(crate) events: Receiver<RelayEvent>,
    pub(crate) session: SessionId,
    pub(crate) caller: Party,
    pub(crate) callee: Party,
    generation: u32,
}

pub(crate) fn interface() -> Interface {
    Interface {
        bind6: Some(std::net::Ipv6Addr::LOCALHOST),
        ..Interface::at([127, 0, 0, 1].into(), 11_000..=32_000)
    }
}

pub(crate) fn start(backend: BackendChoice) -> (Relay, Receiver<RelayEvent>) {
    start_with(backend, DtlsClient::default())
}

fn start_with(backend: BackendChoice, client: DtlsClient) -> (Relay, Receiver<RelayEvent>) {
    let (sender, events) = channel();
    let config = RelayConfig {
        workers: 1,
        interfaces: vec![interface()],
        limits: RelayLimits::default(),
        backend,
    };
    let relay = Relay::start_with(config, client, move |event| drop(sender.send(event))).unwrap();
    (relay, events)
}

/// Opens a session with two parties who have agreed on RTP in the clear.
pub(crate) fn open_plain(handle: &RelayHandle, session: SessionId) -> (Party, Party) {
    let timeouts = MediaTimeouts::default();
    handle.command(RelayCommand::Open { session, timeouts });
    agree_plain(handle, session)
}

/// Agrees on RTP in the clear with two parties in a session.
pub(crate) fn agree_plain(handle: &RelayHandle, session: SessionId) -> (Party, Party) {
    let (caller, callee) = (Party::new(), Party::new());
    let ends = [&caller, &callee].map(|party| party.plan(Protection::Plain));
    handle.command(RelayCommand::Stream {
        session,
        stream: 0,
        generation: 1,
        ends: Box::new(ends),
    });
    (caller, callee)
}

impl Call {
    /// A call of which nothing is agreed yet.
    pub(crate) fn new(backend: BackendChoice) -> Self {
        Self::with(backend, MediaTimeouts::default())
    }

    pub(crate) fn with(backend: BackendChoice, timeouts: MediaTimeouts) -> Self {
        Self::begin(start(backend), timeouts)
    }

    /// Where we are the DTLS client, with this choice.
    pub(crate) fn with_client(backend: BackendChoice, client: DtlsClient) -> Self {
        Self::begin(start_with(backend, client), MediaTimeouts::default())
    }

    fn begin((relay, events): (Relay, Receiver<RelayEvent>), timeouts: MediaTimeouts) -> Self {
        let handle = relay.handle();
        let session = SessionId(NEXT_SESSION.fetch_add(1, Ordering::Relaxed));
        handle.command(RelayCommand::Open { session, timeouts });
        Call {
            _relay: relay,
            handle,
            events,
            session,
            caller: Party::new(),
            callee: Party::new(),
            generation: 0,
        }
    }

    /// A call that was answered.
    pub(crate) fn answered(backend: BackendChoice, caller: Protection, callee: Protection) -> Self {
        let mut call = Call::new(backend);
        let plans = [call.caller.plan(caller), call.callee.plan(callee)];
        call.agree(plans);
        call
    }

    /// Both ends as agreed now.
    pub(crate) fn agree(&mut self, ends: [EndPlan; 2]) {
        self.agree_on(0, ends);
    }

    pub(crate) fn agree_on(&mut self, stream: u8, ends: [EndPlan; 2]) {
        self.generation += 1;
        self.handle.command(RelayCommand::Stream {
            session: self.session,
            stream,
            generation: self.generation,
            ends: Box::new(ends),
        });
    }

    pub(crate) fn plans(&self, caller: Protection, callee: Protection) -> [EndPlan; 2] {
        [self.caller.plan(caller), self.callee.plan(callee)]
    }

    pub(crate) fn event(&self) -> RelayEvent {
        self.events.recv_timeout(SOON).expect("an event")
    }

    pub(crate) fn no_event(&self) {
        if let Ok(event) = self.events.recv_timeout(WHILE) {
            panic!("{event:?}");
        }
    }

    /// Ends the call; what passed.
    pub(crate) fn close(&self) -> SessionFigures {
        self.handle.command(RelayCommand::Close {
            session: self.session,
        });
        loop {
            if let RelayEvent::Closed { session, figures } = self.event() {
                assert_eq!(session, self.session);
                return *figures;
            }
        }
    }

    /// Waits until the worker has done what it was told before.
    pub(crate) fn settle(&self) {
        // An order is read within one turn, and a turn lasts two milliseconds.
        std::thread::sleep(Duration::from_millis(25));
    }
}

pub(crate) fn of(figures: &SessionFigures, side: Side) -> &StreamFigures {
    figures
        .streams
        .iter()
        .find(|stream| stream.side == side)
        .expect("figures of that side")
}

/// Waits for something that is not an event.
pub(crate) fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < end, "not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
