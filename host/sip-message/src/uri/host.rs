//! Hosts: RFC 3261 section 25.1, RFC 5954 for IPv6 references.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::UriError;
use crate::grammar::{self, HOST};

/// Host of a URI or of a Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A name as written; compare without regard to case. Empty for `tel:` and unknown schemes.
    Name(&'a [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 reference, without its brackets.
    V6(Ipv6Addr),
}

impl Host<'_> {
    /// The address, if it is one.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some((*address).into()),
            Self::V6(address) => Some((*address).into()),
        }
    }

    /// Same host: names without regard to case and to one trailing dot.
    pub fn same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(two)) => {
                without_dot(one).eq_ignore_ascii_case(without_dot(two))
            }
            (Host::V4(one), Host::V4(two)) => one == two,
            (Host::V6(one), Host::V6(two)) => one == two,
            _ => false,
        }
    }
}

fn without_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(&String::from_utf8_lossy(name)),
            Self::V4(address) => write!(formatter, "{address}"),
            Self::V6(address) => write!(formatter, "[{address}]"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum HostKind {
    Name,
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl HostKind {
    pub(crate) fn view(self, text: &[u8]) -> Host<'_> {
        match self {
            Self::Name => Host::Name(text),
            Self::V4(address) => Host::V4(address),
            Self::V6(address) => Host::V6(address),
        }
    }
}

/// Reads `host[:port]` at `start`: the host, where its text ends, the port, where all ends.
pub(crate) fn host_port(
    text: &[u8],
    start: usize,
) -> Result<(HostKind, usize, Option<u16>, usize), UriError> {
    let (host, end) = host(text, start)?;
    if text.get(end) != Some(&b':') {
        return Ok((host, end, None, end));
    }
    let mut digits = end + 1;
    while text.get(digits).is_some_and(u8::is_ascii_digit) {
        digits += 1;
    }
    let port = grammar::decimal(grammar::piece(text, end + 1, digits), 65_535)
        .and_then(|port| u16::try_from(port).ok());
    match port {
        Some(port) if port > 0 => Ok((host, end, Some(port), digits)),
        _ => Err(UriError::Port),
    }
}

/// Reads a host at `start` and says where it ends.
pub(crate) fn host(text: &[u8], start: usize) -> Result<(HostKind, usize), UriError> {
    if text.get(start) == Some(&b'[') {
        let rest = grammar::piece(text, start + 1, text.len());
        let close = memchr::memchr(b']', rest).ok_or(UriError::Host)?;
        let address = grammar::piece(rest, 0, close);
        let address = v6(address).ok_or(UriError::Host)?;
        return Ok((HostKind::V6(address), start + close + 2));
    }
    let end = grammar::skip_class(text, start, HOST);
    let name = grammar::piece(text, start, end);
    host_name(name)
        .map(|kind| (kind, end))
        .ok_or(UriError::Host)
}

/// An IPv6 address without brackets. RFC 3261's own grammar admits three colons before an
/// embedded IPv4 address; RFC 5954 corrects it, and so do we.
pub(crate) fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn host_name(name: &[u8]) -> Option<HostKind> {
    let last = without_dot(name)
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    let hexadecimal = last
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"0x"));
    if last.iter().all(u8::is_ascii_digit) || hexadecimal {
        // `127.1`, `0x7f.1` and `010.0.0.1` are addresses to some resolvers: only the one form
        // that all read alike may stand. A top label is never all digits.
        return std::str::from_utf8(name)
            .ok()?
            .parse()
            .ok()
            .map(HostKind::V4);
    }
    let labels = without_dot(name);
    let sound = !labels.is_empty()
        && labels.len() <= 253
        && !labels.starts_with(b".")
        && !labels.starts_with(b"-");
    (sound && !labels.windows(2).any(|pair| pair == b"..") && !labels.ends_with(b"."))
        .then_some(HostKind::Name)
}
