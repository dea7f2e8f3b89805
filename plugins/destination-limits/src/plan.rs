//! The numbering plan: from what was dialled to numbers in one form, RFC 3966.
//!
//! International numbers become `+` and digits, all others digits, `*` and `#`.
//! Where a gateway could understand an address in several ways, each of them is
//! a reading of its own, and all of them have to be allowed.

use sipward_plugin_sdk::{Scheme, SettingsError, Uri, decode_escapes};

use crate::settings::{Bare, Letters, Settings};

/// Bytes of a user part, escapes and parameters included. A number with every
/// separator and parameter of RFC 3966 has fewer; the rest is an attack.
const USER_BYTES: usize = 256;

/// The configured plan.
pub(crate) struct Plan {
    /// Longest first.
    international_prefixes: Vec<Vec<u8>>,
    country_code: Vec<u8>,
    national_prefix: Vec<u8>,
    bare: Bare,
    /// Nobody said how bare numbers are read.
    unsure: bool,
    local_digits: usize,
    min_digits: usize,
    max_digits: usize,
    letters: Letters,
    contexts: Vec<String>,
    names: Vec<Vec<u8>>,
}

/// Why an address is no number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 403 Forbidden: it is not listed.
    Unlisted(&'static str),
    /// 484 Address Incomplete.
    Incomplete(&'static str),
    /// 604 Does Not Exist Anywhere: it cannot be a number.
    Impossible(&'static str),
}

impl Plan {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mut international_prefixes: Vec<Vec<u8>> = Vec::new();
        for (index, prefix) in settings.international_prefixes.iter().enumerate() {
            let key = format!("international_prefixes[{index}]");
            international_prefixes.push(digits(&key, prefix)?);
        }
        international_prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        let country_code = match &settings.country_code {
            Some(code) => digits("country_code", code)?,
            None => Vec::new(),
        };
        let national_prefix = match settings.national_prefix.as_str() {
            "" => Vec::new(),
            prefix => digits("national_prefix", prefix)?,
        };
        let needs_code = |key| Err(SettingsError::new(key, "needs `country_code` as well"));
        if country_code.is_empty() && !national_prefix.is_empty() {
            return needs_code("national_prefix");
        }
        let national_by_default = !country_code.is_empty() && national_prefix.is_empty();
        let bare = match settings.bare {
            Some(Bare::National) if country_code.is_empty() => return needs_code("bare"),
            Some(bare) => bare,
            None if national_by_default => Bare::National,
            None => Bare::Local,
        };
        check_lengths(settings)?;
        Ok(Self {
            international_prefixes,
            country_code,
            national_prefix,
            bare,
            unsure: settings.bare.is_none(),
            local_digits: settings.local_digits.into(),
            min_digits: settings.min_digits.into(),
            max_digits: settings.max_digits.into(),
            letters: settings.letters,
            contexts: settings.contexts.clone(),
            names: settings
                .names
                .iter()
                .map(|name| name.clone().into_bytes())
                .collect(),
        })
    }

    /// Whether digits are so few that they are local whatever they begin with.
    pub(crate) const fn is_short(&self, number: &str) -> bool {
        number.len() <= self.local_digits
    }

    /// Every number that the address can be read as; none for a listed name.
    pub(crate) fn readings(&self, uri: &Uri<'_>) -> Result<Vec<String>, Fault> {
        if uri.scheme() == Scheme::Other {
            return Err(Fault::Unlisted("neither sip, sips nor tel"));
        }
        let user = uri.user().ok_or(Fault::Incomplete("no user part"))?;
        if user.len() > USER_BYTES || uri.params().len() > USER_BYTES {
            return Err(Fault::Impossible("user part or parameters are too long"));
        }
        let (number, user_params) = match user.iter().position(|byte| *byte == b';') {
            Some(at) => user.split_at_checked(at).unwrap_or((user, b"")),
            None => (user, &b""[..]),
        };
        let decoded = decode_escapes(number).ok_or(Fault::Impossible("incomplete escape"))?;
        if self.names.iter().any(|name| *name == *decoded) {
            return Ok(Vec::new());
        }
        let dialled = self.dialled(&decoded)?;
        let params = Params {
            parts: [user_params, uri.params()],
        };
        if params.find(b"cic")?.is_some() || params.find(b"tgrp")?.is_some() {
            return Err(Fault::Unlisted(
                "the address chooses a carrier or trunk group",
            ));
        }
        let mut readings = vec![self.reading(&dialled)?];
        readings.extend(self.without_plus(&dialled));
        if !dialled.starts_with('+')
            && let Some(context) = params.find(b"phone-context")?
        {
            readings.extend(self.in_context(&dialled, context)?);
        }
        if let Some(routing) = params.find(b"rn")? {
            let decoded = decode_escapes(routing).ok_or(Fault::Impossible("incomplete escape"))?;
            let dialled = self.dialled(&decoded)?;
            readings.push(self.reading(&dialled)?);
            readings.extend(self.without_plus(&dialled));
        }
        Ok(readings)
    }

    /// What was dialled, without separators: an optional `+`, digits, `*`, `#`.
    fn dialled(&self, decoded: &[u8]) -> Result<String, Fault> {
        let mut dialled = String::with_capacity(decoded.len());
        for byte in decoded {
            match byte {
                b'0'..=b'9' | b'*' | b'#' => dialled.push(char::from(*byte)),
                b'+' if dialled.is_empty() => dialled.push('+'),
                b'-' | b'.' | b'(' | b')' | b' ' => {}
                b'a'..=b'z' | b'A'..=b'Z' if self.letters == Letters::Keypad => {
                    dialled.push(keypad(*byte));
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    return Err(Fault::Unlisted("a name that is not listed"));
                }
                b'%' => return Err(Fault::Impossible("escaped twice")),
                128.. => return Err(Fault::Impossible("characters beyond ASCII")),
                _ => return Err(Fault::Impossible("characters that no number has")),
            }
        }
        match dialled.as_str() {
            "" | "+" => Err(Fault::Incomplete("no digits")),
            number if number.starts_with('+') && number.contains(['*', '#']) => {
                Err(Fault::Impossible("`*` or `#` in an international number"))
            }
            _ => Ok(dialled),
        }
    }

    /// The number that a gateway with this plan would dial.
    fn reading(&self, dialled: &str) -> Result<String, Fault> {
        let bytes = dialled.as_bytes();
        if dialled.starts_with('+') {
            return self.international("", dialled.get(1..).unwrap_or_default());
        }
        if dialled.contains(['*', '#']) {
            return self.local(dialled);
        }
        // Before the prefixes: `0112` is an emergency call where `011` is one of them.
        if bytes.len() <= self.local_digits {
            return self.local(dialled);
        }
        for prefix in &self.international_prefixes {
            if let Some(rest) = bytes.strip_prefix(prefix.as_slice())
                && !rest.is_empty()
            {
                return self.international("", text(rest));
            }
        }
        if !self.national_prefix.is_empty()
            && let Some(rest) = bytes.strip_prefix(self.national_prefix.as_slice())
        {
            return self.international(text(&self.country_code), text(rest));
        }
        match self.bare {
            Bare::Local => self.local(dialled),
            Bare::International => self.international("", dialled),
            Bare::National => self.international(text(&self.country_code), dialled),
        }
    }

    /// The number as many trunks read it: international without its `+`. Longer numbers
    /// alone, and only where nobody said that it is none.
    fn without_plus(&self, dialled: &str) -> Option<String> {
        let is_bare = !dialled.starts_with('+') && !dialled.contains(['*', '#']);
        let is_long = dialled.len() > self.local_digits;
        if !self.unsure || self.bare != Bare::Local || !is_bare || !is_long {
            return None;
        }
        // What cannot be one is none.
        self.international("", dialled).ok()
    }

    /// What the number would be within a `;phone-context=`.
    fn in_context(&self, dialled: &str, context: &[u8]) -> Result<Option<String>, Fault> {
        let decoded = decode_escapes(context).ok_or(Fault::Impossible("incomplete escape"))?;
        if !decoded.starts_with(b"+") {
            let known = |domain: &String| domain.as_bytes().eq_ignore_ascii_case(&decoded);
            return match self.contexts.iter().any(known) {
                true => Ok(None),
                false => Err(Fault::Unlisted("a phone-context that is not listed")),
            };
        }
        let context = self.dialled(&decoded)?;
        if dialled.contains(['*', '#']) {
            return self.local(dialled).map(Some);
        }
        let rest = match dialled
            .as_bytes()
            .strip_prefix(self.national_prefix.as_slice())
        {
            Some(rest) if !rest.is_empty() => text(rest),
            _ => dialled,
        };
        self.international(context.get(1..).unwrap_or_default(), rest)
            .map(Some)
    }

    fn international(&self, country_code: &str, rest: &str) -> Result<String, Fault> {
        let length = country_code.len() + rest.len();
        if length < self.min_digits {
            return Err(Fault::Incomplete("too few digits"));
        }
        if length > self.max_digits {
            return Err(Fault::Impossible("too many digits"));
        }
        // No country code begins with 0 (ITU-T E.164), so something would be dialled
        // that no prefix here can describe.
        if country_code.is_empty() && rest.starts_with('0') {
            return Err(Fault::Impossible("no country code begins with 0"));
        }
        Ok(["+", country_code, rest].concat())
    }

    fn local(&self, dialled: &str) -> Result<String, Fault> {
        match dialled.len() > self.max_digits {
            true => Err(Fault::Impossible("too many digits")),
            false => Ok(dialled.to_owned()),
        }
    }
}

/// Parameters inside the user part and after the host. Gateways look at both.
struct Params<'a> {
    parts: [&'a [u8]; 2],
}

impl<'a> Params<'a> {
    /// The value of a parameter; an error if it stands there twice.
    fn find(&self, name: &[u8]) -> Result<Option<&'a [u8]>, Fault> {
        let all = self
            .parts
            .iter()
            .flat_map(|part| part.split(|byte| *byte == b';'));
        let name_of = |param: &'a [u8]| param.split(|byte| *byte == b'=').next();
        // A gateway may undo what nobody has a reason to escape.
        if all
            .clone()
            .filter_map(name_of)
            .any(|key| key.contains(&b'%'))
        {
            return Err(Fault::Impossible("the name of a parameter is escaped"));
        }
        let mut values = all.filter_map(|param| {
            let mut halves = param.splitn(2, |byte| *byte == b'=');
            let key = halves.next()?;
            key.eq_ignore_ascii_case(name)
                .then(|| halves.next().unwrap_or_default())
        });
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Fault::Impossible("a parameter stands there twice")),
            (value, None) => Ok(value),
        }
    }
}

/// The key of a telephone that bears a letter: ITU-T E.161.
fn keypad(letter: u8) -> char {
    match letter.to_ascii_uppercase() {
        b'A'..=b'C' => '2',
        b'D'..=b'F' => '3',
        b'G'..=b'I' => '4',
        b'J'..=b'L' => '5',
        b'M'..=b'O' => '6',
        b'P'..=b'S' => '7',
        b'T'..=b'V' => '8',
        _ => '9',
    }
}

/// Digits are ASCII, so this never gives nothing for something.
fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

fn digits(key: &str, value: &str) -> Result<Vec<u8>, SettingsError> {
    match (1..=8).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(value.as_bytes().to_vec()),
        false => Err(SettingsError::new(
            key,
            format!("`{value}` has to be 1 to 8 digits"),
        )),
    }
}

fn check_lengths(settings: &Settings) -> Result<(), SettingsError> {
    let (least, most) = (settings.min_digits, settings.max_digits);
    let wrong = |key, message: String| Err(SettingsError::new(key, message));
    if settings.local_digits > 15 {
        return wrong(
            "local_digits",
            format!("is {}; 0 to 15 is possible", settings.local_digits),
        );
    }
    if !(1..=15).contains(&least) {
        return wrong("min_digits", format!("is {least}; 1 to 15 is possible"));
    }
    if !(least..=32).contains(&most) {
        return wrong(
            "max_digits",
            format!("is {most}; {least} to 32 is possible"),
        );
    }
    Ok(())
}
