//! Which of the sockets that share an address receives a datagram.
//!
//! While one thread can do the work of a listener it gets all of it: the calls' state
//! stays in one processor's caches, which costs a fifth less than spreading it. When
//! that thread is busy for more than half of the time, the kernel spreads peers over
//! all sockets by its hash; when all threads together would leave one idle for three
//! quarters of the time, they are gathered again. For the moment of a change two
//! datagrams of one peer may be on two sockets and their order is then as open as it
//! is in any network.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use nix::libc::{BPF_K, BPF_RET, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};
use parking_lot::Mutex;

/// A thread's share of work is taken over at least this long.
const WINDOW: Duration = Duration::from_millis(100);

/// Sockets are not gathered within this time of being spread.
const DWELL: Duration = Duration::from_secs(2);

/// One thread busier than this, in thousandths of the time: spread.
const SPREAD_ABOVE: u32 = 500;

/// All threads together less busy than this: gather.
const GATHER_BELOW: u32 = 250;

/// The steering of all sockets of one listener, one for each worker.
#[derive(Debug)]
pub(crate) struct Steering {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    gathered: bool,
    changed: Instant,
    /// Thousandths of the time that each thread was busy, and when that was.
    shares: HashMap<u64, (u32, Instant)>,
    threads: u64,
}

impl Steering {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                gathered: true,
                changed: now,
                shares: HashMap::new(),
                threads: 0,
            }),
        }
    }

    /// One more socket shares the address; its number for [`Steering::report`].
    pub(crate) fn join(&self, socket: &UdpSocket) -> u64 {
        let mut state = self.state.lock();
        state.threads += 1;
        steer(socket, state.gathered);
        state.threads
    }

    /// Takes note of how busy a thread was, and steers anew if that calls for it.
    fn report(&self, thread: u64, busy: u32, now: Instant, socket: &UdpSocket) {
        let mut state = self.state.lock();
        if state.decide(thread, busy, now) {
            steer(socket, state.gathered);
            let (gathered, listener) = (state.gathered, socket.local_addr().ok());
            tracing::debug!(gathered, ?listener, "datagrams take another way");
        }
    }
}

impl State {
    /// Whether the steering changed.
    fn decide(&mut self, thread: u64, busy: u32, now: Instant) -> bool {
        self.shares.insert(thread, (busy, now));
        self.shares
            .retain(|_, (_, at)| now.saturating_duration_since(*at) < DWELL);
        let total: u32 = self.shares.values().map(|(busy, _)| busy).sum();
        let since = now.saturating_duration_since(self.changed);
        let gathered = match self.gathered {
            true => busy <= SPREAD_ABOVE,
            false => total < GATHER_BELOW && since >= DWELL,
        };
        let changes = gathered != self.gathered;
        if changes {
            self.gathered = gathered;
            self.changed = now;
        }
        changes
    }
}

/// Sets the program by which the kernel chooses among the sockets of one address: the
/// first, or no socket that exists, upon which it falls back to its hash. A kernel that
/// refuses keeps to the hash.
fn steer(socket: &UdpSocket, gathered: bool) {
    let choice = if gathered { 0 } else { u32::MAX };
    if let Err(error) = attach(socket, choice) {
        tracing::debug!(%error, "the kernel chooses among sockets by itself");
    }
}

fn attach(socket: &UdpSocket, choice: u32) -> io::Result<()> {
    let mut program = [sock_filter {
        code: (BPF_RET | BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: choice,
    }];
    let program = sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(socket, sockopt::AttachReusePortCbpf, &program)?)
}

/// How busy one receiving thread is.
#[derive(Debug)]
pub(crate) struct Load {
    thread: u64,
    since: Instant,
    busy: Duration,
}

impl Load {
    pub(crate) fn new(thread: u64, now: Instant) -> Self {
        Self {
            thread,
            since: now,
            busy: Duration::ZERO,
        }
    }

    /// Work that began at `began` is done.
    pub(crate) fn worked(&mut self, began: Instant, steering: &Steering, socket: &UdpSocket) {
        let now = Instant::now();
        self.busy += now.saturating_duration_since(began);
        let window = now.saturating_duration_since(self.since);
        if window >= WINDOW {
            let busy = self.busy.as_micros() * 1000 / window.as_micros().max(1);
            steering.report(
                self.thread,
                u32::try_from(busy).unwrap_or(1000),
                now,
                socket,
            );
            self.since = now;
            self.busy = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(now: Instant) -> State {
        State {
            gathered: true,
            changed: now,
            shares: HashMap::new(),
            threads: 2,
        }
    }

    #[test]
    fn a_busy_thread_gets_company_and_idle_ones_are_gathered() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut state = state(start);
        assert!(!state.decide(1, SPREAD_ABOVE, after(100)));
        assert!(state.decide(1, SPREAD_ABOVE + 1, after(200)) && !state.gathered);
        // Both are idle, but it was only just decided.
        assert!(!state.decide(1, 100, after(300)));
        assert!(!state.decide(2, 100, after(300)));
        assert!(!state.decide(1, 130, after(2100)));
        // Together too busy for one.
        assert!(!state.decide(2, GATHER_BELOW - 130, after(2250)));
        assert!(state.decide(2, GATHER_BELOW - 131, after(2300)) && state.gathered);
    }

    #[test]
    fn what_a_thread_said_long_ago_does_not_count() {
        let start = Instant::now();
        let mut state = state(start);
        state.gathered = false;
        assert!(!state.decide(1, 900, start + Duration::from_millis(1999)));
        assert!(!state.decide(2, 10, start + Duration::from_millis(3998)));
        assert!(state.decide(2, 10, start + Duration::from_millis(3999)));
    }

    #[test]
    fn the_kernel_takes_both_programs() {
        let any = "127.0.0.1:0".parse().unwrap();
        let limits = crate::config::DatagramLimits::default();
        let socket = crate::socket::bind_udp(any, &limits).unwrap();
        attach(&socket, 0).unwrap();
        attach(&socket, u32::MAX).unwrap();
    }
}
