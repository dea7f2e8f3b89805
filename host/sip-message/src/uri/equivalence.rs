//! When two URIs are the same: RFC 3261 section 19.1.4, RFC 3966 section 4.

use super::{Scheme, Uri, params};

/// Parameters that must match even when only one URI has them.
const DECISIVE: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

pub(super) fn equivalent(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    // Also of a URI that contradicts itself, with one parameter twice.
    if one.raw == two.raw {
        return true;
    }
    if one.scheme != two.scheme {
        return false;
    }
    match one.scheme {
        Scheme::Other => false,
        Scheme::Tel => {
            let same_number = match (one.number(), two.number()) {
                (Some(one), Some(two)) => digits(one).eq(digits(two)),
                _ => false,
            };
            same_number && subset(one, two) && subset(two, one)
        }
        Scheme::Sip | Scheme::Sips => {
            same_escaped(one.user, two.user)
                && same_escaped(one.password, two.password)
                && one.host.same(&two.host)
                && one.port == two.port
                && params_agree(one, two)
                && params_agree(two, one)
                && headers_within(one.headers, two.headers)
                && headers_within(two.headers, one.headers)
        }
    }
}

/// A number without visual separators, in lower case.
fn digits(number: &[u8]) -> impl Iterator<Item = u8> {
    number
        .iter()
        .filter(|byte| !b"-.()".contains(byte))
        .map(u8::to_ascii_lowercase)
}

fn subset(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    params(one.params).all(|(name, value)| match (value, two.param(name)) {
        (None, Some(None)) => true,
        (Some(one), Some(Some(two))) => one.eq_ignore_ascii_case(two),
        _ => false,
    })
}

/// Each parameter of `one` that `two` has too has the same value, and decisive ones are there.
fn params_agree(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    params(one.params).all(|(name, value)| match two.param(name) {
        None => !DECISIVE
            .iter()
            .any(|decisive| decisive.eq_ignore_ascii_case(name)),
        Some(other) => match (value, other) {
            (None, None) => true,
            (Some(one), Some(two)) => unescaped(one).map(lower).eq(unescaped(two).map(lower)),
            _ => false,
        },
    })
}

fn headers_within(one: &[u8], two: &[u8]) -> bool {
    let split = |text: &'_ [u8]| text.to_vec();
    let other = split(two);
    one.split(|byte| *byte == b'&').all(|header| {
        header.is_empty()
            || other.split(|byte| *byte == b'&').any(|candidate| {
                unescaped(header)
                    .map(lower)
                    .eq(unescaped(candidate).map(lower))
            })
    })
}

fn same_escaped(one: Option<&[u8]>, two: Option<&[u8]>) -> bool {
    match (one, two) {
        (None, None) => true,
        (Some(one), Some(two)) => unescaped(one).eq(unescaped(two)),
        _ => false,
    }
}

/// A decoded byte, and whether it was escaped although it is reserved: `%3B` is not `;`.
type Unit = (u8, bool);

fn lower((byte, escaped): Unit) -> Unit {
    (byte.to_ascii_lowercase(), escaped)
}

fn unescaped(text: &[u8]) -> impl Iterator<Item = Unit> {
    let mut rest = text;
    std::iter::from_fn(move || match rest {
        [b'%', high, low, after @ ..] => {
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            rest = after;
            let byte = u8::try_from(high * 16 + low).ok()?;
            Some((byte, b";/?:@&=+$,".contains(&byte)))
        }
        [byte, after @ ..] => {
            rest = after;
            Some((*byte, false))
        }
        [] => None,
    })
}
