//! Texts that must not be shown: a PIN that was dialled, a one-time code.
//!
//! A plugin names the secret as it understood it. The caller may have written it in
//! other ways that mean the same, so `%31` counts as `1` (RFC 3986 section 2.1), case
//! does not count, and the visual separators of telephone numbers (RFC 3966 section
//! 5.1.1) may stand between its characters.

use std::borrow::Cow;

/// What stands in a secret's place, however long that was.
const MASK: &str = "*";

/// The text with a `*` for each place where one of the secrets stands. Empty secrets
/// hide nothing. Where two overlap, the longer one that begins first is hidden whole.
#[must_use]
pub fn conceal<'t, S: AsRef<str>>(text: &'t str, secrets: &[S]) -> Cow<'t, str> {
    if secrets.iter().all(|secret| secret.as_ref().is_empty()) {
        return Cow::Borrowed(text);
    }
    let mut shown: Option<String> = None;
    let mut from = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let longest = secrets
            .iter()
            .filter_map(|secret| match_length(rest, secret.as_ref()))
            .max();
        let step = match longest {
            Some(length) => {
                let shown = shown.get_or_insert_default();
                shown.push_str(text.get(from..at).unwrap_or_default());
                shown.push_str(MASK);
                from = at + length;
                length
            }
            None => first.len_utf8(),
        };
        rest = rest.get(step..).unwrap_or_default();
    }
    match shown {
        None => Cow::Borrowed(text),
        Some(mut shown) => {
            shown.push_str(text.get(from..).unwrap_or_default());
            Cow::Owned(shown)
        }
    }
}

/// As [`conceal`], in place.
pub fn conceal_in<S: AsRef<str>>(text: &mut String, secrets: &[S]) {
    if let Cow::Owned(shown) = conceal(text, secrets) {
        *text = shown;
    }
}

/// Bytes of `text` that the secret takes at its very beginning.
fn match_length(text: &str, secret: &str) -> Option<usize> {
    let mut rest = text.as_bytes();
    let mut secret = secret.as_bytes();
    let (first, _) = unit(rest)?;
    // A match begins with the secret itself, not with separators before it.
    if !first.eq_ignore_ascii_case(secret.first()?) {
        return None;
    }
    while let [wanted, after @ ..] = secret {
        let (found, length) = unit(rest)?;
        if found.eq_ignore_ascii_case(wanted) {
            secret = after;
        } else if !is_separator(found) {
            return None;
        }
        rest = rest.get(length..)?;
    }
    let length = text.len() - rest.len();
    // Every unit is a whole character or part of the secret, so this is a boundary.
    text.is_char_boundary(length).then_some(length)
}

/// The byte that stands first, and how many bytes it was written with.
fn unit(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', high, low, ..] => match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => Some((high << 4 | low, 3)),
            _ => Some((b'%', 1)),
        },
        [first, ..] => Some((*first, 1)),
        [] => None,
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')' | b' ')
}

#[cfg(test)]
mod tests {
    use super::conceal;

    #[test]
    fn secrets_are_hidden_however_they_are_written() {
        for (text, shown) in [
            ("sip:*55*4711*00492211@a", "sip:*55***00492211@a"),
            ("4711", "*"),
            ("47114711 4711", "** *"),
            ("sip:%34711@a", "sip:*@a"),
            ("sip:%34%37%31%31@a", "sip:*@a"),
            ("tel:4-7.1(1)9", "tel:*)9"),
            ("the PIN 4711 is wrong", "the PIN * is wrong"),
            ("4712 471", "4712 471"),
            ("%", "%"),
            ("%3", "%3"),
            ("%34", "%34"),
            ("%G4711", "%G*"),
            ("é4711é", "é*é"),
        ] {
            assert_eq!(conceal(text, &["4711"]), shown, "{text}");
        }
    }

    #[test]
    fn case_and_other_alphabets() {
        assert_eq!(conceal("Zanzibar!", &["zanziBAR"]), "*!");
        assert_eq!(conceal("näh nÄh", &["näh"]), "* nÄh");
        assert_eq!(conceal("n%C3%A4h", &["näh"]), "*");
    }

    #[test]
    fn the_longest_secret_is_hidden_whole() {
        assert_eq!(conceal("x12345y", &["123", "12345"]), "x*y");
        assert_eq!(conceal("x12345y", &["12345", "123"]), "x*y");
        assert_eq!(conceal("x1234y", &["123", "12345"]), "x*4y");
    }

    #[test]
    fn nothing_is_copied_when_there_is_nothing_to_hide() {
        use std::borrow::Cow;
        let none: [&str; 0] = [];
        assert!(matches!(conceal("4711", &none), Cow::Borrowed(_)));
        assert!(matches!(conceal("4711", &["", ""]), Cow::Borrowed("4711")));
        assert!(matches!(conceal("4711", &["0815"]), Cow::Borrowed(_)));
        assert_eq!(conceal("", &["1"]), "");
    }

    #[test]
    fn a_secret_that_is_a_separator_is_hidden_too() {
        assert_eq!(conceal("a-b-c", &["b-c"]), "a-*");
        assert_eq!(conceal("a.b", &["."]), "a*b");
    }
}
