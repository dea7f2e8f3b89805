//! What the relay is told when it starts, its limits, and why it may not start.

use std::io;
use std::time::Duration;

use media::Interface;
use thiserror::Error;

/// How workers reach the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// io_uring where the kernel has what is needed and allows it, else epoll.
    #[default]
    Auto,
    /// io_uring with multishot receive, or the relay does not start. Linux 6.0.
    IoUring,
    /// epoll with recvmmsg and sendmmsg: every Linux.
    Epoll,
}

/// How the relay begins a DTLS handshake in which it is the client. When the party does
/// not answer, it tries the other way. As the server it follows the party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtlsClient {
    /// DTLS 1.2, with parties whose certificates are ECDSA or RSA: nearly all there are.
    #[default]
    Widest,
    /// DTLS 1.3 and 1.2, with parties whose certificates are ECDSA. Many a party with
    /// an RSA certificate gives the call up before 1.2 is tried.
    Newest,
}

impl DtlsClient {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Widest => Self::Newest,
            Self::Newest => Self::Widest,
        }
    }
}

/// Ceilings of the relay. Each is for one worker unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Sessions of one worker: 8,192. At 50 packets a second each way that is more
    /// than one processor can relay, so it bounds memory and never traffic.
    pub sessions: usize,
    /// Streams of one session: 4, so that a call with audio, video, text and fax
    /// passes and no offer opens ports without end.
    pub streams: usize,
    /// Orders that wait for a worker: 16,384. A worker looks every few milliseconds.
    pub orders: usize,
    /// DTLS datagrams a second taken from one party: 40, ten of them at once.
    /// A handshake takes about ten; more is someone who tries to keep us busy.
    pub handshake_datagrams_per_second: u32,
    /// Handshakes of one worker at a time: 1,024. Each holds some 60 KiB, a
    /// hostile one up to 500, and costs about a millisecond of a processor.
    pub handshakes: usize,
    /// The longest time that packets are let gather under load: 2 ms. It is added to
    /// a packet's delay at most once, on average by half; one sleep then serves many.
    pub gather: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        RelayLimits {
            sessions: 8_192,
            streams: 4,
            orders: 16_384,
            handshake_datagrams_per_second: 40,
            handshakes: 1_024,
            gather: Duration::from_millis(2),
        }
    }
}

/// What the relay is started with.
#[derive(Clone, Debug, Default)]
pub struct RelayConfig {
    /// Threads; 0 counts as 1.
    pub workers: usize,
    /// Where sockets are bound, as in `media::AnchorConfig`.
    pub interfaces: Vec<Interface>,
    /// Ceilings.
    pub limits: RelayLimits,
    /// How the kernel is reached.
    pub backend: BackendChoice,
}

/// Why the relay does not start: the operator's fault or the machine's.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The kernel refused a backend; with [`BackendChoice::Auto`] even epoll.
    #[error("failed to start media on worker {worker}")]
    Backend {
        /// Number of the worker.
        worker: usize,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No thread could be started.
    #[error("failed to start the thread of media worker {worker}")]
    Thread {
        /// Number of the worker.
        worker: usize,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No certificate for DTLS could be made.
    #[error("failed to make a certificate for DTLS: {0}")]
    Certificate(String),
}
