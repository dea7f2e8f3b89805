//! Requests as endpoints write them.

use crate::harness::PROXY;

/// A request as an endpoint writes it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) via: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) headers: Vec<(String, String)>,
    /// A session description, or empty.
    pub(crate) body: String,
}

impl Request {
    /// A request outside any dialog, from this address.
    pub(crate) fn new(method: &'static str, from: &str, branch: &str) -> Self {
        let host = from.split(':').next().unwrap();
        Self {
            method,
            uri: format!("sip:100@{PROXY}"),
            via: format!("SIP/2.0/UDP {from};branch={branch}"),
            from: format!("<sip:alice@{host}>;tag=alice"),
            to: "<sip:100@proxy.example>".into(),
            call_id: "call-1".into(),
            cseq: 1,
            headers: vec![("Contact".into(), format!("<sip:alice@{from}>"))],
            body: String::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn sdp(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn uri(mut self, uri: &str) -> Self {
        self.uri = uri.into();
        self
    }

    pub(crate) fn call(mut self, call_id: &str) -> Self {
        self.call_id = call_id.into();
        self
    }

    pub(crate) fn cseq(mut self, cseq: u32) -> Self {
        self.cseq = cseq;
        self
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            self.method,
            self.uri,
            self.via,
            self.from,
            self.to,
            self.call_id,
            self.cseq,
            self.method
        );
        if !self.headers.iter().any(|(name, _)| name == "Max-Forwards") {
            text.push_str("Max-Forwards: 70\r\n");
        }
        for (name, value) in &self.headers {
            if value != "-" {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if !self.body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        text.push_str(&self.body);
        text
    }
}
