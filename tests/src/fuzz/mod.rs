//! Rules that must hold for any bytes, one function for each door that bytes of a
//! peer or of a plugin come in by.
//!
//! Each takes an input, panics where a rule is broken, and returns a number that is
//! the same for inputs which were treated alike. `campaign` keeps an input that
//! brings a new number; a coverage-guided fuzzer (`tests/fuzz`) has no need of it.
//!
//! - [`framing()`]: a stream, cut anywhere: RFC 3261 section 18.3;
//! - [`message()`], [`forwarding()`]: a datagram, and what leaves: sections 7 and 16.6;
//! - [`transactions()`]: a program of peers, users, clocks and sockets: section 17;
//! - [`effects()`]: what plugins answer, through the pipeline into a message;
//! - [`offer()`]: a session description: RFC 8866;
//! - [`exchange()`]: a program of descriptions between two parties: RFC 3264.
//!
//! Only the pure rooms are used here, so that `tests/fuzz` can build this folder by
//! its path without the rest of the house.

mod effects;
mod exchange;
mod framing;
mod input;
mod lines;
mod message;
mod offer;
mod outcome;
mod transactions;
mod witness;

pub use effects::effects;
pub use exchange::exchange;
pub use framing::framing;
pub use message::{forwarding, message};
pub use offer::offer;
pub use transactions::transactions;

/// Puts what happened into one number (FNV-1a). Not for secrets.
#[derive(Clone, Copy)]
struct Trail(u64);

impl Trail {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn mark(&mut self, event: u64) {
        for byte in event.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.mark(text.len() as u64);
    }

    /// A count, as coarse as matters: none, one, a few, many.
    fn size(&mut self, size: usize) {
        self.mark(match size {
            0 | 1 => size as u64,
            2..=7 => 2,
            _ => 3,
        });
    }
}
