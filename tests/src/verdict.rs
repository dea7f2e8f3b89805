//! Whether a long run went well.

/// What was found, and whether all of it is good.
#[derive(Debug)]
pub struct Verdict {
    /// Nothing was wrong.
    pub good: bool,
    /// What was found.
    pub lines: Vec<String>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            good: true,
            lines: Vec::new(),
        }
    }
}

impl Verdict {
    /// Notes something that is as it should be, or is not.
    pub fn check(&mut self, good: bool, line: impl std::fmt::Display) {
        self.good &= good;
        let word = if good { "ok" } else { "WRONG" };
        self.lines.push(format!("{word:<6}{line}"));
    }

    /// Notes a figure that is neither good nor bad.
    pub fn tell(&mut self, line: impl std::fmt::Display) {
        self.lines.push(format!("{:<6}{line}", ""));
    }

    /// Prints everything.
    pub fn print(&self) {
        for line in &self.lines {
            println!("{line}");
        }
        println!("{}", if self.good { "good" } else { "not good" });
    }
}

/// Figures in the middle of the second third of a run, and in the last third: by then
/// everything is as warm as it gets.
#[must_use]
pub fn late_medians(samples: &[u64]) -> (u64, u64) {
    let third = samples.len() / 3;
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let (before, last) = samples.split_at(2 * third);
    (median(&before[third.min(before.len())..]), median(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_thing_is_enough() {
        let mut verdict = Verdict::default();
        verdict.check(false, "memory");
        verdict.check(true, "descriptors");
        verdict.tell("by the way");
        assert!(!verdict.good);
        assert_eq!(
            verdict.lines,
            ["WRONG memory", "ok    descriptors", "      by the way"]
        );
    }

    #[test]
    fn the_first_third_does_not_count() {
        let samples = [900, 900, 900, 5, 6, 7, 8, 9, 10];
        assert_eq!(late_medians(&samples), (6, 9));
        assert_eq!(late_medians(&[]), (0, 0));
        assert_eq!(late_medians(&[3]), (0, 3));
    }
}
