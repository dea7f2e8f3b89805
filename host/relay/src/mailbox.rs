//! Orders to a worker: a bounded queue, and an eventfd that wakes it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;

/// Orders from any thread to one worker. The lock is taken once per order by the
/// sender, and by the worker only when something waits: never for a packet.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    waiting: Mutex<VecDeque<T>>,
    filled: AtomicBool,
    bell: EventFd,
    limit: usize,
}

impl<T> Mailbox<T> {
    /// A mailbox for `limit` orders beside those that must not be refused.
    pub(crate) fn new(limit: usize) -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Mailbox {
            waiting: Mutex::new(VecDeque::with_capacity(limit.min(1_024))),
            filled: AtomicBool::new(false),
            bell: EventFd::from_flags(flags)?,
            limit,
        })
    }

    /// Puts an order in, or gives it back if the worker is too far behind.
    pub(crate) fn push(&self, order: T) -> Result<(), T> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.limit {
            return Err(order);
        }
        waiting.push_back(order);
        drop(waiting);
        self.ring();
        Ok(())
    }

    /// Puts an order in that ends something and so cannot be refused: there are no
    /// more of them than there are sessions.
    pub(crate) fn push_final(&self, order: T) {
        self.waiting.lock().push_back(order);
        self.ring();
    }

    fn ring(&self) {
        if !self.filled.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then it rings already.
            let _full = self.bell.write(1);
        }
    }

    /// Whether [`Mailbox::drain_into`] would find something; free of system calls.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Moves every order into `orders`.
    pub(crate) fn drain_into(&self, orders: &mut VecDeque<T>) {
        let _empty = self.bell.read();
        self.filled.store(false, Ordering::Release);
        orders.append(&mut self.waiting.lock());
    }

    /// The descriptor that is readable while orders wait.
    pub(crate) fn bell(&self) -> &EventFd {
        &self.bell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_but_ends_always_pass() {
        let mailbox = Mailbox::new(2).unwrap();
        assert!(!mailbox.is_filled());
        assert_eq!(mailbox.push(1), Ok(()));
        assert_eq!(mailbox.push(2), Ok(()));
        assert_eq!(mailbox.push(3), Err(3));
        mailbox.push_final(4);
        assert!(mailbox.is_filled());
        let mut orders = VecDeque::new();
        mailbox.drain_into(&mut orders);
        assert_eq!(orders, [1, 2, 4]);
        assert!(!mailbox.is_filled());
        assert!(mailbox.bell().read().is_err(), "the bell is silent again");
        assert_eq!(mailbox.push(5), Ok(()));
        assert_eq!(mailbox.bell().read(), Ok(1));
    }
}
