//! What kind of address stands in a description: RFC 1918, 4193, 6598, 6890.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address can lead. Policies get it as a fact; the relay follows a
/// class that is not public only by the rule of [`crate::Terms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressClass {
    /// Routed on the internet.
    Public,
    /// RFC 1918, shared (RFC 6598), or unique local (RFC 4193).
    Private,
    /// This host.
    Loopback,
    /// This link only.
    LinkLocal,
    /// A group, or everybody.
    Multicast,
    /// `0.0.0.0` or `::`: nowhere; in SDP it means hold.
    Unspecified,
    /// Reserved for other uses, and no party's address.
    Reserved,
    /// One of our own addresses, whatever else it is.
    Own,
}

impl AddressClass {
    /// The class of an address; `own` tells which are ours.
    #[must_use]
    pub fn of(address: IpAddr, own: impl Fn(IpAddr) -> bool) -> Self {
        // `::ffff:10.0.0.1` is 10.0.0.1 in other clothes.
        let address = address.to_canonical();
        if own(address) {
            return Self::Own;
        }
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    /// Its name in facts and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
            Self::Own => "own",
        }
    }

    const fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [0, 0, 0, 0] => Self::Unspecified,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [224..=239, ..] | [255, 255, 255, 255] => Self::Multicast,
            [0 | 240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    const fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xFE80..=0xFEBF, ..] => Self::LinkLocal,
            [0xFC00..=0xFDFF, ..] => Self::Private,
            [0xFF00..=0xFFFF, ..] => Self::Multicast,
            // IPv4-compatible, discard-only, and what nobody has assigned.
            [0, 0, ..] | [0x0100, 0, 0, 0, ..] | [0xFEC0..=0xFEFF, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }
}

/// The address in a `c=` line; `None` for a host name. Zones (`%eth0`) are no part
/// of SDP.
pub(crate) fn parse(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text)
        .ok()?
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_at_their_bounds() {
        use AddressClass::{
            LinkLocal, Loopback, Multicast, Private, Public, Reserved, Unspecified,
        };
        for (text, class) in [
            ("0.0.0.0", Unspecified),
            ("0.0.0.1", Reserved),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("169.254.1.1", LinkLocal),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.168.0.1", Private),
            ("223.255.255.255", Public),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.254", Reserved),
            ("255.255.255.255", Multicast),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::2", Reserved),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:198.51.100.1", Public),
            ("2001:db8::1", Public),
            ("fbff::1", Public),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Reserved),
            ("ff02::1", Multicast),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(AddressClass::of(address, |_| false), class, "{text}");
            assert_eq!(AddressClass::of(address, |_| true), AddressClass::Own);
        }
    }

    #[test]
    fn names_are_no_addresses() {
        assert_eq!(parse(b"media.example.com"), None);
        assert_eq!(parse(b"fe80::1%eth0"), None);
        assert_eq!(parse(b"1.2.3"), None);
        assert_eq!(parse(b"::ffff:1.2.3.4"), Some(IpAddr::from([1, 2, 3, 4])));
    }
}
