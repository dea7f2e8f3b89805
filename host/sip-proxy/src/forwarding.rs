//! Request forwarding: RFC 3261 section 16.6. The copy that one target gets.

use std::sync::Arc;

use bytes::Bytes;
use policy::HeaderEdit;
use sip_message::{EditError, Edits, HeaderKind, Message, Scheme, Uri};
use sip_transaction::{Flow, Transport, via_stamp};
use smallvec::SmallVec;

use crate::anchoring::PassedBody;
use crate::authority::Authority;
use crate::config::ListenerAddress;
use crate::dialog::Side;
use crate::guise::Guise;
use crate::loop_detection::Branch;
use crate::record_route;
use crate::request_uri;
use crate::routing::Approach;

/// What all copies of a request have in common.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) approach: Approach,
    pub(crate) routing_hash: u64,
    /// Branches that the request may still cause.
    pub(crate) max_breadth: u32,
    /// The mark for Record-Route, if the route shall be recorded.
    pub(crate) mark: Option<[u8; 16]>,
    /// The configured peer that it came from, if it belongs to no call.
    pub(crate) sender: Option<Arc<str>>,
    /// Other addresses for the other side, and the side that the request comes from.
    pub(crate) guise: Option<(Arc<Guise>, Side)>,
    /// Max-Forwards of the copies.
    pub(crate) max_forwards: u32,
}

/// What differs from copy to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyFor<'a> {
    /// Host for the Request-URI.
    pub(crate) uri_host: Option<&'a str>,
    /// Listener that it came in by.
    pub(crate) ingress: Option<&'a ListenerAddress>,
    /// Listener that it leaves by.
    pub(crate) egress: &'a ListenerAddress,
    pub(crate) branch: &'a Branch,
    /// Max-Breadth to write, if one is to be written.
    pub(crate) max_breadth: Option<u32>,
    /// What becomes of the body.
    pub(crate) body: &'a PassedBody,
}

/// The Request-URI as routing sees it: what section 16.4 made of it.
pub(crate) fn effective_uri<'a>(request: &'a Message, approach: &'a Approach) -> Uri<'a> {
    approach
        .request_uri
        .as_deref()
        .and_then(|uri| Uri::parse(uri).ok())
        .unwrap_or(request.request_uri())
}

/// Makes the copy. It takes the authority to forward, because nothing is forwarded
/// without one.
///
/// # Errors
/// What a policy wanted written cannot be.
pub(crate) fn copy(
    request: &Message,
    flow: &Flow,
    authority: &Authority,
    plan: &Plan,
    copy_for: CopyFor<'_>,
) -> Result<Bytes, EditError> {
    let mut edits = Edits::new(request);
    let (received, rport) = via_stamp(&request.top_via(), flow);
    if received.is_some() || rport.is_some() {
        edits.stamp_via(received, rport);
    }
    apply_policy(&mut edits, request, authority);
    if let Some((guise, sender)) = &plan.guise {
        guise.put_on(&mut edits, request, *sender);
    }
    let uri = effective_uri(request, &plan.approach);
    apply_route(&mut edits, request, &plan.approach, &uri, copy_for.uri_host);
    edits.max_forwards(plan.max_forwards);
    if let Some(mark) = &plan.mark {
        let scheme = if uri.scheme == Scheme::Sips {
            Scheme::Sips
        } else {
            Scheme::Sip
        };
        // RFC 5658: the inner value is the one that the caller's side can reach.
        if let Some(ingress) = copy_for
            .ingress
            .filter(|ingress| ingress.id != copy_for.egress.id)
        {
            edits.push_record_route(record_route::value(ingress, scheme, mark));
        }
        edits.push_record_route(record_route::value(copy_for.egress, scheme, mark));
    }
    if let Some(breadth) = copy_for.max_breadth {
        edits.set("Max-Breadth", breadth.to_string());
    }
    edits.push_via(via(copy_for.egress, copy_for.branch));
    copy_for.body.write(&mut edits);
    edits.finish()
}

/// Our Via: section 16.6 step 8, with rport over UDP (RFC 3581 section 3).
pub(crate) fn via(listener: &ListenerAddress, branch: &[u8]) -> Vec<u8> {
    let mut via = Vec::with_capacity(112);
    via.extend_from_slice(b"SIP/2.0/");
    via.extend_from_slice(listener.transport.name().as_bytes());
    via.push(b' ');
    via.extend_from_slice(listener.host.as_bytes());
    via.push(b':');
    via.extend_from_slice(listener.port.to_string().as_bytes());
    if listener.transport == Transport::Udp {
        via.extend_from_slice(b";rport");
    }
    via.extend_from_slice(b";branch=");
    via.extend_from_slice(branch);
    via
}

/// Whether the topmost Via names another address than the source.
pub(crate) fn via_differs(request: &Message, flow: &Flow) -> bool {
    let claimed = request.top_via().host.address();
    claimed.is_some_and(|address| address.to_canonical() != flow.peer.ip().to_canonical())
}

fn apply_policy(edits: &mut Edits<'_>, request: &Message, authority: &Authority) {
    for edit in authority.header_edits() {
        match edit {
            HeaderEdit::Set { name, value } => edits.set(name, value),
            HeaderEdit::Add { name, value } => edits.append(name, value),
            HeaderEdit::Remove { name } => edits.remove(name),
        };
    }
    let Some(realm) = authority.strip_credentials_realm() else {
        return;
    };
    for kind in [HeaderKind::ProxyAuthorization, HeaderKind::Authorization] {
        let ours = |value: &[u8]| credentials_realm(value) == Some(realm.as_bytes());
        let places = request
            .values(kind)
            .enumerate()
            .filter(|(_, value)| ours(value));
        let places: SmallVec<[usize; 2]> = places.map(|(place, _)| place).collect();
        // From the last to the first, so that no place moves.
        for place in places.into_iter().rev() {
            edits.remove_value(kind, place);
        }
    }
}

/// Route and Request-URI: sections 16.4 and 16.6 steps 2 and 6.
fn apply_route(
    edits: &mut Edits<'_>,
    request: &Message,
    approach: &Approach,
    uri: &Uri<'_>,
    uri_host: Option<&str>,
) {
    if approach.last_route_used {
        let last = request.values(HeaderKind::Route).count().saturating_sub(1);
        edits.remove_value(HeaderKind::Route, last);
    }
    for _ in 0..approach.own_routes {
        edits.pop_route();
    }
    let rewritten = uri_host.map(|host| request_uri::for_target(uri, host));
    match &approach.next_route {
        Some(strict) if approach.next_is_strict => {
            edits.pop_route();
            let last = [b"<", rewritten.as_deref().unwrap_or(uri.raw), b">"].concat();
            edits.append("Route", &last);
            edits.request_uri(strict);
        }
        _ => {
            if let Some(uri) = rewritten.as_ref().or(approach.request_uri.as_ref()) {
                edits.request_uri(uri);
            }
        }
    }
}

/// The realm of an Authorization or Proxy-Authorization value: RFC 7616 section 3.4.
fn credentials_realm(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value.get(value.iter().position(u8::is_ascii_whitespace)?..)?;
    loop {
        let start = rest
            .iter()
            .position(|byte| !byte.is_ascii_whitespace() && *byte != b',')?;
        rest = rest.get(start..)?;
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let name = rest.get(..equals)?.trim_ascii();
        rest = rest.get(equals + 1..)?.trim_ascii_start();
        let (value, length) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (quoted.get(..end)?, end + 2)
            }
            None => {
                let end = rest
                    .iter()
                    .position(|byte| *byte == b',')
                    .unwrap_or(rest.len());
                (rest.get(..end)?.trim_ascii_end(), end)
            }
        };
        if name.eq_ignore_ascii_case(b"realm") {
            return Some(value);
        }
        rest = rest.get(length..)?;
    }
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_of_credentials_is_found() {
        for (value, realm) in [
            (
                &b"Digest username=\"a\", realm=\"pbx\", nonce=\"x\""[..],
                Some(&b"pbx"[..]),
            ),
            (
                b"Digest username=\"realm=\\\"no\\\"\",realm=\"yes\"",
                Some(b"yes"),
            ),
            (b"Digest Realm = plain , qop=auth", Some(b"plain")),
            (b"Digest username=\"a\"", None),
            (b"Digest realm=\"open", None),
            (b"Digest", None),
            (b"", None),
        ] {
            assert_eq!(credentials_realm(value), realm);
        }
    }
}
