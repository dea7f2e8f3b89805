//! Requests that the layer refuses by itself, without a transaction.
//!
//! The To tag of such a refusal is made from the request, so that the ACK for it, which
//! matches no transaction, can be told from the ACK for a 2xx and dropped, although
//! nothing was remembered. Inside a dialog the To tag is the peer's own; the ACK for the
//! refusal of such a request reaches the transaction user like one for a 2xx.

use bytes::Bytes;
use sip_message::{Message, build::Response};

use crate::key::{self, KeyHasher};
use crate::{Flow, via_stamp};

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
) -> Option<Bytes> {
    let (received, rport) = via_stamp(&request.top_via(), flow);
    let response = match refusal {
        Refusal::Merged => Response::to(request, 482),
        Refusal::Overloaded => {
            Response::to(request, 503).header("Retry-After", RETRY_AFTER_SECONDS)
        }
    };
    let tag = refusal_tag(request, hasher, scratch);
    // Nothing above can be refused by the builder; if it were, silence is an answer too.
    response
        .stamp_via(received, rport)
        .to_tag(tag)
        .finish()
        .ok()
}

/// Whether an ACK that matches no transaction is one for such a response.
pub(crate) fn acknowledges_refusal(
    ack: &Message,
    hasher: &KeyHasher,
    scratch: &mut Vec<u8>,
) -> bool {
    ack.to_tag()
        .is_some_and(|tag| tag == refusal_tag(ack, hasher, scratch))
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
