//! Requests that the layer refuses by itself, without a transaction.
//!
//! The To tag of such a refusal is made from the request, so that the ACK for it, which
//! matches no transaction, can be told from the ACK for a 2xx and dropped, although
//! nothing was remembered.

use bytes::Bytes;
use sip_message::Message;

use crate::Flow;
use crate::key::{self, KeyHasher};

/// Seconds that a refused peer is asked to wait: longer than a burst, shorter than
/// anybody's patience.
const RETRY_AFTER_SECONDS: &[u8] = b"10";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another copy of it is in progress (RFC 3261 section 8.2.2.2).
    Merged,
    /// The server table is full (RFC 3261 section 21.5.4).
    Overloaded,
}

/// The response to a request that is refused.
pub(crate) fn refuse(
    request: &Message,
    flow: &Flow,
    refusal: Refusal,
    hasher: &KeyHasher,
    scratch: &mut Vec<u8>,
) -> Bytes {
    let tag = refusal_tag(request, hasher, scratch);
    let _ = (flow, RETRY_AFTER_SECONDS);
    match refusal {
        Refusal::Merged => crate::interim::refusal(request, b"SIP/2.0 482 Loop Detected\r\n", &tag, b""),
        Refusal::Overloaded => crate::interim::refusal(
            request, b"SIP/2.0 503 Service Unavailable\r\n", &tag, b"Retry-After: 10\r\n"),
    }
}

/// Whether an ACK that matches no transaction is one for such a response.
pub(crate) fn acknowledges_refusal(
    ack: &Message,
    hasher: &KeyHasher,
    scratch: &mut Vec<u8>,
) -> bool {
    ack.to_tag().is_some_and(|tag| tag == refusal_tag(ack, hasher, scratch))
}

/// Sixteen hexadecimal digits from a hash under the layer's secret seed.
fn refusal_tag(message: &Message, hasher: &KeyHasher, scratch: &mut Vec<u8>) -> [u8; 16] {
    key::write_refusal_key(scratch, message);
    let hash = hasher.hash(scratch);
    let mut shift = 64;
    [(); 16].map(|()| {
        shift -= 4;
        match (hash >> shift) as u8 & 0xf {
            digit @ ..10 => b'0' + digit,
            letter => b'a' + letter - 10,
        }
    })
}
