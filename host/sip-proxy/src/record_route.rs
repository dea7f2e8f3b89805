//! Record-Route: RFC 3261 section 16.6 step 4, and RFC 5658 for two values where the
//! request leaves by another listener than it came in by. Each value carries a mark,
//! a keyed hash of the Call-ID, by which we know our own routes again and by which
//! nobody can make one for another call.

use std::hash::Hasher;

use sip_message::{Scheme, Uri};
use sip_transaction::Transport;

use crate::config::ListenerAddress;
use crate::entropy::{Entropy, hexadecimal};

/// Name of the URI parameter that carries the mark.
const MARK: &[u8] = b"swm";

/// The mark for all dialogs with this Call-ID.
pub(crate) fn mark(entropy: &Entropy, call_id: &[u8]) -> [u8; 16] {
    let mut hash = entropy.hash_fields();
    hash.write_u8(b'R');
    hash.field(call_id);
    hexadecimal(hash.finish())
}

/// Whether a URI has the mark of this Call-ID.
pub(crate) fn is_marked(entropy: &Entropy, uri: &Uri<'_>, call_id: &[u8]) -> bool {
    uri.user.is_none() && uri.param(MARK).flatten() == Some(&mark(entropy, call_id))
}

/// A value for Record-Route that names a listener.
pub(crate) fn value(listener: &ListenerAddress, scheme: Scheme, mark: &[u8; 16]) -> Vec<u8> {
    let mut value = Vec::with_capacity(96);
    value.extend_from_slice(if scheme == Scheme::Sips {
        b"<sips:"
    } else {
        b"<sip:"
    });
    value.extend_from_slice(listener.host.as_bytes());
    value.push(b':');
    value.extend_from_slice(listener.port.to_string().as_bytes());
    match (listener.transport, scheme) {
        // UDP is what a SIP URI means, and TLS what a SIPS URI means.
        (Transport::Udp, _) | (Transport::Tls, Scheme::Sips) => {}
        (transport, _) => {
            value.extend_from_slice(b";transport=");
            value.extend(
                transport
                    .name()
                    .bytes()
                    .map(|byte| byte.to_ascii_lowercase()),
            );
        }
    }
    value.extend_from_slice(b";lr;");
    value.extend_from_slice(MARK);
    value.push(b'=');
    value.extend_from_slice(mark);
    value.push(b'>');
    value
}
