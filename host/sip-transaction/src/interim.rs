//! ACK and refusals as bytes, until `sip_message::build` is there.

use bytes::Bytes;
use sip_message::{HeaderKind, Message};

pub(crate) fn ack_for(invite: &Message, response: &Message) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"ACK ");
    out.extend_from_slice(invite.request_uri().raw);
    out.extend_from_slice(b" SIP/2.0\r\nVia: ");
    out.extend_from_slice(invite.top_via().raw);
    out.extend_from_slice(b"\r\n");
    for header in invite.headers() {
        if matches!(header.kind, HeaderKind::Route | HeaderKind::From | HeaderKind::CallId) {
            line(&mut out, header.name, header.value);
        }
    }
    line(&mut out, b"To", response.header(HeaderKind::To).unwrap_or_default());
    let cseq = format!("CSeq: {} ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", invite.cseq().number);
    out.extend_from_slice(cseq.as_bytes());
    out.into()
}

pub(crate) fn refusal(request: &Message, status_line: &[u8], tag: &[u8], extra: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(status_line);
    for header in request.headers() {
        match header.kind {
            HeaderKind::Via | HeaderKind::From | HeaderKind::CallId | HeaderKind::CSeq => {
                line(&mut out, header.name, header.value);
            }
            HeaderKind::To => {
                let mut to = header.value.to_vec();
                if request.to_tag().is_none() {
                    to.extend_from_slice(b";tag=");
                    to.extend_from_slice(tag);
                }
                line(&mut out, header.name, &to);
            }
            _ => {}
        }
    }
    out.extend_from_slice(extra);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out.into()
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
