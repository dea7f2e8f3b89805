//! Reading a list: lines of `key = value`, comments and empty lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::list::{List, Span, by_key, key_of};

/// Ceilings of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Bytes of the file. 64 MiB: half a million entries of a hundred bytes with room
    /// to spare.
    pub list_bytes: usize,
    /// Entries. 1,000,000: a price list with every prefix of every carrier has some
    /// hundred thousand.
    pub list_entries: usize,
    /// Bytes of a key. 256: a SIP address.
    pub list_key_bytes: usize,
    /// Bytes of a value. 1024: a line that people can read.
    pub list_value_bytes: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            list_bytes: 64 << 20,
            list_entries: 1_000_000,
            list_key_bytes: 256,
            list_value_bytes: 1024,
        }
    }
}

/// Why a list is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The file cannot be read.
    #[error("failed to read it: {0}")]
    File(#[from] std::io::Error),
    /// The file is too large.
    #[error("it is larger than list_bytes = {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// There are too many entries.
    #[error("line {line}: there are more than list_entries = {limit} entries")]
    TooMany {
        /// The first line that is too many.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// A line is not UTF-8.
    #[error("line {line}: it is not UTF-8")]
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// A line cannot be an entry.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// There is no key.
    #[error("nothing stands before the `=`; write `key = value`, `key`, or `# comment`")]
    NoKey,
    /// The key is too long.
    #[error("the key is longer than list_key_bytes = {limit}")]
    LongKey {
        /// The limit.
        limit: usize,
    },
    /// The value is too long.
    #[error("the value is longer than list_value_bytes = {limit}")]
    LongValue {
        /// The limit.
        limit: usize,
    },
    /// There are control characters in it.
    #[error("a control character stands in it")]
    Control,
    /// The key has been there before.
    #[error("its key stands in line {first} already")]
    Twice {
        /// The first line with it.
        first: usize,
    },
}

impl List {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too large, or a line is wrong.
    pub fn read(path: &Path, limits: ListLimits) -> Result<Self, ListError> {
        let limit = limits.list_bytes;
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Self::parse(&bytes, limits)
    }

    /// Reads a list that is in memory already: entries `key = value` or `key` alone,
    /// empty lines, and lines that begin with `#`. A line may end with CRLF, and the
    /// text may begin with a byte order mark.
    ///
    /// # Errors
    /// It is too large, or a line is wrong.
    pub fn parse(bytes: &[u8], limits: ListLimits) -> Result<Self, ListError> {
        // Offsets and lengths are kept in 32 and 16 bits.
        let limit = limits.list_bytes.min(u32::MAX as usize);
        if bytes.len() > limit {
            return Err(ListError::TooLarge { limit });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = Reader {
            limits,
            text: String::new(),
            spans: Vec::new(),
        };
        for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            reader.line(number + 1, line)?;
        }
        reader.finish()
    }
}

struct Reader {
    limits: ListLimits,
    text: String,
    /// With the line of each.
    spans: Vec<(Span, u32)>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), ListError> {
        let wrong = |problem| ListError::Line {
            line: number,
            problem,
        };
        let Ok(line) = str::from_utf8(line) else {
            return Err(ListError::NotText { line: number });
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let (key, value) = (key.trim_end(), value.trim_start());
        let limits = self.limits;
        if key.is_empty() {
            return Err(wrong(LineProblem::NoKey));
        }
        if line.chars().any(|it| it.is_control() && it != '\t') {
            return Err(wrong(LineProblem::Control));
        }
        let key_bytes = within(key, limits.list_key_bytes)
            .map_err(|limit| wrong(LineProblem::LongKey { limit }))?;
        let value_bytes = within(value, limits.list_value_bytes)
            .map_err(|limit| wrong(LineProblem::LongValue { limit }))?;
        if self.spans.len() >= limits.list_entries {
            return Err(ListError::TooMany {
                line: number,
                limit: limits.list_entries,
            });
        }
        let span = Span {
            start: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
            key_bytes,
            value_bytes,
            parent: None,
        };
        self.text.push_str(key);
        self.text.push_str(value);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.spans.push((span, number));
        Ok(())
    }

    fn finish(mut self) -> Result<List, ListError> {
        let text = self.text.into_boxed_str();
        // By line among equals, so that the first of two is the earlier one.
        self.spans.sort_unstable_by(|(one, at), (other, other_at)| {
            by_key(&text, one, other).then(at.cmp(other_at))
        });
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        let twice = pairs
            .filter(|((one, _), (other, _))| key_of(&text, one) == key_of(&text, other))
            .min_by_key(|(_, (_, line))| *line);
        if let Some(((_, first), (_, line))) = twice {
            return Err(ListError::Line {
                line: *line as usize,
                problem: LineProblem::Twice {
                    first: *first as usize,
                },
            });
        }
        let spans = self.spans.into_iter().map(|(span, _)| span).collect();
        Ok(List::new(text, spans))
    }
}

/// The length of a text that is within its limit, and of what 16 bits can hold.
fn within(text: &str, limit: usize) -> Result<u16, usize> {
    let limit = limit.min(usize::from(u16::MAX));
    match u16::try_from(text.len()) {
        Ok(bytes) if text.len() <= limit => Ok(bytes),
        _ => Err(limit),
    }
}
