//! What one DTLS handshake asks of a library: datagrams and time in, datagrams and in
//! the end keys out (RFC 5764). Neither socket nor clock is behind it.

use std::time::Instant;

use media::{Fingerprint, Suite};
use zeroize::Zeroizing;

use super::fingerprint::fits;

/// One machine: one attempt at a handshake, and after it the answers to what the party
/// repeats because our last flight was lost.
pub(super) trait Machine: Send {
    /// A datagram of the party.
    fn receive(&mut self, now: Instant, datagram: &[u8], party: &mut Party<'_>) -> Outcome;

    /// What the time that has passed asks for: the first flight, or one again.
    fn advance(&mut self, now: Instant, party: &mut Party<'_>) -> Outcome;

    /// When [`Machine::advance`] wants to be called.
    fn due(&self) -> Option<Instant>;
}

/// What a step of a machine brought.
pub(super) type Outcome = Result<Option<Agreed>, Fault>;

/// The party, as a machine sees it.
pub(super) struct Party<'a> {
    /// Sends a datagram; it may get lost.
    pub(super) transmit: &'a mut dyn FnMut(&[u8]),
    /// What the signalling said of its certificate.
    pub(super) fingerprints: &'a [Fingerprint],
}

impl Party<'_> {
    /// Whether this certificate, in DER, was signalled.
    pub(super) fn check(&self, certificate: &[u8]) -> Result<(), Fault> {
        if fits(self.fingerprints, certificate) {
            return Ok(());
        }
        Err(Fault::Refused(
            "the certificate has another fingerprint than was signalled".to_owned(),
        ))
    }
}

/// What a handshake agreed on, with a party whose certificate was signalled.
pub(super) struct Agreed {
    pub(super) suite: Suite,
    /// As the exporter gave it (RFC 5764 section 4.2).
    pub(super) material: Zeroizing<Vec<u8>>,
}

/// Why a machine goes no further.
pub(super) enum Fault {
    /// What was received broke it, whoever sent that: another machine may begin.
    Broken(String),
    /// The party cannot be trusted or understood: no machine will do better.
    Refused(String),
}

impl Fault {
    pub(super) fn broken(error: &dyn std::fmt::Display) -> Self {
        Fault::Broken(error.to_string())
    }
}
