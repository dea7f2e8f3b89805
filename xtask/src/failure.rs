//! Errors that end a log: whoever reads it may see its last part only, so the words that
//! explain a failure are said again there.

use std::fmt;

use anyhow::Error;

/// Lines that are said again of each failure.
pub(crate) const LINES: usize = 60;

/// An error with the words of whoever failed: the last lines of a program, the panics of
/// tests, what breaks a rule.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What failed.
    pub(crate) summary: String,
    /// Why, as it was said. Only tests have more than [`LINES`].
    pub(crate) words: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Failure {}

/// The error of a command that has said everything about its failure.
#[derive(Debug)]
pub(crate) struct Told;

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed")
    }
}

impl std::error::Error for Told {}

/// What an error is about, and the words of whoever failed.
pub(crate) fn lines(error: &Error) -> Vec<String> {
    let summary = format!("{error:#}");
    let all: Vec<&str> = summary.lines().collect();
    let begin = all.len().saturating_sub(LINES);
    let told = all.iter().skip(begin).map(|line| (*line).to_owned());
    let words = error.downcast_ref::<Failure>().map(|it| it.words.clone());
    told.chain(words.unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn words_are_found_behind_what_was_added_to_them() {
        let failure = Failure {
            summary: "`x` failed".to_owned(),
            words: vec!["error: y".to_owned()],
        };
        let error = Err::<(), _>(failure).context("no book").unwrap_err();
        assert_eq!(lines(&error), ["no book: `x` failed", "error: y"]);
    }

    #[test]
    fn of_a_long_error_the_end_is_said() {
        let text = (0..100).map(|it| format!("{it}\n")).collect::<String>();
        let said = lines(&Error::msg(text));
        assert_eq!(said.len(), LINES);
        assert_eq!(said.last().map(String::as_str), Some("99"));
    }
}
