//! Who used encryption before: what makes a downgrade one.
//!
//! Durable counters hold it, one for each subject and kind. Asking costs one host
//! call; only the first use within a window writes.

use std::fmt;

use sipward_plugin_sdk::counters::{CounterError, Window};
use sipward_plugin_sdk::{Network, Request};

/// Bytes of a name that become part of a key. Counter keys have at most 256 bytes;
/// identities at most 256, peers 64.
const NAME_BYTES: usize = 200;

/// An IPv6 subscriber has a /64.
const IPV6_PREFIX: u8 = 64;

/// What is remembered for how long.
pub(crate) struct Memory {
    signalling: Window,
    media: Window,
    sources: bool,
}

/// Whom something is remembered of: the best that is known of a sender.
pub(crate) enum Subject<'a> {
    Identity(&'a str),
    Peer(&'a str),
    Source(Network),
}

/// What was encrypted.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Signalling,
    Media,
}

impl Memory {
    /// `days` is at least 1.
    pub(crate) const fn new(days: u16, sources: bool) -> Self {
        let window_ms = days as u64 * 24 * 3_600_000;
        Self {
            signalling: Window::new("tls", window_ms).durable(),
            media: Window::new("srtp", window_ms).durable(),
            sources,
        }
    }

    /// Whom a request is remembered of; `None` if of nobody.
    pub(crate) fn subject<'a>(&self, request: &Request<'a>) -> Option<Subject<'a>> {
        if let Some(identity) = request.identity() {
            return Some(Subject::Identity(identity));
        }
        let peer = request.peer();
        if let Some(name) = peer.name() {
            return Some(Subject::Peer(name));
        }
        let address = peer.address();
        let prefix = if address.is_ipv4() { 32 } else { IPV6_PREFIX };
        self.sources
            .then(|| Subject::Source(Network::around(address, prefix)))
    }

    /// Remembers that the subject used encryption. A full table forgets it, which
    /// costs no security where encryption is demanded.
    pub(crate) fn remember(&self, subject: &Subject<'_>, kind: Kind) {
        let (window, key) = (self.window(kind), subject.key());
        if window.count(&key) == Ok(0) {
            _ = window.add(&key, 1);
        }
    }

    /// Whether the subject used encryption before.
    ///
    /// # Errors
    /// The counters cannot be asked.
    pub(crate) fn knows(&self, subject: &Subject<'_>, kind: Kind) -> Result<bool, CounterError> {
        let count = self.window(kind).count(&subject.key())?;
        Ok(count > 0)
    }

    const fn window(&self, kind: Kind) -> &Window {
        match kind {
            Kind::Signalling => &self.signalling,
            Kind::Media => &self.media,
        }
    }
}

impl Subject<'_> {
    fn key(&self) -> Vec<u8> {
        let name = |letter: u8, name: &str| {
            let name = name.as_bytes();
            let mut key = vec![letter];
            key.extend_from_slice(name.get(..NAME_BYTES).unwrap_or(name));
            key
        };
        match self {
            Self::Identity(identity) => name(b'i', identity),
            Self::Peer(peer) => name(b'p', peer),
            Self::Source(network) => [b"s", &network.key()[..]].concat(),
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(name) | Self::Peer(name) => f.write_str(name),
            Self::Source(network) if network.address().is_ipv4() => {
                write!(f, "{}", network.address())
            }
            Self::Source(network) => write!(f, "{network}"),
        }
    }
}

impl Kind {
    /// For operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Signalling => "TLS",
            Self::Media => "SRTP",
        }
    }
}
