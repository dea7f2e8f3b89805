//! Rules by prefix and hour, as OpenSIPS `fraud_detection` has them: a row of its table
//! is a rule here, and of the rules that concern a call the one with the longest
//! prefix counts.
//!
//! What differs: nothing is reset at midnight, and calls that run hold their places
//! over it; durations are told during the call; calls at once are leases, which cannot
//! fall below zero; and all items are looked at, not the first that is exceeded.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::SettingsError;
use sipward_plugin_sdk::counters::{CounterError, Window, key};
use sipward_plugin_sdk::leases::Lease;

use crate::hours::{Day, Hours, Moment, Span};

/// Milliseconds of a minute and of a day.
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// A rule. Items that are not written are not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, for logs. Letters, digits, `-` and `_`, at most 32; each rule has its own.
    pub name: String,
    /// Numbers that begin so: `+` and digits, or nothing for all.
    #[serde(default)]
    pub prefix: String,
    /// Users that it concerns; empty, with `groups`, for everybody.
    #[serde(default)]
    pub users: Vec<String>,
    /// Groups that it concerns.
    #[serde(default)]
    pub groups: Vec<String>,
    /// First minute of its day, as `00:00`.
    #[serde(default = "midnight")]
    pub start_hour: String,
    /// First minute after it, as `24:00`.
    #[serde(default = "day_end")]
    pub end_hour: String,
    /// Days of the week.
    #[serde(default = "every_day")]
    pub daysoftheweek: Vec<Day>,
    /// Calls within a minute.
    pub cpm: Option<Pair>,
    /// Seconds of a call, 1 to 86,400. Told while it goes on.
    pub call_duration: Option<Pair>,
    /// Calls within 24 hours.
    pub total_calls: Option<Pair>,
    /// Calls at once.
    pub concurrent_calls: Option<Pair>,
    /// Calls to the same number one after the other.
    pub sequential_calls: Option<Pair>,
    /// Points for each warning. 0 to 10,000.
    #[serde(default = "warning_points")]
    pub warning_points: u32,
    /// Points for each critical item. 0 to 10,000.
    #[serde(default = "critical_points")]
    pub critical_points: u32,
}

/// From which value on it is a warning, and from which on critical. 0 turns one off.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// A warning.
    #[serde(default)]
    pub warning: u32,
    /// Critical.
    #[serde(default)]
    pub critical: u32,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A warning.
    Warning,
    /// Critical.
    Critical,
}

impl Pair {
    /// What a value means.
    fn level(self, value: u64) -> Option<Level> {
        let reached = |threshold: u32| threshold > 0 && value >= u64::from(threshold);
        match (reached(self.critical), reached(self.warning)) {
            (true, _) => Some(Level::Critical),
            (false, true) => Some(Level::Warning),
            (false, false) => None,
        }
    }
}

/// What a rule says about one item.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) level: Level,
    pub(crate) item: &'static str,
    pub(crate) value: u64,
}

/// All rules, the longest prefix first.
pub(crate) struct Rules {
    rules: Vec<Checked>,
    pub(crate) by_group: bool,
}

/// A checked rule with its counters.
pub(crate) struct Checked {
    rule: Rule,
    span: Span,
    minute: Window,
    total: Window,
    last: Window,
    same: Window,
    calls: Lease,
}

impl Rules {
    pub(crate) fn new(rules: Vec<Rule>) -> Result<Self, SettingsError> {
        let mut checked: Vec<Checked> = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let wrong = |(field, message): (&str, String)| {
                SettingsError::new(format!("rules[{index}].{field}"), message)
            };
            if checked.iter().any(|earlier| earlier.rule.name == rule.name) {
                let message = format!("`{}` is the name of an earlier rule", rule.name);
                return Err(wrong(("name", message)));
            }
            checked.push(Checked::new(rule).map_err(wrong)?);
        }
        // Stable: of equal prefixes the first rule counts.
        checked.sort_by_key(|rule| std::cmp::Reverse(rule.rule.prefix.len()));
        let by_group = checked.iter().any(|rule| !rule.rule.groups.is_empty());
        Ok(Self {
            rules: checked,
            by_group,
        })
    }

    /// The rule that counts for a call.
    pub(crate) fn find(
        &self,
        number: &str,
        user: Option<&str>,
        groups: &[String],
        moment: Moment,
    ) -> Option<&Checked> {
        self.rules.iter().find(|rule| {
            number.starts_with(&rule.rule.prefix)
                && rule.span.contains(moment)
                && rule.concerns(user, groups)
        })
    }

    /// The rule of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&Checked> {
        self.rules.iter().find(|rule| rule.rule.name == name)
    }
}

impl Checked {
    fn new(rule: Rule) -> Result<Self, (&'static str, String)> {
        check(&rule)?;
        let hours = Hours {
            from: rule.start_hour.clone(),
            to: rule.end_hour.clone(),
            days: rule.daysoftheweek.clone(),
        };
        let span = Span::new(&hours).map_err(|(field, message)| {
            let field = match field {
                "from" => "start_hour",
                "to" => "end_hour",
                _ => "daysoftheweek",
            };
            (field, message)
        })?;
        // Leaked once for each rule of an instance, which lives as long as they.
        let leak = |kind: &str| -> &'static str {
            Box::leak(format!("{kind}-{}", rule.name).into_boxed_str())
        };
        Ok(Self {
            span,
            minute: Window::new(leak("cpm"), MINUTE_MS),
            total: Window::new(leak("total"), DAY_MS).durable(),
            last: Window::new(leak("last"), DAY_MS),
            same: Window::new(leak("same"), DAY_MS),
            calls: Lease::new(leak("rule")),
            rule,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.rule.name
    }

    fn concerns(&self, user: Option<&str>, groups: &[String]) -> bool {
        let Rule {
            users, groups: of, ..
        } = &self.rule;
        (users.is_empty() && of.is_empty())
            || users.iter().any(|named| Some(named.as_str()) == user)
            || of.iter().any(|named| groups.contains(named))
    }

    /// Points for a breach.
    pub(crate) const fn points(&self, level: Level) -> u32 {
        match level {
            Level::Warning => self.rule.warning_points,
            Level::Critical => self.rule.critical_points,
        }
    }

    /// Counts a call, and says what it is too much of.
    pub(crate) fn count(&self, account: &str, number: &str) -> Result<Vec<Breach>, CounterError> {
        let key = key(&[account.as_bytes()]);
        let mut breaches = Vec::new();
        let mut judge = |item, pair: Pair, value| {
            if let Some(level) = pair.level(value) {
                breaches.push(Breach { level, item, value });
            }
        };
        if let Some(pair) = self.rule.cpm {
            judge("calls-per-minute", pair, self.minute.add(&key, 1)?);
        }
        if let Some(pair) = self.rule.total_calls {
            judge("total-calls", pair, self.total.add(&key, 1)?);
        }
        if let Some(pair) = self.rule.concurrent_calls {
            let held = self.calls.hold(&key, 1, u64::MAX);
            let held = held.map_err(|_| CounterError::Full)?.held;
            judge("concurrent-calls", pair, held);
        }
        if let Some(pair) = self.rule.sequential_calls {
            judge("sequential-calls", pair, self.in_a_row(&key, number)?);
        }
        Ok(breaches)
    }

    /// How often this number was called one time after the other. `last` is no count:
    /// it remembers which number it was, as a sum that is not 0.
    fn in_a_row(&self, key: &[u8], number: &str) -> Result<u64, CounterError> {
        let sum = number.bytes().fold(0x811c_9dc5u32, |sum, byte| {
            (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        }) | 1;
        if self.last.count(key)? != u64::from(sum) {
            self.last.reset(key)?;
            self.last.add(key, sum)?;
            self.same.reset(key)?;
        }
        self.same.add(key, 1)
    }

    /// Seconds after which a call is too long, if there are any.
    pub(crate) fn durations(&self) -> impl Iterator<Item = u32> {
        let pair = self.rule.call_duration;
        let both = pair.map(|pair| [pair.warning, pair.critical]);
        both.into_iter().flatten().filter(|seconds| *seconds > 0)
    }

    /// What it means that a call has lasted exactly so long.
    pub(crate) fn duration(&self, seconds: u32) -> Option<Breach> {
        let pair = self.rule.call_duration?;
        self.durations().find(|at| *at == seconds)?;
        Some(Breach {
            level: pair.level(seconds.into())?,
            item: "call-duration",
            value: seconds.into(),
        })
    }
}

fn check(rule: &Rule) -> Result<(), (&'static str, String)> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=32).contains(&rule.name.len()) || !rule.name.bytes().all(named) {
        let message = "has to be 1 to 32 letters, digits, `-` and `_`".to_owned();
        return Err(("name", message));
    }
    let digits = rule.prefix.strip_prefix('+');
    let is_prefix = digits.is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !rule.prefix.is_empty() && !is_prefix {
        let message = format!(
            "`{}` has to be `+` and 1 to 15 digits, or nothing",
            rule.prefix
        );
        return Err(("prefix", message));
    }
    let items = [
        ("cpm", rule.cpm),
        ("call_duration", rule.call_duration),
        ("total_calls", rule.total_calls),
        ("concurrent_calls", rule.concurrent_calls),
        ("sequential_calls", rule.sequential_calls),
    ];
    for (field, pair) in items {
        let Some(Pair { warning, critical }) = pair else {
            continue;
        };
        if warning > 0 && critical > 0 && critical < warning {
            return Err((
                field,
                format!("is critical at {critical}, before the warning at {warning}"),
            ));
        }
        let most = if field == "call_duration" {
            86_400
        } else {
            1_000_000
        };
        let value = warning.max(critical);
        if value == 0 || value > most {
            return Err((field, format!("is {value}; 1 to {most} is possible")));
        }
    }
    if items.iter().all(|(_, pair)| pair.is_none()) {
        return Err((
            "cpm",
            "is missing, and so is all else that it could look at".to_owned(),
        ));
    }
    for (field, points) in [
        ("warning_points", rule.warning_points),
        ("critical_points", rule.critical_points),
    ] {
        if points > crate::check::POINTS {
            return Err((
                field,
                format!("is {points}; 0 to {} is possible", crate::check::POINTS),
            ));
        }
    }
    Ok(())
}

fn midnight() -> String {
    "00:00".to_owned()
}

fn day_end() -> String {
    "24:00".to_owned()
}

fn every_day() -> Vec<Day> {
    use Day::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun]
}

const fn warning_points() -> u32 {
    40
}

const fn critical_points() -> u32 {
    100
}
