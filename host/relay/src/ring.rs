//! io_uring (io_uring(7)) for datagrams, with a safe face: the only file of this crate
//! that may contain unsafe code.
//!
//! Receives are multishot: one request per socket yields datagrams for as long as the
//! socket lives, each in a buffer that the kernel picks from those we gave it. Sends are
//! put into the submission queue and leave together. So one system call submits, waits
//! and collects for all sockets.
//!
//! What keeps it sound:
//!
//! - The kernel may write to a buffer from when it is provided until a completion names
//!   it, and may read it from when it is sent until that completes. Between the two a
//!   [`Lease`] stands for it: it is made from a completion only, cannot be copied, and is
//!   consumed by [`Ring::send`] and [`Ring::recycle`].
//! - Buffers, the ring of buffers, addresses and the message header lie in memory that
//!   neither moves nor is freed before every request has ended. If a request does not
//!   end when the ring is dropped, the memory is leaked.
#![expect(
    unsafe_code,
    reason = "requests to io_uring carry addresses, and no crate checks what they point to"
)]

mod completion;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

pub(crate) use self::completion::{Completion, Datagram};
use crate::backend::{BUFFER_BYTES, RECEIVE_BYTES};
use crate::socket::{NAME, kernel_address};

/// Buffers for received packets: 1,024, 2 MiB for each worker. When all are in use,
/// packets wait in their sockets.
const BUFFERS: u16 = 1_024;

/// Requests that wait to be submitted: 512; more are submitted in several calls.
const SUBMISSIONS: u32 = 512;

/// Completions that wait to be read: 4,096, so that a turn's sends and receives fit.
/// The kernel keeps what is beyond.
const COMPLETIONS: u32 = 4_096;

/// Number of the group of buffers; there is one.
const GROUP: u16 = 0;

/// Bytes before the address in a received buffer: `struct io_uring_recvmsg_out`.
const HEAD: usize = 16;

/// Where a packet begins in its buffer.
const PAYLOAD: usize = HEAD + NAME;

/// Time for requests to end when the ring is dropped.
const DRAIN: Duration = Duration::from_millis(500);

const PAGE: usize = 4_096;

const KIND_SHIFT: u32 = 56;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const WATCH: u64 = 3;
const CANCEL: u64 = 4;

/// A buffer that is neither the kernel's nor on its way.
#[derive(Debug)]
pub(crate) struct Lease(u16);

/// Memory of the buffers and of the ring that provides them.
struct Memory {
    buffers: NonNull<u8>,
    ring: NonNull<BufRingEntry>,
    tail: u16,
}

impl Memory {
    fn buffers_layout() -> io::Result<Layout> {
        layout(BUFFER_BYTES * usize::from(BUFFERS))
    }

    fn ring_layout() -> io::Result<Layout> {
        layout(size_of::<BufRingEntry>() * usize::from(BUFFERS))
    }

    fn new() -> io::Result<Self> {
        let (buffers_layout, ring_layout) = (Self::buffers_layout()?, Self::ring_layout()?);
        // SAFETY: neither layout has a size of zero.
        let (buffers, ring) = unsafe { (alloc_zeroed(buffers_layout), alloc_zeroed(ring_layout)) };
        let Some(buffers) = NonNull::new(buffers) else {
            handle_alloc_error(buffers_layout)
        };
        let Some(ring) = NonNull::new(ring) else {
            handle_alloc_error(ring_layout)
        };
        Ok(Memory {
            buffers,
            ring: ring.cast(),
            tail: 0,
        })
    }

    fn buffer(&self, number: u16) -> NonNull<u8> {
        debug_assert!(number < BUFFERS);
        // SAFETY: `number` is below BUFFERS, so this stays within the allocation.
        unsafe { self.buffers.add(usize::from(number) * BUFFER_BYTES) }
    }

    /// Gives a buffer to the kernel; it sees it after [`Memory::publish`].
    fn provide(&mut self, lease: Lease) {
        let address = self.buffer(lease.0).as_ptr() as u64;
        let place = usize::from(self.tail % BUFFERS);
        // SAFETY: `place` is below the count of entries, which are zeroed and so valid.
        // The kernel reads an entry only once the tail has passed it, and there are as
        // many entries as buffers, so none that it has yet to read is overwritten.
        let entry = unsafe { self.ring.add(place).as_mut() };
        entry.set_addr(address);
        entry.set_len((PAYLOAD + RECEIVE_BYTES) as u32);
        entry.set_bid(lease.0);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the pointer is the first entry of the ring, aligned to a page, and the
        // field there is two bytes that the kernel reads atomically and never writes.
        unsafe {
            let tail = BufRingEntry::tail(self.ring.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    /// # Safety
    ///
    /// No request may be under way that uses the memory.
    unsafe fn free(&mut self) {
        let (Ok(buffers), Ok(ring)) = (Self::buffers_layout(), Self::ring_layout()) else {
            return;
        };
        // SAFETY: allocated in `new` with these layouts, and by the caller's promise not
        // used by anyone.
        unsafe {
            dealloc(self.buffers.as_ptr(), buffers);
            dealloc(self.ring.as_ptr().cast(), ring);
        }
    }
}

fn layout(bytes: usize) -> io::Result<Layout> {
    Layout::from_size_align(bytes, PAGE).map_err(io::Error::other)
}

/// See the module. Used by the thread that made it only.
pub(crate) struct Ring {
    uring: IoUring,
    memory: Memory,
    /// Where the packet in each buffer goes.
    addresses: Vec<SockAddr>,
    /// Says of what size the address before a packet is.
    header: Box<libc::msghdr>,
    /// Requests that have not ended.
    outstanding: usize,
    /// Of those, packets.
    sending: usize,
    /// Completions that are there, as of the last [`Ring::wait`], and not yet read.
    readable: usize,
    /// A completion that is due after the one before it.
    next: Option<Completion>,
    can_gather: bool,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("outstanding", &self.outstanding)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Asks the kernel for a ring. Refused before Linux 6.1, and where a container or
    /// the administrator forbids io_uring.
    pub(crate) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let mut memory = Memory::new()?;
        // SAFETY: the ring of buffers is zeroed, aligned to a page and has BUFFERS
        // entries. It is freed in `drop`, after it was unregistered, or never.
        let registered = unsafe {
            let address = memory.ring.as_ptr() as u64;
            uring
                .submitter()
                .register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)
        };
        if let Err(error) = registered {
            // SAFETY: the kernel refused it, and no request was made.
            unsafe { memory.free() };
            return Err(error);
        }
        for number in 0..BUFFERS {
            memory.provide(Lease(number));
        }
        memory.publish();
        let unspecified = SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        // SAFETY: a header of zeros is a valid one without address and data.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME as libc::socklen_t;
        let can_gather = uring.params().is_feature_min_timeout();
        Ok(Ring {
            uring,
            memory,
            addresses: vec![unspecified; usize::from(BUFFERS)],
            header,
            outstanding: 0,
            sending: 0,
            readable: 0,
            next: None,
            can_gather,
        })
    }

    /// Whether [`Ring::wait`] can let packets gather: Linux 6.12.
    pub(crate) fn can_gather(&self) -> bool {
        self.can_gather
    }

    /// Receives from a socket until it is cancelled; `token` is below 2^56.
    pub(crate) fn receive(&mut self, socket: RawFd, token: u64) -> io::Result<()> {
        let header: *const libc::msghdr = &raw const *self.header;
        let entry = opcode::RecvMsgMulti::new(Fd(socket), header, GROUP).build();
        // SAFETY: the header is boxed and outlives the request; buffers come from the
        // group, which does too.
        unsafe { self.push(&entry.user_data(RECEIVE << KIND_SHIFT | token)) }
    }

    /// Reports `Bell` whenever a descriptor is readable.
    pub(crate) fn watch(&mut self, descriptor: RawFd) -> io::Result<()> {
        let flags = libc::POLLIN as u32;
        let entry = opcode::PollAdd::new(Fd(descriptor), flags)
            .multi(true)
            .build();
        // SAFETY: the request refers to no memory.
        unsafe { self.push(&entry.user_data(WATCH << KIND_SHIFT)) }
    }

    /// Submits what waits, without waiting itself.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.uring.submit().map(drop)
    }

    /// Ends the receiving of a socket; [`Completion::Ended`] follows.
    pub(crate) fn cancel(&mut self, token: u64) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(RECEIVE << KIND_SHIFT | token).build();
        // SAFETY: the request refers to no memory.
        unsafe { self.push(&entry.user_data(CANCEL << KIND_SHIFT | token)) }
    }

    /// The packet of a buffer, and the room behind it.
    pub(crate) fn packet_mut(&mut self, lease: &mut Lease) -> &mut [u8] {
        let start = self.memory.buffer(lease.0);
        // SAFETY: the range lies within the buffer. The lease, of which there is one
        // for each buffer, says that the kernel does not use it; it and `self` are
        // borrowed for as long as the slice lives.
        unsafe {
            std::slice::from_raw_parts_mut(start.add(PAYLOAD).as_ptr(), BUFFER_BYTES - PAYLOAD)
        }
    }

    /// Puts the packet of a buffer on its way; the buffer returns by itself.
    pub(crate) fn send(&mut self, socket: RawFd, lease: Lease, length: usize, to: SocketAddr) {
        let length = length.min(BUFFER_BYTES - PAYLOAD);
        let number = lease.0;
        let Some(address) = self.addresses.get_mut(usize::from(number)) else {
            return self.recycle(lease);
        };
        *address = SockAddr::from(to);
        let (name, name_length) = (address.as_ptr().cast(), address.len());
        // SAFETY: within the buffer.
        let data = unsafe { self.memory.buffer(number).add(PAYLOAD) };
        let entry = opcode::Send::new(Fd(socket), data.as_ptr(), length as u32)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .dest_addr(name)
            .dest_addr_len(name_length)
            .build()
            .user_data(SEND << KIND_SHIFT | u64::from(number));
        // SAFETY: the buffer and its address, in a vector that never grows, stay as they
        // are until the completion names the buffer again, because the lease ends here.
        match unsafe { self.push(&entry) } {
            Ok(()) => self.sending += 1,
            Err(_) => self.recycle(lease),
        }
    }

    /// Gives a buffer back to the kernel, at the next [`Ring::wait`].
    pub(crate) fn recycle(&mut self, lease: Lease) {
        self.memory.provide(lease);
    }

    /// # Safety
    ///
    /// What the request refers to must stay valid, and untouched as its kind demands,
    /// until it has ended.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: by the caller's promise.
        if unsafe { self.uring.submission().push(entry) }.is_err() {
            self.uring.submit()?;
            // SAFETY: as above.
            unsafe { self.uring.submission().push(entry) }
                .map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        }
        self.outstanding += 1;
        Ok(())
    }

    /// Submits everything and waits: until something other than a sent packet has
    /// ended or `at_most` is over. With `gather`, for that long or until `enough` have
    /// come, and only then for the first.
    pub(crate) fn wait(
        &mut self,
        gather: Duration,
        enough: usize,
        at_most: Option<Duration>,
    ) -> io::Result<()> {
        self.memory.publish();
        let waited = if self.next.is_some() || !self.uring.completion().is_empty() {
            self.uring.submit()
        } else {
            self.submit_and_wait(gather, enough, at_most)
        };
        self.readable = self.uring.completion().len();
        match waited {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is over, a signal came, or completions must be read first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn submit_and_wait(
        &self,
        gather: Duration,
        enough: usize,
        at_most: Option<Duration>,
    ) -> io::Result<usize> {
        // Packets complete while they are submitted, so they would end the wait.
        let want = self.sending + if gather.is_zero() { 1 } else { enough };
        let timeout = at_most.map(|longest| Timespec::from(longest.max(gather)));
        let mut arguments = SubmitArgs::new();
        if !gather.is_zero() {
            arguments = arguments.min_wait_usec(u32::try_from(gather.as_micros()).unwrap_or(0));
        }
        if let Some(timeout) = &timeout {
            arguments = arguments.timespec(timeout);
        }
        self.uring.submitter().submit_with_args(want, &arguments)
    }

    /// What had ended when [`Ring::wait`] returned, in the order in which it did. What
    /// ends later, as while requests are submitted, is left to the next wait: what the
    /// caller did between the two comes before it.
    pub(crate) fn completion(&mut self) -> Option<Completion> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            self.readable = self.readable.checked_sub(1)?;
            let entry = self.uring.completion().next()?;
            let token = entry.user_data() & ((1 << KIND_SHIFT) - 1);
            let more = cqueue::more(entry.flags());
            if !more {
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            match entry.user_data() >> KIND_SHIFT {
                RECEIVE => {
                    if let Some(completion) = self.received(token, &entry, more) {
                        return Some(completion);
                    }
                }
                SEND => {
                    self.sending = self.sending.saturating_sub(1);
                    self.recycle(Lease((token & 0xffff) as u16));
                    return Some(Completion::Sent {
                        ok: entry.result() >= 0,
                    });
                }
                CANCEL if entry.result() == -libc::EALREADY => {
                    // The request was at work just then: ask again.
                    let _full = self.cancel(token);
                }
                WATCH => return Some(Completion::Bell { more }),
                _ => {}
            }
        }
    }

    fn received(&mut self, token: u64, entry: &cqueue::Entry, more: bool) -> Option<Completion> {
        let ended = (!more).then(|| Completion::Ended {
            token,
            error: entry.result().min(0).unsigned_abs().cast_signed(),
        });
        let number = cqueue::buffer_select(entry.flags()).filter(|number| *number < BUFFERS);
        let Some(number) = number else {
            return ended;
        };
        let lease = Lease(number);
        let Some(length) = usize::try_from(entry.result())
            .ok()
            .and_then(|length| length.checked_sub(PAYLOAD))
        else {
            self.recycle(lease);
            return ended;
        };
        // SAFETY: the head and the address lie within the buffer, all of it initialised,
        // and the kernel is done with it, as the lease says.
        let name: [u8; NAME] =
            unsafe { self.memory.buffer(number).add(HEAD).cast().read_unaligned() };
        self.next = ended;
        Some(Completion::Datagram(Datagram {
            token,
            source: kernel_address(&name),
            lease,
            length: length.min(RECEIVE_BYTES),
        }))
    }

    /// Ends every request and waits for that; whether all ended.
    fn drain(&mut self) -> bool {
        let timeout = Timespec::from(DRAIN);
        // Those still to be submitted cannot be cancelled.
        let _submitted = self.uring.submit();
        let submitter = self.uring.submitter();
        let _cancelled = submitter.register_sync_cancel(Some(timeout), CancelBuilder::any().all());
        for _ in 0..16 {
            self.readable = self.uring.completion().len();
            while self.completion().is_some() {}
            if self.outstanding == 0 {
                return true;
            }
            let arguments = SubmitArgs::new().timespec(&timeout);
            let _ended = self.uring.submitter().submit_with_args(1, &arguments);
        }
        false
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.drain() {
            tracing::warn!(
                requests = self.outstanding,
                "io_uring did not end its requests"
            );
            std::mem::forget(std::mem::take(&mut self.addresses));
            // SAFETY: as in `new`; this one has never been seen by the kernel.
            let unused = Box::new(unsafe { std::mem::zeroed() });
            std::mem::forget(std::mem::replace(&mut self.header, unused));
            return;
        }
        if self.uring.submitter().unregister_buf_ring(GROUP).is_ok() {
            // SAFETY: no request is left, and the kernel has let go of the ring.
            unsafe { self.memory.free() };
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
