//! The facts of requests and responses where the host wrote them.

use super::{List, Maybe};
use crate::bindings::types::Span;
use crate::{AddressKind, Dialog, Method, Scheme, Transport, Zone};

/// The parameters of `on-response`: too many for registers, so they are in memory.
#[doc(hidden)]
pub type ResponseCall = Parameters<ResponseFacts>;

/// The parameters of a hook that looks at a message.
#[doc(hidden)]
#[repr(C)]
pub struct Parameters<F> {
    pub(super) facts: F,
    /// The message, lent for the call.
    pub(super) message: u32,
}

/// `request-facts`.
#[repr(C)]
pub(crate) struct RequestFacts {
    pub(crate) text: List<u8>,
    pub(crate) method: Method,
    pub(crate) method_name: Span,
    pub(crate) request_uri: Uri,
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) call_id: Span,
    pub(crate) user_agent: Maybe<Span>,
    pub(crate) peer: Peer,
    pub(crate) dialog: Dialog,
    pub(crate) identity: Maybe<Span>,
    pub(crate) offer: List<MediaStream>,
    /// Bits of [`crate::Anomalies`].
    pub(crate) anomalies: u16,
    pub(crate) score: i32,
    pub(crate) annotations: Span,
    pub(crate) size: u32,
}

/// `response-facts`.
#[doc(hidden)]
#[repr(C)]
pub struct ResponseFacts {
    pub(crate) text: List<u8>,
    pub(crate) status: u16,
    pub(crate) phrase: Span,
    pub(crate) method: Method,
    pub(crate) call_id: Span,
    pub(crate) peer: Peer,
    pub(crate) identity: Maybe<Span>,
    pub(crate) caller: Maybe<Span>,
}

/// `uri`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Uri {
    pub(crate) scheme: Scheme,
    pub(crate) whole: Span,
    pub(crate) user: Maybe<Span>,
    pub(crate) host: Span,
    pub(crate) port: Maybe<u16>,
    pub(crate) params: Span,
}

/// `party`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Party {
    pub(crate) uri: Uri,
    pub(crate) display: Maybe<Span>,
    pub(crate) tag: Maybe<Span>,
}

/// `certificate`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Certificate {
    pub(crate) names: Span,
    pub(crate) fingerprint: Span,
    pub(crate) issuer: Span,
}

/// `peer`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    pub(crate) zone: Zone,
    pub(crate) name: Maybe<Span>,
    pub(crate) certificate: Maybe<Certificate>,
}

/// `ip-address`.
#[derive(Clone, Copy)]
#[repr(C, u8)]
#[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "hosts write it"))]
pub(crate) enum Address {
    Ipv4([u8; 4]),
    Ipv6([u16; 8]),
}

/// `media-stream`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct MediaStream {
    pub(crate) kind: Span,
    pub(crate) protocol: Span,
    pub(crate) encrypted: bool,
    pub(crate) address: Span,
    pub(crate) port: u16,
    pub(crate) address_kind: AddressKind,
}
