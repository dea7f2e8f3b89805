//! The same core fields through Sipward and through rsip: branch of the topmost Via, tags,
//! Call-ID, CSeq, Request-URI, Max-Forwards, Content-Length.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rsip::common::uri::Host as RsipHost;
use rsip::prelude::{HasHeaders, HeadersExt, ToTypedHeader, UntypedHeader};
use sip_message::{Host, Limits, Message, Uri};

/// Core fields as Sipward gives them: slices of the message.
#[derive(Debug)]
pub(crate) struct Fields<'m> {
    branch: Option<&'m [u8]>,
    from_tag: Option<&'m [u8]>,
    to_tag: Option<&'m [u8]>,
    call_id: &'m [u8],
    cseq: u32,
    method: &'m [u8],
    uri: Uri<'m>,
    max_forwards: Option<u32>,
    content_length: Option<usize>,
}

/// Core fields as rsip gives them: owned.
#[derive(Debug)]
pub(crate) struct Owned {
    branch: Option<String>,
    from_tag: Option<String>,
    to_tag: Option<String>,
    call_id: String,
    cseq: u32,
    method: rsip::Method,
    uri: Option<(Option<String>, RsipHost)>,
    max_forwards: Option<u32>,
    content_length: Option<u32>,
}

/// Parses and hands over the core fields; false if the message is refused.
pub(crate) fn sipward(bytes: &Bytes, limits: &Limits, take: impl FnOnce(Fields<'_>)) -> bool {
    let Ok(message) = Message::parse_datagram(bytes.clone(), limits) else {
        return false;
    };
    let cseq = message.cseq();
    take(Fields {
        branch: message.top_via().branch,
        from_tag: message.from_tag(),
        to_tag: message.to_tag(),
        call_id: message.call_id(),
        cseq: cseq.number,
        method: cseq.method_name,
        uri: message.request_uri(),
        max_forwards: message.max_forwards(),
        content_length: message.content_length(),
    });
    true
}

/// Parses the whole message and types the core fields.
///
/// # Errors
/// What rsip refuses.
pub(crate) fn rsip(bytes: &Bytes) -> Result<Owned, rsip::Error> {
    let message = rsip::SipMessage::try_from(&bytes[..])?;
    let via = message.via_header()?.typed()?;
    let from = message.from_header()?.typed()?;
    let to = message.to_header()?.typed()?;
    let cseq = message.cseq_header()?.typed()?;
    let max_forwards = message.max_forwards_header().ok();
    let length = message.headers().iter().find_map(|header| match header {
        rsip::Header::ContentLength(length) => Some(length),
        _ => None,
    });
    let uri = match &message {
        rsip::SipMessage::Request(request) => Some((
            request.uri().auth.as_ref().map(|auth| auth.user.clone()),
            request.uri().host_with_port.host.clone(),
        )),
        rsip::SipMessage::Response(_) => None,
    };
    Ok(Owned {
        branch: via.branch().map(|branch| branch.value().to_owned()),
        from_tag: from.tag().map(|tag| tag.value().to_owned()),
        to_tag: to.tag().map(|tag| tag.value().to_owned()),
        call_id: message.call_id_header()?.value().to_owned(),
        cseq: cseq.seq,
        method: cseq.method,
        uri,
        max_forwards: max_forwards.map(|it| it.num()).transpose()?,
        content_length: length.map(|it| it.length()).transpose()?,
    })
}

/// Both must read the same, or comparing their speed means nothing.
///
/// # Errors
/// They differ, or one of them refuses the message.
pub(crate) fn agree(bytes: &Bytes) -> Result<()> {
    let owned = rsip(bytes).context("rsip refuses it")?;
    let mut same = false;
    let read = sipward(bytes, &Limits::default(), |fields| {
        same = fields.are(&owned)
    });
    ensure!(read, "sipward refuses it");
    ensure!(same, "sipward and rsip read it differently");
    Ok(())
}

impl Fields<'_> {
    fn are(&self, owned: &Owned) -> bool {
        let text = |ours: Option<&[u8]>, theirs: &Option<String>| {
            ours == theirs.as_deref().map(str::as_bytes)
        };
        let uri = match (&owned.uri, self.uri.raw) {
            (None, b"") => true,
            (Some((user, host)), _) => text(self.uri.user, user) && same_host(self.uri.host, host),
            (None, _) => false,
        };
        let length = self
            .content_length
            .and_then(|length| u32::try_from(length).ok());
        text(self.branch, &owned.branch)
            && text(self.from_tag, &owned.from_tag)
            && text(self.to_tag, &owned.to_tag)
            && self.call_id == owned.call_id.as_bytes()
            && self.cseq == owned.cseq
            && self.method == owned.method.to_string().as_bytes()
            && self.max_forwards == owned.max_forwards
            && length == owned.content_length
            && uri
    }
}

fn same_host(ours: Host<'_>, theirs: &RsipHost) -> bool {
    match (ours, theirs) {
        (Host::Name(name), RsipHost::Domain(domain)) => name == domain.to_string().as_bytes(),
        (Host::V4(ours), RsipHost::IpAddr(std::net::IpAddr::V4(theirs))) => ours == *theirs,
        (Host::V6(ours), RsipHost::IpAddr(std::net::IpAddr::V6(theirs))) => ours == *theirs,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipward_bench::messages;

    #[test]
    fn both_parsers_read_the_messages_alike() {
        for message in [messages::invite(), messages::ok(), messages::bye()] {
            agree(&message).unwrap();
        }
    }

    #[test]
    fn a_difference_is_noticed() {
        let owned = rsip(&messages::bye()).unwrap();
        let mut same = true;
        assert!(sipward(&messages::invite(), &Limits::default(), |fields| {
            same = fields.are(&owned);
        }));
        assert!(!same);
    }
}
