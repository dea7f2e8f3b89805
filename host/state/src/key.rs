//! Composite keys: scope, name and key in one run of bytes, so that an entry
//! holds one allocation and a look-up holds none.

use crate::limits::{COUNTER_KEY_BYTES, NAME_BYTES, SCOPE_BYTES, VALUE_KEY_BYTES};

/// The parts of a key, within their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a> {
    pub(crate) scope: &'a str,
    pub(crate) name: &'a str,
    pub(crate) key: &'a [u8],
}

impl<'a> Key<'a> {
    /// The key of a counter; `None` if a part is outside its bounds.
    pub(crate) fn counter(scope: &'a str, name: &'a str, key: &'a [u8]) -> Option<Self> {
        let fits = scope.len() <= SCOPE_BYTES
            && (1..=NAME_BYTES).contains(&name.len())
            && key.len() <= COUNTER_KEY_BYTES;
        fits.then_some(Self { scope, name, key })
    }

    /// The key of a value; `None` if a part is outside its bounds.
    pub(crate) fn value(scope: &'a str, key: &'a str) -> Option<Self> {
        let fits = scope.len() <= SCOPE_BYTES && (1..=VALUE_KEY_BYTES).contains(&key.len());
        fits.then_some(Self {
            scope,
            name: "",
            key: key.as_bytes(),
        })
    }

    /// Length of the encoded form in bytes.
    pub(crate) fn encoded_len(&self) -> usize {
        2 + self.scope.len() + self.name.len() + self.key.len()
    }

    /// Lengths of scope and name, then the three parts.
    pub(crate) fn encode(&self) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut bytes);
        bytes.into_boxed_slice()
    }

    /// As `encode`, at the end of a buffer.
    pub(crate) fn encode_into(&self, bytes: &mut Vec<u8>) {
        // Bounds were checked when the key was made; both fit one byte.
        bytes.push(u8::try_from(self.scope.len()).unwrap_or(u8::MAX));
        bytes.push(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.scope.as_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(self.key);
    }

    /// Takes an encoded key apart; `None` if it is none.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&scope_len, rest) = bytes.split_first()?;
        let (&name_len, rest) = rest.split_first()?;
        let (scope, rest) = rest.split_at_checked(usize::from(scope_len))?;
        let (name, key) = rest.split_at_checked(usize::from(name_len))?;
        Some(Self {
            scope: std::str::from_utf8(scope).ok()?,
            name: std::str::from_utf8(name).ok()?,
            key,
        })
    }

    /// Whether an encoded key is this one.
    pub(crate) fn is_encoded_as(&self, bytes: &[u8]) -> bool {
        let [scope_len, name_len, rest @ ..] = bytes else {
            return false;
        };
        if usize::from(*scope_len) != self.scope.len() || usize::from(*name_len) != self.name.len()
        {
            return false;
        }
        rest.strip_prefix(self.scope.as_bytes())
            .and_then(|rest| rest.strip_prefix(self.name.as_bytes()))
            == Some(self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_unambiguous() {
        let one = Key::counter("ab", "c", b"d").unwrap();
        let two = Key::counter("a", "bc", b"d").unwrap();
        assert_ne!(one.encode(), two.encode());
        assert!(one.is_encoded_as(&one.encode()));
        assert!(!one.is_encoded_as(&two.encode()));
        assert_eq!(Key::decode(&one.encode()), Some(one));
        assert_eq!(Key::decode(&[9, 0, b'a']), None);
        assert_eq!(Key::decode(&[]), None);
    }

    #[test]
    fn bounds_on_both_sides() {
        assert!(Key::counter("s", &"n".repeat(NAME_BYTES), b"").is_some());
        assert!(Key::counter("s", &"n".repeat(NAME_BYTES + 1), b"").is_none());
        assert!(Key::counter("s", "", b"").is_none());
        assert!(Key::counter("s", "n", &[0; COUNTER_KEY_BYTES]).is_some());
        assert!(Key::counter("s", "n", &[0; COUNTER_KEY_BYTES + 1]).is_none());
        assert!(Key::counter(&"s".repeat(SCOPE_BYTES), "n", b"").is_some());
        assert!(Key::counter(&"s".repeat(SCOPE_BYTES + 1), "n", b"").is_none());
        assert!(Key::value("s", &"k".repeat(VALUE_KEY_BYTES)).is_some());
        assert!(Key::value("s", &"k".repeat(VALUE_KEY_BYTES + 1)).is_none());
        assert!(Key::value("s", "").is_none());
    }
}
