//! Addresses as callers write them: RFC 3261 section 20, RFC 3323, RFC 3966.

use std::borrow::Cow;

use sipward_plugin_sdk::{Scheme, Uri, decode_escapes, numbers};

/// Bytes of a number or user name that are looked at. 64: no number has more, and
/// longer names are nobody's.
const USER_BYTES: usize = 64;

/// How numbers are written here.
pub(crate) struct Plan {
    pub(crate) region: String,
    pub(crate) local_digits: usize,
}

/// A name-addr taken apart.
pub(crate) struct Address<'a> {
    pub(crate) uri: Uri<'a>,
    pub(crate) display: Option<&'a [u8]>,
}

impl<'a> Address<'a> {
    /// A header value; `None` if it is malformed.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let uri = Uri::parse_address(value)?;
        let display = display_of(value.trim_ascii()).filter(|name| !name.is_empty());
        Some(Self { uri, display })
    }
}

/// What stands before the `<` of a name-addr, without its quotes; all of it if more
/// than a quoted string does.
fn display_of(value: &[u8]) -> Option<&[u8]> {
    let bracket = |text: &[u8]| text.iter().position(|byte| *byte == b'<');
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return value.get(..bracket(value)?).map(<[u8]>::trim_ascii);
    };
    let mut escaped = false;
    let end = quoted.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    let (name, tail) = quoted.split_at_checked(end)?;
    let tail = tail.get(1..)?;
    let between = tail.get(..bracket(tail)?)?.trim_ascii();
    match between.is_empty() {
        true => Some(name),
        false => Some(value),
    }
}

impl Plan {
    /// The number of an address in E.164 where it is one, an extension or a user name
    /// as it stands; `None` if it has none, or one that cannot be written again.
    pub(crate) fn number(&self, uri: &Uri<'_>) -> Option<String> {
        if uri.scheme() == Scheme::Other {
            return None;
        }
        let user = uri.user()?;
        let end = user.iter().position(|byte| *byte == b';');
        let (user, params) = user.split_at(end.unwrap_or(user.len()));
        let decoded = decode_escapes(user)?;
        if decoded.is_empty() || decoded.len() > USER_BYTES || !decoded.iter().all(in_user) {
            return None;
        }
        let text = std::str::from_utf8(&decoded).ok()?;
        let digits = text.strip_prefix('+').unwrap_or(text);
        let dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'(' | b')');
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '(')
            || !digits.bytes().all(dialled)
        {
            return Some(text.to_owned());
        }
        let number: String = text
            .chars()
            .filter(|character| character.is_ascii_digit() || *character == '+')
            .collect();
        if number.starts_with('+') {
            return Some(number);
        }
        let context = param(params, b"phone-context").or_else(|| uri.param(b"phone-context"));
        match context.map(decode_escapes) {
            Some(Some(context)) if context.first() == Some(&b'+') => {
                let context = std::str::from_utf8(&context).ok()?;
                let context = context.get(1..)?;
                return context
                    .bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| format!("+{context}{number}"));
            }
            Some(None) => return None,
            _ => {}
        }
        if number.len() <= self.local_digits {
            return Some(number);
        }
        match numbers::parse(&number, &self.region) {
            Ok(parsed) => Some(parsed.e164),
            Err(_) => Some(number),
        }
    }

    /// Whether a user part means a number that others could call back.
    pub(crate) fn is_number(&self, number: &str) -> bool {
        let digits = number.strip_prefix('+').unwrap_or(number);
        digits.len() > self.local_digits && digits.bytes().all(|byte| byte.is_ascii_digit())
    }
}

fn param<'a>(params: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    params.split(|byte| *byte == b';').find_map(|param| {
        let end = param.iter().position(|byte| *byte == b'=');
        let (key, value) = param.split_at(end.unwrap_or(param.len()));
        key.eq_ignore_ascii_case(name)
            .then(|| value.get(1..).unwrap_or_default())
    })
}

/// Characters of users that we write again without escapes (RFC 3261 section 25.1,
/// `unreserved` and `+`).
pub(crate) fn in_user(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-_.!~*'()".contains(byte)
}

/// Whether an address says that its caller is anonymous (RFC 3323 section 4.1.1.3).
pub(crate) fn is_anonymous(uri: &Uri<'_>) -> bool {
    uri.host().eq_ignore_ascii_case(b"anonymous.invalid")
        || uri
            .user()
            .is_some_and(|user| user.eq_ignore_ascii_case(b"anonymous"))
}

/// A display name to compare: without escapes and spaces around, in lower case.
pub(crate) fn comparable(display: &[u8]) -> String {
    let text = String::from_utf8_lossy(display);
    let text: Cow<'_, str> = match text.contains('\\') {
        false => text,
        true => {
            let mut plain = String::with_capacity(text.len());
            let mut characters = text.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => plain.extend(characters.next()),
                    other => plain.push(other),
                }
            }
            plain.into()
        }
    };
    text.trim().to_lowercase()
}

/// An address to show. `number` is of characters that [`in_user`] takes.
pub(crate) fn written(name: Option<&str>, number: &str, domain: &str) -> String {
    let phone = match number.starts_with('+') {
        true => ";user=phone",
        false => "",
    };
    match name {
        Some(name) => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <sip:{number}@{domain}{phone}>")
        }
        None => format!("<sip:{number}@{domain}{phone}>"),
    }
}

/// What a caller asks for in Privacy (RFC 3323 section 4.2, RFC 3325 section 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privacy {
    /// Somebody downstream must not learn who calls: `id`, `user` or `header`.
    pub(crate) hides: bool,
}

impl Privacy {
    /// Reads the values of Privacy; `critical`, `session` and `history` say nothing
    /// about the caller's number.
    pub(crate) fn new(values: &[Vec<u8>]) -> Self {
        let mut tokens = values
            .iter()
            .flat_map(|value| value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii));
        let asks = |token: &[u8]| {
            [&b"id"[..], b"user", b"header"]
                .iter()
                .any(|name| token.eq_ignore_ascii_case(name))
        };
        Self {
            hides: tokens.any(asks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (value, display, uri) in [
            ("<sip:a@h>", None, "sip:a@h"),
            ("Alice <sip:a@h>;x=1", Some("Alice"), "sip:a@h"),
            ("\"Alice <A>\" <sip:a@h>", Some("Alice <A>"), "sip:a@h"),
            ("\"A \\\"B\\\"\" <sip:a@h>", Some("A \\\"B\\\""), "sip:a@h"),
            ("sip:a@h;tag=1", None, "sip:a@h"),
            ("\"\" <tel:+49>", None, "tel:+49"),
            ("\"sip:a@h CEO\" <sip:a@h>", Some("sip:a@h CEO"), "sip:a@h"),
            (
                "\"A\" CEO <sip:a@h>",
                Some("\"A\" CEO <sip:a@h>"),
                "sip:a@h",
            ),
        ] {
            let address = Address::parse(value.as_bytes()).unwrap();
            assert_eq!(address.display, display.map(str::as_bytes), "{value}");
            assert_eq!(address.uri.whole(), uri.as_bytes());
        }
        assert!(Address::parse(b"\"x <sip:a@h>").is_none());
    }

    #[test]
    fn names_are_compared_without_escapes() {
        assert_eq!(comparable(b" Alice \\\"A\\\" "), "alice \"a\"");
        assert_eq!(comparable("ÄRZTE".as_bytes()), "ärzte");
        assert_eq!(comparable(b"x\\"), "x");
    }

    #[test]
    fn names_are_written_with_escapes() {
        assert_eq!(
            written(Some("A \"B\" \\"), "+49", "h"),
            "\"A \\\"B\\\" \\\\\" <sip:+49@h;user=phone>"
        );
        assert_eq!(written(None, "101", "h"), "<sip:101@h>");
    }

    #[test]
    fn privacy_is_read() {
        let hides = |value: &str| Privacy::new(&[value.as_bytes().to_vec()]).hides;
        for (value, expected) in [
            ("id", true),
            ("ID;critical", true),
            ("header; user", true),
            ("none", false),
            ("session;critical", false),
            ("idx", false),
            ("", false),
        ] {
            assert_eq!(hides(value), expected, "{value}");
        }
    }
}
