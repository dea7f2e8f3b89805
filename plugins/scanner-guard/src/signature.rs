//! What known scanners write.

use sipward_plugin_sdk::{Party, Request, Uri};

use crate::settings;

/// Bytes of a text that are looked at. Scanners write their names in front.
const LOOKED_AT: usize = 256;

/// Bytes of a tag that can be one of sipvicious: a target as text or in hexadecimal
/// digits, a separator and ten digits, each as two hexadecimal digits.
const TAG_BYTES: std::ops::RangeInclusive<usize> = 6..=192;

/// The host of sipvicious.
const HOST: &[u8] = b"1.1.1.1";

/// Digits of 32 random bits.
const RANDOM_DIGITS: usize = 10;

/// The configured signatures.
pub(crate) struct Signatures {
    user_agents: Texts,
    names: Texts,
    habits: bool,
}

/// Texts in lower case, and which bytes they begin with: each position of every
/// User-Agent is compared with all of them, and most begin no signature.
struct Texts {
    all: Vec<Vec<u8>>,
    begins: [bool; 256],
}

impl Texts {
    fn new<'t>(texts: impl Iterator<Item = &'t String>) -> Self {
        let lower = |text: &String| text.to_ascii_lowercase().into_bytes();
        let all: Vec<Vec<u8>> = texts.map(lower).collect();
        let mut begins = [false; 256];
        for first in all.iter().filter_map(|text| text.first()) {
            if let Some(begin) = begins.get_mut(usize::from(*first)) {
                *begin = true;
            }
        }
        Self { all, begins }
    }

    /// The first place in a text where one of them stands.
    fn find(&self, text: &[u8]) -> Option<&str> {
        let text = text.get(..LOOKED_AT).unwrap_or(text);
        let (mut at, begins) = (0, |byte: &u8| {
            let lower = usize::from(byte.to_ascii_lowercase());
            self.begins.get(lower).copied().unwrap_or_default()
        });
        loop {
            let rest = text.get(at..)?;
            at += rest.iter().position(begins)?;
            let rest = text.get(at..)?;
            let stands = |known: &&Vec<u8>| {
                rest.get(..known.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(known))
            };
            if let Some(known) = self.all.iter().find(stands) {
                return std::str::from_utf8(known).ok();
            }
            at += 1;
        }
    }
}

impl Signatures {
    pub(crate) fn new(settings: &settings::Signatures) -> Self {
        let agents = settings.user_agents.iter();
        Self {
            user_agents: Texts::new(agents.chain(&settings.more_user_agents)),
            names: Texts::new(settings.names.iter()),
            habits: settings.habits,
        }
    }

    /// What gives the sender away, if anything does.
    pub(crate) fn find(&self, request: &Request<'_>, contact: Option<&[u8]>) -> Option<String> {
        if let Some(agent) = request.user_agent()
            && let Some(known) = self.user_agents.find(agent)
        {
            return Some(format!("User-Agent has `{}`", known.trim_ascii_end()));
        }
        for (place, party) in [("From", request.from()), ("To", request.to())] {
            if let Some(known) = self.name_of(&party) {
                return Some(format!("{place} has `{known}`"));
            }
        }
        self.habits.then(|| habit(request, contact)).flatten()
    }

    fn name_of(&self, party: &Party<'_>) -> Option<&str> {
        let texts = [party.display(), party.uri().user()];
        texts
            .into_iter()
            .flatten()
            .find_map(|text| self.names.find(text))
    }
}

/// What sipvicious does under any name.
fn habit(request: &Request<'_>, contact: Option<&[u8]>) -> Option<String> {
    if request.from().tag().is_some_and(is_tag_of_sipvicious) {
        return Some("From has a tag of sipvicious".to_owned());
    }
    let is = |uri: &Uri<'_>, user: &[u8]| uri.host() == HOST && uri.user() == Some(user);
    let from = request.from().uri();
    // Reading a Contact takes longer than seeing that it has no such host.
    let contact = contact.filter(|text| {
        let mut places = text.windows(HOST.len());
        places.any(|place| place.first() == HOST.first() && place == HOST)
    });
    let contact = contact.and_then(Uri::parse_address);
    if is(&from, b"100") || contact.is_some_and(|contact| is(&contact, b"123")) {
        return Some("From or Contact has the address of sipvicious".to_owned());
    }
    None
}

/// Tags of svmap, svwar and svcrack are hexadecimal digits of a text: what was
/// scanned, 0x01, a random number.
fn is_tag_of_sipvicious(tag: &[u8]) -> bool {
    let (pairs, rest) = tag.as_chunks::<2>();
    if !TAG_BYTES.contains(&tag.len()) || !rest.is_empty() {
        return false;
    }
    let mut bytes = pairs.iter().rev().map(|[high, low]| {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        Some(value(*high)? << 4 | value(*low)?)
    });
    let mut digits = 0;
    let separator = loop {
        match bytes.next().flatten() {
            Some(byte) if byte.is_ascii_digit() && digits < RANDOM_DIGITS => digits += 1,
            other => break other,
        }
    };
    let (mut scanned, mut printable) = (0, true);
    for byte in bytes {
        scanned += 1;
        printable &= byte.is_some_and(|byte| matches!(byte, b' '..=b'~'));
    }
    separator == Some(1) && digits > 0 && scanned > 0 && printable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn tags_of_sipvicious_are_known_and_others_are_not() {
        for text in [
            "c000020113c4\u{1}2906544386",
            "1000\u{1}7",
            "x\u{1}0123456789",
        ] {
            assert!(is_tag_of_sipvicious(tag(text).as_bytes()), "{text:?}");
        }
        for text in [
            "\u{1}2906544386",
            "1000\u{1}",
            "1000\u{1}12345678901",
            "10\u{7}00\u{1}7",
            "10002906544386",
        ] {
            assert!(!is_tag_of_sipvicious(tag(text).as_bytes()), "{text:?}");
        }
        for plain in [
            "",
            "as7d9f8a",
            "8d3f01a7",
            "1c2",
            "31303030013",
            "3130303001G7",
        ] {
            assert!(!is_tag_of_sipvicious(plain.as_bytes()), "{plain}");
        }
        let long = tag(&format!("{}\u{1}7", "a".repeat(95)));
        assert!(!is_tag_of_sipvicious(long.as_bytes()), "{}", long.len());
    }

    #[test]
    fn texts_are_found_without_regard_to_case_and_within_bounds() {
        let known = Texts::new(["SIPcli".to_owned(), "smap ".to_owned()].iter());
        assert_eq!(known.find(b"my SIPCLI/v1.8"), Some("sipcli"));
        assert_eq!(known.find(b"sssip sip-smap SMAP 1"), Some("smap "));
        assert_eq!(known.find(b"sip-cli"), None);
        assert_eq!(known.find(b"sipcl"), None);
        assert_eq!(known.find(b""), None);
        let at_the_end = format!("{}sipcli", "x".repeat(LOOKED_AT - 6));
        assert_eq!(known.find(at_the_end.as_bytes()), Some("sipcli"));
        let beyond = format!("{}sipcli", "x".repeat(LOOKED_AT - 5));
        assert_eq!(known.find(beyond.as_bytes()), None);
    }
}
