//! The Authorization and Proxy-Authorization grammar for Digest: RFC 7616
//! section 3.4, RFC 3261 section 25.1.
//!
//! Tolerated, because phones do it: `algorithm`, `qop` and `nc` in quotes, empty
//! list elements, any case of names. Not tolerated: a parameter that stands
//! twice, since two readers could believe different ones.

use std::borrow::Cow;

use memchr::memchr2;

use super::hash::{Hash, Quality};
use crate::digest::Algorithm;

/// Bytes of a value that are looked at. Real ones are a tenth of this; the rest
/// of the header limit is no concern of a hash.
const VALUE_BYTES: usize = 4_096;

/// Parameters of a value. RFC 7616 knows eleven; the rest is room for growth.
const PARAMETERS: usize = 32;

/// One Digest value, understood.
#[derive(Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) user: Cow<'a, [u8]>,
    pub(crate) realm: Cow<'a, [u8]>,
    pub(crate) nonce: Cow<'a, [u8]>,
    pub(crate) uri: Cow<'a, [u8]>,
    /// `None`: an algorithm that is not ours.
    pub(crate) algorithm: Option<Algorithm>,
    response: Cow<'a, [u8]>,
    count: Option<Cow<'a, [u8]>>,
    client: Option<Cow<'a, [u8]>>,
    protection: Protection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    Legacy,
    Auth,
    AuthInt,
}

/// What a header value turned out to be.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// Another scheme than Digest.
    OtherScheme,
    /// Digest, but not understood.
    Malformed,
    /// Digest.
    Digest(Box<Credentials<'a>>),
}

/// Parameters as they are found.
#[derive(Default)]
struct Found<'a> {
    user: Option<Cow<'a, [u8]>>,
    realm: Option<Cow<'a, [u8]>>,
    nonce: Option<Cow<'a, [u8]>>,
    uri: Option<Cow<'a, [u8]>>,
    response: Option<Cow<'a, [u8]>>,
    algorithm: Option<Cow<'a, [u8]>>,
    client: Option<Cow<'a, [u8]>>,
    quality: Option<Cow<'a, [u8]>>,
    count: Option<Cow<'a, [u8]>>,
    user_is_hashed: Option<Cow<'a, [u8]>>,
    extended_user: Option<Cow<'a, [u8]>>,
}

impl<'a> Found<'a> {
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<Cow<'a, [u8]>>> {
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        Some(match name {
            _ if is("nc") => &mut self.count,
            _ if is("uri") => &mut self.uri,
            _ if is("qop") => &mut self.quality,
            _ if is("realm") => &mut self.realm,
            _ if is("nonce") => &mut self.nonce,
            _ if is("cnonce") => &mut self.client,
            _ if is("username") => &mut self.user,
            _ if is("response") => &mut self.response,
            _ if is("userhash") => &mut self.user_is_hashed,
            _ if is("algorithm") => &mut self.algorithm,
            _ if is("username*") => &mut self.extended_user,
            _ => return None,
        })
    }

    fn understand(self) -> Option<Credentials<'a>> {
        // We never offer userhash, so nobody may answer with it.
        let hashed = self
            .user_is_hashed
            .is_some_and(|value| !value.eq_ignore_ascii_case(b"false"));
        if hashed || self.extended_user.is_some() {
            return None;
        }
        let protection = match self.quality.as_deref() {
            None => Protection::Legacy,
            Some(quality) if quality.eq_ignore_ascii_case(b"auth") => Protection::Auth,
            Some(quality) if quality.eq_ignore_ascii_case(b"auth-int") => Protection::AuthInt,
            Some(_) => return None,
        };
        let has_count = self.count.is_some() && self.client.is_some();
        if (protection == Protection::Legacy) == has_count {
            return None;
        }
        Some(Credentials {
            user: self.user?,
            realm: self.realm?,
            nonce: self.nonce?,
            uri: self.uri?,
            // RFC 7616 section 3.4: MD5 if it is not said.
            algorithm: match self.algorithm {
                None => Some(Algorithm::Md5),
                Some(token) => Algorithm::from_token(&token),
            },
            response: self.response?,
            count: self.count,
            client: self.client,
            protection,
        })
    }
}

impl Credentials<'_> {
    /// The response as a hash of this algorithm.
    pub(crate) fn response(&self, algorithm: Algorithm) -> Option<Hash> {
        Hash::from_hex(algorithm, &self.response)
    }

    /// What is protected, with the texts that go into the response.
    pub(crate) fn quality(&self) -> Quality<'_> {
        match (self.protection, &self.count, &self.client) {
            (Protection::Auth, Some(count), Some(client)) => Quality::Auth { count, client },
            (Protection::AuthInt, Some(count), Some(client)) => Quality::AuthInt { count, client },
            _ => Quality::Legacy,
        }
    }

    /// The nonce count: exactly eight hexadecimal digits and not zero. `None`
    /// also without `qop`.
    pub(crate) fn count(&self) -> Option<u32> {
        let digits = self.count.as_deref()?;
        if digits.len() != 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let count = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        (count > 0).then_some(count)
    }

    /// Whether there is no `qop`.
    pub(crate) fn is_legacy(&self) -> bool {
        self.protection == Protection::Legacy
    }
}

/// User and realm that a header value claims, whether it is right or not.
#[must_use]
pub fn claimed(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    match parse(value) {
        Parsed::Digest(shown) => Some((shown.user.into_owned(), shown.realm.into_owned())),
        Parsed::OtherScheme | Parsed::Malformed => None,
    }
}

/// Reads one header value.
pub(crate) fn parse(value: &[u8]) -> Parsed<'_> {
    let value = value.trim_ascii();
    let (scheme, rest) = split_token(value);
    if !scheme.eq_ignore_ascii_case(b"Digest") {
        return Parsed::OtherScheme;
    }
    if value.len() > VALUE_BYTES || !rest.first().is_some_and(u8::is_ascii_whitespace) {
        return Parsed::Malformed;
    }
    match parameters(rest).and_then(Found::understand) {
        Some(credentials) => Parsed::Digest(Box::new(credentials)),
        None => Parsed::Malformed,
    }
}

fn parameters(mut rest: &[u8]) -> Option<Found<'_>> {
    let mut found = Found::default();
    let mut seen = 0;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Some(found);
        }
        seen += 1;
        if seen > PARAMETERS {
            return None;
        }
        let (name, after) = split_token(rest);
        let after = after.trim_ascii_start().strip_prefix(b"=")?;
        let (value, after) = split_value(after.trim_ascii_start())?;
        if name.is_empty() {
            return None;
        }
        if let Some(place) = found.place(name)
            && place.replace(value).is_some()
        {
            return None;
        }
        rest = after.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// A token of RFC 3261 section 25.1, possibly empty, and what follows it.
fn split_token(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"-.!%*_+`'~".contains(byte))
        .unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// A quoted string without its quotes and escapes, or a token with the
/// characters that base64 adds.
fn split_value(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let end = bytes
            .iter()
            .position(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n' | b'"'))
            .unwrap_or(bytes.len());
        let (token, rest) = bytes.split_at(end);
        return (!token.is_empty()).then_some((Cow::Borrowed(token), rest));
    };
    let mut text = Cow::Borrowed(b"".as_slice());
    let mut rest = quoted;
    loop {
        let (plain, end) = rest.split_at_checked(memchr2(b'"', b'\\', rest)?)?;
        match text.is_empty() {
            true => text = Cow::Borrowed(plain),
            false => text.to_mut().extend_from_slice(plain),
        }
        match end {
            [b'"', after @ ..] => {
                // A control character in a name could forge a line in somebody's log.
                let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
                let any = text.iter().fold(false, |any, byte| any | is_control(byte));
                return (!any).then_some((text, after));
            }
            [_, literal, after @ ..] => {
                text.to_mut().push(*literal);
                rest = after;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n\", \
         uri=\"sip:bob@biloxi.com\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
         response=\"6629fae49393a05397450978507c4ef1\", opaque=\"o\"";

    fn digest(value: &str) -> Option<Box<Credentials<'_>>> {
        match parse(value.as_bytes()) {
            Parsed::Digest(credentials) => Some(credentials),
            _ => None,
        }
    }

    #[test]
    fn reads_what_rfc3261_shows() {
        let credentials = digest(GOOD).unwrap();
        assert_eq!(&*credentials.user, b"bob");
        assert_eq!(&*credentials.uri, b"sip:bob@biloxi.com");
        assert_eq!(credentials.algorithm, Some(Algorithm::Md5));
        assert_eq!(credentials.count(), Some(1));
        assert!(credentials.response(Algorithm::Md5).is_some());
        assert!(credentials.response(Algorithm::Sha256).is_none());
        assert!(matches!(credentials.quality(), Quality::Auth { .. }));
    }

    #[test]
    fn tolerates_what_phones_send() {
        for (from, to) in [
            ("qop=auth", "qop=\"auth\""),
            ("nc=00000001", "nc=\"00000001\""),
            ("Digest username", "DIGEST\tUserName"),
            (", realm", " ,, realm"),
            ("nonce=\"n\"", "nonce = \"n\""),
            ("opaque=\"o\"", "opaque=\"o\", algorithm=\"SHA-256\","),
            ("opaque=\"o\"", "userhash=false, auth-param=x/y="),
        ] {
            let value = GOOD.replace(from, to);
            assert!(digest(&value).is_some(), "{value}");
        }
    }

    #[test]
    fn refuses_what_is_ambiguous_or_broken() {
        for (from, to) in [
            ("opaque=\"o\"", "username=\"eve\""),
            ("opaque=\"o\"", "REALM=\"other\""),
            ("opaque=\"o\"", "opaque=\"o"),
            ("opaque=\"o\"", "opaque"),
            ("opaque=\"o\"", "username*=UTF-8''x"),
            ("opaque=\"o\"", "userhash=true"),
            ("qop=auth", "qop=auth-conf"),
            ("qop=auth", "qop=\"auth,auth-int\""),
            ("qop=auth, ", ""),
            ("nc=00000001, ", ""),
            ("username=\"bob\", ", ""),
            ("username=\"bob\"", "username=\"b\u{1}b\""),
            ("username=\"bob\"", "username=\"b\\\u{1}b\""),
            ("username=\"bob\",", "username=\"bob\""),
            ("response=\"6629fae49393a05397450978507c4ef1\", ", ""),
            ("Digest ", "Digest,"),
        ] {
            let value = GOOD.replace(from, to);
            assert!(
                matches!(parse(value.as_bytes()), Parsed::Malformed),
                "{value}"
            );
        }
        for other in [
            "",
            "Basic YTpi",
            "Bearer x",
            "Digestusername=\"x\"",
            "=",
            "Digest-x y=1",
        ] {
            assert!(
                matches!(parse(other.as_bytes()), Parsed::OtherScheme),
                "{other}"
            );
        }
    }

    #[test]
    fn quoted_pairs_are_undone() {
        let value = GOOD.replace("\"bob\"", r#""b\"o\\b""#);
        assert_eq!(&*digest(&value).unwrap().user, br#"b"o\b"#);
    }

    #[test]
    fn nonce_counts_are_eight_digits() {
        for (count, expected) in [
            ("ffffffff", Some(u32::MAX)),
            ("0000000A", Some(10)),
            ("00000000", None),
            ("1", None),
            ("000000001", None),
            ("+0000001", None),
            ("0000000g", None),
        ] {
            let value = GOOD.replace("00000001", count);
            assert_eq!(digest(&value).unwrap().count(), expected, "{count}");
        }
    }

    #[test]
    fn sess_algorithms_are_none_of_ours() {
        let value = format!("{GOOD}, algorithm=MD5-sess");
        assert_eq!(digest(&value).unwrap().algorithm, None);
    }

    #[test]
    fn limits_on_both_sides() {
        let room = PARAMETERS - GOOD.split(", ").count();
        let more = |count: usize| format!("{GOOD}{}", ", x=y".repeat(count));
        assert!(digest(&more(room)).is_some());
        assert!(digest(&more(room + 1)).is_none());
        let pad = |length: usize| {
            let fill = "o".repeat(length - GOOD.len() + 1);
            GOOD.replace("opaque=\"o\"", &format!("opaque=\"{fill}\""))
        };
        assert!(digest(&pad(VALUE_BYTES)).is_some());
        assert!(digest(&pad(VALUE_BYTES + 1)).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>(), cut in 0usize..200) {
            let _ = parse(&bytes);
            let mut mixed = GOOD.as_bytes()[..cut.min(GOOD.len())].to_vec();
            mixed.extend_from_slice(&bytes);
            let _ = parse(&mixed);
        }
    }
}
