//! SIP, SIPS and tel URIs: RFC 3261 section 19.1, RFC 3966.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Scheme;
use crate::abi::facts;
use crate::request::Text;

/// A URI as received, still escaped.
///
/// ```
/// use sipward_plugin_sdk::{Scheme, Uri};
/// let uri = Uri::parse(b"sip:+4930123@example.com:5070;user=phone?Subject=x").unwrap();
/// assert_eq!(uri.scheme(), Scheme::Sip);
/// assert_eq!(uri.user(), Some(&b"+4930123"[..]));
/// assert_eq!(uri.host(), b"example.com");
/// assert_eq!(uri.port(), Some(5070));
/// assert_eq!(uri.param(b"USER"), Some(&b"phone"[..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    scheme: Scheme,
    whole: &'a [u8],
    user: Option<&'a [u8]>,
    host: &'a [u8],
    port: Option<u16>,
    params: &'a [u8],
}

impl<'a> Uri<'a> {
    pub(crate) fn new(raw: &facts::Uri, text: Text<'a>) -> Self {
        Self {
            scheme: raw.scheme,
            whole: text.at(raw.whole),
            user: raw.user.get().map(|span| text.at(span)),
            host: text.at(raw.host),
            port: raw.port.get(),
            params: text.at(raw.params),
        }
    }

    /// Parses a URI that stands in a header or in the settings. Unknown schemes
    /// give [`Scheme::Other`] with nothing but [`Uri::whole`]. `None` if a sip,
    /// sips or tel URI is malformed or can be read in two ways.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Scheme, Uri};
    /// assert_eq!(Uri::parse(b"tel:+4930123").unwrap().scheme(), Scheme::Tel);
    /// assert!(Uri::parse(b"sip:a@trusted.example@evil.example").is_none());
    /// ```
    #[must_use]
    pub fn parse(whole: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = split(whole, b':')?;
        let scheme = match scheme {
            name if name.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            name if name.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            name if name.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        if rest
            .iter()
            .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
        {
            return None;
        }
        let uri = Self {
            scheme,
            whole,
            user: None,
            host: b"",
            port: None,
            params: b"",
        };
        match scheme {
            Scheme::Other => Some(uri),
            Scheme::Tel => {
                let (number, params) = split(rest, b';').unwrap_or((rest, b""));
                (!number.is_empty()).then_some(Self {
                    user: Some(number),
                    params,
                    ..uri
                })
            }
            Scheme::Sip | Scheme::Sips => uri.with_authority(rest),
        }
    }

    /// Parses a URI that the host has parsed already: one that we read otherwise is
    /// [`Scheme::Other`].
    pub(crate) fn parse_or_whole(whole: &'a [u8]) -> Self {
        Self::parse(whole).unwrap_or(Self {
            scheme: Scheme::Other,
            whole,
            user: None,
            host: b"",
            port: None,
            params: b"",
        })
    }

    fn with_authority(self, rest: &'a [u8]) -> Option<Self> {
        // Neither host nor parameters nor headers may hold an unescaped "@".
        let (user, rest) = match split(rest, b'@') {
            Some((_, rest)) if rest.contains(&b'@') => return None,
            Some((user_info, rest)) => {
                let user = split(user_info, b':').map_or(user_info, |(user, _password)| user);
                (Some(user).filter(|user| !user.is_empty())?.into(), rest)
            }
            None => (None, rest),
        };
        let rest = split(rest, b'?').map_or(rest, |(rest, _headers)| rest);
        let (host_port, params) = split(rest, b';').unwrap_or((rest, b""));
        let host_len = match host_port.first()? {
            b'[' => host_port
                .iter()
                .position(|byte| *byte == b']')?
                .checked_add(1)?,
            _ => host_port
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(host_port.len()),
        };
        let (host, port) = host_port.split_at_checked(host_len)?;
        let port = match port.split_first() {
            None => None,
            Some((b':', digits)) if digits.iter().all(u8::is_ascii_digit) => {
                Some(core::str::from_utf8(digits).ok()?.parse().ok()?)
            }
            Some(_) => return None,
        };
        (!host.is_empty()).then_some(Self {
            user,
            host,
            port,
            params,
            ..self
        })
    }

    /// Parses the URI out of a header value that is a name-addr or an addr-spec,
    /// as in Refer-To, Contact or P-Asserted-Identity (RFC 3261 section 20.10).
    ///
    /// `None` if the value is malformed, or is a bare address with characters
    /// that need angle brackets and so could be read in two ways.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let value = br#""Doe; \"J\" <x>" <sip:doe@example.com;lr>;tag=1"#;
    /// let uri = Uri::parse_address(value).unwrap();
    /// assert_eq!(uri.whole(), b"sip:doe@example.com;lr");
    /// assert!(Uri::parse_address(b"sip:1;phone-context=+1@example.com").is_none());
    /// ```
    #[must_use]
    pub fn parse_address(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let after_display = match value.split_first() {
            Some((b'"', quoted)) => skip_quoted(quoted)?,
            _ => value,
        };
        if let Some((display, rest)) = split(after_display, b'<') {
            if display.contains(&b'"') {
                return None;
            }
            let (uri, tail) = split(rest, b'>')?;
            let tail = tail.trim_ascii_start();
            return match tail.first() {
                None | Some(b';') => Self::parse(uri.trim_ascii()),
                Some(_) => None,
            };
        }
        if after_display.len() != value.len() {
            return None;
        }
        let bare = split(value, b';').map_or(value, |(uri, _params)| uri);
        if value.iter().any(|byte| matches!(byte, b',' | b'?'))
            || (value.contains(&b'@') && !bare.contains(&b'@'))
        {
            return None;
        }
        Self::parse(bare.trim_ascii())
    }

    /// The scheme.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Scheme, Uri};
    /// assert_eq!(Uri::parse(b"SIPS:bob@example.com").unwrap().scheme(), Scheme::Sips);
    /// ```
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The whole URI.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// assert_eq!(Uri::parse(b"urn:service:sos").unwrap().whole(), b"urn:service:sos");
    /// ```
    #[must_use]
    pub const fn whole(&self) -> &'a [u8] {
        self.whole
    }

    /// The user part, or the number of a `tel:` URI, still escaped and with the
    /// parameters that may stand inside it (RFC 3261 section 19.1.6).
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let uri = Uri::parse(b"sip:b%6Fb:secret@example.com").unwrap();
    /// assert_eq!(uri.user(), Some(&b"b%6Fb"[..]));
    /// ```
    #[must_use]
    pub const fn user(&self) -> Option<&'a [u8]> {
        self.user
    }

    /// The host; IPv6 references keep their brackets. Empty for `tel:`.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// assert_eq!(Uri::parse(b"sip:bob@[2001:db8::1]:5060").unwrap().host(), b"[2001:db8::1]");
    /// ```
    #[must_use]
    pub const fn host(&self) -> &'a [u8] {
        self.host
    }

    /// The port, if written.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// assert_eq!(Uri::parse(b"sip:example.com:5070").unwrap().port(), Some(5070));
    /// assert_eq!(Uri::parse(b"sip:example.com").unwrap().port(), None);
    /// ```
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Everything between the first `;` after the host and `?`, or empty.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let uri = Uri::parse(b"sip:bob@example.com;lr;transport=tcp?Subject=x").unwrap();
    /// assert_eq!(uri.params(), b"lr;transport=tcp");
    /// ```
    #[must_use]
    pub const fn params(&self) -> &'a [u8] {
        self.params
    }

    /// The first parameter of this name, compared without regard to case; empty
    /// if it has no value.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let uri = Uri::parse(b"sip:bob@example.com;lr;transport=tcp").unwrap();
    /// assert_eq!(uri.param(b"Transport"), Some(&b"tcp"[..]));
    /// assert_eq!(uri.param(b"lr"), Some(&b""[..]));
    /// assert_eq!(uri.param(b"maddr"), None);
    /// ```
    #[must_use]
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.params.split(|byte| *byte == b';').find_map(|param| {
            let (key, value) = split(param, b'=').unwrap_or((param, b""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// What a telephone would dial: the user part, or the number of a `tel:` URI,
    /// without escapes, parameters (RFC 3261 section 19.1.6) and the separators of
    /// RFC 3966. It holds digits, `*`, `#` and perhaps a leading `+`.
    ///
    /// `None` if there is no such thing: no user part, other characters, an escape
    /// that is incomplete, more than [`Uri::DIALLED_BYTES`], or a parameter that
    /// makes it another number (`rn`, and `phone-context` without a `+`).
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let dialled = |uri: &str| Uri::parse(uri.as_bytes()).unwrap().dialled();
    /// assert_eq!(dialled("sip:%2b49-30(123);x=y@example.com").as_deref(), Some("+4930123"));
    /// assert_eq!(dialled("tel:*21%23").as_deref(), Some("*21#"));
    /// assert_eq!(dialled("tel:123;phone-context=+49"), None);
    /// assert_eq!(dialled("sip:alice@example.com"), None);
    /// ```
    #[must_use]
    pub fn dialled(&self) -> Option<String> {
        let user = self.user.filter(|user| user.len() <= Self::DIALLED_BYTES)?;
        let (number, user_params) = split(user, b';').unwrap_or((user, b""));
        let decoded = decode_escapes(number)?;
        let mut dialled = String::with_capacity(decoded.len());
        for byte in decoded.iter() {
            match byte {
                b'0'..=b'9' | b'*' | b'#' => dialled.push(char::from(*byte)),
                b'+' if dialled.is_empty() => dialled.push('+'),
                b'-' | b'.' | b'(' | b')' | b' ' => {}
                _ => return None,
            }
        }
        let has = |wanted: &[u8]| {
            let both = [user_params, self.params];
            let mut params = both.into_iter().flat_map(|part| part.split(|b| *b == b';'));
            params.any(|param| {
                let key = split(param, b'=').map_or(param, |(key, _)| key);
                key.eq_ignore_ascii_case(wanted)
            })
        };
        let global = dialled.starts_with('+');
        let another = has(b"rn") || (!global && has(b"phone-context"));
        (!another && dialled.len() > usize::from(global)).then_some(dialled)
    }

    /// Bytes of a user part that [`Uri::dialled`] reads. A number with every
    /// separator and parameter of RFC 3966 has fewer; the rest is an attack.
    ///
    /// ```
    /// use sipward_plugin_sdk::Uri;
    /// let endless = format!("sip:{}@example.com", "1".repeat(Uri::DIALLED_BYTES + 1));
    /// assert_eq!(Uri::parse(endless.as_bytes()).unwrap().dialled(), None);
    /// ```
    pub const DIALLED_BYTES: usize = 256;
}

/// Undoes percent escapes, once. `None` if an escape is incomplete.
///
/// ```
/// use sipward_plugin_sdk::decode_escapes;
/// assert_eq!(decode_escapes(b"%2b49").as_deref(), Some(&b"+49"[..]));
/// assert_eq!(decode_escapes(b"49%2"), None);
/// ```
#[must_use]
pub fn decode_escapes(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(*bytes.next()?)? << 4 | hex_digit(*bytes.next()?)?,
            other => *other,
        });
    }
    Some(Cow::Owned(decoded))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// What stands before and after the first `at`.
fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    let (head, tail) = text.split_at_checked(position)?;
    Some((head, tail.get(1..)?))
}

/// What follows the closing quote of a quoted string (RFC 3261 section 25.1).
fn skip_quoted(quoted: &[u8]) -> Option<&[u8]> {
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'\\' => _ = bytes.next()?,
            b'"' => return Some(bytes.as_slice()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_the_host_is_unambiguous() {
        assert!(Uri::parse(b"sip:a@trusted.com@evil.com").is_none());
        let uri = Uri::parse(b"sip:evil.com;x=@trusted.com").unwrap();
        assert_eq!(
            (uri.user(), uri.host()),
            (Some(&b"evil.com;x="[..]), &b"trusted.com"[..])
        );
        let uri = Uri::parse(b"SIPS:al%40ice:pw@[2001:db8::1]:5061;lr?a=b").unwrap();
        assert_eq!(
            (uri.user(), uri.host()),
            (Some(&b"al%40ice"[..]), &b"[2001:db8::1]"[..])
        );
        assert_eq!((uri.port(), uri.params()), (Some(5061), &b"lr"[..]));
        for wrong in [
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a@h:99999",
            "sip:a@h:1x",
            "sip:a b@h",
            "tel:",
            "nothing",
            "sip:[::1",
        ] {
            assert!(Uri::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_dialled_is_read_in_one_way_or_not_at_all() {
        let dialled = |uri: &str| Uri::parse(uri.as_bytes()).and_then(|uri| uri.dialled());
        for (uri, wanted) in [
            ("sip:0049.30-12@h", "00493012"),
            ("sip:+49%33@h;user=phone", "+493"),
            ("sip:+4930;phone-context=+1@h", "+4930"),
            ("tel:110", "110"),
            ("sip:%2a43%23@h", "*43#"),
        ] {
            assert_eq!(dialled(uri).as_deref(), Some(wanted), "{uri}");
        }
        for wrong in [
            "sip:h",
            "sip:+@h",
            "sip:-@h",
            "sip:1+2@h",
            "sip:bob@h",
            "sip:1%2@h",
            "sip:%2531@h",
            "sip:\u{663}@h",
            "sip:30;Phone-Context=+49@h",
            "sip:30@h;phone-context=example.com",
            "sip:+4930;rn=+4990@h",
            "sip:+4930@h;RN=+4990",
            "urn:service:sos",
        ] {
            assert_eq!(dialled(wrong), None, "{wrong}");
        }
        let digits = |count: usize| format!("sip:{}@h", "1".repeat(count));
        assert!(dialled(&digits(256)).is_some() && dialled(&digits(257)).is_none());
    }

    #[test]
    fn tel_keeps_its_parameters() {
        let uri = Uri::parse(b"tel:7042;phone-context=example.com").unwrap();
        assert_eq!(
            (uri.user(), uri.param(b"phone-context")),
            (Some(&b"7042"[..]), Some(&b"example.com"[..]))
        );
        assert_eq!(
            Uri::parse(b"urn:service:sos").unwrap().scheme(),
            Scheme::Other
        );
    }

    #[test]
    fn addresses() {
        let whole =
            |value: &'static str| Uri::parse_address(value.as_bytes()).map(|uri| uri.whole());
        assert_eq!(whole("<sip:a@h>"), Some(&b"sip:a@h"[..]));
        assert_eq!(whole(" Bob  < sip:a@h > ; x=1"), Some(&b"sip:a@h"[..]));
        assert_eq!(whole("sip:a@h;tag=1"), Some(&b"sip:a@h"[..]));
        assert_eq!(
            whole("<sip:a@h?Replaces=1%3Bto-tag=2>"),
            Some(&b"sip:a@h?Replaces=1%3Bto-tag=2"[..])
        );
        for wrong in [
            "<sip:a@h",
            "\"x <sip:a@h>",
            "<sip:a@h> <sip:b@h>",
            "sip:a@h?x=1",
            "sip:a@h,sip:b@h",
            "\"x\" sip:a@h",
            "",
        ] {
            assert_eq!(whole(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(decode_escapes(b"%2541").as_deref(), Some(&b"%41"[..]));
        assert_eq!(decode_escapes(b"%zz"), None);
        assert_eq!(decode_escapes(b"%"), None);
    }
}
