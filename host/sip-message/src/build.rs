//! Messages that the host makes itself: RFC 3261 sections 8.1.1, 8.2.6, 9.1 and 17.1.1.3.

use std::net::IpAddr;

use bytes::Bytes;

use crate::grammar::{self, TOKEN};
use crate::header::HeaderKind;
use crate::message::Message;
use crate::splice::{self, EditError};
use crate::status::reason_phrase;

/// Hops of a request that starts here (RFC 3261 section 8.1.1.6).
const MAX_FORWARDS: &[u8] = b"70";

/// A response in the making: Vias in order, From, To, Call-ID and CSeq of the request, and its
/// Timestamp in a 100.
#[derive(Debug, Clone)]
pub struct Response<'m> {
    request: &'m Message,
    status: u16,
    phrase: Option<String>,
    to_tag: Option<Vec<u8>>,
    stamp: Option<(Option<IpAddr>, Option<u16>)>,
    headers: Vec<u8>,
    body: Option<(String, Vec<u8>)>,
    error: Option<EditError>,
}

impl<'m> Response<'m> {
    /// Answers `request` with `status`, 100 to 699, and its registered phrase.
    pub fn to(request: &'m Message, status: u16) -> Self {
        let error = (!(100..=699).contains(&status)).then_some(EditError::Status);
        Self {
            request,
            status,
            phrase: None,
            to_tag: None,
            stamp: None,
            headers: Vec::new(),
            body: None,
            error,
        }
    }

    /// Another reason phrase.
    pub fn phrase(mut self, phrase: &str) -> Self {
        self.note(splice::check_value(phrase.as_bytes()));
        self.phrase = Some(phrase.to_owned());
        self
    }

    /// Tag for a To that has none. Never written into a 100.
    pub fn to_tag(mut self, tag: impl AsRef<[u8]>) -> Self {
        self.note(
            grammar::all(tag.as_ref(), TOKEN)
                .then_some(())
                .ok_or(EditError::Tag),
        );
        self.to_tag = Some(tag.as_ref().to_vec());
        self
    }

    /// Fills `received` and `rport` into the topmost Via, as the receiver of the request must
    /// (RFC 3261 section 18.2.1, RFC 3581 section 4).
    pub fn stamp_via(mut self, received: Option<IpAddr>, rport: Option<u16>) -> Self {
        self.stamp = Some((received, rport));
        self
    }

    /// Adds a header line.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        let checked = splice::check_name(name).and_then(|()| splice::check_value(value));
        if checked.is_ok() {
            splice::write_header(&mut self.headers, name, value);
        }
        self.note(checked);
        self
    }

    /// Sets the body and its type.
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.note(splice::check_value(content_type.as_bytes()));
        self.body = Some((content_type.to_owned(), body.as_ref().to_vec()));
        self
    }

    fn note(&mut self, checked: Result<(), EditError>) {
        self.error = self.error.or(checked.err());
    }

    /// Writes the response.
    ///
    /// # Errors
    /// The first [`EditError`] that any part met.
    pub fn finish(self) -> Result<Bytes, EditError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut out = Vec::with_capacity(512 + self.headers.len());
        out.extend_from_slice(format!("SIP/2.0 {} ", self.status).as_bytes());
        out.extend_from_slice(
            self.phrase
                .as_deref()
                .unwrap_or(reason_phrase(self.status))
                .as_bytes(),
        );
        out.extend_from_slice(b"\r\n");
        let mut stamp = self.stamp;
        for line in self
            .request
            .lines
            .iter()
            .filter(|line| line.kind == HeaderKind::Via)
        {
            let value = line.value(&self.request.bytes);
            match stamp.take() {
                Some((received, rport)) => {
                    out.extend_from_slice(b"Via: ");
                    splice::write_stamped(&mut out, value, received, rport);
                    out.extend_from_slice(b"\r\n");
                }
                None => splice::write_header(&mut out, b"Via", value),
            }
        }
        copy(&mut out, self.request, HeaderKind::From);
        self.write_to(&mut out);
        copy(&mut out, self.request, HeaderKind::CallId);
        copy(&mut out, self.request, HeaderKind::CSeq);
        if self.status == 100 {
            copy(&mut out, self.request, HeaderKind::Timestamp);
        }
        out.extend_from_slice(&self.headers);
        write_body(&mut out, self.body.as_ref());
        Ok(out.into())
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        let tag = self
            .to_tag
            .as_ref()
            .filter(|_| self.status != 100 && self.request.to_tag().is_none());
        let value = self.request.header(HeaderKind::To).unwrap_or_default();
        out.extend_from_slice(b"To: ");
        out.extend_from_slice(value);
        if let Some(tag) = tag {
            out.extend_from_slice(b";tag=");
            out.extend_from_slice(tag);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn copy(out: &mut Vec<u8>, message: &Message, kind: HeaderKind) {
    if let (Some(name), Some(value)) = (kind.name(), message.header(kind)) {
        splice::write_header(out, name.as_bytes(), value);
    }
}

fn write_body(out: &mut Vec<u8>, body: Option<&(String, Vec<u8>)>) {
    if let Some((content_type, _)) = body {
        splice::write_header(out, b"Content-Type", content_type.as_bytes());
    }
    let body = body.map(|(_, body)| body.as_slice()).unwrap_or_default();
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
}

/// The ACK of a response other than 2xx (RFC 3261 section 17.1.1.3): `invite` as we sent it, To
/// of `response`.
pub fn ack_for(invite: &Message, response: &Message) -> Bytes {
    within_transaction(
        invite,
        "ACK",
        response.header(HeaderKind::To).unwrap_or_default(),
    )
}

/// The CANCEL of a request (RFC 3261 section 9.1): `invite` as we sent it.
pub fn cancel_for(invite: &Message) -> Bytes {
    within_transaction(
        invite,
        "CANCEL",
        invite.header(HeaderKind::To).unwrap_or_default(),
    )
}

/// A request on the branch of another: its Request-URI, topmost Via, Route, From, Call-ID and
/// CSeq number.
fn within_transaction(invite: &Message, method: &str, to: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(invite.request_uri().raw);
    out.extend_from_slice(b" SIP/2.0\r\n");
    splice::write_header(&mut out, b"Via", invite.top_via().raw);
    splice::write_header(&mut out, b"Max-Forwards", MAX_FORWARDS);
    for route in invite.values(HeaderKind::Route) {
        splice::write_header(&mut out, b"Route", route);
    }
    copy(&mut out, invite, HeaderKind::From);
    splice::write_header(&mut out, b"To", to);
    copy(&mut out, invite, HeaderKind::CallId);
    splice::write_header(
        &mut out,
        b"CSeq",
        format!("{} {method}", invite.cseq().number).as_bytes(),
    );
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out.into()
}

/// A request that starts here.
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    method: Vec<u8>,
    head: Vec<u8>,
    max_forwards: bool,
    body: Option<(String, Vec<u8>)>,
    error: Option<EditError>,
}

impl RequestBuilder {
    /// A request of this method, a token, to this URI.
    pub fn new(method: impl AsRef<[u8]>, uri: impl AsRef<[u8]>) -> Self {
        let (method, uri) = (method.as_ref(), uri.as_ref());
        let token = grammar::all(method, TOKEN)
            .then_some(())
            .ok_or(EditError::StartLine);
        let error = token.and_then(|()| splice::check_uri(uri)).err();
        let head = [method, b" ", uri, b" SIP/2.0\r\n"].concat();
        Self {
            method: method.to_vec(),
            head,
            max_forwards: false,
            body: None,
            error,
        }
    }

    /// Adds a Via below those there are.
    pub fn via(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Via", value)
    }

    /// Sets From, its tag included.
    pub fn from(self, value: impl AsRef<[u8]>) -> Self {
        self.header("From", value)
    }

    /// Sets To.
    pub fn to(self, value: impl AsRef<[u8]>) -> Self {
        self.header("To", value)
    }

    /// Sets Call-ID.
    pub fn call_id(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Call-ID", value)
    }

    /// Sets CSeq with this number (below 2^31) and the method of the request.
    pub fn cseq(self, number: u32) -> Self {
        let value = [number.to_string().as_bytes(), b" ", &self.method].concat();
        self.header("CSeq", value)
    }

    /// Adds a Route, brackets included, below those there are.
    pub fn route(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Route", value)
    }

    /// Adds a header line.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        let checked = splice::check_name(name).and_then(|()| splice::check_value(value));
        self.error = self.error.or(checked.err());
        if self.error.is_none() {
            splice::write_header(&mut self.head, name, value);
            self.max_forwards |= HeaderKind::from_name(name) == HeaderKind::MaxForwards;
        }
        self
    }

    /// Sets the body and its type.
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.error = self
            .error
            .or(splice::check_value(content_type.as_bytes()).err());
        self.body = Some((content_type.to_owned(), body.as_ref().to_vec()));
        self
    }

    /// Writes the request, with Max-Forwards 70 unless it was set.
    ///
    /// # Errors
    /// The first [`EditError`] that any part met. Whether all needed headers are there is for
    /// [`Message::parse_datagram`] to say.
    pub fn finish(self) -> Result<Bytes, EditError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut out = self.head;
        if !self.max_forwards {
            splice::write_header(&mut out, b"Max-Forwards", MAX_FORWARDS);
        }
        write_body(&mut out, self.body.as_ref());
        Ok(out.into())
    }
}
