//! Which characters may stand in what was dialled: RFC 3966 section 3.
//!
//! ```text
//! global-number-digits = "+" *phonedigit DIGIT *phonedigit
//! phonedigit           = DIGIT / [ visual-separator ]
//! visual-separator     = "-" / "." / "(" / ")"
//! ```
//!
//! A space is a separator too: people's address books have it. `*` and `#` are no
//! digits of E.164, and letters are none of RFC 3966.

use arrayvec::ArrayString;

use crate::NumberError;

/// Bytes of what was dialled. 64: a number of 15 digits, an international prefix
/// with a carrier's code, and a separator after each digit, with room to spare.
pub const DIALLED_BYTES: usize = 64;

/// The `+` and the digits, without separators.
pub(crate) fn screened(dialled: &str) -> Result<ArrayString<DIALLED_BYTES>, NumberError> {
    if dialled.len() > DIALLED_BYTES {
        return Err(NumberError::WrongLength);
    }
    let mut digits = ArrayString::new();
    for character in dialled.chars() {
        match character {
            '0'..='9' => digits.push(character),
            '+' if digits.is_empty() => digits.push(character),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return Err(NumberError::NotANumber),
        }
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_go_and_one_plus_stays() {
        for (dialled, digits) in [
            ("030", "030"),
            ("+49 (30) 123-45.6", "+4930123456"),
            ("(+49)30", "+4930"),
            ("", ""),
            ("+", "+"),
        ] {
            assert_eq!(screened(dialled).as_deref(), Ok(digits), "{dialled}");
        }
    }

    #[test]
    fn anything_else_is_no_number() {
        for dialled in [
            "++49",
            "49+30",
            "1800FLOWERS",
            "030*1",
            "#31#030",
            "030,1",
            "030;ext=1",
            "%2B49",
            "030/1",
            "030\u{a0}1",
            "030\t1",
            "030\0",
            // Arabic-Indic, Devanagari, full-width and mathematical digits; a
            // full-width plus; a minus that is no hyphen.
            "\u{0663}\u{0660}",
            "\u{0969}\u{0966}",
            "\u{ff13}\u{ff10}",
            "\u{1d7d1}0",
            "\u{ff0b}49",
            "030\u{2212}1",
        ] {
            assert_eq!(screened(dialled), Err(NumberError::NotANumber), "{dialled}");
        }
    }

    #[test]
    fn length_is_bounded_in_bytes() {
        let longest = "1".repeat(DIALLED_BYTES);
        assert_eq!(screened(&longest).as_deref(), Ok(longest.as_str()));
        let over = format!("{longest}-");
        assert_eq!(screened(&over), Err(NumberError::WrongLength));
    }
}
