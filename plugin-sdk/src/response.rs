//! What the host tells about a response.

use crate::bindings::types::ResponseFacts;
use crate::request::{MessageSource, Text};
use crate::{Method, Peer};

/// A response on its way back.
pub struct Response<'a> {
    facts: &'a ResponseFacts,
    message: MessageSource<'a>,
}

impl<'a> Response<'a> {
    pub(crate) const fn new(facts: &'a ResponseFacts, message: MessageSource<'a>) -> Self {
        Self { facts, message }
    }

    fn text(&self) -> Text<'a> {
        Text(&self.facts.text)
    }

    /// Status code, 100 to 699.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.facts.status
    }

    /// Reason phrase.
    #[must_use]
    pub fn phrase(&self) -> &'a [u8] {
        self.text().at(self.facts.phrase)
    }

    /// Method of the request that this answers.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.facts.method
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// Who answered.
    #[must_use]
    pub fn peer(&self) -> Peer<'a> {
        Peer::new(&self.facts.peer, self.text())
    }

    /// Identity that the request's pipeline established for the caller.
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that the request came from.
    #[must_use]
    pub fn caller(&self) -> Option<&'a str> {
        self.facts.caller.map(|span| self.text().utf8(span))
    }

    /// First value of a header, unfolded; compact forms are found too.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.message.header(name)
    }

    /// All values of a header in order, comma-joined ones apart.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<Vec<u8>> {
        self.message.headers(name)
    }

    /// Names of all header lines in order, as written.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.message.header_names()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.message.body()
    }

    /// The whole message, in the canonical form in which it is judged and
    /// forwarded: what the anomalies name has been made harmless.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.message.raw()
    }
}
