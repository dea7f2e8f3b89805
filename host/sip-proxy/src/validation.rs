//! Request validation: RFC 3261 section 16.3. Syntax was checked when the message was
//! parsed; authentication (step 6) is the policy's.

use policy::Peer;
use sip_message::{HeaderKind, Message, Method, Scheme};
use smallvec::SmallVec;

use crate::entropy::Entropy;
use crate::limits::ProxyLimits;
use crate::loop_detection::{is_loop, routing_hash};
use crate::own::OwnAddresses;

/// What validation found out about a request that passed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validated {
    /// See [`crate::loop_detection`].
    pub(crate) routing_hash: u64,
    /// Branches that this request may still cause: RFC 5393 section 5.
    pub(crate) max_breadth: u32,
    /// An OPTIONS whose hops are used up: we are its recipient.
    pub(crate) last_hop: bool,
}

/// Why a request is answered at once. Each has its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Step 2: a scheme that we do not understand.
    Scheme,
    /// Step 3: no hop is left.
    Hops,
    /// Step 4: it was here before.
    Loop,
    /// RFC 5393 section 5.3.3: no branch is left.
    Breadth,
    /// Max-Breadth is no number.
    BreadthSyntax,
    /// Step 5: extensions that we do not support, for Unsupported.
    Extension(Vec<u8>),
}

impl Invalid {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Scheme => 416,
            Self::Hops => 483,
            Self::Loop => 482,
            Self::Breadth => 440,
            Self::BreadthSyntax => 400,
            Self::Extension(_) => 420,
        }
    }

    pub(crate) fn phrase(&self) -> &'static str {
        match self {
            Self::Scheme => "Unsupported URI Scheme",
            Self::Hops => "Too Many Hops",
            Self::Loop => "Loop Detected",
            Self::Breadth => "Max-Breadth Exceeded",
            Self::BreadthSyntax => "Malformed Max-Breadth",
            Self::Extension(_) => "Bad Extension",
        }
    }
}

/// Checks a request.
pub(crate) fn validate(
    request: &Message,
    peer: &Peer,
    own: &OwnAddresses,
    entropy: &Entropy,
    limits: &ProxyLimits,
) -> Result<Validated, Invalid> {
    if request.request_uri().scheme == Scheme::Other {
        return Err(Invalid::Scheme);
    }
    let last_hop = request.max_forwards() == Some(0);
    if last_hop && request.method() != Method::Options {
        return Err(Invalid::Hops);
    }
    let routing_hash = routing_hash(entropy, request, peer);
    if is_loop(own, request, routing_hash) {
        return Err(Invalid::Loop);
    }
    let max_breadth = max_breadth(request, limits)?;
    let unsupported = unsupported(request);
    if !unsupported.is_empty() {
        return Err(Invalid::Extension(unsupported));
    }
    Ok(Validated {
        routing_hash,
        max_breadth,
        last_hop,
    })
}

fn max_breadth(request: &Message, limits: &ProxyLimits) -> Result<u32, Invalid> {
    let Some(value) = request.header(HeaderKind::MaxBreadth) else {
        return Ok(limits.max_breadth);
    };
    let digits = value;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::BreadthSyntax);
    }
    let breadth = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    match breadth.unwrap_or(u32::MAX) {
        0 => Err(Invalid::Breadth),
        // A caller may ask for less than our own ceiling, never for more.
        breadth => Ok(breadth.min(limits.max_breadth.max(1))),
    }
}

/// Option tags of Proxy-Require. We support none: what a proxy would have to support
/// for RFC 3262, 3312 or 4028 it does without being asked.
fn unsupported(request: &Message) -> Vec<u8> {
    // CANCEL and ACK never bring it in vain: section 20.29 forbids it there, and they
    // do not reach this function.
    let mut tags: SmallVec<[Vec<u8>; 2]> = SmallVec::new();
    for tag in request.values(HeaderKind::ProxyRequire) {
        if !tag.is_empty() {
            tags.push(tag.to_vec());
        }
    }
    tags.join(&b", "[..])
}
