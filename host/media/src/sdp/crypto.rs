//! `a=crypto` lines: RFC 4568 section 9.
//!
//! A line that is not understood to the last parameter is not used: the party
//! would encrypt otherwise than we do.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::grammar::{fields, number};
use crate::{KeyMaterial, Mki, Suite};

/// Phones that leave the padding out are common.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// RFC 3711 section 9.2: no SRTP key lasts longer.
const MAX_LIFETIME: u64 = 1 << 48;

/// One offered or chosen key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CryptoLine {
    pub(crate) tag: u32,
    pub(crate) key: KeyMaterial,
}

impl CryptoLine {
    /// Read the value of the attribute. `None` if it cannot be used: an unknown
    /// suite, several keys, an unknown session parameter, or no grammar.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let mut parts = fields(value);
        let (tag, suite, keys) = (parts.next()?, parts.next()?, parts.next()?);
        let tag = number::<u32>(tag).filter(|_| tag.len() <= 9)?;
        let key = key_parameter(Suite::from_name(suite)?, keys)?;
        parts.all(is_harmless).then_some(Self { tag, key })
    }

    /// Write the attribute's value.
    pub(crate) fn write(tag: u32, key: &KeyMaterial, out: &mut Vec<u8>) {
        out.extend_from_slice(tag.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(key.suite.name().as_bytes());
        out.extend_from_slice(b" inline:");
        let encoded = Zeroizing::new(BASE64.encode(key.key_salt.as_slice()));
        out.extend_from_slice(encoded.as_bytes());
        if let Some(lifetime) = key.lifetime {
            let text = if lifetime.is_power_of_two() {
                format!("|2^{}", lifetime.trailing_zeros())
            } else {
                format!("|{lifetime}")
            };
            out.extend_from_slice(text.as_bytes());
        }
        if let Some(mki) = &key.mki {
            let text = format!("|{}:{}", mki.value(), mki.as_bytes().len());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// RFC 4568 section 6.3: a hint on the window is ours to ignore, and extensions
/// with a minus may be. All others change the packets.
fn is_harmless(parameter: &[u8]) -> bool {
    let name = parameter
        .split(|&byte| byte == b'=')
        .next()
        .unwrap_or_default();
    parameter.starts_with(b"-") || name.eq_ignore_ascii_case(b"WSH")
}

fn key_parameter(suite: Suite, text: &[u8]) -> Option<KeyMaterial> {
    // Several keys are told apart by MKI in each packet; nobody offers them.
    if text.contains(&b';') {
        return None;
    }
    let inline = text
        .split_at_checked(7)
        .filter(|(method, _)| method.eq_ignore_ascii_case(b"inline:"));
    let mut parts = inline?.1.split(|&byte| byte == b'|');
    let key_salt = Zeroizing::new(BASE64.decode(parts.next()?).ok()?);
    let mut key = KeyMaterial::new(suite, key_salt)?;
    let mut next = parts.next();
    if let Some(text) = next.filter(|text| !text.contains(&b':')) {
        key.lifetime = Some(lifetime(text)?);
        next = parts.next();
    }
    if let Some(text) = next {
        key.mki = Some(master_key_identifier(text)?);
        next = parts.next();
    }
    next.is_none().then_some(key)
}

fn lifetime(text: &[u8]) -> Option<u64> {
    let packets = match text.strip_prefix(b"2^") {
        Some(exponent) => 1_u64.checked_shl(number(exponent)?)?,
        None => number(text)?,
    };
    (1..=MAX_LIFETIME).contains(&packets).then_some(packets)
}

fn master_key_identifier(text: &[u8]) -> Option<Mki> {
    let mut parts = text.split(|&byte| byte == b':');
    let (value, length) = (parts.next()?, parts.next()?);
    Mki::new(number(value)?, number(length)?).filter(|_| parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn line(text: &str) -> Option<CryptoLine> {
        CryptoLine::read(text.as_bytes())
    }

    fn written(line: &CryptoLine) -> String {
        let mut out = Vec::new();
        CryptoLine::write(line.tag, &line.key, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_read_is_written_again() {
        // The first is from RFC 4568 section 9.1's examples.
        for tail in [
            "",
            "|2^20",
            "|2^20|1:4",
            "|1:32",
            "|2^31|66051:4",
            "|1000",
            "|2^48",
        ] {
            let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{tail}");
            match line(&text) {
                Some(read) => assert_eq!(written(&read), text),
                None => assert_eq!(tail, "|1:32", "an identifier of 32 octets"),
            }
        }
    }

    #[test]
    fn every_suite_has_its_own_length() {
        for suite in Suite::ALL {
            let length = suite.key_len() + suite.salt_len();
            for (octets, good) in [(length - 1, false), (length, true), (length + 1, false)] {
                let key = BASE64.encode(vec![7; octets]);
                let read = line(&format!("9 {} inline:{key}", suite.name()));
                assert_eq!(read.is_some(), good, "{suite:?} {octets}");
                let bare = line(&format!(
                    "9 {} inline:{}",
                    suite.name(),
                    key.trim_end_matches('=')
                ));
                assert_eq!(bare.is_some(), good, "without padding");
            }
        }
    }

    #[test]
    fn session_parameters() {
        let with =
            |tail: &str| line(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} {tail}")).is_some();
        assert!(with("") && with("WSH=128") && with("-X=1 -Y"));
        for bad in [
            "KDR=1",
            "UNENCRYPTED_SRTP",
            "UNENCRYPTED_SRTCP",
            "UNAUTHENTICATED_SRTP",
        ] {
            assert!(!with(bad), "{bad}");
        }
        assert!(!with("FEC_ORDER=FEC_SRTP") && !with("WHATEVER") && !with("WSH=64 KDR=0"));
    }

    #[test]
    fn what_is_not_understood_is_not_used() {
        for text in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:KEY",
            "1 F8_128_HMAC_SHA1_80 inline:KEY",
            "1 AES_CM_128_HMAC_SHA1_80 external:KEY",
            "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|0",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^49",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^64",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^4|2^4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:4|2^4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|256:1",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:4:4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY;inline:KEY",
            "1234567890 AES_CM_128_HMAC_SHA1_80 inline:KEY",
        ] {
            assert_eq!(line(&text.replace("KEY", KEY)), None, "{text}");
        }
        assert!(line(&format!("999999999 aes_cm_128_hmac_sha1_80 INLINE:{KEY}")).is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[0-9]{0,3} ?AES_CM_128_HMAC_SHA1_80 (inline:)?[A-Za-z+/=|:^0-9;]{0,60}") {
            if let Some(read) = line(&text) {
                proptest::prop_assert_eq!(line(&written(&read)), Some(read));
            }
        }
    }
}
