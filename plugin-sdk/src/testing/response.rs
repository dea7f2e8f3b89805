//! Responses for tests.

use crate::abi::facts::ResponseFacts;
use crate::testing::Message;
use crate::testing::facts::{self, Arena, Sender};

/// A response to an INVITE for [`crate::testing::Harness::answer`].
///
/// ```
/// use sipward_plugin_sdk::testing::Response;
/// let busy = Response::new(486, "Busy Here").header("Server", "pbx");
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    phrase: String,
    method: String,
    sender: Sender,
    identity: Option<String>,
    caller: Option<String>,
    message: Message,
}

impl Response {
    /// A response with a status and a reason phrase.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// Response::new(486, "Busy Here").seen(|response| assert_eq!(response.status(), 486));
    /// ```
    #[must_use]
    pub fn new(status: u16, phrase: &str) -> Self {
        Self {
            status,
            phrase: phrase.to_owned(),
            method: "INVITE".to_owned(),
            sender: Sender::default(),
            identity: None,
            caller: None,
            message: Message {
                start_line: format!("SIP/2.0 {status} {phrase}"),
                ..Message::default()
            },
        }
    }

    /// Sets the method of the request that it answers.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Method, testing::Response};
    /// let gone = Response::new(200, "OK").to_method("BYE");
    /// assert_eq!(gone.seen(|response| response.method()), Method::Bye);
    /// ```
    #[must_use]
    pub fn to_method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Sets the identity that the request's pipeline established.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").identity("alice");
    /// ok.seen(|response| assert_eq!(response.identity(), Some("alice")));
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        self.identity = Some(identity.to_owned());
        self
    }

    /// Sets the name of the `[[pbx]]` or `[[trunk]]` that the request came from.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").caller("office");
    /// ok.seen(|response| assert_eq!(response.caller(), Some("office")));
    /// ```
    #[must_use]
    pub fn caller(mut self, name: &str) -> Self {
        self.caller = Some(name.to_owned());
        self
    }

    /// Sets the name of the `[[pbx]]` or `[[trunk]]` that answered.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").peer_name("carrier");
    /// ok.seen(|response| assert_eq!(response.peer().name(), Some("carrier")));
    /// ```
    #[must_use]
    pub fn peer_name(mut self, name: &str) -> Self {
        self.sender.name = Some(name.to_owned());
        self
    }

    /// Adds a header line.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").header("Server", "pbx").header("Server", "again");
    /// ok.seen(|response| assert_eq!(response.header_names(), ["Server", "Server"]));
    /// ```
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.message
            .lines
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Response;
    /// let ok = Response::new(200, "OK").body("v=0");
    /// ok.seen(|response| assert_eq!(response.body(), b"v=0"));
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.message.body = body.into();
        self
    }

    /// Shows the response to a function as a policy would see it.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Response, testing};
    ///
    /// fn is_final(response: &Response<'_>) -> bool {
    ///     response.status() >= 200
    /// }
    ///
    /// assert!(!testing::Response::new(180, "Ringing").seen(is_final));
    /// ```
    pub fn seen<T>(&self, look: impl FnOnce(&crate::Response<'_>) -> T) -> T {
        let (facts, message) = self.build();
        look(&crate::Response::new(&facts, &message))
    }

    pub(super) fn build(&self) -> (ResponseFacts, Message) {
        let mut arena = Arena::default();
        let facts = ResponseFacts {
            status: self.status,
            phrase: arena.put(self.phrase.as_bytes()),
            method: facts::method(&self.method),
            call_id: arena.put(b"1@192.0.2.1"),
            peer: arena.peer(&self.sender),
            identity: arena.maybe(self.identity.as_ref()),
            caller: arena.maybe(self.caller.as_ref()),
            text: arena.0.into(),
        };
        (facts, self.message.clone())
    }
}
