//! Finds the code in what was dialled, and takes it out.

use sipward_plugin_sdk::{Scheme, SettingsError, Uri};

/// Bytes of what stands before the code, and between it and the number. 8: a service
/// code with its stars.
const LITERAL_BYTES: usize = 8;

/// Bytes of a user part that are looked at. A code and a number with every separator
/// and parameter of RFC 3966 have fewer; the rest is an attack.
const USER_BYTES: usize = 256;

/// Bytes of one secret: what the host accepts. What is longer is concealed in pieces.
const SECRET_PIECE: usize = 48;

/// How code and number are dialled.
pub(crate) struct Pattern {
    before: Vec<u8>,
    between: Vec<u8>,
    min_digits: usize,
    max_digits: usize,
}

/// What a user part is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// There is no code in it.
    Plain,
    /// A code and a number.
    Coded(Coded),
    /// Something like a code, but not in the right form. It is not forwarded.
    Broken {
        /// What must not be shown.
        secrets: Vec<String>,
    },
}

/// A code and a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    /// The code.
    pub(crate) code: String,
    /// The number: digits, perhaps after a `+`.
    pub(crate) number: String,
    /// What must not be shown: the code, and the code as it was written.
    pub(crate) secrets: Vec<String>,
    /// Parameters inside the user part, with their `;`.
    params: String,
}

/// A byte of a user part, and where it stands there.
struct Decoded {
    byte: u8,
    start: usize,
    end: usize,
}

impl Pattern {
    pub(crate) fn new(
        pattern: &str,
        min_digits: u8,
        max_digits: u8,
    ) -> Result<Self, SettingsError> {
        let wrong = |message: String| Err(SettingsError::new("pattern", message));
        let parts = pattern
            .split_once("<code>")
            .and_then(|(before, rest)| Some((before, rest.strip_suffix("<number>")?)));
        let Some((before, between)) = parts else {
            return wrong(format!("`{pattern}` has to be like `*<code>*<number>`"));
        };
        let dialled = |byte: u8| matches!(byte, b'0'..=b'9' | b'*' | b'#');
        for literal in [before, between] {
            if !(1..=LITERAL_BYTES).contains(&literal.len()) || !literal.bytes().all(dialled) {
                return wrong(format!(
                    "`{literal}` has to be 1 to {LITERAL_BYTES} of `*`, `#` and digits"
                ));
            }
        }
        if !between.starts_with(['*', '#']) {
            return wrong(format!(
                "`{between}` has to begin with `*` or `#`, so that the code has an end"
            ));
        }
        for (key, digits, least) in [
            ("min_digits", min_digits, 4),
            ("max_digits", max_digits, min_digits),
        ] {
            if !(least..=16).contains(&digits) {
                let message = format!("is {digits}; {least} to 16 is possible");
                return Err(SettingsError::new(key, message));
            }
        }
        Ok(Self {
            before: before.as_bytes().to_vec(),
            between: between.as_bytes().to_vec(),
            min_digits: min_digits.into(),
            max_digits: max_digits.into(),
        })
    }

    /// What the user part of a URI is.
    pub(crate) fn read(&self, uri: &Uri<'_>) -> Shape {
        let user = uri.user().unwrap_or_default();
        let end = user.iter().position(|byte| *byte == b';');
        let (number, params) = user
            .split_at_checked(end.unwrap_or(user.len()))
            .unwrap_or((user, b""));
        let decoded = match decode(number) {
            Some(decoded) if user.len() <= USER_BYTES => decoded,
            // Nobody can say what this is, so all of it might be a code.
            _ if user.len() > USER_BYTES || number.contains(&b'%') => {
                let shown = user.get(..USER_BYTES).unwrap_or(user);
                return Shape::Broken {
                    secrets: pieces(shown),
                };
            }
            _ => return Shape::Plain,
        };
        let Some(rest) = strip(&decoded, &self.before) else {
            return Shape::Plain;
        };
        let between = rest
            .windows(self.between.len())
            .position(|window| window.iter().map(|d| &d.byte).eq(&self.between));
        let Some(at) = between else {
            return self.without_number(rest, number);
        };
        let (code, number_part) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        let dialled = strip(number_part, &self.between).unwrap_or_default();
        let digits = code.iter().all(|d| d.byte.is_ascii_digit());
        if digits && code.len() < self.min_digits {
            // A service code such as `*21*...`: no code is so short.
            return Shape::Plain;
        }
        let secrets = secrets(code, number);
        let (code, dialled) = (text(code), plain_number(dialled));
        let params = String::from_utf8(params.to_vec()).ok();
        match (code, dialled, params) {
            (Some(code), Some(dialled), Some(params))
                if digits && code.len() <= self.max_digits =>
            {
                Shape::Coded(Coded {
                    code,
                    number: dialled,
                    secrets,
                    params,
                })
            }
            _ => Shape::Broken { secrets },
        }
    }

    /// No end of a code was found: it is one without a number if it is long enough.
    fn without_number(&self, rest: &[Decoded], number: &[u8]) -> Shape {
        let digits = rest.iter().filter(|d| d.byte.is_ascii_digit()).count();
        match digits < self.min_digits {
            true => Shape::Plain,
            false => Shape::Broken {
                secrets: secrets(rest, number),
            },
        }
    }

    /// Whether a text of a header holds what was dialled up to the number.
    pub(crate) fn stands_in(&self, code: &str, value: &[u8]) -> bool {
        let dialled = [&self.before[..], code.as_bytes(), &self.between].concat();
        let holds = |text: &[u8]| text.windows(dialled.len()).any(|window| window == dialled);
        holds(value) || holds(&decode_leniently(value))
    }
}

impl Coded {
    /// The URI without the code.
    pub(crate) fn clean(&self, uri: &Uri<'_>) -> Option<String> {
        let params = std::str::from_utf8(uri.params()).ok()?;
        let params = match params.is_empty() {
            true => String::new(),
            false => format!(";{params}"),
        };
        let user = format!("{}{}", self.number, self.params);
        let scheme = match uri.scheme() {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => return Some(format!("tel:{user}{params}")),
            Scheme::Other => return None,
        };
        let host = std::str::from_utf8(uri.host()).ok()?;
        let port = uri
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        Some(format!("{scheme}:{user}@{host}{port}{params}"))
    }
}

/// Undoes escapes and keeps places; `None` if an escape is incomplete.
fn decode(text: &[u8]) -> Option<Vec<Decoded>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (byte, end) = match byte {
            b'%' => {
                let digits = std::str::from_utf8(text.get(at + 1..at + 3)?).ok()?;
                let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let byte = u8::from_str_radix(digits, 16)
                    .ok()
                    .filter(|_| hexadecimal)?;
                (byte, at + 3)
            }
            other => (*other, at + 1),
        };
        decoded.push(Decoded {
            byte,
            start: at,
            end,
        });
        at = end;
    }
    Some(decoded)
}

/// Undoes the escapes that are complete, and leaves the others as they are.
fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escape = text.get(at..at + 3).filter(|_| *byte == b'%');
        match escape.and_then(decode).as_deref() {
            Some([one]) => {
                decoded.push(one.byte);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

/// What follows a literal.
fn strip<'d>(decoded: &'d [Decoded], literal: &[u8]) -> Option<&'d [Decoded]> {
    let (head, rest) = decoded.split_at_checked(literal.len())?;
    head.iter().map(|d| &d.byte).eq(literal).then_some(rest)
}

fn text(decoded: &[Decoded]) -> Option<String> {
    String::from_utf8(decoded.iter().map(|d| d.byte).collect()).ok()
}

/// A number without separators: digits, perhaps after a `+`.
fn plain_number(decoded: &[Decoded]) -> Option<String> {
    let mut number = String::with_capacity(decoded.len());
    for Decoded { byte, .. } in decoded {
        match byte {
            b'0'..=b'9' => number.push(char::from(*byte)),
            b'+' if number.is_empty() => number.push('+'),
            b'-' | b'.' | b'(' | b')' | b' ' => {}
            _ => return None,
        }
    }
    number
        .ends_with(|last: char| last.is_ascii_digit())
        .then_some(number)
}

/// A code as it is and as it was written.
fn secrets(code: &[Decoded], written: &[u8]) -> Vec<String> {
    let bytes: Vec<u8> = code.iter().map(|d| d.byte).collect();
    let mut secrets = pieces(&bytes);
    let bounds = code.first().zip(code.last());
    let raw = bounds.and_then(|(first, last)| written.get(first.start..last.end));
    for piece in raw.map(pieces).unwrap_or_default() {
        if !secrets.contains(&piece) {
            secrets.push(piece);
        }
    }
    secrets
}

/// Secrets of the length that a host accepts. What is shorter than 4 bytes is none.
fn pieces(secret: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(secret);
    let mut pieces = Vec::new();
    let mut rest: &str = &text;
    // The last piece is never too short: it has more than the 64 less 48 bytes.
    while rest.len() > 64 {
        let (piece, tail) = rest.split_at(rest.floor_char_boundary(SECRET_PIECE));
        pieces.push(piece.to_owned());
        rest = tail;
    }
    if rest.len() >= 4 {
        pieces.push(rest.to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(user: &str) -> Shape {
        let pattern = Pattern::new("*<code>*<number>", 4, 8).unwrap();
        let uri = format!("sip:{user}@example.com:5070;user=phone");
        pattern.read(&Uri::parse(uri.as_bytes()).unwrap())
    }

    #[test]
    fn codes_are_found_and_taken_out() {
        for (user, code, number) in [
            ("*1234*0900123", "1234", "0900123"),
            ("*12345678*+49900", "12345678", "+49900"),
            ("%2a1%3234%2A0900", "1234", "0900"),
            ("*1234*09-00(1)", "1234", "09001"),
        ] {
            let Shape::Coded(coded) = read(user) else {
                panic!("{user}")
            };
            assert_eq!((coded.code.as_str(), coded.number.as_str()), (code, number));
        }
        let uri = Uri::parse(b"sip:*1234*0900;x=y@[::1]:5070;user=phone?a=b").unwrap();
        let pattern = Pattern::new("*<code>*<number>", 4, 8).unwrap();
        let Shape::Coded(coded) = pattern.read(&uri) else {
            panic!()
        };
        assert_eq!(
            coded.clean(&uri).unwrap(),
            "sip:0900;x=y@[::1]:5070;user=phone"
        );
        let tel = Uri::parse(b"tel:*1234*0900;phone-context=+49").unwrap();
        let Shape::Coded(coded) = pattern.read(&tel) else {
            panic!()
        };
        assert_eq!(coded.clean(&tel).unwrap(), "tel:0900;phone-context=+49");
    }

    #[test]
    fn what_is_no_code_is_left_alone() {
        for user in [
            "0900",
            "+49*1234*0900",
            "*43",
            "*21*0900",
            "*123*0900",
            "#31#0900",
            "*123",
            "bob",
        ] {
            assert_eq!(read(user), Shape::Plain, "{user}");
        }
    }

    #[test]
    fn what_could_be_a_code_is_not_forwarded() {
        for (user, secret) in [
            ("*1234", "1234"),
            ("*12340900123456", "12340900123456"),
            ("*123456789*0900", "123456789"),
            ("*12a4*0900", "12a4"),
            ("*12-34*0900", "12-34"),
            ("*1234*", "1234"),
            ("*1234**21*0900", "1234"),
            ("*1234*bob", "1234"),
            ("*1234*+", "1234"),
            ("*1234*0900%2", "*1234*0900%2"),
        ] {
            let Shape::Broken { secrets } = read(user) else {
                panic!("{user}")
            };
            assert_eq!(secrets.first().map(String::as_str), Some(secret), "{user}");
        }
    }

    #[test]
    fn secrets_are_what_was_meant_and_what_was_written() {
        let Shape::Coded(coded) = read("*1%3234*0900") else {
            panic!()
        };
        assert_eq!(coded.secrets, ["1234", "1%3234"]);
        let long = "*".to_owned() + &"7".repeat(255);
        let Shape::Broken { secrets } = read(&long) else {
            panic!()
        };
        assert_eq!(secrets.concat().len(), 255);
        assert!(
            secrets
                .iter()
                .all(|secret| (4..=64).contains(&secret.len()))
        );
        let Shape::Broken { secrets } = read(&"7".repeat(257)) else {
            panic!()
        };
        assert!(secrets.len() <= 8);
    }

    #[test]
    fn other_headers_are_searched_with_and_without_escapes() {
        let pattern = Pattern::new("*<code>*<number>", 4, 8).unwrap();
        for value in [
            "<sip:*1234*0900@h>",
            "<sip:%2A1234%2a0900@h>",
            "100%<*1234*>",
        ] {
            assert!(pattern.stands_in("1234", value.as_bytes()), "{value}");
        }
        assert!(!pattern.stands_in("1234", b"call-1234"));
    }
}
