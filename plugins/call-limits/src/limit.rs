//! One limit: whom it concerns and what it allows.

use sipward_plugin_sdk::counters::{Bucket, Window, key};
use sipward_plugin_sdk::leases::Lease;

use crate::budget::{Budget, Span, Unit};
use crate::price;
use crate::settings::{self, Per, Periods};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// Who takes part in a call, as far as it is known.
#[derive(Default)]
pub(crate) struct Parties<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) groups: Vec<String>,
    pub(crate) caller: Option<&'a str>,
    pub(crate) callee: Option<&'a str>,
}

/// The configured limit.
pub(crate) struct Limit {
    name: String,
    pub(crate) per: Per,
    of: Vec<String>,
    /// Those that it is not for.
    but: Vec<String>,
    calls: Option<Places>,
    per_second: Option<Bucket>,
    per_hour: Option<(Window, u64)>,
    pub(crate) longest_s: Option<u32>,
    pub(crate) budgets: Vec<Budget>,
}

/// Calls at once.
struct Places {
    lease: Lease,
    limit: u64,
    warn: u64,
}

/// A limit that a call would exceed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// For keys of alerts.
    pub(crate) label: &'static str,
    /// For operators: what the limit is.
    pub(crate) limit: String,
    /// The answer.
    pub(crate) status: u16,
    /// Seconds for Retry-After; 0 for none.
    pub(crate) retry_after_s: u32,
}

impl Limit {
    /// `but` are those that it is not for.
    pub(crate) fn new(
        settings: settings::Limit,
        but: Vec<String>,
        warn_percent: u8,
        periods: Periods,
    ) -> Self {
        let name = settings.name;
        // Leaked once for each limit of an instance, which lives as long as they.
        let leak =
            |kind: &str| -> &'static str { Box::leak(format!("{kind}-{name}").into_boxed_str()) };
        let warn = |limit: u64| (limit * u64::from(warn_percent)).div_ceil(100);
        let calls = settings.calls.map(|limit| Places {
            lease: Lease::new(leak("calls")),
            limit: limit.into(),
            warn: warn(limit.into()),
        });
        let per_second = settings.calls_per_second.map(|rate| {
            // Checked: at most 10,000 a second.
            let capacity = rate.ceil().max(1.0) as u32;
            let refill = (rate * 1_000.0).round().max(1.0) as u32;
            Bucket::new(leak("second"), capacity, refill)
        });
        let per_hour = settings
            .calls_per_hour
            .map(|limit| (Window::new(leak("hour"), HOUR_MS), limit.into()));
        let seconds = |minutes: Option<u32>| minutes.map(|minutes| u64::from(minutes) * 60);
        let money = |amount: Option<f64>| amount.map(money);
        let budgets = [
            (Unit::Seconds, Span::Day, seconds(settings.minutes_per_day)),
            (
                Unit::Seconds,
                Span::Month,
                seconds(settings.minutes_per_month),
            ),
            (Unit::Money, Span::Day, money(settings.cost_per_day)),
            (Unit::Money, Span::Month, money(settings.cost_per_month)),
        ];
        let budgets = budgets.into_iter().filter_map(|(unit, span, limit)| {
            let budget = Budget::new(&name, unit, span, limit?, warn_percent);
            Some(match periods {
                Periods::Sliding => budget,
                Periods::Calendar => budget.by_calendar(),
            })
        });
        Self {
            budgets: budgets.collect(),
            per: settings.per,
            of: settings.of,
            but,
            calls,
            per_second,
            per_hour,
            longest_s: settings.longest_s,
            name,
        }
    }

    /// The name, for operators.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Those who take part and are counted, by their names.
    pub(crate) fn concerned<'a>(
        &'a self,
        parties: &'a Parties<'_>,
    ) -> impl Iterator<Item = &'a str> {
        let (one, groups): (Option<&str>, &[String]) = match self.per {
            Per::User => (parties.user, &[]),
            Per::Group => (None, &parties.groups),
            Per::Peer => (parties.caller, &[]),
            Per::Trunk => (parties.callee, &[]),
            Per::All => (Some("all"), &[]),
        };
        let named = move |who: &&str| match self.of.is_empty() {
            true => self.but.iter().all(|but| but != who),
            false => self.of.iter().any(|of| of == who),
        };
        one.into_iter()
            .chain(groups.iter().map(String::as_str))
            .filter(named)
    }

    /// Takes a place among the calls for whose key it is; gives how many have one if that is worth a
    /// warning.
    pub(crate) fn enter(&self, key: &[u8]) -> Result<Option<u64>, Excess> {
        let Some(places) = &self.calls else {
            return Ok(None);
        };
        match places.lease.hold(key, 1, places.limit) {
            Ok(holding) if holding.granted => {
                let warns = holding.held == places.warn && places.warn < places.limit;
                Ok(warns.then_some(holding.held))
            }
            _ => Err(Excess {
                label: "calls",
                limit: format!("{} calls at once", places.limit),
                status: 486,
                retry_after_s: 0,
            }),
        }
    }

    /// Counts the call by second and hour.
    pub(crate) fn count(&self, who: &str) -> Result<(), Excess> {
        let key = &key(&[who.as_bytes()]);
        if let Some((window, limit)) = &self.per_hour {
            let within = window.count(key).is_ok_and(|count| count < *limit);
            // Two at once may both have read the last free place.
            if !within || !window.add(key, 1).is_ok_and(|count| count <= *limit) {
                return Err(Excess {
                    label: "calls-per-hour",
                    limit: format!("{limit} calls an hour"),
                    status: 503,
                    retry_after_s: 300,
                });
            }
        }
        let Some(bucket) = &self.per_second else {
            return Ok(());
        };
        match bucket.take(key, 1) {
            Ok(grant) if grant.taken => Ok(()),
            taken => Err(Excess {
                label: "calls-per-second",
                limit: "its calls per second".to_owned(),
                status: 503,
                retry_after_s: taken.map_or(60, |grant| {
                    grant.retry_after_ms.div_ceil(1_000).clamp(1, 300)
                }),
            }),
        }
    }
}

impl Budget {
    /// What a call hears that is beyond it.
    pub(crate) fn excess(&self) -> Excess {
        Excess {
            label: self.label(),
            limit: self.describe(),
            status: 403,
            retry_after_s: 0,
        }
    }
}

/// A checked amount of at most 100,000,000 of the currency, rounded up.
fn money(amount: f64) -> u64 {
    (amount * f64::from(price::UNIT)).round().max(1.0) as u64
}
