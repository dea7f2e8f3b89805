//! Sending: which socket or connection a message takes (RFC 3261 sections 18.1.1
//! and 18.2.2).

use std::sync::Arc;

use sip_transaction::{Destination, Transmit, Transport};
use tokio::sync::mpsc;

use crate::certificate::Proof;
use crate::connect::Dial;
use crate::inbound::SendError;
use crate::outgoing::{Outgoing, Report};
use crate::outlet::Outlet;
use crate::table::{Close, ConnectionHandle, Direction, Opening, Unqueued, Wanted};

/// Attempts to find a connection that does not close under our hands: 2.
const ATTEMPTS: usize = 2;

/// Sends messages by the sockets and connections of one worker, from any thread.
/// Cheap to clone.
///
/// Sending never blocks and never calls the [`crate::Inbox`]: failures arrive
/// there later, from a task of their own.
#[derive(Clone, Debug)]
pub struct Sender {
    pub(crate) outlet: Arc<Outlet>,
}

impl Sender {
    /// Sends a message: by UDP at once, otherwise by the destination's connection
    /// if it is still open, by another one to the same address if its peer is
    /// known to be the same, or by a new one.
    pub fn send(&self, transmit: Transmit) {
        let Transmit {
            to,
            bytes,
            transaction,
        } = transmit;
        let report = transaction.map(|id| Report::new(id, &self.outlet.failures));
        let outgoing = Outgoing::new(bytes, report);
        match to.transport {
            Transport::Udp => self.send_datagram(outgoing, &to),
            Transport::Tcp | Transport::Tls => self.send_stream(outgoing, &to),
            Transport::Ws | Transport::Wss => outgoing.fail(SendError::Unsupported(to.transport)),
        }
    }

    fn send_datagram(&self, outgoing: Outgoing, to: &Destination) {
        match self.outlet.datagram_socket(to.listener, to.address) {
            Some(socket) => socket.send(
                outgoing,
                to.address,
                &self.outlet.shared,
                &self.outlet.counters,
            ),
            None => {
                self.outlet.counters.datagrams_dropped.increment();
                outgoing.fail(no_listener(to));
            }
        }
    }

    fn send_stream(&self, mut outgoing: Outgoing, to: &Destination) {
        if let Some(handle) = to
            .connection
            .and_then(|id| self.outlet.shared.table.get(id))
        {
            // A number from elsewhere must not lead a message astray.
            if handle.opening.transport == to.transport {
                match self.enqueue(&handle, outgoing) {
                    Some(returned) => outgoing = returned,
                    None => return,
                }
            }
        }
        for _ in 0..ATTEMPTS {
            let handle = match self.connection_to(to) {
                Ok(handle) => handle,
                Err(error) => return outgoing.fail(error),
            };
            match self.enqueue(&handle, outgoing) {
                Some(returned) => outgoing = returned,
                None => return,
            }
        }
        outgoing.fail(SendError::Closed);
    }

    /// Queues the message; it comes back if the connection is closed.
    fn enqueue(&self, handle: &ConnectionHandle, outgoing: Outgoing) -> Option<Outgoing> {
        match handle.enqueue(outgoing) {
            Ok(()) => None,
            Err(Unqueued::Closed(outgoing)) => {
                self.outlet.shared.table.remove(handle);
                Some(outgoing)
            }
            Err(Unqueued::Full(outgoing)) => {
                // A peer so far behind will not catch up within the transactions.
                self.outlet.counters.queue_overflows.increment();
                handle.close(Close::Abort);
                self.outlet.shared.table.remove(handle);
                outgoing.fail(SendError::QueueFull);
                None
            }
        }
    }

    /// A connection for a new request, opened if need be.
    fn connection_to(&self, to: &Destination) -> Result<Arc<ConnectionHandle>, SendError> {
        let shared = &self.outlet.shared;
        let wanted = Wanted {
            transport: to.transport,
            address: to.address,
            listener: to.listener,
            server_name: to.server_name.as_deref(),
        };
        if let Some(handle) = shared.table.find(&wanted) {
            return Ok(handle);
        }
        let config = shared.config();
        if to.transport == Transport::Tls && config.outbound_tls.is_none() {
            return Err(SendError::NoOutboundTls);
        }
        let (listener, from) = self
            .outlet
            .source(to.transport, to.listener, to.address)
            .ok_or_else(|| no_listener(to))?;
        let slot = shared
            .admission
            .admit_outbound(&config.limits)
            .map_err(|_| {
                self.outlet.counters.refused_outbound.increment();
                SendError::ConnectionLimit
            })?;
        let opening = Opening {
            transport: to.transport,
            peer: to.address,
            listener,
            direction: Direction::Outbound,
            server_name: to.server_name.clone(),
            proof: Proof::default(),
        };
        let limits = config.limits.clone();
        match shared.table.reserve(&wanted, opening, &limits) {
            Err(existing) => Ok(existing),
            Ok((handle, queue)) => {
                let dial = Dial {
                    handle: Arc::clone(&handle),
                    queue,
                    from,
                    limits,
                    slot,
                };
                match self.outlet.dials.send(dial) {
                    Ok(()) => Ok(handle),
                    Err(mpsc::error::SendError(dial)) => {
                        dial.give_up(shared, &SendError::NotRunning);
                        Err(SendError::NotRunning)
                    }
                }
            }
        }
    }
}

fn no_listener(to: &Destination) -> SendError {
    SendError::NoListener {
        transport: to.transport,
        address: to.address,
    }
}
