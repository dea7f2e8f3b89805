//! Whether a digest-uri is the Request-URI: RFC 7616 section 3.4.6, RFC 3261
//! sections 22.4 and 19.1.4.
//!
//! A response is only worth something for the URI that it was computed for. So
//! scheme, user, host and port must be the same, and so must every parameter that
//! both have and those that may not stand on one side alone (`user`, `ttl`,
//! `method`, `maddr`). Forgiven are differences that name the same resource:
//! bytes as they are or escaped, the case of host and scheme, the default port
//! written or not, other parameters on one side (`transport`, `lr`, ...), and
//! headers, which a Request-URI cannot have.

/// Parameters that never match when they stand on one side alone.
const BOTH_OR_NONE: [&[u8]; 4] = [b"user", b"ttl", b"method", b"maddr"];

/// Parameters of a URI that are compared: more is refused, as comparing them is
/// quadratic.
const PARAMETERS: usize = 32;

/// Whether both name the same resource.
pub(crate) fn is_same(digest_uri: &[u8], request_uri: &[u8]) -> bool {
    if digest_uri == request_uri {
        return true;
    }
    match (Parts::of(digest_uri), Parts::of(request_uri)) {
        (Some(one), Some(two)) => one.is_same(&two),
        // `tel:` and others: the case of letters has no meaning in them.
        (None, None) => digest_uri.eq_ignore_ascii_case(request_uri),
        _ => false,
    }
}

/// A SIP or SIPS URI taken apart.
struct Parts<'a> {
    secure: bool,
    user: Option<&'a [u8]>,
    host: &'a [u8],
    port: Option<u16>,
    params: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(uri: &'a [u8]) -> Option<Self> {
        let colon = uri.iter().position(|&byte| byte == b':')?;
        let (scheme, rest) = uri.split_at(colon);
        let secure = match scheme.to_ascii_lowercase().as_slice() {
            b"sip" => false,
            b"sips" => true,
            _ => return None,
        };
        let rest = rest.get(1..)?;
        let (user, rest) = match rest.iter().position(|&byte| byte == b'@') {
            Some(at) => (rest.get(..at), rest.get(at + 1..)?),
            None => (None, rest),
        };
        // A second `@` is read differently by different readers.
        if rest.contains(&b'@') {
            return None;
        }
        let rest = split_at_byte(rest, b'?').0;
        let (host_port, params) = split_at_byte(rest, b';');
        let host_end = match host_port.first()? {
            b'[' => host_port.iter().position(|&byte| byte == b']')? + 1,
            _ => split_at_byte(host_port, b':').0.len(),
        };
        let (host, port) = host_port.split_at_checked(host_end)?;
        let port = match port.strip_prefix(b":") {
            Some(digits) => Some(std::str::from_utf8(digits).ok()?.parse().ok()?),
            None if port.is_empty() => None,
            None => return None,
        };
        Some(Self {
            secure,
            user,
            host,
            port,
            params,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        let default = if self.secure { 5061 } else { 5060 };
        self.secure == other.secure
            && match (self.user, other.user) {
                (Some(one), Some(two)) => is_same_text(one, two, false),
                (None, None) => true,
                _ => false,
            }
            && is_same_text(self.host, other.host, true)
            && self.port.unwrap_or(default) == other.port.unwrap_or(default)
            && self.params().count() <= PARAMETERS
            && other.params().count() <= PARAMETERS
            && self.agrees_with(other)
            && other.agrees_with(self)
    }

    fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.params
            .split(|&byte| byte == b';')
            .filter(|param| !param.is_empty())
            .map(|param| split_at_byte(param, b'='))
    }

    fn agrees_with(&self, other: &Self) -> bool {
        self.params().all(|(name, value)| {
            match other
                .params()
                .find(|(known, _)| is_same_text(known, name, true))
            {
                Some((_, theirs)) => is_same_text(value, theirs, true),
                None => !BOTH_OR_NONE
                    .iter()
                    .any(|strict| is_same_text(strict, name, true)),
            }
        })
    }
}

/// What stands before the first such byte, and what after it.
fn split_at_byte(bytes: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|&found| found == byte) {
        Some(at) => (
            bytes.get(..at).unwrap_or_default(),
            bytes.get(at + 1..).unwrap_or_default(),
        ),
        None => (bytes, &[]),
    }
}

/// Equality after undoing escapes of characters that need none.
fn is_same_text(one: &[u8], two: &[u8], ignore_case: bool) -> bool {
    let fold = move |(byte, escaped): (u8, bool)| {
        if ignore_case && !escaped {
            (byte.to_ascii_lowercase(), escaped)
        } else {
            (byte, escaped)
        }
    };
    Unescape(one).map(fold).eq(Unescape(two).map(fold))
}

/// Bytes, and whether each is an escape that means something else than the
/// character itself would.
struct Unescape<'a>(&'a [u8]);

impl Iterator for Unescape<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<Self::Item> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (nibble(*high), nibble(*low))
        {
            self.0 = rest;
            let byte = high << 4 | low;
            let unreserved = byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
            return Some((byte, !unreserved));
        }
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((byte, false))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forgives_what_names_the_same() {
        for (one, two) in [
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com"),
            ("sip:bob@biloxi.com", "SIP:bob@BILOXI.com"),
            ("sip:b%6fb@biloxi.com", "sip:bob@biloxi.com"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sips:bob@biloxi.com:5061", "sips:bob@biloxi.com"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=tcp"),
            ("sip:bob@biloxi.com;lr", "sip:bob@biloxi.com;Transport=TCP"),
            ("sip:[2001:DB8::1]:5060", "sip:[2001:db8::1]"),
            ("sip:b@h;user=phone;x=1", "sip:b@h;X=1;user=phone"),
            ("sip:b%3bc@h", "sip:b%3Bc@h"),
            ("tel:+1201", "TEL:+1201"),
        ] {
            assert!(is_same(one.as_bytes(), two.as_bytes()), "{one} {two}");
            assert!(is_same(two.as_bytes(), one.as_bytes()), "{two} {one}");
        }
    }

    #[test]
    fn refuses_what_does_not() {
        for (one, two) in [
            ("sip:bob@biloxi.com", "sip:Bob@biloxi.com"),
            ("sip:bob@biloxi.com", "sip:biloxi.com"),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5070"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com.evil"),
            ("sip:bob@biloxi.com", "sip:bob@evil@biloxi.com"),
            ("sip:1@h", "sip:1;phone-context=x@h"),
            ("sip:1@h;user=phone", "sip:1@h"),
            ("sip:1@h;maddr=1.2.3.4", "sip:1@h"),
            ("sip:1@h;transport=tcp", "sip:1@h;transport=udp"),
            ("sip:b;c@h", "sip:b%3bc@h"),
            ("sip:h", "sip:"),
            ("sip:h:x", "sip:h"),
            ("sip:h:99999", "sip:h"),
            ("tel:+1201", "tel:+1202"),
            ("tel:+1201", "sip:+1201@h"),
            ("", "sip:h"),
        ] {
            assert!(!is_same(one.as_bytes(), two.as_bytes()), "{one} {two}");
            assert!(!is_same(two.as_bytes(), one.as_bytes()), "{two} {one}");
        }
    }

    #[test]
    fn the_parameter_limit_on_both_sides() {
        let many = |count| format!("sip:h{}", ";p".repeat(count));
        assert!(is_same(many(PARAMETERS).as_bytes(), b"sip:h"));
        assert!(!is_same(many(PARAMETERS + 1).as_bytes(), b"sip:h"));
    }

    proptest! {
        #[test]
        fn symmetric_and_never_panics(one in "sip:[a@:;=?%\\[\\]0-9]{0,30}", two in "sip:[a@:;=?%\\[\\]0-9]{0,30}") {
            prop_assert_eq!(
                is_same(one.as_bytes(), two.as_bytes()),
                is_same(two.as_bytes(), one.as_bytes())
            );
        }
    }
}
