//! `a=fingerprint` (RFC 8122 section 5) and `a=setup` (RFC 4145 section 4,
//! RFC 5763 section 5).

use super::grammar::fields;
use crate::{Fingerprint, FingerprintHash};

/// Who begins the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Setup {
    Active,
    Passive,
    ActPass,
    /// Nobody, until a later offer says who (RFC 4145 section 4).
    HoldConn,
}

impl Setup {
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| value.eq_ignore_ascii_case(setup.name().as_bytes()))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

/// Read a fingerprint; `None` for hashes that are unknown and for MD5.
pub(crate) fn read_fingerprint(value: &[u8]) -> Option<Fingerprint> {
    let mut parts = fields(value);
    let (name, hex) = (parts.next()?, parts.next()?);
    let hash = [
        FingerprintHash::Sha1,
        FingerprintHash::Sha256,
        FingerprintHash::Sha384,
        FingerprintHash::Sha512,
    ]
    .into_iter()
    .find(|hash| name.eq_ignore_ascii_case(hash.name().as_bytes()))?;
    let mut octets = [0_u8; 64];
    let mut length = 0;
    for pair in hex.split(|&byte| byte == b':') {
        *octets.get_mut(length)? = octet(pair)?;
        length += 1;
    }
    Fingerprint::new(hash, octets.get(..length)?).filter(|_| parts.next().is_none())
}

/// Write the attribute's value.
pub(crate) fn write_fingerprint(fingerprint: &Fingerprint, out: &mut Vec<u8>) {
    out.extend_from_slice(fingerprint.hash().name().as_bytes());
    for (index, octet) in fingerprint.value().iter().enumerate() {
        out.push(if index == 0 { b' ' } else { b':' });
        for nibble in [octet >> 4, octet & 0x0F] {
            out.push(if nibble < 10 {
                b'0' + nibble
            } else {
                b'A' + nibble - 10
            });
        }
    }
}

/// A fingerprint that is enough to trust a certificate.
pub(crate) fn is_strong(fingerprint: &Fingerprint) -> bool {
    fingerprint.hash() != FingerprintHash::Sha1
}

fn octet(pair: &[u8]) -> Option<u8> {
    let [high, low] = *pair else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_and_written() {
        let text = format!("sha-256 {}AF", "0A:".repeat(31));
        let read = read_fingerprint(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_fingerprint(&read, &mut out);
        assert_eq!(out, text.as_bytes());
        assert_eq!(read_fingerprint(text.to_lowercase().as_bytes()), Some(read));
        for (name, octets) in [
            ("sha-1", 20),
            ("sha-256", 32),
            ("sha-384", 48),
            ("sha-512", 64),
        ] {
            for (more, good) in [(octets - 1, false), (octets, true), (octets + 1, false)] {
                let text = format!("{name} {}00", "0A:".repeat(more - 1));
                assert_eq!(
                    read_fingerprint(text.as_bytes()).is_some(),
                    good,
                    "{name} {more}"
                );
            }
        }
        for bad in [
            "",
            "sha-256",
            "md5 00",
            "sha-1 0",
            "sha-1 000",
            "sha-1 0G",
            "sha-1 :",
        ] {
            assert_eq!(read_fingerprint(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn setups() {
        for setup in [
            Setup::Active,
            Setup::Passive,
            Setup::ActPass,
            Setup::HoldConn,
        ] {
            assert_eq!(Setup::read(setup.name().as_bytes()), Some(setup));
        }
        assert_eq!(Setup::read(b"both"), None);
    }
}
