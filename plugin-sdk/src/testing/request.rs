//! Requests for tests.

use std::collections::BTreeSet;

use crate::bindings::identity::{DigestUser, TlsSession};
use crate::bindings::types;
use crate::testing::Message;
use crate::testing::call::OpenCall;
use crate::testing::facts::{self, Arena, Certificate, Sender};
use crate::testing::world::RequestContext;
use crate::{AddressKind, Anomalies, Dialog, DigestAlgorithm, Effect, Outcome, Transport, Zone};

/// Digest credentials that a request carries, for the virtual host to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The realm they are for.
    pub realm: String,
    /// User name.
    pub user: String,
    /// What the user typed.
    pub password: String,
    /// Algorithm of the response.
    pub algorithm: DigestAlgorithm,
    /// What is the matter with the nonce.
    pub nonce: Nonce,
}

impl Credentials {
    /// Credentials over a fresh nonce with SHA-256.
    #[must_use]
    pub fn new(realm: &str, user: &str, password: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            algorithm: DigestAlgorithm::Sha256,
            nonce: Nonce::Fresh,
        }
    }

    /// The same with another algorithm.
    #[must_use]
    pub fn algorithm(self, algorithm: DigestAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The same over another nonce.
    #[must_use]
    pub fn nonce(self, nonce: Nonce) -> Self {
        Self { nonce, ..self }
    }
}

/// What is the matter with a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// Made by the host for this source, and still good.
    Fresh,
    /// Made by the host, and expired.
    Stale,
    /// Its count was used before.
    Replayed,
    /// Not made by the host, or made for another source.
    Forged,
}

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
    #[must_use]
    pub fn invite(uri: &str) -> Self {
        Self::new("INVITE", uri)
    }

    /// A REGISTER.
    #[must_use]
    pub fn register(uri: &str) -> Self {
        Self::new("REGISTER", uri)
    }

    /// A REFER with a Refer-To header.
    #[must_use]
    pub fn refer(uri: &str, refer_to: &str) -> Self {
        Self::new("REFER", uri).header("Refer-To", refer_to)
    }

    /// The method as written.
    #[must_use]
    pub fn method_name(&self) -> &str {
        &self.method
    }

    /// Sets the URI of From.
    #[must_use]
    pub fn from_uri(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.from.0);
        self
    }

    /// Sets the display name of From.
    #[must_use]
    pub fn from_display(mut self, display: &str) -> Self {
        self.from.1 = Some(display.to_owned());
        self
    }

    /// Sets the tag of From; `tag` in a dialog and none outside otherwise.
    #[must_use]
    pub fn from_tag(mut self, tag: &str) -> Self {
        self.from_tag = Some(tag.to_owned());
        self
    }

    /// Sets the URI of To, which is the Request-URI otherwise.
    #[must_use]
    pub fn to_uri(mut self, uri: &str) -> Self {
        self.to = Some(uri.to_owned());
        self
    }

    /// Sets the Call-ID.
    #[must_use]
    pub fn call_id(mut self, call_id: &str) -> Self {
        call_id.clone_into(&mut self.call_id);
        self
    }

    /// Sets the User-Agent.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = Some(user_agent.to_owned());
        self.header("User-Agent", user_agent)
    }

    /// Sets the source address.
    ///
    /// # Panics
    /// If it is no IP address.
    #[must_use]
    pub fn from_address(mut self, address: &str) -> Self {
        self.sender.address = match address.parse() {
            Ok(address) => address,
            Err(_) => panic!("`{address}` is no IP address"),
        };
        self
    }

    /// Sets the source port.
    #[must_use]
    pub fn from_port(mut self, port: u16) -> Self {
        self.sender.port = port;
        self
    }

    /// Sets the transport.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.sender.transport = transport;
        self
    }

    /// Sets the zone of the sender.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.sender.zone = zone;
        self
    }

    /// Sets the name of the `[[pbx]]` or `[[trunk]]` that the source matched.
    #[must_use]
    pub fn peer_name(mut self, name: &str) -> Self {
        self.sender.name = Some(name.to_owned());
        self
    }

    /// Gives the peer a verified certificate with these comma-separated names.
    #[must_use]
    pub fn certificate(mut self, names: &str) -> Self {
        self.sender.certificate = Some(Certificate::new(names));
        self
    }

    /// Sets the fingerprint of the certificate, 64 zeros otherwise.
    ///
    /// # Panics
    /// If the peer has no certificate.
    #[must_use]
    pub fn certificate_fingerprint(mut self, fingerprint: &str) -> Self {
        fingerprint.clone_into(&mut self.given_certificate().fingerprint);
        self
    }

    /// Sets the issuer of the certificate, `CN=Test CA` otherwise.
    ///
    /// # Panics
    /// If the peer has no certificate.
    #[must_use]
    pub fn certificate_issuer(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.given_certificate().issuer);
        self
    }

    fn given_certificate(&mut self) -> &mut Certificate {
        match &mut self.sender.certificate {
            Some(certificate) => certificate,
            None => panic!("there is no certificate: call `certificate` first"),
        }
    }

    /// Sends the request over TLS with this version and cipher suite.
    #[must_use]
    pub fn tls(mut self, version: &str, cipher: &str) -> Self {
        self.tls = Some(TlsSession {
            version: version.to_owned(),
            cipher: cipher.to_owned(),
        });
        self.transport(Transport::Tls)
    }

    /// Adds a user whom an earlier plugin of the pipeline verified by digest.
    #[must_use]
    pub fn verified(mut self, user: &str, realm: &str) -> Self {
        self.verified.push(DigestUser {
            user: user.to_owned(),
            realm: realm.to_owned(),
        });
        self
    }

    /// Puts the request into a dialog.
    #[must_use]
    pub fn dialog(mut self, dialog: Dialog) -> Self {
        self.dialog = dialog;
        self
    }

    /// Sets what an earlier plugin said of who the caller is.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        self.identity = Some(identity.to_owned());
        self
    }

    /// Adds a stream to the offer, at a public address unless
    /// [`Request::offer_address`] says otherwise.
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
    #[must_use]
    pub fn anomalies(mut self, anomalies: Anomalies) -> Self {
        self.anomalies = anomalies;
        self
    }

    /// Sets the points that earlier plugins added.
    #[must_use]
    pub fn score(mut self, score: i32) -> Self {
        self.score = score;
        self
    }

    /// Adds an annotation of an earlier plugin.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push_str(&format!("{key}={value}\n"));
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.message
            .lines
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.message.body = body.into();
        self
    }

    /// Adds digest credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.message.credentials = Some(credentials);
        self
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

    pub(super) fn build(&self) -> (types::RequestFacts, Message) {
        let mut arena = Arena::default();
        let party = |arena: &mut Arena, uri: &str, display: Option<&str>| types::Party {
            uri: arena.uri(uri),
            display: display.map(|display| arena.put(display.as_bytes())),
            tag: (self.dialog != Dialog::None).then(|| arena.put(b"tag")),
        };
        let size = u32::try_from(self.message.raw().len()).unwrap_or(u32::MAX);
        let from = party(&mut arena, &self.from.0, self.from.1.as_deref());
        let facts = types::RequestFacts {
            method: facts::method(&self.method),
            method_name: arena.put(self.method.as_bytes()),
            request_uri: arena.uri(&self.uri),
            from: types::Party {
                tag: match &self.from_tag {
                    Some(tag) => Some(arena.put(tag.as_bytes())),
                    None => from.tag,
                },
                ..from
            },
            to: party(&mut arena, self.to.as_deref().unwrap_or(&self.uri), None),
            call_id: arena.put(self.call_id.as_bytes()),
            user_agent: self
                .user_agent
                .as_ref()
                .map(|text| arena.put(text.as_bytes())),
            peer: arena.peer(&self.sender),
            dialog: self.dialog,
            identity: self
                .identity
                .as_ref()
                .map(|text| arena.put(text.as_bytes())),
            offer: self
                .offer
                .iter()
                .map(|stream| types::MediaStream {
                    kind: arena.put(stream.kind.as_bytes()),
                    protocol: arena.put(stream.protocol.as_bytes()),
                    encrypted: stream.encrypted,
                    address: arena.put(stream.address.0.as_bytes()),
                    port: 4000,
                    address_kind: stream.address.1,
                })
                .collect(),
            anomalies: self.anomalies,
            score: self.score,
            annotations: arena.put(self.annotations.as_bytes()),
            size,
            text: arena.0,
        };
        (facts, self.message.clone())
    }
}
