//! Loops: RFC 3261 section 16.3 step 4 as RFC 5393 section 4.2 has it. A branch of ours
//! is `z9hG4bK`, 16 digits that make it unique, and 16 digits that are a hash of all
//! that our routing looks at. A request that comes back with the same hash would go
//! the same way again.

use std::hash::Hasher;

use policy::Peer;
use sip_message::{HeaderKind, MAGIC_COOKIE, Message};

use crate::entropy::{Entropy, hexadecimal};
use crate::own::OwnAddresses;

const DIGITS: usize = 16;

/// A branch of ours.
pub(crate) type Branch = [u8; 7 + 2 * DIGITS];

/// Hash of everything that decides where a request goes. The topmost Via is not in it,
/// as it never is the same again (RFC 5393 section 4.2.1).
pub(crate) fn routing_hash(entropy: &Entropy, request: &Message, peer: &Peer) -> u64 {
    let mut hash = entropy.hash_fields();
    hash.write_u8(b'L');
    hash.field(request.method_name())
        .field(request.request_uri().raw)
        .field(request.call_id())
        .field(request.from_tag().unwrap_or_default())
        .field(request.to_tag().unwrap_or_default());
    hash.write_u32(request.cseq().number);
    for route in request.values(HeaderKind::Route) {
        hash.field(route.as_ref());
    }
    hash.write_u8(0);
    for kind in [HeaderKind::ProxyRequire, HeaderKind::ProxyAuthorization] {
        for value in request.values(kind) {
            hash.field(value.as_ref());
        }
        hash.write_u8(0);
    }
    // Where it comes from decides where it goes: a call that a trunk sends back to us
    // is a spiral, not a loop.
    hash.write_u8(peer.zone as u8);
    hash.field(peer.name.as_deref().unwrap_or_default().as_bytes());
    hash.finish()
}

/// A branch for a request with this routing hash.
pub(crate) fn branch(unique: u64, routing_hash: u64) -> Branch {
    let mut branch = [0; 7 + 2 * DIGITS];
    let parts = MAGIC_COOKIE
        .iter()
        .chain(&hexadecimal(unique))
        .chain(&hexadecimal(routing_hash))
        .copied()
        .collect::<smallvec::SmallVec<[u8; 64]>>();
    for (to, from) in branch.iter_mut().zip(parts) {
        *to = from;
    }
    branch
}

/// Whether the request has passed here before with the same hash.
pub(crate) fn is_loop(own: &OwnAddresses, request: &Message, routing_hash: u64) -> bool {
    let digits = hexadecimal(routing_hash);
    request.vias().any(|via| {
        own.wrote(&via)
            && via.branch.is_some_and(|branch| {
                branch.len() == MAGIC_COOKIE.len() + 2 * DIGITS && branch.ends_with(&digits)
            })
    })
}
