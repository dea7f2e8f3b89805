//! Calls at an even pace, and how long each INVITE waits for its 100. The kernel notes when
//! a message came, so what is measured does not depend on when this thread reads it.

use std::collections::{HashMap, VecDeque};
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use sip_message::build::{RequestBuilder, ack_for};
use sip_message::{HeaderKind, Limits, Message, Method};

use super::delays::Span;
use crate::stage::media::agent::messages::{contact, header, routes};
use crate::stage::{NUMBER, PBX, Stage};

/// How long a call talks.
const TALK: Duration = Duration::from_secs(1);
/// Time after which a request is repeated.
const REPEAT: Duration = Duration::from_millis(500);
/// Time after which a call has failed.
const PATIENCE: Duration = Duration::from_secs(32);
/// The shortest sleep; zero would be for ever.
const SHORTEST: Duration = Duration::from_micros(50);
/// The longest, so that requests are repeated in time.
const LONGEST: Duration = Duration::from_millis(100);

/// What became of all calls.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Calls that began.
    pub(super) placed: u64,
    /// Calls that were answered, and whose BYE was.
    pub(super) ended: u64,
    /// Requests that were sent again.
    pub(super) repeated: u64,
    /// From each INVITE to its 100.
    pub(super) tried: Vec<Span>,
}

/// The calling side.
pub(super) struct Caller {
    thread: JoinHandle<Outcome>,
    stop: Arc<AtomicBool>,
}

impl Caller {
    /// Begins to call, so many times a second.
    ///
    /// # Panics
    /// The system gives no socket.
    pub(super) fn start(stage: &Stage, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let socket = UdpSocket::bind((PBX, 0)).expect("a port for SIP");
        setsockopt(&socket, ReceiveTimestampns, &true).expect("times of arrival");
        let local = socket.local_addr().expect("its address");
        let mut line = Line {
            socket,
            local,
            proxy: SocketAddr::from((PBX, stage.inside)),
            calls: HashMap::new(),
            talking: VecDeque::new(),
            outcome: Outcome::default(),
        };
        let gap = Duration::from_secs(1) / rate.max(1);
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            line.work(gap, &told);
            line.outcome
        });
        Self { thread, stop }
    }

    /// Begins no more calls, and waits until all have ended.
    ///
    /// # Panics
    /// The calling thread has.
    pub(super) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("calls that were made")
    }
}

/// A call.
struct Call {
    began: Instant,
    /// The same by the clock of the kernel's notes.
    began_at: Duration,
    tried: bool,
    /// The INVITE or the BYE, until it is answered.
    pending: Option<Pending>,
    /// The ACK of the 200, once there is one.
    ack: Option<Bytes>,
    bye: Option<Bytes>,
}

struct Pending {
    bytes: Bytes,
    sent: Instant,
}

/// The socket with its calls.
struct Line {
    socket: UdpSocket,
    local: SocketAddr,
    proxy: SocketAddr,
    /// By Call-ID.
    calls: HashMap<String, Call>,
    /// Calls that talk, and until when.
    talking: VecDeque<(Instant, String)>,
    outcome: Outcome,
}

impl Line {
    fn work(&mut self, gap: Duration, stop: &AtomicBool) {
        let mut next = Instant::now();
        let mut looked = Instant::now();
        let mut buffer = vec![0; 65_536];
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            if stopped && self.calls.is_empty() {
                return;
            }
            if !stopped && Instant::now() >= next {
                next += gap;
                self.invite();
            }
            self.hang_up();
            if looked.elapsed() >= LONGEST {
                looked = Instant::now();
                self.repeat();
            }
            let call = next.saturating_duration_since(Instant::now());
            let wait = if stopped { LONGEST } else { call };
            let wait = wait.clamp(SHORTEST, LONGEST);
            self.socket
                .set_read_timeout(Some(wait))
                .expect("a time limit");
            let Some((bytes, came_at)) = self.receive(&mut buffer) else {
                continue;
            };
            if let Ok(message) = Message::parse_datagram(bytes, &Limits::default()) {
                self.answered(&message, came_at);
            }
        }
    }

    /// A datagram, and when it came.
    fn receive(&self, buffer: &mut [u8]) -> Option<(Bytes, Duration)> {
        let mut notes = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let socket = self.socket.as_raw_fd();
        let came = recvmsg::<()>(socket, &mut parts, Some(&mut notes), MsgFlags::empty()).ok()?;
        let at = came.cmsgs().ok()?.find_map(|note| match note {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        });
        let (length, at) = (came.bytes, at.expect("the time of arrival"));
        Some((Bytes::copy_from_slice(&buffer[..length]), at))
    }

    fn invite(&mut self) {
        self.outcome.placed += 1;
        let number = self.outcome.placed;
        let id = format!("{number}-{}@{}", self.local.port(), self.local.ip());
        let (local, proxy) = (self.local, self.proxy);
        let uri = format!("sip:{NUMBER}@{proxy}");
        let bytes = RequestBuilder::new("INVITE", &uri)
            .via(format!("SIP/2.0/UDP {local};branch=z9hG4bK{number}i;rport"))
            .from(format!("<sip:pbx@{local}>;tag={number}"))
            .to(format!("<{uri}>"))
            .call_id(&id)
            .cseq(1)
            .header("Max-Forwards", "70")
            .header("Contact", format!("<sip:pbx@{local}>"))
            .finish()
            .expect("an INVITE");
        let (began, began_at) = (Instant::now(), now());
        self.send(&bytes);
        let call = Call {
            began,
            began_at,
            tried: false,
            pending: Some(Pending { bytes, sent: began }),
            ack: None,
            bye: None,
        };
        self.calls.insert(id, call);
    }

    /// What is not sent is lost, as on any network, and sent again.
    fn send(&self, bytes: &[u8]) {
        let _lost = self.socket.send_to(bytes, self.proxy);
    }

    fn answered(&mut self, response: &Message, came_at: Duration) {
        let (Some(status), method) = (response.status(), response.method()) else {
            return;
        };
        let id = String::from_utf8_lossy(response.call_id()).into_owned();
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match (method, status) {
            (Method::Invite, 100) if !call.tried => {
                call.tried = true;
                let span = Span {
                    from: call.began,
                    to: call.began + came_at.saturating_sub(call.began_at),
                };
                self.outcome.tried.push(span);
            }
            (Method::Invite, 100..200) => {}
            (Method::Invite, 200..300) => self.agreed(id, response),
            (Method::Bye, 200..300) => {
                self.outcome.ended += 1;
                self.calls.remove(&id);
            }
            (Method::Invite, _) => self.refused(&id, response),
            _ => {
                self.calls.remove(&id);
            }
        }
    }

    fn agreed(&mut self, id: String, response: &Message) {
        let ack = self.calls.get(&id).and_then(|call| call.ack.clone());
        if let Some(again) = ack {
            self.send(&again);
            return;
        }
        let ack = self.within(&id, "ACK", 1, response);
        let bye = self.within(&id, "BYE", 2, response);
        self.send(&ack);
        if let Some(call) = self.calls.get_mut(&id) {
            call.pending = None;
            call.ack = Some(ack);
            call.bye = Some(bye);
            self.talking.push_back((Instant::now() + TALK, id));
        }
    }

    /// A request of a call that this 200 has made.
    fn within(&self, id: &str, method: &str, sequence: u32, response: &Message) -> Bytes {
        let local = self.local;
        let branch = format!("{}-{method}", id.split('@').next().unwrap_or_default());
        let mut request = RequestBuilder::new(method, contact(response))
            .via(format!("SIP/2.0/UDP {local};branch=z9hG4bK{branch};rport"))
            .from(header(response, HeaderKind::From))
            .to(header(response, HeaderKind::To))
            .call_id(id)
            .cseq(sequence)
            .header("Max-Forwards", "70");
        for route in routes(response).iter().rev() {
            request = request.route(route);
        }
        request.finish().expect("a request")
    }

    fn refused(&mut self, id: &str, response: &Message) {
        let pending = self.calls.remove(id).and_then(|call| call.pending);
        let invite = pending.map(|it| Message::parse_datagram(it.bytes, &Limits::default()));
        if let Some(Ok(invite)) = invite {
            self.send(&ack_for(&invite, response));
        }
    }

    fn hang_up(&mut self) {
        let now = Instant::now();
        while let Some((_, id)) = self.talking.pop_front_if(|(until, _)| *until <= now) {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            if let Some(bytes) = call.bye.take() {
                call.pending = Some(Pending {
                    bytes: bytes.clone(),
                    sent: now,
                });
                self.send(&bytes);
            }
        }
    }

    fn repeat(&mut self) {
        let mut again = Vec::new();
        self.calls.retain(|_, call| {
            if let Some(pending) = &mut call.pending
                && pending.sent.elapsed() >= REPEAT
                && !(call.tried && call.ack.is_none())
            {
                pending.sent = Instant::now();
                again.push(pending.bytes.clone());
            }
            call.began.elapsed() < PATIENCE
        });
        self.outcome.repeated += again.len() as u64;
        again.iter().for_each(|bytes| self.send(bytes));
    }
}

/// The time by the clock of the kernel's notes.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock that is set")
}
