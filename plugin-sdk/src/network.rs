//! CIDR blocks for settings, and maps from the longest matching block.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A block of addresses in CIDR notation (RFC 4632), or a single address.
///
/// An IPv4-mapped IPv6 block is the IPv4 block inside it, as the host reports
/// such peers by their IPv4 address. Bits after the prefix must be zero, because
/// `10.0.0.1/8` is more often a slip than a wish.
///
/// ```
/// use sipward_plugin_sdk::Network;
/// let network: Network = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.255.0.1".parse().unwrap()));
/// assert!(!network.contains("::1".parse().unwrap()));
/// assert_eq!("::ffff:10.0.0.0/104".parse(), Ok(network));
/// assert!("10.0.0.1/8".parse::<Network>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    version: Version,
    prefix: u8,
    bits: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Version {
    V4,
    V6,
}

impl Version {
    const fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl Network {
    /// The block of this length that holds an address; a length beyond 32 or
    /// 128 counts as that.
    ///
    /// ```
    /// use sipward_plugin_sdk::Network;
    /// let network = Network::around("192.0.2.77".parse().unwrap(), 24);
    /// assert_eq!(network.to_string(), "192.0.2.0/24");
    /// ```
    #[must_use]
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        let (version, bits) = bits_of(address);
        let prefix = prefix.min(version.width());
        Self {
            version,
            prefix,
            bits: masked(version, bits, prefix),
        }
    }

    /// Whether an address lies in the block.
    ///
    /// ```
    /// use sipward_plugin_sdk::Network;
    /// let network: Network = "2001:db8::/32".parse()?;
    /// assert!(network.contains("2001:db8::1".parse().unwrap()));
    /// assert!(!network.contains("2001:db9::1".parse().unwrap()));
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (version, bits) = bits_of(address);
        version == self.version && masked(version, bits, self.prefix) == self.bits
    }

    /// Length of the prefix in bits.
    ///
    /// ```
    /// use sipward_plugin_sdk::Network;
    /// assert_eq!("192.0.2.0/24".parse::<Network>()?.prefix(), 24);
    /// assert_eq!("192.0.2.7".parse::<Network>()?.prefix(), 32);
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// First address of the block.
    ///
    /// ```
    /// use sipward_plugin_sdk::Network;
    /// assert_eq!("192.0.2.0/24".parse::<Network>()?.address().to_string(), "192.0.2.0");
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> IpAddr {
        match self.version {
            Version::V4 => IpAddr::V4(Ipv4Addr::from(self.bits as u32)),
            Version::V6 => IpAddr::V6(Ipv6Addr::from(self.bits)),
        }
    }

    /// A short key for counters: version, length and address, 18 bytes.
    ///
    /// ```
    /// use sipward_plugin_sdk::Network;
    /// // A /64 is what one IPv6 subscriber has: count it as one.
    /// let key = |address: &str| Network::around(address.parse().unwrap(), 64).key();
    /// assert_eq!(key("2001:db8::1"), key("2001:db8::2"));
    /// assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    /// ```
    #[must_use]
    pub fn key(&self) -> [u8; 18] {
        let mut key = [0; 18];
        let [version, prefix, bits @ ..] = &mut key;
        *version = self.version.width();
        *prefix = self.prefix;
        *bits = self.bits.to_be_bytes();
        key
    }
}

fn bits_of(address: IpAddr) -> (Version, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (Version::V4, u128::from(u32::from(address))),
        IpAddr::V6(address) => (Version::V6, u128::from(address)),
    }
}

fn masked(version: Version, bits: u128, prefix: u8) -> u128 {
    let host_bits = u32::from(version.width().saturating_sub(prefix));
    match host_bits {
        128.. => 0,
        _ => bits >> host_bits << host_bits,
    }
}

/// Why a text is no [`Network`].
///
/// ```
/// use sipward_plugin_sdk::{Network, NetworkError};
/// let wrong = "10.0.0.1/8".parse::<Network>().unwrap_err();
/// assert!(matches!(wrong, NetworkError::HostBits(right) if right.to_string() == "10.0.0.0/8"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// The part before the slash is no IP address.
    Address(String),
    /// The part after the slash is no length that the address can have.
    Prefix(String),
    /// Bits after the prefix are set; this would be right.
    HostBits(Network),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => {
                write!(
                    f,
                    "`{text}` is no IP address; write 192.0.2.0/24 or 2001:db8::/32"
                )
            }
            Self::Prefix(text) => {
                write!(
                    f,
                    "`/{text}` is no prefix length; IPv4 has 0 to 32, IPv6 0 to 128"
                )
            }
            Self::HostBits(right) => {
                write!(
                    f,
                    "address bits are set after the prefix; did you mean {right}?"
                )
            }
        }
    }
}

impl core::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address
            .parse()
            .map_err(|_| NetworkError::Address(address.to_owned()))?;
        let wrong = |prefix: &str| NetworkError::Prefix(prefix.to_owned());
        let width: u8 = if written.is_ipv4() { 32 } else { 128 };
        let length = match prefix {
            None => width,
            Some(text) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(wrong(text));
            }
            Some(text) => text.parse().map_err(|_| wrong(text))?,
        };
        let (version, bits) = bits_of(written);
        // ::ffff:a.b.c.d/n is a.b.c.d/(n-96), and no block at all below 96.
        let mapped_by = width - version.width();
        if length > width || length < mapped_by {
            return Err(wrong(prefix.unwrap_or_default()));
        }
        let prefix = length - mapped_by;
        let network = Self {
            version,
            prefix,
            bits: masked(version, bits, prefix),
        };
        match network.bits == bits {
            true => Ok(network),
            false => Err(NetworkError::HostBits(network)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An IP address or a block in CIDR notation, like 192.0.2.0/24.",
            "examples": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
        })
    }
}

/// Maps addresses to the value of the longest block that holds them.
///
/// Made once, in `configure`; a look-up is one binary search for each length
/// that occurs.
///
/// ```
/// use sipward_plugin_sdk::NetworkMap;
/// let map: NetworkMap<&str> = [
///     ("10.0.0.0/8".parse().unwrap(), "everybody"),
///     ("10.1.0.0/16".parse().unwrap(), "branch"),
/// ].into_iter().collect();
/// let (network, value) = map.longest("10.1.2.3".parse().unwrap()).unwrap();
/// assert_eq!((network.to_string().as_str(), *value), ("10.1.0.0/16", "branch"));
/// assert!(map.longest("192.0.2.1".parse().unwrap()).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct NetworkMap<T> {
    /// Sorted by network: by version, then length, then bits.
    entries: Vec<(Network, T)>,
    /// The lengths that occur, longest first.
    lengths: Vec<(Version, u8)>,
}

impl<T> NetworkMap<T> {
    /// The longest block that holds an address, and its value.
    ///
    /// ```
    /// use sipward_plugin_sdk::NetworkMap;
    /// let map: NetworkMap<u8> = [("10.0.0.0/8".parse()?, 1), ("10.1.0.0/16".parse()?, 2)]
    ///     .into_iter()
    ///     .collect();
    /// assert_eq!(map.longest("10.1.0.1".parse().unwrap()).unwrap().1, &2);
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<(&Network, &T)> {
        if self.entries.is_empty() {
            return None;
        }
        let (version, bits) = bits_of(address);
        self.lengths
            .iter()
            .filter(|(of, _)| *of == version)
            .find_map(|(_, prefix)| {
                let wanted = Network {
                    version,
                    prefix: *prefix,
                    bits: masked(version, bits, *prefix),
                };
                let found = self
                    .entries
                    .binary_search_by(|(network, _)| network.cmp(&wanted))
                    .ok()?;
                self.entries
                    .get(found)
                    .map(|(network, value)| (network, value))
            })
    }

    /// Whether any block holds an address.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Network, NetworkMap};
    /// let map: NetworkMap<()> = ["10.0.0.0/8".parse::<Network>()?].into_iter().collect();
    /// assert!(map.contains("10.1.0.1".parse().unwrap()));
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.longest(address).is_some()
    }

    /// Whether there is no block at all.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Network, NetworkMap};
    /// let map: NetworkMap<()> = Vec::<Network>::new().into_iter().collect();
    /// assert!(map.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> FromIterator<(Network, T)> for NetworkMap<T> {
    /// Of equal blocks the last one counts.
    fn from_iter<I: IntoIterator<Item = (Network, T)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.reverse();
        entries.sort_by_key(|(network, _)| *network);
        entries.dedup_by_key(|(network, _)| *network);
        let mut lengths: Vec<_> = entries
            .iter()
            .map(|(network, _)| (network.version, network.prefix))
            .collect();
        lengths.dedup();
        lengths.reverse();
        Self { entries, lengths }
    }
}

impl FromIterator<Network> for NetworkMap<()> {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        networks.into_iter().map(|network| (network, ())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn wrong_networks_say_what_would_be_right() {
        let message = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert!(message("10.0.0.1/8").contains("10.0.0.0/8"));
        assert!(message("2001:db8::1/32").contains("2001:db8::/32"));
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/256",
            "::ffff:0.0.0.0/95",
        ] {
            assert!(
                message(text).contains("prefix length"),
                "{text}: {}",
                message(text)
            );
        }
        for text in ["", "10.0.0", "10.0.0.0.0/8", "example.com", "10.0.0.0 /8"] {
            assert!(message(text).contains("IP address"), "{text}");
        }
    }

    #[test]
    fn edges_of_a_block() {
        let network: Network = "192.0.2.64/26".parse().unwrap();
        for (text, inside) in [
            ("192.0.2.63", false),
            ("192.0.2.64", true),
            ("192.0.2.127", true),
            ("192.0.2.128", false),
        ] {
            assert_eq!(network.contains(address(text)), inside, "{text}");
        }
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains(address("::ffff:1.2.3.4"))
        );
        assert!(
            !"::/0"
                .parse::<Network>()
                .unwrap()
                .contains(address("1.2.3.4"))
        );
        assert!(
            "::/0"
                .parse::<Network>()
                .unwrap()
                .contains(address("2001:db8::1"))
        );
        assert_eq!("::ffff:0:0/96".parse::<Network>(), "0.0.0.0/0".parse());
    }

    #[test]
    fn the_longest_block_wins_and_the_last_of_equals() {
        let map: NetworkMap<u8> = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "10.0.0.0/8",
            "2001:db8::/32",
        ]
        .iter()
        .zip(0..)
        .map(|(text, value)| (text.parse().unwrap(), value))
        .collect();
        let value = |text: &str| map.longest(address(text)).map(|(_, value)| *value);
        assert_eq!(value("10.1.2.3"), Some(3));
        assert_eq!(value("10.1.2.4"), Some(2));
        assert_eq!(value("10.2.0.0"), Some(4));
        assert_eq!(value("11.0.0.0"), Some(0));
        assert_eq!(value("2001:db8:ffff::"), Some(5));
        assert_eq!(value("2001:db9::"), None);
    }

    #[test]
    fn keys_differ_where_networks_do() {
        let short: Network = "0.0.0.0/0".parse().unwrap();
        let other: Network = "::/0".parse().unwrap();
        assert_ne!(short.key(), other.key());
        assert_ne!(short.key(), Network::around(address("0.0.0.0"), 8).key());
    }
}
