//! Requests as tests write them: who sends what, and what the host knows about it.

use std::sync::Arc;

use policy::{AddressKind, Certificate, DialogState, MediaStream, RequestFacts, TlsSession, Zone};
use sip_message::Anomalies;
use sip_transaction::Transport;
use sipward_tests::guests::{Caller, message};

/// A request, changed step by step. By UDP from outside unless it says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) caller: Caller,
    pub(crate) method: String,
    pub(crate) uri: String,
    from: String,
    display: String,
    tag: String,
    to: Option<String>,
    headers: String,
    identity: Option<String>,
    dialog: DialogState,
    offer: Vec<MediaStream>,
    anomalies: Anomalies,
}

impl Ask {
    pub(crate) fn new(method: &str, uri: &str) -> Self {
        Self {
            caller: Caller::at("81.0.0.1"),
            method: method.to_owned(),
            uri: uri.to_owned(),
            from: "sip:alice@caller.example".to_owned(),
            display: String::new(),
            tag: "1".to_owned(),
            to: None,
            headers: String::new(),
            identity: None,
            dialog: DialogState::None,
            offer: Vec::new(),
            anomalies: Anomalies::NONE,
        }
    }

    pub(crate) fn invite(uri: &str) -> Self {
        Self::new("INVITE", uri)
    }

    /// An INVITE of somebody inside who is known.
    pub(crate) fn call(user: &str, dialled: &str) -> Self {
        let uri = format!("sip:{dialled}@pbx.example");
        Self::invite(&uri).by(user).inside()
    }

    pub(crate) fn register(user: &str) -> Self {
        let address = format!("sip:{user}@pbx.example");
        Self::new("REGISTER", "sip:pbx.example")
            .from(&address)
            .to(&address)
    }

    /// In a dialog, to a Contact that was learnt.
    pub(crate) fn refer(target: &str) -> Self {
        Self::new("REFER", "sip:contact@10.0.0.1")
            .within()
            .header("Refer-To", target)
    }

    /// What an earlier plugin found out.
    pub(crate) fn by(mut self, user: &str) -> Self {
        self.identity = Some(user.to_owned());
        self
    }

    pub(crate) fn at(mut self, address: &str) -> Self {
        self.caller.peer.address = address.parse().expect("an address");
        self
    }

    pub(crate) fn inside(mut self) -> Self {
        self.caller.peer.zone = Zone::Inside;
        self
    }

    pub(crate) fn outside(mut self) -> Self {
        self.caller.peer.zone = Zone::Outside;
        self
    }

    pub(crate) fn peer(mut self, name: &str) -> Self {
        self.caller.peer.name = Some(name.into());
        self
    }

    pub(crate) fn over(mut self, transport: Transport) -> Self {
        self.caller.peer.transport = transport;
        self
    }

    pub(crate) fn tcp(self) -> Self {
        self.over(Transport::Tcp)
    }

    /// Over a good TLS session.
    pub(crate) fn tls(self) -> Self {
        self.session("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    }

    pub(crate) fn session(mut self, version: &'static str, cipher: &'static str) -> Self {
        self.caller.peer.tls = Some(TlsSession { version, cipher });
        self.over(Transport::Tls)
    }

    /// With a verified client certificate.
    pub(crate) fn certificate(self, names: &[&str], fingerprint: &str, issuer: &str) -> Self {
        let mut ask = self.tls();
        ask.caller.peer.certificate = Some(Arc::new(Certificate {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            fingerprint: fingerprint.to_owned(),
            issuer: issuer.to_owned(),
        }));
        ask
    }

    pub(crate) fn from(mut self, uri: &str) -> Self {
        self.from = uri.to_owned();
        self
    }

    pub(crate) fn display(mut self, name: &str) -> Self {
        self.display = name.to_owned();
        self
    }

    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.to_owned();
        self
    }

    pub(crate) fn to(mut self, uri: &str) -> Self {
        self.to = Some(uri.to_owned());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn agent(self, name: &str) -> Self {
        self.header("User-Agent", name)
    }

    /// Within a confirmed dialog.
    pub(crate) fn within(mut self) -> Self {
        self.dialog = DialogState::Confirmed;
        self
    }

    pub(crate) fn odd(mut self, anomaly: Anomalies) -> Self {
        self.anomalies.insert(anomaly);
        self
    }

    /// With one more stream in its offer.
    pub(crate) fn offer(
        mut self,
        kind: &'static str,
        protocol: &'static str,
        encrypted: bool,
    ) -> Self {
        self.offer.push(MediaStream {
            kind: kind.into(),
            protocol: protocol.into(),
            encrypted,
            address: "81.0.0.1".into(),
            port: 40_000,
            address_kind: AddressKind::Public,
        });
        self
    }

    pub(crate) fn facts(&self) -> RequestFacts {
        let Self {
            method,
            uri,
            from,
            tag,
            headers,
            ..
        } = self;
        let display = match self.display.as_str() {
            "" => String::new(),
            name => format!("\"{name}\" "),
        };
        let to = self.to.as_ref().unwrap_or(uri);
        let contact = match headers.contains("Contact:") || headers.contains("m:") {
            true => "",
            false => "Contact: <sip:alice@caller.example>\r\n",
        };
        let call_id = match headers.contains("Call-ID:") {
            true => "",
            false => "Call-ID: call@caller.example\r\n",
        };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP caller.example;branch=z9hG4bKabc\r\n\
             Max-Forwards: 70\r\nFrom: {display}<{from}>;tag={tag}\r\nTo: <{to}>\r\n\
             {call_id}CSeq: 1 {method}\r\n{contact}{headers}Content-Length: 0\r\n\r\n"
        );
        let mut facts = RequestFacts::new(Arc::new(message(text)), self.caller.peer.clone());
        facts.identity.clone_from(&self.identity);
        facts.dialog = self.dialog;
        facts.offer.clone_from(&self.offer);
        facts.anomalies.insert(self.anomalies);
        facts
    }
}
