//! Where an artifact is: host, name, and a tag or a digest or both.
//!
//! The grammar is that of the OCI distribution specification. Nothing is guessed: there
//! is no host and no tag that everybody is supposed to mean.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::REFERENCE_BYTES;
use crate::digest::Digest;
use crate::error::RegistryError;

/// Bytes of a name and of a tag, as the specification has them.
const NAME_BYTES: usize = 255;
const TAG_BYTES: usize = 128;

/// How a registry is spoken to, if the reference says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
}

/// Where an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub(crate) scheme: Option<Scheme>,
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry: its host, and its port if there is one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name within the registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last part of the name.
    pub fn last_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether the registry is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(host_alone(&self.host))
    }

    /// The host that answers for the registry. One of them answers elsewhere than it says.
    pub(crate) fn serving_host(&self) -> &str {
        match self.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        }
    }
}

/// A host without its port.
fn host_alone(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Whether a host is this machine, by what it is called alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let wrong = |problem| RegistryError::Reference { problem };
        if text.len() > REFERENCE_BYTES {
            return Err(wrong("it is too long"));
        }
        let (scheme, text) = if let Some(rest) = text.strip_prefix("https://") {
            (Some(Scheme::Https), rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Some(Scheme::Http), rest)
        } else {
            (None, text.strip_prefix("oci://").unwrap_or(text))
        };
        let (host, rest) = text.split_once('/').unwrap_or_default();
        if !is_host(host) {
            return Err(wrong("it does not begin with the registry's host"));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let wrong = || wrong("its digest is not `sha256:` and 64 digits 0-9a-f");
                (rest, Some(Digest::read(digest).ok_or_else(wrong)?))
            }
            None => (rest, None),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if name.len() > NAME_BYTES || !name.split('/').all(is_part) {
            return Err(wrong(
                "its name is not lower-case letters and digits, with `/`, `.`, `_` or `-` between them",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "its tag is not letters, digits, `.`, `_` and `-`, at most 128",
            ));
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong("it has neither a tag nor a digest"));
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// A host with an optional port. A lone word is the first part of a name to other
/// programs, so it is a host only if it cannot be anything else.
fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    let is_known = host.contains('.') || port.is_some() || host == "localhost";
    is_known && host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|it| it > 0)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let separators = part.split(is_letter).filter(|run| !run.is_empty());
    let sound = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|it| it == b'-');
    part.starts_with(is_letter) && part.ends_with(is_letter) && separators.into_iter().all(sound)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    tag.len() <= TAG_BYTES
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|it| is_word(it) || it == b'.' || it == b'-')
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(text: &str) -> Result<Reference, RegistryError> {
        text.parse()
    }

    #[test]
    fn parts_are_told_apart() {
        let text = format!("registry.example.com:5000/acme/night-calls:1.2@{DIGEST}");
        let reference = read(&text).unwrap();
        assert_eq!(reference.to_string(), text);
        assert_eq!(reference.host(), "registry.example.com:5000");
        assert_eq!(reference.name(), "acme/night-calls");
        assert_eq!(reference.last_name(), "night-calls");
        assert_eq!(reference.tag(), Some("1.2"));
        assert_eq!(reference.digest(), Digest::read(DIGEST));
        let only = read(&format!("localhost/a@{DIGEST}")).unwrap();
        assert_eq!((only.tag(), only.scheme), (None, None));
        let forced = read("https://[::1]:5000/a:b").unwrap();
        assert_eq!(forced.scheme, Some(Scheme::Https));
        assert!(forced.is_loopback());
        assert_eq!(
            read("oci://a.example/b:1").unwrap(),
            read("a.example/b:1").unwrap()
        );
    }

    #[test]
    fn this_machine_is_known_by_its_name_alone() {
        for (text, expected) in [
            ("localhost:5000/a:1", true),
            ("LOCALHOST:5000/a:1", true),
            ("127.0.0.1:5000/a:1", true),
            ("127.3.2.1/a:1", true),
            ("[::1]/a:1", true),
            ("localhost.example.com/a:1", false),
            ("10.0.0.1:5000/a:1", false),
            ("[2001:db8::1]:5000/a:1", false),
        ] {
            assert_eq!(read(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "a",
            "a:1",
            // Other programs would ask a registry that they have in mind.
            "acme/night-calls:1",
            "registry.example.com/acme/night-calls",
            "registry.example.com/:1",
            "registry.example.com/Acme:1",
            "registry.example.com/a//b:1",
            "registry.example.com/../b:1",
            "registry.example.com/a/..:1",
            "registry.example.com/a._b:1",
            "registry.example.com/a___b:1",
            "registry.example.com/-a:1",
            "registry.example.com/a-:1",
            "registry.example.com/a:",
            "registry.example.com/a:-1",
            "registry.example.com/a:1:2",
            "registry.example.com/a:1 ",
            "registry.example.com/a:1?x=y",
            "registry.example.com/a@sha256:00",
            "registry.example.com/a@sha512:00",
            "registry.example.com:/a:1",
            "registry.example.com:0/a:1",
            "registry.example.com:+5/a:1",
            "registry.example.com:70000/a:1",
            "user@registry.example.com/a:1",
            "registry..example.com/a:1",
            "-registry.example.com/a:1",
            "[::1/a:1",
            "[::1]5000/a:1",
            "[localhost]:1/a:1",
            "ftp://registry.example.com/a:1",
            "https://https://registry.example.com/a:1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("registry.example.com/{}:1", "a".repeat(255))).is_ok());
        assert!(read(&format!("registry.example.com/{}:1", "a".repeat(256))).is_err());
        assert!(read(&format!("registry.example.com/a:{}", "b".repeat(128))).is_ok());
        assert!(read(&format!("registry.example.com/a:{}", "b".repeat(129))).is_err());
    }

    #[test]
    fn separators_stand_between_letters() {
        for name in ["a.b", "a_b", "a__b", "a-b", "a---b", "0/1/2", "a1.b2/c"] {
            assert!(
                read(&format!("registry.example.com/{name}:1")).is_ok(),
                "{name}"
            );
        }
    }
}
