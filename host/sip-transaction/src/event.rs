//! What the layer tells the transaction user, and what it may answer it.

use std::fmt;
use std::sync::Arc;

use sip_message::Message;
use thiserror::Error;

use crate::Flow;

/// Names one transaction, server or client, for as long as the program runs.
///
/// Never reused, and ordered by creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u64);

impl TransactionId {
    /// Bits that number the place in a table; the rest counts transactions. Counting to
    /// 2^43 takes 27 years at 10,000 transactions per second.
    const PLACE_BITS: u32 = 20;
    const CLIENT_BIT: u64 = 1 << Self::PLACE_BITS;

    /// The most transactions that one table can number.
    pub(crate) const MOST_PLACES: usize = 1 << Self::PLACE_BITS;

    pub(crate) const fn new(serial: u64, client: bool, place: u32) -> Self {
        let side = if client { Self::CLIENT_BIT } else { 0 };
        Self((serial << (Self::PLACE_BITS + 1)) | side | place as u64)
    }

    pub(crate) const fn place(self) -> usize {
        (self.0 & (Self::CLIENT_BIT - 1)) as usize
    }

    /// Whether this is a client transaction, one that we began.
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.0 & Self::CLIENT_BIT != 0
    }

    /// The bare number, for logs.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.is_client() { "client" } else { "server" };
        write!(
            f,
            "{side}#{}.{}",
            self.0 >> (Self::PLACE_BITS + 1),
            self.place()
        )
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the transaction user must know, in the order in which it happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request began a server transaction. The user must respond, or terminate it: no
    /// timer runs until then. For an INVITE it sends 100 (Trying) itself, at once; the
    /// layer never does (RFC 3261 section 17.2.1 gives it 200 ms).
    Request {
        /// The new server transaction.
        id: TransactionId,
        /// The request.
        message: Arc<Message>,
        /// Where it came in.
        flow: Flow,
    },
    /// An ACK that ends no server transaction, that is one for a 2xx, to be forwarded
    /// without a transaction (RFC 3261 section 16.11).
    Ack {
        /// The ACK.
        message: Arc<Message>,
        /// Where it came in.
        flow: Flow,
    },
    /// A CANCEL began a server transaction of its own, which the user must answer: 200,
    /// or 481 without a target (RFC 3261 section 9.2).
    Cancel {
        /// The server transaction of the CANCEL itself.
        id: TransactionId,
        /// The INVITE server transaction that it names, if it is still there.
        target: Option<TransactionId>,
        /// The CANCEL.
        message: Arc<Message>,
        /// Where it came in.
        flow: Flow,
    },
    /// A response to one of our requests: each provisional, the final, and after a 2xx
    /// every further 2xx to the INVITE (RFC 6026).
    Response {
        /// The client transaction.
        id: TransactionId,
        /// The response, our own Via still on top.
        message: Arc<Message>,
        /// Where it came in.
        flow: Flow,
    },
    /// A response that belongs to no client transaction.
    StrayResponse {
        /// The response.
        message: Arc<Message>,
        /// Where it came in.
        flow: Flow,
    },
    /// A client transaction got no (final) response in time: timer B or F.
    Timeout {
        /// The client transaction.
        id: TransactionId,
    },
    /// Something of this transaction could not be sent. A client transaction ends, and so
    /// does a server transaction other than INVITE; an INVITE server transaction lives on
    /// to absorb repeated requests (RFC 6026 section 7.1).
    TransportFailed {
        /// The client or server transaction.
        id: TransactionId,
    },
    /// No ACK came for the final response to an INVITE: timer H.
    Unacknowledged {
        /// The server transaction.
        id: TransactionId,
    },
    /// The transaction is gone. Exactly once for each, and its last event.
    Terminated {
        /// The client or server transaction.
        id: TransactionId,
    },
}

/// The transaction is gone, so there is nobody to respond to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the transaction has ended")]
pub struct Gone;

/// Why a client transaction was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There are as many client transactions as [`TableLimits::client`] allows.
    #[error("the table of client transactions is full")]
    TableFull,
    /// The message is a response, or an ACK, which is no transaction of its own
    /// (RFC 3261 section 17); ACKs go out by
    /// [`transmit_stateless`](crate::TransactionLayer::transmit_stateless).
    #[error("not a request that begins a transaction")]
    NotTransactional,
    /// The top Via has no branch with the magic cookie of RFC 3261 section 8.1.1.7.
    #[error("the top Via has no RFC 3261 branch")]
    NoBranch,
    /// A client transaction with the same branch, sent-by and method is running.
    #[error("the branch is in use")]
    BranchInUse,
}

/// How many transactions may run at once.
///
/// A transaction takes about half a kilobyte beside its messages, and lives for 32
/// seconds after the final response over UDP: 65,536 of them are 2,000 new ones per
/// second on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Server transactions. Beyond it, requests are answered with 503 statelessly.
    /// Default 65,536; at most 1,048,576 together with `reserve`.
    pub server: usize,
    /// Further server transactions for CANCEL of a known INVITE and for BYE, so that
    /// calls can end while new ones are refused. Default 4,096.
    pub reserve: usize,
    /// Client transactions. Beyond it, [`request`](crate::TransactionLayer::request) is
    /// refused. Default 131,072, twice the servers, since requests fork; at most
    /// 1,048,576.
    pub client: usize,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            server: 65_536,
            reserve: 4_096,
            client: 131_072,
        }
    }
}

/// What the layer did without telling the transaction user, counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests and ACKs that repeated what had been received before.
    pub requests_absorbed: u64,
    /// Responses that repeated what had been received before.
    pub responses_absorbed: u64,
    /// Requests sent again by timers A and E.
    pub requests_repeated: u64,
    /// Responses sent again by timer G or for a repeated request.
    pub responses_repeated: u64,
    /// Merged requests answered with 482.
    pub merged: u64,
    /// Requests answered with 503 because the server table was full.
    pub overloaded: u64,
    /// ACKs dropped, because the response that they acknowledge was sent statelessly.
    pub acks_dropped: u64,
}
