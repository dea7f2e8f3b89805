//! `[media]`: the relay's interfaces, timeouts and ceilings, and what each peer
//! can do.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The media relay. Without it session descriptions pass as they came and the
/// media flows between the parties.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Threads that carry media; 0 for one per core.
    pub workers: usize,
    /// How sockets are read and written.
    pub backend: Backend,
    /// Addresses and ports for media.
    #[serde(rename = "interface")]
    pub interfaces: Vec<MediaInterface>,
    /// When a silent call is ended.
    pub timeouts: MediaTimeouts,
    /// Ceilings.
    pub limits: MediaLimits,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            workers: 2,
            backend: Backend::Auto,
            interfaces: Vec::new(),
            timeouts: MediaTimeouts::default(),
            limits: MediaLimits::default(),
        }
    }
}

/// How sockets are read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The fastest that the kernel allows.
    #[default]
    Auto,
    /// io_uring, or no start.
    IoUring,
    /// epoll with several packets to a system call.
    Epoll,
}

/// Addresses and ports that media of a listener's calls uses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaInterface {
    /// Unique name.
    pub name: String,
    /// Local address, or one of each family.
    pub bind: Addresses,
    /// What peers are told; the local addresses without it.
    #[serde(default)]
    pub advertised: Addresses,
    /// First and last port, as `20000-29999`.
    pub ports: Ports,
}

impl MediaInterface {
    /// What peers are told of one family.
    pub fn told4(&self) -> Option<Ipv4Addr> {
        self.bind
            .v4
            .map(|bound| self.advertised.v4.unwrap_or(bound))
    }

    /// What peers are told of one family.
    pub fn told6(&self) -> Option<Ipv6Addr> {
        self.bind
            .v6
            .map(|bound| self.advertised.v6.unwrap_or(bound))
    }
}

/// At most one address of each family: a text, or a list of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// Those that are there.
    pub fn all(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }

    fn add<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        let taken = |family: &str| {
            E::custom(format_args!(
                "a second {family} address; an interface has one of each family"
            ))
        };
        match text.parse() {
            Ok(IpAddr::V4(address)) if self.v4.replace(address).is_none() => Ok(()),
            Ok(IpAddr::V6(address)) if self.v6.replace(address).is_none() => Ok(()),
            Ok(IpAddr::V4(_)) => Err(taken("IPv4")),
            Ok(IpAddr::V6(_)) => Err(taken("IPv6")),
            Err(_) => Err(E::custom("no IP address")),
        }
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Addresses;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an address in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
                let mut addresses = Addresses::default();
                addresses.add(text)?;
                Ok(addresses)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Addresses, A::Error> {
                let mut addresses = Addresses::default();
                while let Some(text) = list.next_element::<String>()? {
                    addresses.add(&text)?;
                }
                Ok(addresses)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl Ports {
    /// The range.
    pub fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Pairs of an even port for RTP and the next one for RTCP.
    pub fn pairs(self) -> usize {
        let first_even = u32::from(self.first) + u32::from(self.first % 2);
        let end = u32::from(self.last) + 1;
        (end.saturating_sub(first_even) / 2) as usize
    }

    /// Whether a port is in both.
    pub fn overlap(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("no range of ports");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let ports = Self {
            first: port(first).ok_or_else(wrong)?,
            last: port(last).ok_or_else(wrong)?,
        };
        if ports.first > ports.last {
            return Err(de::Error::custom("the range ends before it begins"));
        }
        Ok(ports)
    }
}

/// When a silent call is ended; `docs/operate/media.md` says what each means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaTimeouts {
    /// Nothing from either party, 60 s.
    pub silence_seconds: Option<u64>,
    /// Nothing from a party that should send, 120 s.
    pub one_way_seconds: Option<u64>,
    /// Held by a party, 30 min.
    pub hold_seconds: Option<u64>,
    /// A DTLS handshake, 20 s.
    pub setup_seconds: Option<u64>,
}

/// Ceilings of the relay; `docs/reference/limits.md` has the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaLimits {
    /// Calls with media of one SIP worker.
    pub sessions: Option<usize>,
    /// Media streams of one session description.
    pub streams: Option<usize>,
    /// Bytes of one session description.
    pub sdp_bytes: Option<usize>,
    /// Packets of one party on one stream of audio in a second.
    pub audio_packets_per_second: Option<u32>,
    /// The same for video and images.
    pub video_packets_per_second: Option<u32>,
    /// Bytes of one packet, 200 to 1500.
    pub packet_bytes: Option<u16>,
    /// DTLS handshakes that one media worker has under way.
    pub handshakes: Option<usize>,
}

/// How media is protected on the leg of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaMode {
    /// RTP in clear.
    Plain,
    /// SRTP with keys in the session description: RFC 4568.
    Sdes,
    /// SRTP with keys from a DTLS handshake: RFC 5764.
    Dtls,
    /// Keys stay between the parties and the relay never holds them.
    Passthrough,
}

impl From<MediaMode> for ::media::Mode {
    fn from(mode: MediaMode) -> Self {
        match mode {
            MediaMode::Plain => Self::Plain,
            MediaMode::Sdes => Self::Sdes,
            MediaMode::Dtls => Self::Dtls,
            MediaMode::Passthrough => Self::Passthrough,
        }
    }
}

/// The `media` of a `[[pbx]]` or a `[[trunk]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerMedia {
    /// What may be offered to it and accepted from it, most wanted first.
    pub modes: Vec<MediaMode>,
    /// Whether its media may come from another address than it writes.
    pub nat: bool,
    /// Networks that its media may come from and go to besides public ones.
    pub networks: Vec<IpNet>,
}

impl Default for PeerMedia {
    fn default() -> Self {
        Self {
            modes: vec![MediaMode::Sdes, MediaMode::Plain],
            nat: false,
            networks: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn pairs_begin_at_even_ports() {
        let pairs = |first, last| Ports { first, last }.pairs();
        assert_eq!(pairs(20_000, 29_999), 5_000);
        assert_eq!(pairs(20_001, 29_999), 4_999);
        assert_eq!(pairs(20_000, 29_998), 4_999);
        assert_eq!(pairs(20_000, 20_000), 0);
        assert_eq!(pairs(20_001, 20_001), 0);
        assert_eq!(pairs(1, 65_535), 32_767);
    }

    #[test]
    fn ranges_overlap_at_their_ends() {
        let ports = |first, last| Ports { first, last };
        assert!(ports(10, 20).overlap(ports(20, 30)));
        assert!(!ports(10, 19).overlap(ports(20, 30)));
        assert!(ports(10, 40).overlap(ports(20, 30)));
    }
}
