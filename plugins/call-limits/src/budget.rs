//! Minutes and money: what is reserved while it rings and what is spent.
//!
//! Of each budget two things are known. `spent` is a durable counter; what a call
//! will use is added to it in advance, for the first piece at the answer and for each
//! further one at a tick. `reserved` is a lease that each call holds from its
//! admission to its end, of the price of one piece: while it rings, its first one,
//! and then its next one. With S spent, H reserved by all calls together and p the
//! price of a piece:
//!
//! - a call is admitted if S + H + p is within the limit, and then holds p;
//! - at its answer p is spent without asking, because it was reserved;
//! - at a tick p is spent if S + H, in which its own p is, is within the limit.
//!
//! So S never exceeds the limit, however many calls begin at once, and `kill -9`
//! loses nothing that was spent: what runs has been paid up to its next tick.

use sipward_plugin_sdk::clock;
use sipward_plugin_sdk::counters::{Window, key};
use sipward_plugin_sdk::leases::Lease;

use crate::price::{self, Money, Price};
use crate::settings::Periods;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds of answered calls.
    Seconds,
    /// Ten-thousandths of the currency.
    Money,
}

/// Over which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// A day.
    Day,
    /// A month.
    Month,
}

/// One budget of a limit.
pub(crate) struct Budget {
    unit: Unit,
    span: Span,
    limit: u64,
    warn: u64,
    reserved: Lease,
    spent: Window,
}

/// Which calendar period it is; 0 for all if periods slide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Today {
    day: u32,
    month: u32,
}

/// What the pieces of a call cost a budget.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pieces {
    /// The first one, with what beginning the call costs.
    first: Money,
    /// Each further one.
    next: Money,
}

/// What came of spending.
pub(crate) enum Spent {
    /// It was counted.
    Counted,
    /// It was counted, and the operator is to be warned: percent of the limit.
    Warn(u64),
    /// It could not be counted: the limit is reached.
    Uncounted,
}

impl Today {
    /// By the host's clock.
    pub(crate) fn now(periods: Periods, utc_offset_minutes: i32) -> Self {
        if periods == Periods::Sliding {
            return Self { day: 0, month: 0 };
        }
        let offset_ms = i64::from(utc_offset_minutes) * 60_000;
        let local_ms = clock::now_ms().saturating_add_signed(offset_ms);
        let day = u32::try_from(local_ms / DAY_MS).unwrap_or(u32::MAX);
        Self {
            day,
            month: month(day),
        }
    }

    fn of(self, span: Span) -> u32 {
        match span {
            Span::Day => self.day,
            Span::Month => self.month,
        }
    }
}

/// Months since the year 0 of a day since 1970, in the Gregorian calendar.
fn month(day: u32) -> u32 {
    // Days since 1 March of the year 0: leap days come last in such years.
    let days = u64::from(day) + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // 0 is March.
    let from_march = (5 * of_year + 2) / 153;
    u32::try_from((era * 400 + year) * 12 + from_march + 2).unwrap_or(u32::MAX)
}

impl Budget {
    /// `name` is that of the limit.
    pub(crate) fn new(name: &str, unit: Unit, span: Span, limit: u64, warn_percent: u8) -> Self {
        let kind = match unit {
            Unit::Seconds => "seconds",
            Unit::Money => "money",
        };
        let (period, window_ms) = match span {
            Span::Day => ("day", DAY_MS),
            Span::Month => ("month", 30 * DAY_MS),
        };
        // Leaked once for each budget of an instance, which lives as long as they.
        let name: &'static str = Box::leak(format!("{kind}-{period}-{name}").into_boxed_str());
        Self {
            unit,
            span,
            limit,
            warn: (limit * u64::from(warn_percent)).div_ceil(100),
            reserved: Lease::new(name),
            spent: Window::new(name, window_ms).durable(),
        }
    }

    /// The same for periods of the calendar: a count is kept until its period is over.
    pub(crate) fn by_calendar(self) -> Self {
        let days = match self.span {
            Span::Day => 1,
            Span::Month => 31,
        };
        // A window is exact for its length from its first addition.
        let spent = self.spent.of_length((days + 1) * DAY_MS);
        Self { spent, ..self }
    }

    /// What the pieces of a call cost.
    pub(crate) fn pieces(&self, price: Price, piece_s: u32) -> Pieces {
        match self.unit {
            Unit::Seconds => Pieces {
                first: piece_s,
                next: piece_s,
            },
            Unit::Money => {
                let next = price.of_seconds(piece_s);
                Pieces {
                    first: next.saturating_add(price.call),
                    next,
                }
            }
        }
    }

    fn spent_key(&self, who: &str, today: Today) -> Vec<u8> {
        match today.of(self.span) {
            0 => key(&[who.as_bytes()]),
            period => key(&[who.as_bytes(), &period.to_be_bytes()]),
        }
    }

    /// Reserves the first piece of a call; false if it is beyond the limit. `key` is that
    /// of `who`.
    pub(crate) fn reserve(&self, who: &str, key: &[u8], today: Today, pieces: Pieces) -> bool {
        if pieces.first == 0 {
            return true;
        }
        let spent = match today.of(self.span) {
            0 => self.spent.count(key),
            _ => self.spent.count(&self.spent_key(who, today)),
        };
        let Ok(spent) = spent else {
            return false;
        };
        let left = self.limit.saturating_sub(spent);
        let held = self.reserved.hold(key, pieces.first.into(), left);
        held.is_ok_and(|holding| holding.granted)
    }

    /// Whether the next piece is within the limit.
    pub(crate) fn affords(&self, who: &str, today: Today, pieces: Pieces) -> bool {
        if pieces.next == 0 {
            return true;
        }
        let spent = self.spent.count(&self.spent_key(who, today));
        let reserved = self.reserved.held(&key(&[who.as_bytes()]));
        let (Ok(spent), Ok(reserved)) = (spent, reserved) else {
            return false;
        };
        // The call itself holds its first piece; the next one is what it asks for.
        let others = reserved.saturating_sub(pieces.first.into());
        let wanted = others.saturating_add(pieces.next.into());
        spent.saturating_add(wanted) <= self.limit
    }

    /// Spends the first piece.
    pub(crate) fn spend_first(&self, who: &str, today: Today, pieces: Pieces) -> Spent {
        self.spend(who, today, pieces.first)
    }

    /// Spends a further piece.
    pub(crate) fn spend_next(&self, who: &str, today: Today, pieces: Pieces) -> Spent {
        self.spend(who, today, pieces.next)
    }

    fn spend(&self, who: &str, today: Today, amount: Money) -> Spent {
        if amount == 0 {
            return Spent::Counted;
        }
        match self.spent.add(&self.spent_key(who, today), amount) {
            Err(_) => Spent::Uncounted,
            Ok(after) if after >= self.warn && after.saturating_sub(amount.into()) < self.warn => {
                Spent::Warn(after.saturating_mul(100) / self.limit)
            }
            Ok(_) => Spent::Counted,
        }
    }

    /// For operators: what the limit is.
    pub(crate) fn describe(&self) -> String {
        let span = match self.span {
            Span::Day => "day",
            Span::Month => "month",
        };
        match self.unit {
            Unit::Seconds => format!("{} minutes a {span}", self.limit / 60),
            Unit::Money => format!("a cost of {} a {span}", price::display(self.limit)),
        }
    }

    /// For keys of alerts.
    pub(crate) const fn label(&self) -> &'static str {
        match (self.unit, self.span) {
            (Unit::Seconds, Span::Day) => "minutes-per-day",
            (Unit::Seconds, Span::Month) => "minutes-per-month",
            (Unit::Money, Span::Day) => "cost-per-day",
            (Unit::Money, Span::Month) => "cost-per-month",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_of_the_gregorian_calendar() {
        let january_1970 = 1970 * 12;
        for (day, since) in [
            (0, 0),
            (30, 0),
            (31, 1),
            (58, 1),
            (59, 2),
            (364, 11),
            (365, 12),
            // 29 February and 1 March 2024.
            (19_782, 54 * 12 + 1),
            (19_783, 54 * 12 + 2),
            // 31 December 2099 and 28 February and 1 March 2100, which is no leap year.
            (47_481, 129 * 12 + 11),
            (47_540, 130 * 12 + 1),
            (47_541, 130 * 12 + 2),
        ] {
            assert_eq!(month(day), january_1970 + since, "{day}");
        }
    }
}
