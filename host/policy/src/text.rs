//! Text that a plugin has written, on its way into a line of a log or a header.

/// Whether a line could end in the text. Most text is ASCII that can be printed, which is
/// seen many bytes at once.
pub(crate) fn has_control(text: &str) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    let plain = text
        .as_bytes()
        .iter()
        .fold(true, |all, byte| all & is_plain(byte));
    !plain && text.chars().any(char::is_control)
}

/// The text with spaces for control characters, so that a plugin cannot forge a second line.
#[must_use]
pub fn one_line(text: String) -> String {
    match has_control(&text) {
        true => text.replace(char::is_control, " "),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_found_among_letters_of_all_kinds() {
        let plain = ["", " ~", "a line longer than a register", "Zürich ☎"];
        for text in plain {
            assert_eq!(one_line(text.to_owned()), text);
        }
        let controls = ["\0", "\r", "\x7f", "\u{85}"];
        for (control, text) in controls.iter().flat_map(|it| plain.map(|text| (it, text))) {
            assert_eq!(one_line(format!("{text}{control}")), format!("{text} "));
            assert_eq!(one_line(format!("{control}{text}")), format!(" {text}"));
        }
    }
}
