//! What was dialled, as far as hours depend on it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sipward_plugin_sdk::numbers::{self, NumberClass};
use sipward_plugin_sdk::{Scheme, Uri, decode_escapes};

/// Bytes of a number that are looked at. 64: E.164 has 15 digits, and separators.
const NUMBER_BYTES: usize = 64;

/// How numbers are dialled here.
pub(crate) struct Plan {
    emergency: BTreeSet<String>,
    region: String,
    local_digits: usize,
    /// Whether any rule is for more than beginnings of local numbers, so that the
    /// host has to be asked.
    understands: bool,
}

/// A destination.
#[derive(Debug)]
pub(crate) struct Destination {
    /// `+` and digits, or what was dialled without separators.
    pub(crate) text: String,
    /// The class; none of local numbers and names.
    pub(crate) class: Option<NumberClass>,
    /// ISO 3166-1 alpha-2; empty if unknown.
    pub(crate) country: String,
    /// It is in another country than ours, or in none that anybody knows.
    pub(crate) foreign: bool,
}

impl Plan {
    pub(crate) const fn new(
        emergency: BTreeSet<String>,
        region: String,
        local_digits: usize,
        understands: bool,
    ) -> Self {
        Self {
            emergency,
            region,
            local_digits,
            understands,
        }
    }

    /// Whether a call goes to an emergency service: a configured number, dialled so
    /// and with nothing beside it that could lead elsewhere, or RFC 5031.
    pub(crate) fn is_emergency(&self, uri: &Uri<'_>) -> bool {
        if uri.scheme() == Scheme::Other {
            let whole = uri.whole();
            let sos = b"urn:service:sos";
            let (head, tail) = whole.split_at_checked(sos.len()).unwrap_or((whole, b""));
            return head.eq_ignore_ascii_case(sos) && matches!(tail.first(), None | Some(b'.'));
        }
        let Some(user) = uri.user() else {
            return false;
        };
        let (number, params) = parts(user);
        let leads_elsewhere = |params: &[u8]| param(params, b"rn").is_some();
        plain(number).is_some_and(|number| self.emergency.contains(&*number))
            && !leads_elsewhere(params)
            && !leads_elsewhere(uri.params())
    }

    /// Every way in which an address can be read: the number, the number in the
    /// context that it names (RFC 3966 section 5.1.5), the routing number (RFC 4694).
    pub(crate) fn readings(&self, uri: &Uri<'_>) -> Vec<Destination> {
        let (number, params) = parts(uri.user().unwrap_or_default());
        let lookup = |name: &[u8]| param(params, name).or_else(|| param(uri.params(), name));
        let number = match plain(number) {
            Some(number) => number,
            None => String::from_utf8_lossy(number),
        };
        let mut readings = vec![self.understand(&number)];
        if let Some(context) = lookup(b"phone-context").and_then(plain)
            && context.starts_with('+')
            && !number.starts_with('+')
        {
            readings.push(self.understand(&format!("{context}{number}")));
        }
        if let Some(routing) = lookup(b"rn").and_then(plain) {
            readings.push(self.understand(&routing));
        }
        readings
    }

    fn understand(&self, text: &str) -> Destination {
        let text = text
            .get(..text.floor_char_boundary(NUMBER_BYTES))
            .unwrap_or(text);
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_local = digits.len() == text.len() && digits.len() <= self.local_digits;
        if !is_number || is_local || !self.understands {
            return Destination {
                text: text.to_owned(),
                class: None,
                country: String::new(),
                foreign: false,
            };
        }
        match numbers::parse(text, &self.region) {
            Ok(number) => Destination {
                foreign: number.region != self.region,
                text: number.e164,
                class: Some(number.class),
                country: number.region,
            },
            // Long enough for a number of somewhere: the dearest guess.
            Err(_) => Destination {
                text: text.to_owned(),
                class: Some(NumberClass::Unknown),
                country: String::new(),
                foreign: true,
            },
        }
    }
}

/// A user part and the parameters within it (RFC 3261 section 19.1.6).
fn parts(user: &[u8]) -> (&[u8], &[u8]) {
    let end = user.iter().position(|byte| *byte == b';');
    let (number, params) = user.split_at(end.unwrap_or(user.len()));
    (number, params.get(1..).unwrap_or_default())
}

fn param<'a>(params: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    params.split(|byte| *byte == b';').find_map(|param| {
        let end = param.iter().position(|byte| *byte == b'=');
        let (key, value) = param.split_at(end.unwrap_or(param.len()));
        key.eq_ignore_ascii_case(name)
            .then(|| value.get(1..).unwrap_or_default())
    })
}

/// Without escapes and visual separators; `None` if it is no text.
fn plain(text: &[u8]) -> Option<Cow<'_, str>> {
    let separates = |byte: u8| matches!(byte, b'-' | b'.' | b'(' | b')' | b' ');
    match decode_escapes(text)? {
        Cow::Borrowed(text) if !text.iter().any(|byte| separates(*byte)) => {
            std::str::from_utf8(text).ok().map(Cow::Borrowed)
        }
        text => {
            let kept = text.iter().copied().filter(|byte| !separates(*byte));
            String::from_utf8(kept.collect()).ok().map(Cow::Owned)
        }
    }
}
