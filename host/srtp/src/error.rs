//! What may be wrong with a packet, and what may be wrong with a key.

use thiserror::Error;

/// Why a packet was not protected or not accepted. No state changed, except that an index that
/// [`SrtpError::Cipher`] met while sending stays spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum SrtpError {
    /// The peer's fault: not a packet that RFC 3550 or RFC 3711 describes.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The peer's fault, or an attack: the authentication tag or the master key identifier is not
    /// ours (RFC 3711 section 3.3).
    #[error("authentication failed")]
    Authentication,
    /// The peer's fault, or an attack: this index was seen before, or is older than the replay
    /// window (RFC 3711 section 3.3.2). Also returned for sending, where a second packet under one
    /// index would give both away.
    #[error("index already used or older than the replay window")]
    Replay,
    /// The master key protected all packets that it may (RFC 3711 section 9.2): a new key is
    /// needed, or the session ends.
    #[error("master key exhausted")]
    KeyExhausted,
    /// More synchronization sources than [`crate::ContextLimits::sources`] under one key.
    #[error("too many synchronization sources under one key")]
    TooManySources,
    /// Ours: the buffer has no room for the tag, the index and the master key identifier.
    #[error("buffer has no room for the trailer")]
    Capacity,
    /// Ours: the cryptographic library refused its input; the packet must not be sent.
    #[error("cipher refused the packet")]
    Cipher,
}

/// Why key material makes no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum KeyError {
    /// Master key and master salt together have another length than the suite asks for.
    #[error("{suite} needs {expected} octets of key and salt, found {found}")]
    Length {
        /// Name of the suite.
        suite: &'static str,
        /// Octets of master key and master salt.
        expected: usize,
        /// Octets given.
        found: usize,
    },
    /// The suite has no DTLS-SRTP protection profile.
    #[error("{0} has no DTLS-SRTP protection profile")]
    NoProfile(&'static str),
    /// The cryptographic library refused a key of the right length.
    #[error("cipher refused the key")]
    Rejected,
}
