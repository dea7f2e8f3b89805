//! A list in memory, and the two ways to look something up.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// What stands before the first `=`, without white space around; never empty.
    pub key: &'l str,
    /// What stands after it, without white space around; may be empty.
    pub value: &'l str,
}

/// Entries in the order of their keys. Two lists that were read from the same bytes
/// are equal.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct List {
    /// All keys and values, each value after its key.
    text: Box<str>,
    spans: Box<[Span]>,
}

/// Where an entry lies in the text. Lengths are bounded by [`ListLimits`], offsets by
/// the size of a file.
///
/// [`ListLimits`]: crate::ListLimits
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) key_bytes: u16,
    pub(crate) value_bytes: u16,
    /// The number, from 1, of the longest other key that this key begins with.
    pub(crate) parent: Option<NonZeroU32>,
}

impl fmt::Debug for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Prices and barred numbers are the operator's business alone.
        formatter
            .debug_struct("List")
            .field("entries", &self.len())
            .finish_non_exhaustive()
    }
}

impl List {
    /// Puts a list together. Spans must be sorted by key, without two of the same.
    pub(crate) fn new(text: Box<str>, mut spans: Vec<Span>) -> Self {
        find_parents(&text, &mut spans);
        Self {
            text,
            spans: spans.into_boxed_slice(),
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.spans)
    }

    /// The value of a key.
    pub fn find(&self, key: &str) -> Option<&str> {
        let at = self.place(key.as_bytes()).ok()?;
        Some(value_of(&self.text, self.spans.get(at)?))
    }

    /// The entry with the longest key that `text` begins with.
    pub fn longest_prefix(&self, text: &str) -> Option<Entry<'_>> {
        // The last key that is not after the text begins with the longest beginning
        // of the text, or is it: so do all keys between the two.
        let mut at = match self.place(text.as_bytes()) {
            Ok(at) => at,
            Err(after) => after.checked_sub(1)?,
        };
        loop {
            let span = self.spans.get(at)?;
            let key = key_of(&self.text, span);
            if text.starts_with(key) {
                let value = value_of(&self.text, span);
                return Some(Entry { key, value });
            }
            at = usize::try_from(span.parent?.get()).ok()?.checked_sub(1)?;
        }
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.spans.iter().map(|span| Entry {
            key: key_of(&self.text, span),
            value: value_of(&self.text, span),
        })
    }

    /// Where a key is, or where it would be.
    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        self.spans
            .binary_search_by(|span| key_of(&self.text, span).as_bytes().cmp(key))
    }
}

/// For each key, the longest other one that it begins with. In order of keys those
/// are a stack: a key that is no beginning of this one is none of any later one.
fn find_parents(text: &str, spans: &mut [Span]) {
    let mut open: Vec<(Span, NonZeroU32)> = Vec::new();
    for (span, number) in spans.iter_mut().zip(1..) {
        let key = key_of(text, span);
        while let Some((last, _)) = open.last() {
            if key.starts_with(key_of(text, last)) {
                break;
            }
            open.pop();
        }
        span.parent = open.last().map(|(_, number)| *number);
        if let Some(number) = NonZeroU32::new(number) {
            open.push((*span, number));
        }
    }
}

pub(crate) fn by_key(text: &str, one: &Span, other: &Span) -> Ordering {
    key_of(text, one).cmp(key_of(text, other))
}

pub(crate) fn key_of<'t>(text: &'t str, span: &Span) -> &'t str {
    let start = usize::try_from(span.start).unwrap_or(usize::MAX);
    slice(text, start, span.key_bytes)
}

fn value_of<'t>(text: &'t str, span: &Span) -> &'t str {
    let start = usize::try_from(span.start).unwrap_or(usize::MAX);
    slice(
        text,
        start.saturating_add(usize::from(span.key_bytes)),
        span.value_bytes,
    )
}

fn slice(text: &str, start: usize, bytes: u16) -> &str {
    let end = start.saturating_add(usize::from(bytes));
    text.get(start..end).unwrap_or_default()
}
