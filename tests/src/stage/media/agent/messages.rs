//! What a small user agent writes, and what it reads from what it gets.

use std::net::SocketAddr;

use bytes::Bytes;
use sip_message::build::RequestBuilder;
use sip_message::{HeaderKind, Message, Method, NameAddr};

use super::Call;

/// A request of a call.
pub(super) fn message(
    call: &Call,
    local: SocketAddr,
    id: &str,
    method: Method,
    sequence: u32,
    branch: &str,
    description: Option<&str>,
) -> Bytes {
    let mut request = RequestBuilder::new(method.name().unwrap_or_default(), &call.target)
        .via(format!("SIP/2.0/UDP {local};branch={branch};rport"))
        .from(&call.local)
        .to(&call.remote)
        .call_id(id)
        .cseq(sequence)
        .header("Max-Forwards", "70")
        .header("Contact", format!("<sip:agent@{local}>"));
    for route in &call.routes {
        request = request.route(route);
    }
    if let Some(description) = description {
        request = request.body("application/sdp", description);
    }
    request.finish().expect("a request")
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first value of a header; empty without one.
#[must_use]
pub fn header(message: &Message, kind: HeaderKind) -> String {
    message.header(kind).map_or_else(String::new, text)
}

/// The URI of the Contact.
///
/// # Panics
/// There is none.
#[must_use]
pub fn contact(message: &Message) -> String {
    let value = header(message, HeaderKind::Contact);
    let uri = NameAddr::parse(value.as_bytes()).expect("a Contact").uri;
    text(uri.raw)
}

/// The values of all Record-Routes, in their order.
#[must_use]
pub fn routes(message: &Message) -> Vec<String> {
    let values = message.values(HeaderKind::RecordRoute);
    values.map(text).collect()
}

pub(super) fn address_of(route: &str) -> Option<SocketAddr> {
    let uri = NameAddr::parse(route.as_bytes()).ok()?.uri;
    match uri.host {
        sip_message::Host::V4(address) => {
            Some(SocketAddr::from((address, uri.port.unwrap_or(5060))))
        }
        _ => None,
    }
}
