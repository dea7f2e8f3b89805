//! Facts on their way into a guest: one buffer of text and spans into it, made
//! once for a request and lent to each plugin. Only what plugins change (addresses,
//! identity, score, annotations) is written again, at the end of the buffer.

use std::sync::Arc;

use policy::{
    CallFacts, CallHappening, DialogState, Peer, RequestFacts, ResponseFacts, Rewrites, Zone,
};
use sip_message::{HeaderKind, NameAddr, Scheme, Uri};
use sip_transaction::Transport;

use crate::bindings::types as wit;

mod record;
mod terms;

pub(crate) use record::{PackedFacts, RequestRecord, Written};
use terms::{address_kind, anomalies, ip_address, media_figures, method};

/// A buffer that is filled again and again.
#[derive(Default)]
pub(crate) struct FactsText {
    text: Vec<u8>,
    /// Where the part that plugins change begins.
    changing: usize,
    fixed: Option<Fixed>,
    offer: Vec<wit::MediaStream>,
    chosen: Chosen,
    identity: Option<wit::Span>,
    /// Where the annotations begin; they end with the text.
    annotations: usize,
    /// How many they are.
    annotated: usize,
    score: i32,
    written: Written,
}

/// Addresses that a plugin has put in the place of those in the message.
#[derive(Clone, Copy, Default)]
struct Chosen {
    request_uri: Option<wit::Uri>,
    from: Option<wit::Party>,
    to: Option<wit::Party>,
}

impl Chosen {
    const fn is_any(&self) -> bool {
        self.request_uri.is_some() || self.from.is_some() || self.to.is_some()
    }
}

/// What no plugin changes.
#[derive(Clone, Copy)]
struct Fixed {
    method: wit::Method,
    method_name: wit::Span,
    request_uri: wit::Uri,
    from: wit::Party,
    to: wit::Party,
    call_id: wit::Span,
    user_agent: Option<wit::Span>,
    peer: wit::Peer,
    dialog: wit::Dialog,
    anomalies: wit::Anomalies,
    size: u32,
}

impl FactsText {
    /// Writes the facts of a request.
    pub(crate) fn fill(&mut self, facts: &RequestFacts) {
        let message = &*facts.message;
        self.text.clear();
        self.offer.clear();
        let fixed = Fixed {
            method: method(message.method()),
            method_name: self.put(message.method_name()),
            request_uri: self.uri(&message.request_uri()),
            from: self.party(&message.from()),
            to: self.party(&message.to()),
            call_id: self.put(message.call_id()),
            user_agent: message
                .header(HeaderKind::UserAgent)
                .map(|value| self.put(value)),
            peer: self.peer(&facts.peer),
            dialog: match facts.dialog {
                DialogState::None => wit::Dialog::None,
                DialogState::Early => wit::Dialog::Early,
                DialogState::Confirmed => wit::Dialog::Confirmed,
            },
            anomalies: anomalies(facts.anomalies),
            size: u32::try_from(message.bytes().len()).unwrap_or(u32::MAX),
        };
        for stream in &facts.offer {
            let stream = wit::MediaStream {
                kind: self.put(&stream.kind),
                protocol: self.put(&stream.protocol),
                encrypted: stream.encrypted,
                address: self.put(&stream.address),
                port: stream.port,
                address_kind: address_kind(stream.address_kind),
            };
            self.offer.push(stream);
        }
        self.fixed = Some(fixed);
        self.changing = self.text.len();
        self.rewrite(facts, None);
    }

    /// Writes again what plugins change, if one has.
    pub(crate) fn refresh(&mut self, facts: &RequestFacts, rewrites: Option<&Rewrites>) {
        if rewrites.is_some() || self.chosen.is_any() || !self.tells(facts) {
            self.rewrite(facts, rewrites);
        }
    }

    /// Whether what is written is what plugins have said of the caller, the score and in
    /// annotations. Those are only added to.
    fn tells(&self, facts: &RequestFacts) -> bool {
        let identity = self.identity.map(|identity| self.at(identity));
        identity == facts.identity.as_ref().map(String::as_bytes)
            && self.score == facts.score
            && self.annotated == facts.annotations.len()
    }

    fn rewrite(&mut self, facts: &RequestFacts, rewrites: Option<&Rewrites>) {
        self.text.truncate(self.changing);
        self.chosen = rewrites.map_or_else(Chosen::default, |rewrites| self.choose(rewrites));
        self.identity = facts
            .identity
            .as_ref()
            .map(|identity| self.put(identity.as_bytes()));
        self.score = facts.score;
        self.annotations = self.text.len();
        self.annotated = facts.annotations.len();
        self.annotate(&facts.annotations);
        let mut written = std::mem::take(&mut self.written);
        let wrote = self.request().map(|facts| written.write(&facts));
        self.written = written;
        if !matches!(wrote, Some(Ok(()))) {
            // Nobody is asked then, and the request is refused.
            self.fixed = None;
        }
    }

    /// The pipeline has checked that these can be read.
    fn choose(&mut self, rewrites: &Rewrites) -> Chosen {
        let uri = rewrites.request_uri.as_deref();
        let uri = uri.and_then(|text| Uri::parse(text.as_bytes()).ok());
        // Tags are the dialog's, whoever is shown.
        let tags = self.fixed.map(|fixed| (fixed.from.tag, fixed.to.tag));
        let (from_tag, to_tag) = tags.unwrap_or_default();
        let mut party = |address: Option<&String>, tag| {
            let address = NameAddr::parse(address?.as_bytes()).ok()?;
            Some(wit::Party {
                tag,
                ..self.party(&address)
            })
        };
        Chosen {
            from: party(rewrites.from.as_ref(), from_tag),
            to: party(rewrites.to.as_ref(), to_tag),
            request_uri: uri.map(|uri| self.uri(&uri)),
        }
    }

    fn annotate(&mut self, annotations: &[(String, String)]) -> wit::Span {
        let start = self.text.len();
        for (key, value) in annotations {
            self.text.extend_from_slice(key.as_bytes());
            self.text.push(b'=');
            self.text.extend_from_slice(value.as_bytes());
            self.text.push(b'\n');
        }
        span(start, self.text.len() - start)
    }

    /// The facts for a guest; none before [`FactsText::fill`].
    pub(crate) fn written(&self) -> Option<&Written> {
        self.fixed.is_some().then_some(&self.written)
    }

    fn request(&self) -> Option<wit::RequestFacts<'_>> {
        let fixed = self.fixed?;
        Some(wit::RequestFacts {
            text: &self.text,
            method: fixed.method,
            method_name: fixed.method_name,
            request_uri: self.chosen.request_uri.unwrap_or(fixed.request_uri),
            from: self.chosen.from.unwrap_or(fixed.from),
            to: self.chosen.to.unwrap_or(fixed.to),
            call_id: fixed.call_id,
            user_agent: fixed.user_agent,
            peer: fixed.peer,
            dialog: fixed.dialog,
            identity: self.identity,
            offer: &self.offer,
            anomalies: fixed.anomalies,
            score: self.score,
            annotations: span(self.annotations, self.text.len() - self.annotations),
            size: fixed.size,
        })
    }

    /// The facts of a response; overwrites what was there.
    pub(crate) fn response(&mut self, facts: &ResponseFacts) -> wit::ResponseFacts<'_> {
        let message = &*facts.message;
        self.text.clear();
        self.fixed = None;
        let phrase = self.put(message.reason_phrase());
        let call_id = self.put(message.call_id());
        let peer = self.peer(&facts.peer);
        let identity = self.name(facts.identity.as_ref());
        let caller = self.name(facts.caller.as_ref());
        wit::ResponseFacts {
            text: &self.text,
            status: message.status().unwrap_or_default(),
            phrase,
            method: method(message.method()),
            call_id,
            peer,
            identity,
            caller,
        }
    }

    /// The facts of a call and what happened to it; overwrites what was there.
    pub(crate) fn call(
        &mut self,
        facts: &CallFacts,
        happening: &CallHappening,
    ) -> (wit::CallFacts<'_>, wit::CallEvent) {
        self.text.clear();
        self.fixed = None;
        let account = facts.pass.account();
        let event = self.call_event(happening);
        let call_id = self.put(&facts.call_id);
        let request_uri = self.put(&facts.request_uri);
        let from = self.put(&facts.from);
        let identity = self.name(account.identity.as_ref());
        let caller = self.name(facts.caller.as_ref());
        let callee = self.name(facts.callee.as_ref());
        let annotations = self.annotate(&account.annotations);
        let facts = wit::CallFacts {
            text: &self.text,
            number: facts.number,
            call_id,
            request_uri,
            from,
            source: ip_address(facts.source),
            identity,
            caller,
            callee,
            annotations,
            score: account.score,
            started_ms: facts.started_ms,
            answered_ms: facts.answered_ms,
        };
        (facts, event)
    }

    fn call_event(&mut self, happening: &CallHappening) -> wit::CallEvent {
        match *happening {
            CallHappening::Started => wit::CallEvent::Started,
            CallHappening::Answered => wit::CallEvent::Answered,
            CallHappening::Tick(seconds) => wit::CallEvent::Tick(seconds),
            CallHappening::ForeignMedia {
                source,
                stream,
                cause,
            } => wit::CallEvent::ForeignMedia(wit::ForeignMedia {
                source: ip_address(source.ip().to_canonical()),
                port: source.port(),
                stream,
                cause: self.put(cause.as_bytes()),
            }),
            CallHappening::Ended {
                cause,
                status,
                lasted_ms,
                caller_media,
                callee_media,
            } => wit::CallEvent::Ended(wit::CallEnd {
                cause: self.put(cause.as_bytes()),
                status,
                lasted_ms,
                caller_media: caller_media.map(media_figures),
                callee_media: callee_media.map(media_figures),
            }),
        }
    }

    fn name(&mut self, name: Option<&Arc<str>>) -> Option<wit::Span> {
        name.map(|name| self.put(name.as_bytes()))
    }

    fn at(&self, span: wit::Span) -> &[u8] {
        // Halves of a span.
        let (start, len) = ((span >> 32) as usize, span as u32 as usize);
        let text = self.text.get(start..).and_then(|text| text.get(..len));
        text.unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) -> wit::Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        span(start, bytes.len())
    }

    fn uri(&mut self, uri: &Uri<'_>) -> wit::Uri {
        let whole = self.put(uri.raw);
        let host_port = uri.host_port();
        // The host as written: what stands before the port, or the bracketed
        // reference.
        let host_len = match host_port.first() {
            Some(b'[') => host_port
                .iter()
                .position(|byte| *byte == b']')
                .map_or(host_port.len(), |end| end + 1),
            _ => host_port
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(host_port.len()),
        };
        let host = host_port.get(..host_len).unwrap_or_default();
        wit::Uri {
            scheme: match uri.scheme {
                Scheme::Sip => wit::Scheme::Sip,
                Scheme::Sips => wit::Scheme::Sips,
                Scheme::Tel => wit::Scheme::Tel,
                Scheme::Other => wit::Scheme::Other,
            },
            whole,
            user: uri
                .user
                .or_else(|| uri.number())
                .map(|user| self.part(whole, uri.raw, user)),
            host: self.part(whole, uri.raw, host),
            port: uri.port,
            params: self.part(
                whole,
                uri.raw,
                uri.params.strip_prefix(b";").unwrap_or(uri.params),
            ),
        }
    }

    fn party(&mut self, address: &NameAddr<'_>) -> wit::Party {
        let unquoted = |text: &'_ [u8]| -> std::ops::Range<usize> {
            match text {
                [b'"', .., b'"'] => 1..text.len() - 1,
                _ => 0..text.len(),
            }
        };
        wit::Party {
            uri: self.uri(&address.uri),
            display: address
                .display
                .and_then(|text| text.get(unquoted(text)))
                .map(|text| self.put(text)),
            tag: address.tag().map(|tag| self.put(tag)),
        }
    }

    fn peer(&mut self, peer: &Peer) -> wit::Peer {
        wit::Peer {
            address: ip_address(peer.address),
            port: peer.port,
            transport: match peer.transport {
                Transport::Udp => wit::Transport::Udp,
                Transport::Tcp => wit::Transport::Tcp,
                Transport::Tls => wit::Transport::Tls,
                Transport::Ws => wit::Transport::Ws,
                Transport::Wss => wit::Transport::Wss,
            },
            zone: match peer.zone {
                Zone::Inside => wit::Zone::Inside,
                Zone::Outside => wit::Zone::Outside,
            },
            name: self.name(peer.name.as_ref()),
            certificate: peer.certificate.as_ref().map(|certificate| {
                let start = self.text.len();
                for (place, name) in certificate.names.iter().enumerate() {
                    if place > 0 {
                        self.text.push(b',');
                    }
                    self.text.extend_from_slice(name.as_bytes());
                }
                wit::Certificate {
                    names: span(start, self.text.len() - start),
                    fingerprint: self.put(certificate.fingerprint.as_bytes()),
                    issuer: self.put(certificate.issuer.as_bytes()),
                }
            }),
        }
    }

    /// A span for a part of text that was put as a whole; a copy of its own if
    /// the part lies elsewhere.
    fn part(&mut self, whole: wit::Span, text: &[u8], part: &[u8]) -> wit::Span {
        let offset = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let inside = offset
            .checked_add(part.len())
            .is_some_and(|end| end <= text.len());
        if !inside {
            return if part.is_empty() {
                whole & !u64::from(u32::MAX)
            } else {
                self.put(part)
            };
        }
        span((whole >> 32) as usize + offset, part.len())
    }
}

/// Messages have 64 KiB and annotations 8, so offsets fit.
fn span(start: usize, len: usize) -> wit::Span {
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    let len = u32::try_from(len).unwrap_or_default();
    u64::from(start) << 32 | u64::from(len)
}

#[cfg(test)]
mod tests;
