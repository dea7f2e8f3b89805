//! Signs that need no rule: what is counted when a call begins and when it ends.

use sipward_plugin_sdk::counters::{CounterError, Window, key};
use sipward_plugin_sdk::leases::Lease;
use sipward_plugin_sdk::{geo, random};

use std::net::IpAddr;

use crate::account::{Account, Finding};
use crate::dialled::Dialled;
use crate::habit::Habit;
use crate::settings;

/// Milliseconds of a minute and of a day.
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// A known country is counted anew one time in so many, so that it stays known while
/// it is used: a durable write for each call would be dear.
const REFRESH: u64 = 32;

/// Calls of an account.
const CALLS: Lease = Lease::new("calls");

/// Shortest call that can be long in seconds, whatever an account is used to.
const LEAST_TICK_S: f64 = 1.0;

/// The longest tick in seconds.
const LAST_TICK_S: f64 = 86_400.0;

/// The configured signs with their counters.
pub(crate) struct Signs {
    settings: settings::Signs,
    minute: Window,
    same: Window,
    seen: Window,
    block: Window,
    short: Window,
    countries: Window,
    all: Window,
    dear: Window,
    failed: Window,
    answered: Window,
    origins: Window,
    known: Window,
    bait: Window,
}

/// What a call is compared with.
pub(crate) struct Usual {
    /// Calls at once, this one included.
    pub(crate) held: u64,
    /// Seconds after which the call is long; `None` if nobody cares.
    pub(crate) long_s: Option<u32>,
}

impl Signs {
    pub(crate) fn new(settings: settings::Signs) -> Self {
        let within = |name, seconds: u32| Window::new(name, u64::from(seconds) * 1_000);
        let days = |name, days: u32| Window::new(name, u64::from(days) * DAY_MS).durable();
        Self {
            minute: Window::new("minute", MINUTE_MS),
            same: within("same", settings.repeated.within_s),
            seen: within("seen", settings.sequential.within_s),
            block: within("block", settings.sequential.within_s),
            short: within("short", settings.short.within_s),
            countries: days("countries", settings.new_country.forget_days),
            all: within("all", settings.high_cost.within_s),
            dear: within("dear", settings.high_cost.within_s),
            failed: within("failed", settings.failed.within_s),
            answered: within("answered", settings.failed.within_s),
            origins: days("origins", settings.new_origin.forget_days),
            known: days("known", settings.new_origin.forget_days),
            bait: within("bait", settings.call_back.within_s).durable(),
            settings,
        }
    }

    /// Looks at a call that begins.
    pub(crate) fn begin(
        &self,
        account: &Account,
        dialled: &Dialled,
        usual_hours: bool,
        findings: &mut Vec<Finding>,
    ) -> Result<Usual, CounterError> {
        self.volume(account, dialled, findings)?;
        self.destination(account, dialled, usual_hours, findings)?;
        self.habits(account, findings)
    }

    fn volume(
        &self,
        account: &Account,
        dialled: &Dialled,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CounterError> {
        let own = account.key();
        let name = account.name().as_bytes();
        let mut found = |points, why| findings.push(Finding { points, why });
        let rate = &self.settings.rate;
        if rate.points > 0 {
            let count = self.minute.add(own, 1)?;
            if count >= rate.calls_per_minute.into() {
                found(rate.points, format!("{count} calls within a minute"));
            }
        }
        let number = key(&[name, dialled.text.as_bytes()]);
        let repeated = &self.settings.repeated;
        if repeated.points > 0 {
            let count = self.same.add(&number, 1)?;
            if count >= repeated.calls.into() {
                found(repeated.points, format!("{count} calls to the same number"));
            }
        }
        let sequential = &self.settings.sequential;
        let block = dialled.text.len().checked_sub(2);
        let block = block.and_then(|end| dialled.text.as_bytes().get(..end));
        // Extensions are side by side by nature: with the country's code they have at
        // most eight characters.
        let block = block.filter(|block| sequential.points > 0 && block.len() > 6);
        if let Some(block) = block
            && self.seen.add(&number, 1)? == 1
        {
            let count = self.block.add(&key(&[name, block]), 1)?;
            if count >= sequential.numbers.into() {
                found(sequential.points, format!("{count} numbers of one block"));
            }
        }
        Ok(())
    }

    fn destination(
        &self,
        account: &Account,
        dialled: &Dialled,
        usual_hours: bool,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CounterError> {
        let mut found = |points, why| findings.push(Finding { points, why });
        if let Some(country) = &dialled.abroad {
            let points = self.settings.new_country.points;
            let place = key(&[account.name().as_bytes(), country.as_bytes()]);
            if points > 0 && is_new(&self.countries, &place)? {
                found(points, format!("first call to {country}"));
            }
            let points = self.settings.off_hours.points;
            if points > 0 && !usual_hours {
                found(points, format!("calls {country} off hours"));
            }
        }
        let high = &self.settings.high_cost;
        if high.points > 0 {
            let all = self.all.add(account.key(), 1)?;
            if dialled.dear {
                let dear = self.dear.add(account.key(), 1)?;
                let share = dear.saturating_mul(100) / all.max(1);
                if dear >= high.at_least.into() && share >= high.share_percent.into() {
                    found(high.points, format!("{dear} of {all} calls are dear"));
                }
            }
        }
        let back = &self.settings.call_back;
        if back.points > 0
            && (dialled.dear || dialled.abroad.is_some())
            && self.bait.count(&key(&[dialled.text.as_bytes()]))? > 0
        {
            found(
                back.points,
                "calls back a number that rang only briefly".to_owned(),
            );
        }
        Ok(())
    }

    fn habits(
        &self,
        account: &Account,
        findings: &mut Vec<Finding>,
    ) -> Result<Usual, CounterError> {
        let holding = CALLS.hold(account.key(), 1, u64::MAX);
        let held = holding.map_err(|_| CounterError::Full)?.held;
        let habit = Habit::load(account.name());
        let concurrency = &self.settings.concurrency;
        let (many, why) = self.many(&habit);
        if concurrency.points > 0 && held >= many {
            findings.push(Finding {
                points: concurrency.points,
                why: format!("{held} calls at once, {why}"),
            });
        }
        let long_s = (self.settings.duration.points > 0).then(|| self.long_s(&habit));
        Ok(Usual { held, long_s })
    }

    /// How many calls at once are many for an account, and why.
    fn many(&self, habit: &Habit) -> (u64, &'static str) {
        let concurrency = &self.settings.concurrency;
        if habit.calls < self.settings.learning.calls {
            return (concurrency.unlearned.into(), "little is known of it");
        }
        let above = habit.concurrency.above(concurrency.deviations);
        // Strictly more than the bound; a float that is too large saturates.
        let many = (above.floor() as u64).saturating_add(1);
        (many.max(concurrency.at_least.into()), "far more than usual")
    }

    /// How many seconds are long for an account.
    fn long_s(&self, habit: &Habit) -> u32 {
        let duration = &self.settings.duration;
        if habit.calls < self.settings.learning.calls {
            return duration.unlearned_s;
        }
        let above = habit.duration.above(duration.deviations);
        let long = above.max(duration.at_least_s.into());
        // Clamped, so it fits.
        long.ceil().clamp(LEAST_TICK_S, LAST_TICK_S) as u32
    }

    /// A call has lasted longer than its account is used to.
    pub(crate) fn long(&self, seconds: u32) -> Finding {
        Finding {
            points: self.settings.duration.points,
            why: format!("a call lasts {seconds} s, far longer than usual"),
        }
    }

    /// A wrong answer to our challenge.
    pub(crate) fn wrong_answer(&self) -> Finding {
        Finding {
            points: self.settings.wrong_answer.points,
            why: "a wrong answer to the challenge".to_owned(),
        }
    }

    /// Where the account comes from.
    pub(crate) fn origin(
        &self,
        account: &Account,
        source: IpAddr,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CounterError> {
        let points = self.settings.new_origin.points;
        if points == 0 {
            return Ok(());
        }
        let Ok(place) = geo::locate(source) else {
            return Ok(());
        };
        let country = place.country;
        if country.is_empty() {
            return Ok(());
        }
        let origin = key(&[account.name().as_bytes(), country.as_bytes()]);
        if !is_new(&self.origins, &origin)? {
            return Ok(());
        }
        // The first country of all is where it lives.
        if self.known.count(account.key())? > 0 {
            let why = format!("comes from {country} for the first time");
            findings.push(Finding { points, why });
        }
        self.known.add(account.key(), 1)?;
        Ok(())
    }

    /// Looks at a call that was answered and is over.
    pub(crate) fn answered(
        &self,
        account: &Account,
        lasted_ms: u64,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CounterError> {
        self.answered.add(account.key(), 1)?;
        let short = &self.settings.short;
        if short.points > 0 && lasted_ms < u64::from(short.shorter_than_s) * 1_000 {
            let count = self.short.add(account.key(), 1)?;
            if count >= short.calls.into() {
                findings.push(Finding {
                    points: short.points,
                    why: format!("{count} calls shorter than {} s", short.shorter_than_s),
                });
            }
        }
        Ok(())
    }

    /// Looks at a call that nobody could answer.
    pub(crate) fn failed(
        &self,
        account: &Account,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CounterError> {
        let settings = &self.settings.failed;
        if settings.points == 0 {
            return Ok(());
        }
        let failed = self.failed.add(account.key(), 1)?;
        let answered = self.answered.count(account.key())?;
        // Counts within a window are far below what a float holds exactly.
        let many = failed as f64 >= settings.ratio * answered as f64;
        if failed >= settings.at_least.into() && many {
            findings.push(Finding {
                points: settings.points,
                why: format!("{failed} calls failed and {answered} were answered"),
            });
        }
        Ok(())
    }

    /// Learns from a call what its account does usually. What is out of the ordinary
    /// counts as the edge of it, so that it cannot be taught in a night.
    pub(crate) fn learn(&self, account: &Account, lasted_ms: u64, held: u64) {
        let mut habit = Habit::load(account.name());
        let seconds = lasted_ms as f64 / 1_000.0;
        let seconds = seconds.min(self.long_s(&habit).into());
        let held = held.min(self.many(&habit).0) as f64;
        habit.learn(seconds, held, self.settings.learning.weight);
        habit.store(account.name());
    }

    /// Whether a call for us that was given up so soon is bait.
    pub(crate) fn is_bait(&self, rang_ms: u64) -> bool {
        let back = &self.settings.call_back;
        back.points > 0 && rang_ms <= u64::from(back.rang_at_most_s) * 1_000
    }

    /// Remembers a number that rang only briefly.
    pub(crate) fn remember_bait(&self, number: &str) -> Result<(), CounterError> {
        self.bait.add(&key(&[number.as_bytes()]), 1).map(|_| ())
    }
}

/// Whether a key was never counted, and counts it then.
fn is_new(window: &Window, key: &[u8]) -> Result<bool, CounterError> {
    if window.count(key)? == 0 {
        window.add(key, 1)?;
        return Ok(true);
    }
    if random::next_u64().is_multiple_of(REFRESH) {
        window.add(key, 1)?;
    }
    Ok(false)
}
