//! The operator's lists: files of `key = value` lines, looked up by key and by the
//! longest key that a text begins with.
//!
//! ```text
//! # barred.txt: what nobody calls from here
//! +49900  = premium
//! +881    = satellite
//! +4930123456
//! ```
//!
//! A list is read as a whole or refused with the line that is wrong. It is one block
//! of text and one sorted table of spans into it: 12 bytes for an entry beside its
//! text, whatever its length, and nothing to follow but two slices.

mod file;
mod list;

pub use file::{LineProblem, ListError, ListLimits};
pub use list::{Entry, List};
