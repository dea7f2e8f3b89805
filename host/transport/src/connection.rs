//! One TCP or TLS connection: reading, writing, timeouts, keep-alive.
//!
//! Framing is that of RFC 3261 section 18.3, keep-alive that of RFC 5626 section
//! 4.4.1: a double CRLF is answered by a single one. A WebSocket (RFC 7118) will
//! be another pair of loops around the same handle and queue.
//!
//! Reading and writing are two loops of one task. The worker lends its receive
//! buffer for the length of one poll, so an idle connection holds none.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::{Buf, Bytes};
use sip_message::{Frame, Message, StreamFramer};
use sip_transaction::{Flow, Transport};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::ConnectionLimits;
use crate::inbound::{Inbound, Received, SendError, SharedInbox};
use crate::outgoing::{Outgoing, Report};
use crate::table::{Close, ConnectionHandle, Direction};
use crate::worker::WorkerCore;

/// Bytes read from one connection in one go: 64 KiB, the largest message.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// Messages written in one go: 32.
const WRITE_BATCH: usize = 32;

/// Requests remembered until a peer that we dialled first speaks: 1,024.
const UNHEARD_MAX: usize = 1_024;

/// Fewer bytes than these may be half a ping and begin no message yet.
const PING_BYTES: usize = 4;

/// Longest wait for the last bytes of a connection that is being closed.
const FLUSH: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    PeerClosed,
    Requested(Close),
    FirstMessageTimeout,
    MessageTimeout,
    IdleTimeout,
    WriteTimeout,
    Framing,
    Io(io::ErrorKind),
}

impl Ending {
    /// Whether what waits may still be written.
    fn flushes(self) -> bool {
        // The driver may have answered what broke the framing.
        matches!(
            self,
            Ending::PeerClosed
                | Ending::Requested(Close::Flush)
                | Ending::IdleTimeout
                | Ending::Framing
        )
    }

    /// What the transactions in the queue are told.
    fn error(self) -> SendError {
        match self {
            Ending::Requested(Close::Abort) => SendError::QueueFull,
            Ending::WriteTimeout => SendError::WriteTimeout,
            Ending::Io(kind) => SendError::Io(kind),
            _ => SendError::Closed,
        }
    }
}

/// An open connection, owned by the task that runs it.
pub(crate) struct Connection {
    pub(crate) handle: Arc<ConnectionHandle>,
    pub(crate) local: SocketAddr,
    pub(crate) limits: ConnectionLimits,
    pub(crate) core: Rc<WorkerCore>,
    pub(crate) inbox: SharedInbox,
}

/// What was last heard and said; the two loops share it.
struct Activity {
    last: Cell<Instant>,
    /// Requests written to a peer that we dialled and that has not spoken yet; none
    /// once it has. A TLS 1.3 server that refuses our certificate says so only
    /// after we believe in the connection, and these requests never arrived.
    unheard: RefCell<Option<Vec<Report>>>,
}

impl Activity {
    fn new(direction: Direction) -> Self {
        let unheard = (direction == Direction::Outbound).then(Vec::new);
        Activity {
            last: Cell::new(Instant::now()),
            unheard: RefCell::new(unheard),
        }
    }

    fn touch(&self) {
        self.last.set(Instant::now());
    }

    fn heard(&self) {
        self.touch();
        let unheard = self.unheard.borrow_mut().take();
        unheard.into_iter().flatten().for_each(Report::settle);
    }

    fn sent(&self, outgoing: Outgoing) {
        match &mut *self.unheard.borrow_mut() {
            Some(unheard)
                if unheard.len() < UNHEARD_MAX && !outgoing.bytes.starts_with(b"SIP/2.0 ") =>
            {
                unheard.extend(outgoing.into_report());
            }
            _ => outgoing.sent(),
        }
    }

    fn ended(&self, ending: Ending) {
        for report in self.unheard.borrow_mut().take().into_iter().flatten() {
            match ending {
                Ending::PeerClosed | Ending::Io(_) => report.fail(ending.error()),
                _ => report.settle(),
            }
        }
    }
}

impl Connection {
    /// Runs the connection to its end. The caller takes it out of the table.
    pub(crate) async fn run<R, W>(self, reader: R, writer: W, queue: &mut mpsc::Receiver<Outgoing>)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let activity = Activity::new(self.handle.opening.direction);
        let drain = Notify::new();
        let ending = {
            let mut reading = pin!(self.read(reader, &activity));
            let mut writing = pin!(self.write(writer, queue, &activity, &drain));
            let ending = tokio::select! {
                biased;
                how = self.handle.close_requested() => Ending::Requested(how),
                ending = &mut reading => ending,
                ending = &mut writing => ending,
            };
            self.core.shared.table.remove(&self.handle);
            self.handle.close(Close::Flush);
            if ending.flushes() {
                drain.notify_one();
                let _ = timeout(FLUSH.min(self.limits.write), &mut writing).await;
            }
            ending
        };
        activity.ended(ending);
        self.count(ending);
        tracing::debug!(peer = %self.handle.opening.peer, id = self.handle.id.0, ?ending, "connection ended");
        abandon(queue, &ending.error());
    }

    fn count(&self, ending: Ending) {
        let counters = &self.core.counters;
        match ending {
            Ending::FirstMessageTimeout => counters.first_message_timeouts.increment(),
            Ending::MessageTimeout => counters.message_timeouts.increment(),
            Ending::IdleTimeout => counters.idle_timeouts.increment(),
            Ending::WriteTimeout => counters.write_timeouts.increment(),
            Ending::Framing => counters.framing_errors.increment(),
            Ending::PeerClosed | Ending::Requested(_) | Ending::Io(_) => {}
        }
    }

    async fn read<R: AsyncRead + Unpin>(&self, mut reader: R, activity: &Activity) -> Ending {
        let mut framer = StreamFramer::new(self.core.shared.config().messages);
        let mut patience = Patience::new(self.handle.opening.direction, &self.limits);
        let mut alarm = pin!(sleep_until(patience.deadline(activity).0));
        loop {
            let length = tokio::select! {
                biased;
                read = self.read_some(&mut reader, &mut framer) => match read {
                    Ok(Some(length)) => length,
                    Ok(None) => return Ending::Framing,
                    Err(error) => return Ending::Io(error.kind()),
                },
                () = &mut alarm => {
                    let (deadline, ending) = patience.deadline(activity);
                    if deadline <= Instant::now() {
                        return ending;
                    }
                    alarm.as_mut().reset(deadline);
                    continue;
                }
            };
            if length == 0 {
                return Ending::PeerClosed;
            }
            activity.heard();
            self.core.counters.bytes_received.add(length);
            let Some(seen) = self.take_frames(&mut framer) else {
                return Ending::Framing;
            };
            patience.observe(seen, framer.buffered() < PING_BYTES);
            // The alarm may ring too early, which costs little, but never too late.
            let (deadline, _) = patience.deadline(activity);
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
        }
    }

    /// Reads once, straight into the framer. None if the framer refuses the bytes.
    async fn read_some<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        framer: &mut StreamFramer,
    ) -> io::Result<Option<usize>> {
        poll_fn(|context| {
            let mut scratch = self.core.scratch.borrow_mut();
            let lent = scratch.get_mut(..READ_BYTES).unwrap_or_default();
            let mut buffer = ReadBuf::new(lent);
            ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
            let filled = buffer.filled();
            Ok(framer.push(filled).is_ok().then_some(filled.len())).into()
        })
        .await
    }

    /// Delivers all whole messages. None if the stream cannot be framed any more.
    fn take_frames(&self, framer: &mut StreamFramer) -> Option<Seen> {
        let mut seen = Seen::default();
        loop {
            let frame = framer.next().ok()?;
            let Some(frame) = frame else {
                return Some(seen);
            };
            seen.frame = true;
            let what = match frame {
                Frame::Ping => {
                    self.core.counters.keep_alives.increment();
                    self.pong();
                    continue;
                }
                Frame::Pong => {
                    self.core.counters.keep_alives.increment();
                    continue;
                }
                Frame::Message(message) => {
                    seen.message = true;
                    self.core.counters.messages_received.increment();
                    self.learn_alias(&message);
                    Received::Message(Arc::new(*message))
                }
                Frame::Invalid(error) => {
                    self.core.counters.messages_invalid.increment();
                    Received::Invalid(error)
                }
            };
            self.inbox.deliver(Inbound {
                what,
                flow: self.flow(),
                certificate: self.handle.certificate().cloned(),
                tls: self.handle.tls(),
            });
        }
    }

    fn flow(&self) -> Flow {
        Flow {
            transport: self.handle.opening.transport,
            listener: self.handle.opening.listener,
            local: self.local,
            peer: self.handle.opening.peer,
            connection: Some(self.handle.id),
        }
    }

    fn pong(&self) {
        // A peer that floods us with pings and does not read the answers has
        // filled the queue; it gets no more of them.
        if self
            .handle
            .enqueue(Outgoing::new(Bytes::from_static(b"\r\n"), None))
            .is_err()
        {
            self.core.counters.queue_overflows.increment();
            self.handle.close(Close::Abort);
        }
    }

    /// RFC 5923 section 5: a client that proved its name may ask by `alias` that
    /// requests to its announced port travel back on its connection.
    fn learn_alias(&self, message: &Message) {
        let opening = &self.handle.opening;
        if opening.transport != Transport::Tls
            || opening.direction != Direction::Inbound
            || self.handle.certificate().is_none()
            || !message.is_request()
        {
            return;
        }
        let via = message.top_via();
        if via.param(b"alias").is_some() {
            let port = via.port.unwrap_or(opening.transport.default_port());
            let announced = SocketAddr::new(opening.peer.ip(), port);
            self.core.shared.table.alias(&self.handle, announced);
        }
    }

    async fn write<W: AsyncWrite + Unpin>(
        &self,
        mut writer: W,
        queue: &mut mpsc::Receiver<Outgoing>,
        activity: &Activity,
        drain: &Notify,
    ) -> Ending {
        let mut batch = Vec::new();
        let mut draining = false;
        loop {
            let count = tokio::select! {
                biased;
                count = queue.recv_many(&mut batch, WRITE_BATCH) => count,
                () = drain.notified(), if !draining => {
                    draining = true;
                    queue.close();
                    continue;
                }
            };
            if count == 0 {
                let _ = timeout(FLUSH, writer.shutdown()).await;
                return Ending::Requested(Close::Flush);
            }
            let length: usize = batch.iter().map(|outgoing| outgoing.bytes.len()).sum();
            let written = timeout(self.limits.write, write_batch(&mut writer, &batch)).await;
            self.handle.give_bytes(length);
            let ending = match written {
                Ok(Ok(())) => {
                    self.core.counters.bytes_sent.add(length);
                    self.core.counters.messages_sent.add(count);
                    activity.touch();
                    batch.drain(..).for_each(|outgoing| activity.sent(outgoing));
                    continue;
                }
                Ok(Err(error)) => Ending::Io(error.kind()),
                Err(_) => Ending::WriteTimeout,
            };
            for outgoing in batch {
                outgoing.fail(ending.error());
            }
            return ending;
        }
    }
}

/// Tells all who wait in a queue that their connection is no more.
pub(crate) fn abandon(queue: &mut mpsc::Receiver<Outgoing>, error: &SendError) {
    queue.close();
    while let Ok(outgoing) = queue.try_recv() {
        outgoing.fail(error.clone());
    }
}

async fn write_batch<W: AsyncWrite + Unpin>(writer: &mut W, batch: &[Outgoing]) -> io::Result<()> {
    writer.write_all_buf(&mut WriteBatch::new(batch)).await?;
    writer.flush().await
}

/// Several messages as one buffer, so that they leave in one system call or one
/// run of TLS records.
struct WriteBatch<'a> {
    rest: &'a [Outgoing],
    /// Bytes of the first message that are written already.
    written: usize,
}

impl<'a> WriteBatch<'a> {
    fn new(batch: &'a [Outgoing]) -> Self {
        let mut batch = WriteBatch {
            rest: batch,
            written: 0,
        };
        batch.advance(0);
        batch
    }
}

impl Buf for WriteBatch<'_> {
    fn remaining(&self) -> usize {
        let all: usize = self.rest.iter().map(|outgoing| outgoing.bytes.len()).sum();
        all.saturating_sub(self.written)
    }

    fn chunk(&self) -> &[u8] {
        self.rest
            .first()
            .and_then(|outgoing| outgoing.bytes.get(self.written..))
            .unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        for (slice, outgoing) in slices.iter_mut().zip(self.rest) {
            *slice = IoSlice::new(outgoing.bytes.get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        count
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        while let Some((first, rest)) = self.rest.split_first() {
            if self.written < first.bytes.len() {
                return;
            }
            self.written -= first.bytes.len();
            self.rest = rest;
        }
    }
}

/// What one reading brought.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    frame: bool,
    message: bool,
}

/// How long a connection may stay as it is.
struct Patience {
    idle: Duration,
    message: Duration,
    /// Until when an accepted connection must have sent a message.
    first_message: Option<Instant>,
    /// When the message that is half read began.
    began: Option<Instant>,
}

impl Patience {
    fn new(direction: Direction, limits: &ConnectionLimits) -> Self {
        let first_message = match direction {
            Direction::Inbound => Some(Instant::now() + limits.first_message),
            Direction::Outbound => None,
        };
        Patience {
            idle: limits.idle,
            message: limits.message,
            first_message,
            began: None,
        }
    }

    fn observe(&mut self, seen: Seen, framer_is_idle: bool) {
        if seen.message {
            self.first_message = None;
        }
        if framer_is_idle {
            self.began = None;
        } else if seen.frame || self.began.is_none() {
            self.began = Some(Instant::now());
        }
    }

    /// The next deadline and what it means to miss it.
    fn deadline(&self, activity: &Activity) -> (Instant, Ending) {
        let idle = (activity.last.get() + self.idle, Ending::IdleTimeout);
        let message = self
            .began
            .map(|began| (began + self.message, Ending::MessageTimeout));
        let first = self
            .first_message
            .map(|until| (until, Ending::FirstMessageTimeout));
        [message, first]
            .into_iter()
            .flatten()
            .fold(
                idle,
                |nearest, other| {
                    if other.0 < nearest.0 { other } else { nearest }
                },
            )
    }
}
