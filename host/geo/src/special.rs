//! Addresses that are nowhere: RFC 6890 and the IANA registries of special-purpose
//! addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address can be in a country: global unicast, which no registry sets
/// aside. An IPv4-mapped address counts as the IPv4 address in it.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let set_aside = match a {
        // "This network", RFC 1918, loopback.
        0 | 10 | 127 => true,
        // RFC 6598, shared by the customers of a provider.
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        // RFC 6890 section 2.2.2, RFC 5737, RFC 1918.
        192 => (b == 0 && (c == 0 || c == 2)) || b == 168,
        // RFC 2544, RFC 5737.
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        // Groups, RFC 1112 section 4, broadcast.
        224.. => true,
        _ => false,
    };
    !set_aside
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3 (RFC 4291 section 2.4); of it RFC 3849 and RFC 9637
    // set networks aside for documentation, RFC 4380 and RFC 5180 for other uses.
    let global = a & 0xe000 == 0x2000;
    let set_aside = (a == 0x2001 && (b == 0x0db8 || b < 0x0200)) || (a == 0x3fff && b < 0x1000);
    // RFC 6052: the address behind a translator is not known here, so neither is the
    // place.
    global && !set_aside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_other_special_addresses_are_nowhere() {
        for text in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:2::1",
            "3fff::1",
            "64:ff9b::1",
            "::ffff:10.0.0.1",
            "::ffff:192.168.0.1",
            "100::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_rest_is_somewhere() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.1.1.1",
            "128.0.0.1",
            "169.253.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.0.3.1",
            "192.167.1.1",
            "198.17.1.1",
            "198.20.1.1",
            "198.51.99.1",
            "203.0.112.1",
            "223.255.255.255",
            "2a00::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "3fff:1000::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
