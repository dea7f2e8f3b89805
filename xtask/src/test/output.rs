//! What programs of tests print: counts, and the words of tests that failed.

use super::Tally;

/// Lines that are kept of each test that failed, and characters of each line: a panic's
/// message comes first, and the logs of whole proxies may follow.
const LINES: usize = 24;
const CHARACTERS: usize = 400;

/// A test that failed, or a program that ended before it could say how many did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FailedTest {
    /// The test; empty for a whole program.
    pub(crate) test: String,
    /// Its panic, or the last that was said.
    pub(crate) words: Vec<String>,
}

/// The counts of all `test result` lines; none if there is no such line.
pub(crate) fn counts(text: &str) -> Option<Tally> {
    text.lines().filter_map(result_line).reduce(|mut sum, it| {
        sum += it;
        sum
    })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
fn result_line(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        let (number, what) = part.split_once(' ')?;
        match what {
            "passed" => tally.passed = number.parse().ok()?,
            "failed" => tally.failed = number.parse().ok()?,
            "ignored" => tally.skipped = number.parse().ok()?,
            _ => break,
        }
    }
    Some(tally)
}

/// The tests that failed, each with its panic.
pub(crate) fn failures(text: &str) -> Vec<FailedTest> {
    let mut failures = Vec::new();
    let mut section: Option<(&str, Vec<&str>)> = None;
    let close = |section: Option<(&str, Vec<&str>)>, failures: &mut Vec<FailedTest>| {
        failures.extend(section.map(|(test, lines)| FailedTest {
            test: test.to_owned(),
            words: panic(&lines),
        }));
    };
    for line in text.lines() {
        let header = line
            .strip_prefix("---- ")
            .and_then(|it| it.strip_suffix(" stdout ----"));
        if header.is_some() || line == "failures:" || line.starts_with("test result: ") {
            close(section.take(), &mut failures);
            section = header.map(|test| (test, Vec::new()));
        } else if let Some((_, lines)) = &mut section {
            lines.push(line);
        }
    }
    close(section, &mut failures);
    failures
}

/// The first panic and what follows it; without one the last lines.
fn panic(lines: &[&str]) -> Vec<String> {
    let begin = lines
        .iter()
        .position(|line| line.contains("panicked at "))
        .unwrap_or_else(|| lines.len().saturating_sub(LINES));
    let told = lines.iter().skip(begin).filter(|line| !line.is_empty());
    told.take(LINES).map(|line| cut(line)).collect()
}

/// The last lines of a text, each of bearable length.
pub(crate) fn tail(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let begin = all.len().saturating_sub(lines);
    all.iter().skip(begin).map(|line| cut(line)).collect()
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{} ...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "
running 3 tests
test a::one ... FAILED
test two ... ok
test src/lib.rs - three (line 3) ... FAILED

failures:

---- a::one stdout ----
a word before

thread 'a::one' (7) panicked at tests/a.rs:3:5:
no alert: []
sipward: a log

---- src/lib.rs - three (line 3) stdout ----
error: expected `;`

failures:
    a::one
    src/lib.rs - three (line 3)

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn counts_are_read_and_added() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        let tally = |passed, failed, skipped| Tally {
            passed,
            failed,
            skipped,
        };
        assert_eq!(counts(line), Some(tally(12, 2, 1)));
        assert_eq!(
            counts(&format!("{line}\nx\n{line}\n")),
            Some(tally(24, 4, 2))
        );
        assert_eq!(counts("test a::b ... ok"), None);
        assert_eq!(counts(FAILED), Some(tally(1, 2, 0)));
    }

    #[test]
    fn a_failure_has_its_panic_and_what_follows() {
        let failures = failures(FAILED);
        let names: Vec<&str> = failures.iter().map(|it| it.test.as_str()).collect();
        assert_eq!(names, ["a::one", "src/lib.rs - three (line 3)"]);
        assert_eq!(
            failures[0].words,
            [
                "thread 'a::one' (7) panicked at tests/a.rs:3:5:",
                "no alert: []",
                "sipward: a log"
            ]
        );
        assert_eq!(failures[1].words, ["error: expected `;`"]);
    }

    #[test]
    fn long_words_are_cut() {
        let log = "x".repeat(CHARACTERS + 1) + "\n";
        let text = format!(
            "---- a stdout ----\nthread 'a' panicked at b:\n{}",
            log.repeat(2 * LINES)
        );
        let failures = failures(&text);
        assert_eq!(failures[0].words.len(), LINES);
        assert_eq!(failures[0].words[1].len(), CHARACTERS + 4);
    }

    #[test]
    fn the_tail_is_at_most_the_whole() {
        assert_eq!(tail("a\nb\nc", 2), ["b", "c"]);
        assert_eq!(tail("a", 2), ["a"]);
    }
}
