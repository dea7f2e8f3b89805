//! The backend where Linux allows it: io_uring, far fewer than one system call a packet.
//!
//! A turn is one call: it submits what the turn before wants to send, waits, and finds
//! what came on every socket. A packet is received, opened, closed and sent in one and
//! the same buffer.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::Duration;

use arrayvec::ArrayVec;
use hashbrown::HashMap;
use nix::sys::eventfd::EventFd;

use crate::backend::{Backend, TOGETHER, Wait};
use crate::engine::Engine;
use crate::ring::{Completion, Datagram, Ring};
use crate::slots::Key;

/// What is known of a socket that was added.
#[derive(Clone, Copy, Debug)]
struct State {
    descriptor: RawFd,
    receiving: bool,
    leaving: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Uring {
    ring: Ring,
    bell: RawFd,
    sockets: HashMap<Key, State>,
    /// Sockets that must be asked to receive again.
    stopped: Vec<Key>,
    bell_stopped: bool,
}

impl Uring {
    /// Fails where [`Ring::new`] does.
    pub(crate) fn new(bell: &EventFd) -> io::Result<Self> {
        let mut ring = Ring::new()?;
        ring.watch(bell.as_raw_fd())?;
        Ok(Uring {
            ring,
            bell: bell.as_raw_fd(),
            sockets: HashMap::new(),
            stopped: Vec::new(),
            bell_stopped: false,
        })
    }

    /// Asks again for what the kernel has ended by itself.
    fn resume(&mut self) -> io::Result<()> {
        while let Some(key) = self.stopped.pop() {
            if let Some(state) = self.sockets.get_mut(&key)
                && !state.receiving
                && !state.leaving
            {
                if let Err(error) = self.ring.receive(state.descriptor, key.to_bits()) {
                    self.stopped.push(key);
                    return Err(error);
                }
                state.receiving = true;
            }
        }
        Ok(())
    }

    /// Gives packets to the engine, and sends what it hands back.
    fn relay(&mut self, batch: &mut ArrayVec<Datagram, TOGETHER>, engine: &mut Engine) {
        engine.warm(batch.iter().map(|it| Key::from_bits(it.token)));
        for mut datagram in batch.drain(..) {
            let buffer = self.ring.packet_mut(&mut datagram.lease);
            let key = Key::from_bits(datagram.token);
            let outgoing = datagram
                .source
                .and_then(|source| engine.handle_datagram(key, source, buffer, datagram.length));
            let socket = outgoing.and_then(|outgoing| {
                let socket = engine.socket(outgoing.socket)?;
                Some((socket.as_raw_fd(), outgoing))
            });
            match socket {
                Some((socket, to)) => self.ring.send(socket, datagram.lease, to.length, to.to),
                None => self.ring.recycle(datagram.lease),
            }
        }
    }

    fn ended(&mut self, key: Key, error: i32, engine: &mut Engine) {
        let Some(state) = self.sockets.get_mut(&key) else {
            return;
        };
        state.receiving = false;
        if state.leaving {
            self.sockets.remove(&key);
            return engine.handle_released(key);
        }
        match error {
            // Asking again would fail again, at once and for ever.
            libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::EOPNOTSUPP => {
                tracing::error!(error, "a media socket cannot receive");
            }
            // No buffer was left, or an ICMP error of something sent earlier.
            _ => self.stopped.push(key),
        }
    }
}

impl Backend for Uring {
    fn add(&mut self, socket: Key, engine: &Engine) -> io::Result<()> {
        let Some(descriptor) = engine.socket(socket).map(AsRawFd::as_raw_fd) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.ring.receive(descriptor, socket.to_bits())?;
        let state = State {
            descriptor,
            receiving: true,
            leaving: false,
        };
        self.sockets.insert(socket, state);
        Ok(())
    }

    fn remove(&mut self, socket: Key, engine: &mut Engine) {
        let Some(state) = self.sockets.get_mut(&socket) else {
            return engine.handle_released(socket);
        };
        if state.leaving {
            return;
        }
        state.leaving = true;
        if state.receiving && self.ring.cancel(socket.to_bits()).is_ok() {
            return;
        }
        // Nothing to end, or nothing more can be asked of the kernel. What still waits
        // to be submitted names the descriptor, which somebody else may have next.
        let _flushed = self.ring.flush();
        self.sockets.remove(&socket);
        engine.handle_released(socket);
    }

    fn turn(&mut self, engine: &mut Engine, wait: Wait) -> io::Result<usize> {
        self.resume()?;
        let mut gather = wait.gather;
        if !gather.is_zero() && !self.ring.can_gather() {
            thread::sleep(gather);
            gather = Duration::ZERO;
        }
        self.ring.wait(gather, wait.enough, wait.at_most)?;
        engine.refresh_clock();
        engine.handle_orders(self);
        let mut packets = 0;
        let mut unsent = 0;
        let mut batch: ArrayVec<Datagram, TOGETHER> = ArrayVec::new();
        loop {
            let completion = self.ring.completion();
            if completion.is_none() || batch.is_full() {
                packets += batch.len();
                self.relay(&mut batch, engine);
            }
            let Some(completion) = completion else {
                break;
            };
            match completion {
                Completion::Datagram(datagram) => batch.push(datagram),
                Completion::Sent { ok } => unsent += usize::from(!ok),
                Completion::Ended { token, error } => {
                    self.ended(Key::from_bits(token), error, engine);
                }
                // The mailbox was looked at already.
                Completion::Bell { more } => self.bell_stopped |= !more,
            }
        }
        if unsent > 0 {
            engine.handle_unsent(unsent);
        }
        if self.bell_stopped {
            self.ring.watch(self.bell)?;
            self.bell_stopped = false;
        }
        Ok(packets)
    }

    fn name(&self) -> &'static str {
        "io_uring"
    }
}
