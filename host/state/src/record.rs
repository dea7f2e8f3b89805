//! What a journal record says.
//!
//! Every record holds the whole new state of one entry and never a difference,
//! so that replaying it twice, or over a newer snapshot that already has it,
//! changes nothing.

use crate::{key::Key, window::Window};

/// Bytes of a payload. Above the largest value and key by far; bounds what a
/// damaged length can make replay look at.
pub(crate) const PAYLOAD_BYTES: usize = 16 << 20;

const WINDOW: u8 = 1;
const WINDOW_RESET: u8 = 2;
const VALUE: u8 = 3;
const VALUE_DELETE: u8 = 4;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A sliding window as it is now.
    Window { key: Key<'a>, window: Window },
    /// A sliding window that was forgotten.
    WindowReset { key: Key<'a> },
    /// A value as it is now. `expires_ms` 0 means never.
    Value {
        key: Key<'a>,
        expires_ms: u64,
        data: &'a [u8],
    },
    /// A value that was removed.
    ValueDelete { key: Key<'a> },
}

impl<'a> Record<'a> {
    /// Kind, length of the key, key, then the figures or the value.
    pub(crate) fn encode_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Window { key, window } => {
                push_key(bytes, WINDOW, key);
                bytes.extend_from_slice(&encode_window(window));
            }
            Self::WindowReset { key } => push_key(bytes, WINDOW_RESET, key),
            Self::Value {
                key,
                expires_ms,
                data,
            } => {
                push_key(bytes, VALUE, key);
                bytes.extend_from_slice(&expires_ms.to_le_bytes());
                bytes.extend_from_slice(data);
            }
            Self::ValueDelete { key } => push_key(bytes, VALUE_DELETE, key),
        }
    }

    /// `None` if these bytes are no record.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let key = Key::decode(key)?;
        match kind {
            WINDOW => decode_window(rest).map(|window| Self::Window { key, window }),
            WINDOW_RESET if rest.is_empty() => Some(Self::WindowReset { key }),
            VALUE => decode_value(rest).map(|(expires_ms, data)| Self::Value {
                key,
                expires_ms,
                data,
            }),
            VALUE_DELETE if rest.is_empty() => Some(Self::ValueDelete { key }),
            _ => None,
        }
    }
}

fn push_key(bytes: &mut Vec<u8>, kind: u8, key: &Key<'_>) {
    bytes.push(kind);
    // Keys are bounded far below 64 KiB when they are made.
    let length = u16::try_from(key.encoded_len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    key.encode_into(bytes);
}

/// The four figures of a window, little-endian.
pub(crate) fn encode_window(window: &Window) -> [u8; 32] {
    let mut bytes = [0; 32];
    let figures = [
        window.window_ms,
        window.start_ms,
        window.previous,
        window.current,
    ];
    for (chunk, figure) in bytes.chunks_exact_mut(8).zip(figures) {
        chunk.copy_from_slice(&figure.to_le_bytes());
    }
    bytes
}

/// `None` if these are not the four figures of a window.
pub(crate) fn decode_window(bytes: &[u8]) -> Option<Window> {
    let (window_ms, rest) = split_u64(bytes)?;
    let (start_ms, rest) = split_u64(rest)?;
    let (previous, rest) = split_u64(rest)?;
    let (current, rest) = split_u64(rest)?;
    (rest.is_empty() && window_ms > 0).then_some(Window {
        window_ms,
        start_ms,
        previous,
        current,
        durable: true,
    })
}

/// When it expires, and the value.
pub(crate) fn decode_value(bytes: &[u8]) -> Option<(u64, &[u8])> {
    split_u64(bytes)
}

fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes
        .split_first_chunk::<8>()
        .map(|(figure, rest)| (u64::from_le_bytes(*figure), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_survive_the_round_trip(
            scope in "[a-z]{0,9}", name in "[a-z]{1,9}", key in any::<Vec<u8>>(),
            figures in any::<(u64, u64, u64)>(), window_ms in 1u64.., data in any::<Vec<u8>>(),
        ) {
            let key = Key { scope: &scope, name: &name, key: &key };
            let window = Window {
                window_ms, start_ms: figures.0, previous: figures.1, current: figures.2, durable: true,
            };
            for record in [
                Record::Window { key, window },
                Record::WindowReset { key },
                Record::Value { key, expires_ms: figures.0, data: &data },
                Record::ValueDelete { key },
            ] {
                let mut bytes = Vec::new();
                record.encode_into(&mut bytes);
                prop_assert_eq!(Record::decode(&bytes), Some(record));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = Record::decode(&bytes);
        }
    }
}
