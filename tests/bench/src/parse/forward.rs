//! What a proxy changes in a request on its way (RFC 3261 section 16.6): bytes out.

use bytes::Bytes;
use sip_message::{Edits, Message};

/// Takes the own Route off, counts a hop, adds Record-Route and Via.
///
/// # Errors
/// Never for a message that was parsed.
pub(crate) fn forward(message: &Message) -> Result<Bytes, sip_message::EditError> {
    let mut edits = Edits::new(message);
    edits
        .pop_route()
        .max_forwards(
            message
                .max_forwards()
                .map_or(70, |hops| hops.saturating_sub(1)),
        )
        .push_record_route("<sip:192.0.2.1;lr>")
        .push_via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKc0ffee7a11.1;rport");
    edits.finish()
}
