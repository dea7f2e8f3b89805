//! The SIP texts that agents write, made by hand so that the proxy never checks
//! its own handwriting.

use std::fmt::Write as _;

use bytes::Bytes;
use sip_message::{Limits, Message};

/// Everything a request needs.
pub(super) struct Request<'a> {
    /// Method.
    pub(super) method: &'a str,
    /// Request-URI.
    pub(super) uri: &'a str,
    /// Sent-by of Via and Contact.
    pub(super) address: std::net::SocketAddr,
    /// Branch, without the cookie.
    pub(super) branch: &'a str,
    /// From value, with its tag.
    pub(super) from: &'a str,
    /// To value.
    pub(super) to: &'a str,
    /// Call-ID.
    pub(super) call_id: &'a str,
    /// CSeq number.
    pub(super) cseq: u32,
    /// Route values, in order.
    pub(super) routes: &'a [String],
    /// RAck value, for a PRACK.
    pub(super) rack: Option<&'a str>,
    /// A session description, or empty.
    pub(super) body: &'a str,
}

impl Request<'_> {
    /// The bytes.
    #[must_use]
    pub(super) fn bytes(&self) -> Bytes {
        let Self {
            method,
            uri,
            address,
            branch,
            from,
            to,
            call_id,
            cseq,
            body,
            ..
        } = self;
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        );
        for route in self.routes {
            let _infallible = write!(text, "Route: {route}\r\n");
        }
        if let Some(rack) = self.rack {
            let _infallible = write!(text, "RAck: {rack}\r\n");
        }
        let _infallible = write!(text, "Contact: <sip:agent@{address}>\r\n{}", with(body));
        Bytes::from(text)
    }

    /// The message.
    ///
    /// # Panics
    /// The parser under test refuses a plain request.
    #[must_use]
    pub(super) fn message(&self) -> Message {
        Message::parse_datagram(self.bytes(), &Limits::default())
            .expect("agents write valid requests")
    }
}

/// The end of a message, with its body.
fn with(body: &str) -> String {
    let kind = match body {
        "" => "",
        _ => "Content-Type: application/sdp\r\n",
    };
    format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A response with the headers that RFC 3261 section 8.2.6 asks for.
#[must_use]
pub(super) fn response(
    request: &Message,
    status: u16,
    tag: &str,
    contact: std::net::SocketAddr,
    headers: &[&str],
    body: &str,
) -> Bytes {
    let mut text = format!("SIP/2.0 {status} Simulated\r\n");
    for header in request.headers() {
        let name = String::from_utf8_lossy(header.name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(header.value).into_owned();
        let tagged = name == "to" && !value.contains(";tag=") && status > 100;
        match name.as_str() {
            "to" if tagged => text += &format!("To: {value};tag={tag}\r\n"),
            "via" | "from" | "to" | "call-id" | "cseq" | "record-route" => {
                text += &format!("{}: {value}\r\n", String::from_utf8_lossy(header.name));
            }
            _ => {}
        }
    }
    for header in headers {
        text += header;
        text += "\r\n";
    }
    text += &format!("Contact: <sip:agent@{contact}>\r\n{}", with(body));
    Bytes::from(text)
}
