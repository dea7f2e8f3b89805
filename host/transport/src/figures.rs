//! Counters. Each worker has its own, so that counting never contends; a
//! reading adds them up.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one worker.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        /// A reading of the counters of all workers since they began.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Figures {
            $($(#[$doc])* pub $name: u64,)*
            /// Connections accepted and open now.
            pub inbound_connections: u64,
            /// Connections opened by us and open now, or being opened.
            pub outbound_connections: u64,
            /// Bytes that wait in the write queues of all connections now.
            pub queued_bytes: u64,
        }

        impl Figures {
            pub(crate) fn add(&mut self, counters: &Counters) {
                $(self.$name += counters.$name.value();)*
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Connections refused because of the global ceiling.
    refused_inbound,
    /// Connections refused because of the ceiling for one peer.
    refused_per_peer,
    /// Failures of `accept` itself, such as no free descriptor.
    accept_errors,
    /// TLS handshakes that failed or came too late, both directions.
    handshake_failures,
    /// Connections that we opened.
    connected,
    /// Connections that we failed to open.
    connect_failures,
    /// Sends refused because of the ceiling of outbound connections.
    refused_outbound,
    /// Connections closed because no first message came in time.
    first_message_timeouts,
    /// Connections closed because a message was not finished in time.
    message_timeouts,
    /// Connections closed because nothing was said for too long.
    idle_timeouts,
    /// Connections closed because the peer did not read in time.
    write_timeouts,
    /// Connections closed because their bytes could not be framed.
    framing_errors,
    /// Sends that a full write queue refused.
    queue_overflows,
    /// Bytes received on connections (after TLS) and in datagrams.
    bytes_received,
    /// Bytes sent on connections (before TLS) and in datagrams.
    bytes_sent,
    /// Messages that parsed.
    messages_received,
    /// Framed messages that did not parse.
    messages_invalid,
    /// Messages handed to the kernel.
    messages_sent,
    /// Keep-alives received: CRLF, empty datagrams, STUN.
    keep_alives,
    /// Datagrams received that nobody could answer (source port 0).
    datagrams_unanswerable,
    /// Datagrams that were to be sent and were dropped.
    datagrams_dropped,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
