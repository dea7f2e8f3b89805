//! What the host tells about a response.

use alloc::string::String;
use alloc::vec::Vec;

use crate::abi::facts::ResponseFacts;
use crate::request::{MessageSource, Text};
use crate::{Method, Peer};

/// A response on its way back.
///
/// ```
/// # use sipward_plugin_sdk::testing;
/// use sipward_plugin_sdk::Response;
///
/// fn is_busy(response: &Response<'_>) -> bool {
///     matches!(response.status(), 486 | 600)
/// }
///
/// assert!(testing::Response::new(486, "Busy Here").seen(is_busy));
/// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// assert_eq!(Response::new(404, "Not Found").seen(|response| response.status()), 404);
    /// ```
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.facts.status
    }

    /// Reason phrase.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let gone = Response::new(410, "Moved away");
    /// gone.seen(|response| assert_eq!(response.phrase(), b"Moved away"));
    /// ```
    #[must_use]
    pub fn phrase(&self) -> &'a [u8] {
        self.text().at(self.facts.phrase)
    }

    /// Method of the request that this answers.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Method, testing::Response};
    /// let registered = Response::new(200, "OK").to_method("REGISTER");
    /// assert_eq!(registered.seen(|response| response.method()), Method::Register);
    /// ```
    #[must_use]
    pub const fn method(&self) -> Method {
        self.facts.method
    }

    /// Call-ID.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ringing = Response::new(180, "Ringing");
    /// assert!(ringing.seen(|response| !response.call_id().is_empty()));
    /// ```
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// Who answered.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ringing = Response::new(180, "Ringing").peer_name("carrier");
    /// ringing.seen(|response| assert_eq!(response.peer().name(), Some("carrier")));
    /// ```
    #[must_use]
    pub fn peer(&self) -> Peer<'a> {
        Peer::new(&self.facts.peer, self.text())
    }

    /// Identity that the request's pipeline established for the caller.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ringing = Response::new(180, "Ringing").identity("alice");
    /// ringing.seen(|response| assert_eq!(response.identity(), Some("alice")));
    /// ```
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.get().map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that the request came from.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ringing = Response::new(180, "Ringing").caller("office");
    /// ringing.seen(|response| assert_eq!(response.caller(), Some("office")));
    /// ```
    #[must_use]
    pub fn caller(&self) -> Option<&'a str> {
        self.facts.caller.get().map(|span| self.text().utf8(span))
    }

    /// First value of a header, unfolded; compact forms are found too.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").header("Server", "pbx/1.2");
    /// assert_eq!(ok.seen(|response| response.header("server")).as_deref(), Some(&b"pbx/1.2"[..]));
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.message.header(name)
    }

    /// All values of a header in order, comma-joined ones apart.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").header("Allow", "INVITE, BYE");
    /// ok.seen(|response| assert_eq!(response.headers("Allow"), [&b"INVITE"[..], b"BYE"]));
    /// ```
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<Vec<u8>> {
        self.message.headers(name)
    }

    /// Names of all header lines in order, as written.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").header("Server", "pbx/1.2");
    /// assert_eq!(ok.seen(|response| response.header_names()), ["Server"]);
    /// ```
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.message.header_names()
    }

    /// The body.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").body("v=0");
    /// assert_eq!(ok.seen(|response| response.body()), b"v=0");
    /// ```
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.message.body()
    }

    /// The whole message, in the canonical form in which it is judged and
    /// forwarded: what the anomalies name has been made harmless.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK");
    /// assert!(ok.seen(|response| response.raw().starts_with(b"SIP/2.0 200 OK\r\n")));
    /// ```
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.message.raw()
    }
}
