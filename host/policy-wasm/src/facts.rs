//! Facts on their way into a guest: one buffer of text and spans into it, made
//! once for a request and lent to each plugin. Only what plugins change (addresses,
//! identity, score, annotations) is written again, at the end of the buffer.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{
    AddressKind, CallFacts, CallHappening, DialogState, PartyMedia, Peer, RequestFacts,
    ResponseFacts, Rewrites, Zone,
};
use sip_message::{Anomalies, HeaderKind, Method, NameAddr, Scheme, Uri};
use sip_transaction::Transport;

use crate::bindings::types as wit;

mod record;

pub(crate) use record::RequestRecord;

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
    score: i32,
}

/// Addresses that a plugin has put in the place of those in the message.
#[derive(Clone, Copy, Default)]
struct Chosen {
    request_uri: Option<wit::Uri>,
    from: Option<wit::Party>,
    to: Option<wit::Party>,
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
        self.refresh(facts, None);
    }

    /// Writes again what plugins change.
    pub(crate) fn refresh(&mut self, facts: &RequestFacts, rewrites: Option<&Rewrites>) {
        self.text.truncate(self.changing);
        self.chosen = rewrites.map_or_else(Chosen::default, |rewrites| self.choose(rewrites));
        self.identity = facts
            .identity
            .as_ref()
            .map(|identity| self.put(identity.as_bytes()));
        self.score = facts.score;
        self.annotations = self.text.len();
        self.annotate(&facts.annotations);
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

    /// The facts as the guest gets them; none before [`FactsText::fill`].
    pub(crate) fn request(&self) -> Option<wit::RequestFacts<'_>> {
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

const fn media_figures(media: PartyMedia) -> wit::MediaFigures {
    wit::MediaFigures {
        packets: media.packets,
        octets: media.octets,
        lost: media.lost,
        rejected: media.rejected,
        jitter_us: media.jitter_us,
        mos_hundredths: media.mos_hundredths,
    }
}

/// Messages have 64 KiB and annotations 8, so offsets fit.
fn span(start: usize, len: usize) -> wit::Span {
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    let len = u32::try_from(len).unwrap_or_default();
    u64::from(start) << 32 | u64::from(len)
}

fn ip_address(address: IpAddr) -> wit::IpAddress {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            wit::IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            wit::IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

fn address_kind(kind: AddressKind) -> wit::AddressKind {
    match kind {
        AddressKind::Public => wit::AddressKind::Public,
        AddressKind::Private => wit::AddressKind::Private,
        AddressKind::Loopback => wit::AddressKind::Loopback,
        AddressKind::LinkLocal => wit::AddressKind::LinkLocal,
        AddressKind::Multicast => wit::AddressKind::Multicast,
        AddressKind::Unspecified => wit::AddressKind::Unspecified,
        AddressKind::Reserved => wit::AddressKind::Reserved,
        AddressKind::Own => wit::AddressKind::Own,
    }
}

fn method(method: Method) -> wit::Method {
    match method {
        Method::Invite => wit::Method::Invite,
        Method::Ack => wit::Method::Ack,
        Method::Bye => wit::Method::Bye,
        Method::Cancel => wit::Method::Cancel,
        Method::Register => wit::Method::Register,
        Method::Options => wit::Method::Options,
        Method::Prack => wit::Method::Prack,
        Method::Subscribe => wit::Method::Subscribe,
        Method::Notify => wit::Method::Notify,
        Method::Publish => wit::Method::Publish,
        Method::Info => wit::Method::Info,
        Method::Refer => wit::Method::Refer,
        Method::Message => wit::Method::Message,
        Method::Update => wit::Method::Update,
        Method::Other => wit::Method::Other,
    }
}

fn anomalies(seen: Anomalies) -> wit::Anomalies {
    let cases = [
        (Anomalies::COMPACT_FORM, wit::Anomalies::COMPACT_FORM),
        (Anomalies::FOLDED_HEADER, wit::Anomalies::FOLDED_HEADER),
        (
            Anomalies::SPACE_BEFORE_COLON,
            wit::Anomalies::SPACE_BEFORE_COLON,
        ),
        (Anomalies::BARE_LINE_FEED, wit::Anomalies::BARE_LINE_FEED),
        (
            Anomalies::DUPLICATE_HEADER,
            wit::Anomalies::DUPLICATE_HEADER,
        ),
        (Anomalies::INVALID_UTF8, wit::Anomalies::INVALID_UTF8),
        (
            Anomalies::CONTROL_CHARACTER,
            wit::Anomalies::CONTROL_CHARACTER,
        ),
        (Anomalies::TRAILING_BYTES, wit::Anomalies::TRAILING_BYTES),
        (Anomalies::NEEDLESS_ESCAPE, wit::Anomalies::NEEDLESS_ESCAPE),
        (Anomalies::RFC2543_BRANCH, wit::Anomalies::RFC2543_BRANCH),
        (
            Anomalies::MISSING_MAX_FORWARDS,
            wit::Anomalies::MISSING_MAX_FORWARDS,
        ),
        (
            Anomalies::MISSING_CONTENT_LENGTH,
            wit::Anomalies::MISSING_CONTENT_LENGTH,
        ),
        (Anomalies::VIA_MISMATCH, wit::Anomalies::VIA_MISMATCH),
        (Anomalies::OTHER, wit::Anomalies::OTHER),
        (
            Anomalies::UNREADABLE_OFFER,
            wit::Anomalies::UNREADABLE_OFFER,
        ),
    ];
    let mut flags = wit::Anomalies::empty();
    if !seen.is_empty() {
        for (case, flag) in cases {
            if seen.contains(case) {
                flags |= flag;
            }
        }
    }
    flags
}

#[cfg(test)]
mod tests;
