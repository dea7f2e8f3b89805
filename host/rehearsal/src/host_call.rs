//! One thing that a plugin asked of the host, as text.

use serde::Serialize;

/// Bytes of one argument or answer that are shown. 256: names, numbers and reasons are
/// shorter, and a trace of a thousand calls stays readable.
pub(crate) const SHOWN_BYTES: usize = 256;

/// What stands for a secret.
pub(crate) const CONCEALED: &str = "*";

/// An argument and its name, which is that of the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// As in `wit/policy.wit`.
    pub name: &'static str,
    /// What it was; a secret is `*`.
    pub value: String,
}

/// One call of a host function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostCall {
    /// Interface and function, as in `counters.add`.
    pub function: &'static str,
    /// What it was given.
    pub arguments: Vec<Argument>,
    /// What it gave.
    pub answer: String,
}

impl HostCall {
    /// A call without arguments yet.
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            function,
            arguments: Vec::new(),
            answer: String::new(),
        }
    }

    /// With an argument.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        let value = cut(value.to_string());
        self.arguments.push(Argument { name, value });
        self
    }

    /// With an argument that need not be text.
    pub(crate) fn with_bytes(self, name: &'static str, value: &[u8]) -> Self {
        self.with(name, shown(value))
    }

    /// With its answer.
    pub(crate) fn answered(mut self, answer: impl ToString) -> Self {
        self.answer = cut(answer.to_string());
        self
    }
}

/// Bytes as text: as they are if they can be shown, and as hexadecimal digits otherwise.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // No more than can be shown is looked at, but for a character that is cut in two.
    let part = bytes.get(..SHOWN_BYTES + 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(part);
    let lossy = text
        .trim_end_matches(char::REPLACEMENT_CHARACTER)
        .contains(|it: char| it == char::REPLACEMENT_CHARACTER || it.is_control());
    if lossy {
        format!("0x{}", hex::encode(part))
    } else {
        text.into_owned()
    }
}

/// At most [`SHOWN_BYTES`], on one line.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES));
        text.push('…');
    }
    if text.contains(char::is_control) {
        return text.replace(char::is_control, " ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_hexadecimal() {
        assert_eq!(shown(b"192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("grün".as_bytes()), "grün");
        assert_eq!(shown(&[0, 255]), "0x00ff");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn what_is_shown_has_a_bound_and_one_line() {
        let exact = "ü".repeat(SHOWN_BYTES / 2);
        assert_eq!(cut(exact.clone()), exact);
        let cut = cut(format!("{exact}\nmore"));
        assert_eq!(cut, format!("{exact}…"));
        assert_eq!(super::cut("a\nb".to_owned()), "a b");
        assert!(shown(&vec![b'a'; 10_000]).len() <= SHOWN_BYTES + 4);
    }
}
