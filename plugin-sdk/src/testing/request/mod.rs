//! Requests for tests.

mod credentials;
mod sender;

use std::collections::BTreeSet;

use crate::abi::facts as raw;
use crate::bindings::identity::{DigestUser, TlsSession};
use crate::testing::Message;
use crate::testing::call::{Event, OpenCall};
use crate::testing::facts::{self, Arena, Sender};
use crate::testing::world::RequestContext;
use crate::{AddressKind, Anomalies, Dialog, Effect, Outcome, Transport};

pub use credentials::{Credentials, Nonce};

/// One stream of the offer.
#[derive(Clone, Debug)]
struct Stream {
    kind: String,
    protocol: String,
    encrypted: bool,
    address: (String, AddressKind),
}

/// A request for [`crate::testing::Harness::call`], from 192.0.2.1 over UDP in
/// the outside zone unless stated otherwise.
///
/// ```
/// use sipward_plugin_sdk::testing::Request;
/// use sipward_plugin_sdk::Transport;
/// let request = Request::invite("sip:+4930123@example.com")
///     .from_address("2001:db8::7")
///     .transport(Transport::Tls)
///     .header("Subject", "lunch");
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    uri: String,
    from: (String, Option<String>),
    from_tag: Option<String>,
    to: Option<String>,
    call_id: String,
    user_agent: Option<String>,
    sender: Sender,
    dialog: Dialog,
    identity: Option<String>,
    offer: Vec<Stream>,
    anomalies: Anomalies,
    score: i32,
    annotations: String,
    message: Message,
    tls: Option<TlsSession>,
    verified: Vec<DigestUser>,
}

impl Request {
    /// A request of any method; methods are case-sensitive.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Method, testing::Request};
    /// let odd = Request::new("FROBNICATE", "sip:bob@example.com");
    /// assert_eq!(odd.seen(|request| request.method()), Method::Other);
    /// ```
    #[must_use]
    pub fn new(method: &str, uri: &str) -> Self {
        Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            from: ("sip:alice@example.com".to_owned(), None),
            from_tag: None,
            to: None,
            call_id: "1@192.0.2.1".to_owned(),
            user_agent: None,
            sender: Sender::default(),
            dialog: Dialog::None,
            identity: None,
            offer: Vec::new(),
            anomalies: Anomalies::empty(),
            score: 0,
            annotations: String::new(),
            message: Message {
                start_line: format!("{method} {uri} SIP/2.0"),
                ..Message::default()
            },
            tls: None,
            verified: Vec::new(),
        }
    }

    /// An INVITE.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// assert_eq!(Request::invite("sip:bob@example.com").method_name(), "INVITE");
    /// ```
    #[must_use]
    pub fn invite(uri: &str) -> Self {
        Self::new("INVITE", uri)
    }

    /// A REGISTER.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// assert_eq!(Request::register("sip:example.com").method_name(), "REGISTER");
    /// ```
    #[must_use]
    pub fn register(uri: &str) -> Self {
        Self::new("REGISTER", uri)
    }

    /// A REFER with a Refer-To header.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let transfer = Request::refer("sip:bob@example.com", "<sip:carol@example.com>");
    /// assert!(transfer.seen(|request| request.header("Refer-To").is_some()));
    /// ```
    #[must_use]
    pub fn refer(uri: &str, refer_to: &str) -> Self {
        Self::new("REFER", uri).header("Refer-To", refer_to)
    }

    /// The method as written.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// assert_eq!(Request::new("OPTIONS", "sip:example.com").method_name(), "OPTIONS");
    /// ```
    #[must_use]
    pub fn method_name(&self) -> &str {
        &self.method
    }

    /// Sets the URI of From.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_uri("tel:+4930123").seen(|request| {
    ///     assert_eq!(request.from().uri().user(), Some(&b"+4930123"[..]));
    /// });
    /// ```
    #[must_use]
    pub fn from_uri(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.from.0);
        self
    }

    /// Sets the display name of From.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// Request::invite("sip:bob@example.com").from_display("Your bank").seen(|request| {
    ///     assert_eq!(request.from().display(), Some(&b"Your bank"[..]));
    /// });
    /// ```
    #[must_use]
    pub fn from_display(mut self, display: &str) -> Self {
        self.from.1 = Some(display.to_owned());
        self
    }

    /// Sets the tag of From; `tag` in a dialog and none outside otherwise.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").from_tag("a7");
    /// call.seen(|request| assert_eq!(request.from().tag(), Some(&b"a7"[..])));
    /// ```
    #[must_use]
    pub fn from_tag(mut self, tag: &str) -> Self {
        self.from_tag = Some(tag.to_owned());
        self
    }

    /// Sets the URI of To, which is the Request-URI otherwise.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// Request::register("sip:example.com").to_uri("sip:alice@example.com").seen(|request| {
    ///     assert_eq!(request.to().uri().user(), Some(&b"alice"[..]));
    /// });
    /// ```
    #[must_use]
    pub fn to_uri(mut self, uri: &str) -> Self {
        self.to = Some(uri.to_owned());
        self
    }

    /// Sets the Call-ID.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").call_id("7@phone");
    /// call.seen(|request| assert_eq!(request.call_id(), b"7@phone"));
    /// ```
    #[must_use]
    pub fn call_id(mut self, call_id: &str) -> Self {
        call_id.clone_into(&mut self.call_id);
        self
    }

    /// Sets the User-Agent.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").user_agent("sipcli/1.8");
    /// call.seen(|request| assert_eq!(request.user_agent(), Some(&b"sipcli/1.8"[..])));
    /// ```
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = Some(user_agent.to_owned());
        self.header("User-Agent", user_agent)
    }

    /// Puts the request into a dialog.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Dialog, testing::Request};
    /// let hold = Request::invite("sip:bob@example.com").dialog(Dialog::Confirmed);
    /// assert_eq!(hold.seen(|request| request.dialog()), Dialog::Confirmed);
    /// ```
    #[must_use]
    pub fn dialog(mut self, dialog: Dialog) -> Self {
        self.dialog = dialog;
        self
    }

    /// Sets what an earlier plugin said of who the caller is.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").identity("alice");
    /// call.seen(|request| assert_eq!(request.identity(), Some("alice")));
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        self.identity = Some(identity.to_owned());
        self
    }

    /// Adds a stream to the offer, at a public address unless
    /// [`Request::offer_address`] says otherwise.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").offer("audio", "RTP/SAVP", true);
    /// assert!(call.seen(|request| request.offer().all(|stream| stream.encrypted)));
    /// ```
    #[must_use]
    pub fn offer(mut self, kind: &str, protocol: &str, encrypted: bool) -> Self {
        self.offer.push(Stream {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            encrypted,
            address: ("192.0.2.1".to_owned(), AddressKind::Public),
        });
        self
    }

    /// Sets the address of the stream that was added last.
    ///
    /// ```
    /// use sipward_plugin_sdk::{AddressKind, testing::Request};
    /// let call = Request::invite("sip:bob@example.com")
    ///     .offer("audio", "RTP/AVP", false)
    ///     .offer_address("127.0.0.1", AddressKind::Loopback);
    /// assert!(call.seen(|request| request.offer().all(|it| it.address == b"127.0.0.1")));
    /// ```
    ///
    /// # Panics
    /// If the offer has no stream.
    #[must_use]
    pub fn offer_address(mut self, address: &str, kind: AddressKind) -> Self {
        let Some(stream) = self.offer.last_mut() else {
            panic!("an address belongs to a stream: call `offer` first");
        };
        stream.address = (address.to_owned(), kind);
        self
    }

    /// Sets the oddities that the host saw.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Anomalies, testing::Request};
    /// let odd = Request::invite("sip:bob@example.com").anomalies(Anomalies::FOLDED_HEADER);
    /// assert!(odd.seen(|request| !request.anomalies().is_empty()));
    /// ```
    #[must_use]
    pub fn anomalies(mut self, anomalies: Anomalies) -> Self {
        self.anomalies = anomalies;
        self
    }

    /// Sets the points that earlier plugins added.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// assert_eq!(Request::invite("sip:bob@example.com").score(7).seen(|it| it.score()), 7);
    /// ```
    #[must_use]
    pub fn score(mut self, score: i32) -> Self {
        self.score = score;
        self
    }

    /// Adds an annotation of an earlier plugin.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").annotation("country", "DE");
    /// call.seen(|request| assert_eq!(request.annotation("country"), Some("DE")));
    /// ```
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push_str(&format!("{key}={value}\n"));
        self
    }

    /// Adds a header line.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").header("X-Bytes", b"\xff");
    /// call.seen(|request| assert_eq!(request.header("x-bytes"), Some(vec![0xff])));
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
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").body("v=0\r\n");
    /// assert_eq!(call.seen(|request| request.body()), b"v=0\r\n");
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.message.body = body.into();
        self
    }

    /// Adds digest credentials.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Credentials, Request};
    /// let call = Request::invite("sip:bob@example.com")
    ///     .credentials(Credentials::new("example.com", "alice", "secret"));
    /// # let _ = call;
    /// ```
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.message.credentials = Some(credentials);
        self
    }

    /// Shows the request to a function as a policy would see it: for tests of parts of
    /// a policy. What the function asks of the host needs a harness around it:
    /// [`Harness::inside`](crate::testing::Harness::inside).
    ///
    /// ```
    /// use sipward_plugin_sdk::{Request, testing};
    ///
    /// fn is_emergency(request: &Request<'_>) -> bool {
    ///     request.request_uri().dialled().as_deref() == Some("112")
    /// }
    ///
    /// assert!(testing::Request::invite("sip:112@example.com").seen(is_emergency));
    /// ```
    pub fn seen<T>(&self, look: impl FnOnce(&crate::Request<'_>) -> T) -> T {
        let (facts, message) = self.build();
        look(&crate::Request::new(&facts, &message))
    }

    /// Shows the call that the request begins to a function as a policy would see it
    /// when it starts, admitted with this outcome, in the first millisecond of 1970.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Call, Outcome, testing::Request};
    ///
    /// fn price(call: &Call<'_>) -> Option<u32> {
    ///     call.annotation("price")?.parse().ok()
    /// }
    ///
    /// let invite = Request::invite("sip:bob@example.com");
    /// let admitted = Outcome::next().annotate("price", "2");
    /// assert_eq!(invite.seen_as_call(&admitted, price), Some(2));
    /// ```
    pub fn seen_as_call<T>(
        &self,
        outcome: &Outcome,
        look: impl FnOnce(&crate::Call<'_>) -> T,
    ) -> T {
        let (facts, _event) = self.open_call(1, outcome, 0).build(&Event::Started, 0);
        look(&crate::Call::new(&facts))
    }

    /// Whether it is an INVITE outside a dialog.
    pub(super) fn begins_call(&self) -> bool {
        self.method == "INVITE" && self.dialog == Dialog::None
    }

    /// What the host knows about it beyond its facts; `tls` is what connections have
    /// otherwise.
    pub(super) fn context(&self, tls: TlsSession) -> RequestContext {
        let encrypted = matches!(self.sender.transport, Transport::Tls | Transport::Wss);
        RequestContext {
            tls: encrypted.then(|| self.tls.clone().unwrap_or(tls)),
            verified: self.verified.clone(),
        }
    }

    /// The call that it begins, as the policy alone has admitted it.
    pub(super) fn open_call(&self, number: u64, outcome: &Outcome, now_ms: u64) -> OpenCall {
        let mut annotations = self.annotations.clone();
        for effect in outcome.effects() {
            if let Effect::Annotate(note) = effect {
                annotations.push_str(&format!("{}={}\n", note.key, note.value));
            }
        }
        let identity = outcome.identity().or(self.identity.as_deref());
        OpenCall {
            number,
            call_id: self.call_id.clone(),
            request_uri: self.uri.clone(),
            from: self.from.0.clone(),
            source: self.sender.address,
            identity: identity.map(str::to_owned),
            caller: self.sender.name.clone(),
            callee: None,
            annotations,
            score: self.score.saturating_add(outcome.points()),
            started_ms: now_ms,
            answered_ms: None,
            ticks: outcome.ticks().collect::<BTreeSet<_>>(),
            limit: outcome.duration_limit(),
        }
    }

    pub(super) fn build(&self) -> (raw::RequestFacts, Message) {
        let mut arena = Arena::default();
        let party = |arena: &mut Arena, uri: &str, display: Option<&str>| raw::Party {
            uri: arena.uri(uri),
            display: arena.maybe(display),
            tag: arena.maybe((self.dialog != Dialog::None).then_some("tag")),
        };
        let size = u32::try_from(self.message.raw().len()).unwrap_or(u32::MAX);
        let from = party(&mut arena, &self.from.0, self.from.1.as_deref());
        let facts = raw::RequestFacts {
            method: facts::method(&self.method),
            method_name: arena.put(self.method.as_bytes()),
            request_uri: arena.uri(&self.uri),
            from: raw::Party {
                tag: match &self.from_tag {
                    Some(tag) => arena.maybe(Some(tag)),
                    None => from.tag,
                },
                ..from
            },
            to: party(&mut arena, self.to.as_deref().unwrap_or(&self.uri), None),
            call_id: arena.put(self.call_id.as_bytes()),
            user_agent: arena.maybe(self.user_agent.as_ref()),
            peer: arena.peer(&self.sender),
            dialog: self.dialog,
            identity: arena.maybe(self.identity.as_ref()),
            offer: self
                .offer
                .iter()
                .map(|stream| raw::MediaStream {
                    kind: arena.put(stream.kind.as_bytes()),
                    protocol: arena.put(stream.protocol.as_bytes()),
                    encrypted: stream.encrypted,
                    address: arena.put(stream.address.0.as_bytes()),
                    port: 4000,
                    address_kind: stream.address.1,
                })
                .collect::<Vec<_>>()
                .into(),
            anomalies: self.anomalies.bits(),
            score: self.score,
            annotations: arena.put(self.annotations.as_bytes()),
            size,
            text: arena.0.into(),
        };
        (facts, self.message.clone())
    }
}
