//! Writing a description from what was understood: RFC 8866 section 5.
//!
//! Addresses, ports, keys and directions are ours. Of the other party's lines only
//! these come along, and only where their values are printable: payload types with
//! their mappings and parameters, packet times, feedback, bandwidth, and the
//! attributes of [`PASSED`]. Candidates and everything else of ICE, groups, and
//! names of people and programs stay behind.

use std::net::IpAddr;

use super::crypto::CryptoLine;
use super::description::{Direction, Said, Section};
use super::dtls::{Setup, write_fingerprint};
use super::grammar::{Attribute, fields, is_printable, number};
use super::protocol::Protocol;
use crate::{Fingerprint, KeyMaterial};

/// Attributes that say something of a stream's content and nothing of where it
/// comes from: RFC 8866 section 6, RFC 4574 (`label`), RFC 4796 (`content`),
/// RFC 6236 (`imageattr`), RFC 3551's `silenceSupp` of RFC 3108.
const PASSED: [&[u8]; 9] = [
    b"label",
    b"content",
    b"lang",
    b"framerate",
    b"framesize",
    b"imageattr",
    b"quality",
    b"silenceSupp",
    b"rtcp-rsize",
];

/// ITU-T T.38 annex D: all its attributes begin like this.
const FAX: &[u8] = b"T38";

/// The `o=` line and the session's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) id: u64,
    pub(crate) version: u64,
    pub(crate) address: IpAddr,
}

/// Keys that a section carries.
#[derive(Debug, Default)]
pub(crate) struct Keys<'a> {
    pub(crate) crypto: Vec<(u32, &'a KeyMaterial)>,
    pub(crate) fingerprints: &'a [Fingerprint],
    pub(crate) setup: Option<Setup>,
}

impl<'a> Keys<'a> {
    /// Those that the other party said, which pass as they are.
    pub(crate) fn as_said(said: &'a Said) -> Self {
        let crypto = said.crypto.iter();
        Self {
            crypto: crypto.map(|line| (line.tag, &line.key)).collect(),
            fingerprints: &said.fingerprints,
            setup: said.setup,
        }
    }
}

/// How one section is written.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// What the other party said.
    pub(crate) said: &'a Said,
    /// Its lines.
    pub(crate) section: &'a Section<'a>,
    /// The transport for this leg.
    pub(crate) protocol: &'a Protocol,
    /// Payload types that are kept; all others are left out.
    pub(crate) payload_types: u128,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Port of RTCP, if it is said.
    pub(crate) rtcp: Option<u16>,
    pub(crate) rtcp_mux: bool,
    pub(crate) keys: Keys<'a>,
    pub(crate) direction: Direction,
    /// The parties' own keys pass, so ZRTP's may too (RFC 6189 section 8).
    pub(crate) passthrough: bool,
}

/// Lines of the session.
pub(crate) fn session(origin: Origin, out: &mut Vec<u8>) {
    let Origin {
        id,
        version,
        address,
    } = origin;
    let family = family(address);
    out.extend_from_slice(
        format!(
            "v=0\r\no=- {id} {version} IN {family} {address}\r\ns=-\r\n\
             c=IN {family} {address}\r\nt=0 0\r\n"
        )
        .as_bytes(),
    );
}

/// A stream that is refused or not wanted keeps its place (RFC 3264 section 6).
pub(crate) fn refused(said: &Said, protocol: &Protocol, out: &mut Vec<u8>) {
    media_line(said, protocol, 0, u128::MAX, out);
}

/// A stream with all its lines.
pub(crate) fn stream(outgoing: &Outgoing<'_>, session_address: IpAddr, out: &mut Vec<u8>) {
    let said = outgoing.said;
    media_line(
        said,
        outgoing.protocol,
        outgoing.port,
        outgoing.payload_types,
        out,
    );
    if outgoing.address != session_address {
        let line = format!("c=IN {} {}\r\n", family(outgoing.address), outgoing.address);
        out.extend_from_slice(line.as_bytes());
    }
    for (kind, value) in &outgoing.section.bandwidths {
        out.extend_from_slice(format!("b={kind}:{value}\r\n").as_bytes());
    }
    for payload in &said.payloads {
        if outgoing.payload_types >> payload.payload_type & 1 == 0 || !payload.mapped {
            continue;
        }
        if let Some(encoding) = &payload.encoding {
            out.extend_from_slice(format!("a=rtpmap:{} ", payload.payload_type).as_bytes());
            encoding.write(out);
            out.extend_from_slice(b"\r\n");
        }
    }
    for each in &outgoing.section.attributes {
        if passes(each, outgoing) {
            attribute(each.name, each.value, out);
        }
    }
    if !matches!(outgoing.protocol, Protocol::Rtp(_)) {
        return;
    }
    if let Some(port) = outgoing.rtcp {
        out.extend_from_slice(format!("a=rtcp:{port}\r\n").as_bytes());
    }
    if outgoing.rtcp_mux {
        attribute(b"rtcp-mux", b"", out);
    }
    write_keys(&outgoing.keys, out);
    attribute(outgoing.direction.name().as_bytes(), b"", out);
}

fn write_keys(keys: &Keys<'_>, out: &mut Vec<u8>) {
    for (tag, key) in &keys.crypto {
        out.extend_from_slice(b"a=crypto:");
        CryptoLine::write(*tag, key, out);
        out.extend_from_slice(b"\r\n");
    }
    for fingerprint in keys.fingerprints {
        out.extend_from_slice(b"a=fingerprint:");
        write_fingerprint(fingerprint, out);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(setup) = keys.setup {
        attribute(b"setup", setup.name().as_bytes(), out);
    }
}

fn media_line(said: &Said, protocol: &Protocol, port: u16, types: u128, out: &mut Vec<u8>) {
    out.extend_from_slice(b"m=");
    out.extend_from_slice(&said.kind);
    out.extend_from_slice(format!(" {port} ").as_bytes());
    out.extend_from_slice(protocol.name());
    for payload in &said.payloads {
        if types >> payload.payload_type & 1 == 1 {
            out.extend_from_slice(format!(" {}", payload.payload_type).as_bytes());
        }
    }
    for token in &said.tokens {
        out.push(b' ');
        out.extend_from_slice(token);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether an attribute of the other party comes along.
fn passes(each: &Attribute<'_>, outgoing: &Outgoing<'_>) -> bool {
    if !is_printable(each.value) {
        return false;
    }
    let fax = matches!(outgoing.protocol, Protocol::Udptl);
    if fax {
        return each.name.starts_with(FAX) && is_printable(each.name);
    }
    let kept = |payload_type: u8| {
        payload_type < 128
            && outgoing.payload_types >> payload_type & 1 == 1
            && outgoing
                .said
                .payloads
                .iter()
                .any(|each| each.payload_type == payload_type)
    };
    let first = fields(each.value).next().unwrap_or_default();
    match each.name {
        b"fmtp" => number(first).is_some_and(kept),
        // Feedback belongs to the profiles of RFC 4585 and 5124.
        b"rtcp-fb" => {
            let feedback = matches!(outgoing.protocol, Protocol::Rtp(profile) if profile.feedback);
            feedback && (first == b"*" || number(first).is_some_and(kept))
        }
        b"ptime" | b"maxptime" => {
            let time = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            (1..=8).contains(&each.value.len()) && each.value.iter().all(time)
        }
        b"zrtp-hash" => outgoing.passthrough,
        name => PASSED.contains(&name),
    }
}

fn attribute(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"a=");
    out.extend_from_slice(name);
    if !value.is_empty() {
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"\r\n");
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}
