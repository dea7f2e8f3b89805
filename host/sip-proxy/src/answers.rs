//! Responses that we make ourselves: RFC 3261 section 8.2.6.

use bytes::Bytes;
use policy::Refusal;
use sip_message::build::Response;
use sip_message::{EditError, Message};
use sip_transaction::{Flow, Moment, TransactionId, via_stamp};
use smallvec::SmallVec;

use crate::core::ProxyCore;

/// A final or provisional response before it has a tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Empty for the standard phrase.
    pub(crate) phrase: &'a str,
    pub(crate) headers: SmallVec<[(&'a str, Vec<u8>); 2]>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn phrase(mut self, phrase: &'a str) -> Self {
        self.phrase = phrase;
        self
    }

    /// What a policy refuses with.
    pub(crate) fn refusing(refusal: &'a Refusal) -> Self {
        let status = if (300..700).contains(&refusal.status) {
            refusal.status
        } else {
            500
        };
        let mut answer = Self::new(status).phrase(&refusal.phrase);
        if let Some(seconds) = refusal.retry_after {
            answer = answer.header("Retry-After", seconds.to_string());
        }
        answer.headers(&refusal.headers)
    }

    pub(crate) fn headers(mut self, headers: &'a [(String, String)]) -> Self {
        for (name, value) in headers {
            self = self.header(name, value.as_bytes());
        }
        self
    }

    pub(crate) fn header(mut self, name: &'a str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl ProxyCore {
    /// Answers a server transaction. One that has ended needs no answer.
    pub(crate) fn answer(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: &Message,
        flow: &Flow,
        answer: Answer<'_>,
    ) {
        if let Some(bytes) = self.write_answer(request, flow, &answer) {
            self.respond_in_order(now, server, answer.status, bytes);
        }
    }

    /// The bytes of an answer.
    pub(crate) fn write_answer(
        &mut self,
        request: &Message,
        flow: &Flow,
        answer: &Answer<'_>,
    ) -> Option<Bytes> {
        let tag = self.entropy.tag();
        make_answer(request, flow, answer, &tag)
            // What a policy wanted to say cannot be written: then without that.
            .or_else(|_| make_answer(request, flow, &Answer::new(answer.status), &tag))
            .ok()
    }

    /// Answers 503: a table is full, or we are about to stop.
    pub(crate) fn answer_busy(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: &Message,
        flow: &Flow,
    ) {
        let seconds = self.site.routing.limits.retry_after_seconds.to_string();
        let answer = Answer::new(503).header("Retry-After", seconds);
        self.answer(now, server, request, flow, answer);
    }
}

fn make_answer(
    request: &Message,
    flow: &Flow,
    answer: &Answer<'_>,
    tag: &[u8],
) -> Result<Bytes, EditError> {
    let mut response = Response::to(request, answer.status);
    if !answer.phrase.is_empty() {
        response = response.phrase(answer.phrase);
    }
    // 100 opens no dialog and has no tag: section 8.2.6.2.
    if answer.status > 100 {
        response = response.to_tag(tag);
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let (received, rport) = via_stamp(&request.top_via(), flow);
    if received.is_some() || rport.is_some() {
        response = response.stamp_via(received, rport);
    }
    response.finish()
}
