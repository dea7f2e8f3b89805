//! What the host tells about a request: views over one buffer of text.

use alloc::string::String;
use alloc::vec::Vec;

use crate::abi::facts::{self, RequestFacts};
use crate::bindings::types::Span;
use crate::offer::Offer;
use crate::{Anomalies, Dialog, Method, Peer, Uri};

/// Where headers and body are fetched from.
#[cfg(target_arch = "wasm32")]
pub(crate) type MessageSource<'a> = &'a crate::abi::hook::Lent;
/// Where headers and body are fetched from.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type MessageSource<'a> = &'a crate::testing::Message;

/// The buffer that spans point into.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl<'a> Text<'a> {
    /// The bytes of a span; empty if it points outside, which a host never does.
    #[inline]
    pub(crate) fn at(self, span: Span) -> &'a [u8] {
        let start = (span >> 32) as usize;
        let end = start.saturating_add(span as u32 as usize);
        self.0.get(start..end).unwrap_or_default()
    }

    /// The text of a span that the host itself wrote; empty if it is not UTF-8.
    pub(crate) fn utf8(self, span: Span) -> &'a str {
        core::str::from_utf8(self.at(span)).unwrap_or_default()
    }
}

/// A request, parsed and bounded by the host.
///
/// What the accessors return is free: it has crossed into the guest already.
/// [`Request::header`], [`Request::headers`], [`Request::header_names`],
/// [`Request::present`], [`Request::body`] and [`Request::raw`] ask the host, each at about the tenth
/// of a microsecond plus a copy.
///
/// ```
/// # use sipward_plugin_sdk::testing;
/// use sipward_plugin_sdk::Request;
///
/// fn calls_itself(request: &Request<'_>) -> bool {
///     request.from().uri().user() == request.to().uri().user()
/// }
///
/// let call = testing::Request::invite("sip:bob@example.com").from_uri("sip:bob@example.org");
/// assert!(call.seen(calls_itself));
/// ```
pub struct Request<'a> {
    facts: &'a RequestFacts,
    message: MessageSource<'a>,
}

impl<'a> Request<'a> {
    pub(crate) const fn new(facts: &'a RequestFacts, message: MessageSource<'a>) -> Self {
        Self { facts, message }
    }

    fn text(&self) -> Text<'a> {
        Text(&self.facts.text)
    }

    pub(crate) const fn message(&self) -> MessageSource<'a> {
        self.message
    }

    /// The method.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Method, testing::Request};
    /// let sent = Request::register("sip:example.com");
    /// assert_eq!(sent.seen(|request| request.method()), Method::Register);
    /// ```
    #[must_use]
    pub const fn method(&self) -> Method {
        self.facts.method
    }

    /// The method as written: methods are case-sensitive.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Method, testing::Request};
    /// Request::new("invite", "sip:bob@example.com").seen(|request| {
    ///     assert_eq!(request.method(), Method::Other);
    ///     assert_eq!(request.method_name(), b"invite");
    /// });
    /// ```
    #[must_use]
    pub fn method_name(&self) -> &'a [u8] {
        self.text().at(self.facts.method_name)
    }

    /// The Request-URI, as an earlier plugin of the pipeline chose it, if one did.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com;user=phone").seen(|request| {
    ///     assert_eq!(request.request_uri().user(), Some(&b"bob"[..]));
    ///     assert_eq!(request.request_uri().host(), b"example.com");
    /// });
    /// ```
    #[must_use]
    pub fn request_uri(&self) -> Uri<'a> {
        Uri::new(&self.facts.request_uri, self.text())
    }

    /// From (RFC 3261 section 20.20), as an earlier plugin chose it, if one did.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_uri("sip:alice@example.org").seen(|request| {
    ///     assert_eq!(request.from().uri().host(), b"example.org");
    /// });
    /// ```
    #[must_use]
    pub fn from(&self) -> Party<'a> {
        Party {
            raw: &self.facts.from,
            text: self.text(),
        }
    }

    /// To (RFC 3261 section 20.39), as an earlier plugin chose it, if one did.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@192.0.2.9").to_uri("sip:bob@example.com").seen(|request| {
    ///     assert_eq!(request.to().uri().host(), b"example.com");
    /// });
    /// ```
    #[must_use]
    pub fn to(&self) -> Party<'a> {
        Party {
            raw: &self.facts.to,
            text: self.text(),
        }
    }

    /// Call-ID.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").call_id("7@phone").seen(|request| {
    ///     assert_eq!(request.call_id(), b"7@phone");
    /// });
    /// ```
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// User-Agent, if any.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let scanner = Request::new("OPTIONS", "sip:example.com").user_agent("friendly-scanner");
    /// assert!(scanner.seen(|request| request.user_agent() == Some(b"friendly-scanner")));
    /// ```
    #[must_use]
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.facts.user_agent.get().map(|span| self.text().at(span))
    }

    /// The sender.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_address("2001:db8::7").seen(|request| {
    ///     assert_eq!(request.peer().address().to_string(), "2001:db8::7");
    /// });
    /// ```
    #[must_use]
    pub fn peer(&self) -> Peer<'a> {
        Peer::new(&self.facts.peer, self.text())
    }

    /// Where the request stands in a dialog that the host knows.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Dialog, testing::Request};
    /// let again = Request::invite("sip:bob@example.com").dialog(Dialog::Confirmed);
    /// assert_eq!(again.seen(|request| request.dialog()), Dialog::Confirmed);
    /// ```
    #[must_use]
    pub const fn dialog(&self) -> Dialog {
        self.facts.dialog
    }

    /// Identity that an earlier plugin of the pipeline established.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").identity("alice");
    /// call.seen(|request| assert_eq!(request.identity(), Some("alice")));
    /// ```
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.get().map(|span| self.text().utf8(span))
    }

    /// The streams of the SDP offer; none without an offer.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").offer("video", "RTP/AVP", false);
    /// assert!(call.seen(|request| request.offer().any(|stream| stream.kind == b"video")));
    /// ```
    #[must_use]
    pub fn offer(&self) -> Offer<'a> {
        Offer::new(&self.facts.offer, self.text())
    }

    /// Oddities that the host saw and has already made harmless.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Anomalies, testing::Request};
    /// let odd = Request::invite("sip:bob@example.com").anomalies(Anomalies::VIA_MISMATCH);
    /// assert!(odd.seen(|request| request.anomalies().contains(Anomalies::VIA_MISMATCH)));
    /// ```
    #[must_use]
    pub const fn anomalies(&self) -> Anomalies {
        Anomalies::from_bits_retain(self.facts.anomalies)
    }

    /// Points that earlier plugins of the pipeline added.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").score(30);
    /// assert_eq!(call.seen(|request| request.score()), 30);
    /// ```
    #[must_use]
    pub const fn score(&self) -> i32 {
        self.facts.score
    }

    /// What earlier plugins of the pipeline annotated, oldest first.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").annotation("price", "2");
    /// call.seen(|request| assert!(request.annotations().eq([("price", "2")])));
    /// ```
    #[must_use]
    pub fn annotations(&self) -> Annotations<'a> {
        Annotations::new(self.text().utf8(self.facts.annotations))
    }

    /// The newest annotation under a key.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").annotation("price", "2").annotation("price", "3");
    /// call.seen(|request| assert_eq!(request.annotation("price"), Some("3")));
    /// ```
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations().newest(key)
    }

    /// Size of the message in bytes.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let long = Request::invite("sip:bob@example.com").body("x".repeat(2_000));
    /// assert!(long.seen(|request| request.size() > 2_000));
    /// ```
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.facts.size
    }

    /// First value of a header, unfolded. Names are matched without regard to
    /// case, and compact forms are found by their long name.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").header("s", "lunch");
    /// assert_eq!(call.seen(|request| request.header("Subject")).as_deref(), Some(&b"lunch"[..]));
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.message.header(name)
    }

    /// All values of a header in order, comma-joined ones apart.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").header("Supported", "100rel, timer");
    /// call.seen(|request| assert_eq!(request.headers("Supported"), [&b"100rel"[..], b"timer"]));
    /// ```
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<Vec<u8>> {
        self.message.headers(name)
    }

    /// Names of all header lines in order, as written.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").header("Subject", "lunch").header("X-A", "1");
    /// assert_eq!(call.seen(|request| request.header_names()), ["Subject", "X-A"]);
    /// ```
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.message.header_names()
    }

    /// Which headers are there, as [`Request::header`] would find them. One question for all
    /// of them, of which there may be 64: ask this where most are absent.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").header("Diversion", "<sip:a@h>");
    /// call.seen(|request| {
    ///     let [diverted, private] = request.present(["diversion", "Privacy"]);
    ///     assert!(diverted && !private);
    /// });
    /// ```
    #[must_use]
    pub fn present<const N: usize>(&self, names: [&str; N]) -> [bool; N] {
        const { assert!(N <= 64, "an answer has 64 bits") };
        let found = self.message.present(&names.join(","));
        core::array::from_fn(|place| found >> place & 1 == 1)
    }

    /// The body.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let text = Request::new("MESSAGE", "sip:bob@example.com").body("lunch?");
    /// assert_eq!(text.seen(|request| request.body()), b"lunch?");
    /// ```
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.message.body()
    }

    /// The whole message, in the canonical form in which it is judged and
    /// forwarded: what the anomalies name has been made harmless.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com");
    /// assert!(call.seen(|request| request.raw().starts_with(b"INVITE sip:bob@example.com SIP/2.0\r\n")));
    /// ```
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.message.raw()
    }
}

/// A From or To header.
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// use sipward_plugin_sdk::Party;
///
/// fn shows_another_number(party: Party<'_>) -> bool {
///     let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
///     party.display().is_some_and(|name| digits(name) && party.uri().user() != Some(name))
/// }
///
/// let call = Request::invite("sip:bob@example.com")
///     .from_uri("sip:100@example.com")
///     .from_display("110");
/// assert!(call.seen(|request| shows_another_number(request.from())));
/// ```
#[derive(Clone, Copy)]
pub struct Party<'a> {
    raw: &'a facts::Party,
    text: Text<'a>,
}

impl<'a> Party<'a> {
    /// The address.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_uri("tel:+4930123").seen(|request| {
    ///     assert_eq!(request.from().uri().dialled().as_deref(), Some("+4930123"));
    /// });
    /// ```
    #[must_use]
    pub fn uri(&self) -> Uri<'a> {
        Uri::new(&self.raw.uri, self.text)
    }

    /// The display name without its quotes.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_display("Alice").seen(|request| {
    ///     assert_eq!(request.from().display(), Some(&b"Alice"[..]));
    ///     assert_eq!(request.to().display(), None);
    /// });
    /// ```
    #[must_use]
    pub fn display(&self) -> Option<&'a [u8]> {
        self.raw.display.get().map(|span| self.text.at(span))
    }

    /// The tag.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_tag("a7").seen(|request| {
    ///     assert_eq!(request.from().tag(), Some(&b"a7"[..]));
    /// });
    /// ```
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.raw.tag.get().map(|span| self.text.at(span))
    }
}

/// Iterates over annotations as pairs of key and value.
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// let call = Request::invite("sip:bob@example.com").annotation("a", "1").annotation("b", "2");
/// call.seen(|request| {
///     let keys: Vec<&str> = request.annotations().map(|(key, _)| key).collect();
///     assert_eq!(keys, ["a", "b"]);
/// });
/// ```
#[derive(Clone)]
pub struct Annotations<'a> {
    lines: core::str::Lines<'a>,
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(lines: &'a str) -> Self {
        Self {
            lines: lines.lines(),
        }
    }

    /// The value of the last one under a key.
    pub(crate) fn newest(self, key: &str) -> Option<&'a str> {
        self.filter(|(name, _)| *name == key)
            .last()
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for Annotations<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.find_map(|line| line.split_once('='))
    }
}
