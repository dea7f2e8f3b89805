//! Sipward policy `call-limits`: how many calls, how long, how dear.
//!
//! See the README for threats, settings, examples and limits; `budget.rs` says how
//! money is kept.

mod budget;
mod check;
mod limit;
mod price;
mod settings;

use sipward_plugin_sdk::counters::key;
use sipward_plugin_sdk::{identity, prelude::*};

use budget::{Budget, Spent, Today};
use limit::{Excess, Limit, Parties};
use price::{Fault, Price, Prices};
pub use settings::Settings;
use settings::{Per, Periods};

/// Seconds after which no tick can be asked for: a day.
const LAST_TICK_S: u32 = 86_400;

/// Warnings of one outcome. 8: an outcome holds 32 effects, and one is enough to look.
const WARNINGS: usize = 8;

/// What the call events have to know: the price.
const PRICE: &str = "call-limits.price";
/// And whether the call is concerned at all.
const EXEMPT: &str = "call-limits.exempt";

/// The configured policy.
pub struct CallLimits {
    limits: Vec<Limit>,
    prices: Prices,
    periods: Periods,
    utc_offset_minutes: i32,
    charge_every_s: u32,
    emergency: Vec<String>,
    by_group: bool,
    costs: bool,
}

#[policy]
impl Policy for CallLimits {
    type Settings = Settings;

    const METHODS: &'static [&'static str] = &["INVITE"];
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Counters, Capability::Leases, Capability::Lists];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check::settings(&settings)?;
        let (warn_percent, periods) = (settings.warn_percent, settings.periods);
        let is_money = |limit: &settings::Limit| {
            limit.cost_per_day.is_some() || limit.cost_per_month.is_some()
        };
        let by_group = settings.limits.iter().any(|limit| limit.per == Per::Group);
        let costs = settings.limits.iter().any(is_money);
        let named: Vec<_> = settings
            .limits
            .iter()
            .map(|limit| (limit.per, limit.of.clone()))
            .collect();
        let limits = settings.limits.into_iter().map(|limit| {
            let others = named
                .iter()
                .filter(|(per, _)| limit.rest && *per == limit.per);
            let but = others.flat_map(|(_, of)| of.iter().cloned()).collect();
            Limit::new(limit, but, warn_percent, periods)
        });
        Ok(Self {
            limits: limits.collect(),
            prices: Prices::new(settings.prices, settings.region),
            periods,
            utc_offset_minutes: settings.utc_offset_minutes,
            charge_every_s: settings.charge_every_s,
            emergency: settings.emergency,
            by_group,
            costs,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if request.dialog() != Dialog::None {
            return Outcome::next();
        }
        let dialled = request.request_uri().dialled();
        let is_dialled = |number: &String| Some(number.as_str()) == dialled.as_deref();
        if self.emergency.iter().any(is_dialled) {
            return Outcome::next().annotate(EXEMPT, "emergency");
        }
        let (price, mut outcome) = match self.price(request, dialled.as_deref()) {
            Ok(priced) => priced,
            Err(refusal) => return refusal,
        };
        let parties = Parties {
            user: request.identity(),
            groups: self.groups(request.identity()),
            caller: request.peer().name(),
            callee: None,
        };
        let today = Today::now(self.periods, self.utc_offset_minutes);
        // What calls hold is given back if a later limit refuses; what is counted is
        // not, so it comes last.
        for (limit, who) in self.concerned(&parties, |per| per != Per::Trunk) {
            match self.reserve(limit, who, price, today) {
                Ok(None) => {}
                Ok(Some(held)) => outcome = warn_of_calls(outcome, limit, who, held),
                Err(excess) => return refuse(limit, who, excess),
            }
            if let Some(longest_s) = limit.longest_s {
                outcome = outcome.limit_duration(longest_s);
            }
        }
        for (limit, who) in self.concerned(&parties, |per| per != Per::Trunk) {
            if let Err(excess) = limit.count(who) {
                return refuse(limit, who, excess);
            }
        }
        outcome
    }

    fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
        if call.annotation(EXEMPT).is_some() {
            return Outcome::next();
        }
        match event {
            CallEvent::Answered => self.answered(call),
            CallEvent::Tick(seconds) => self.tick(call, *seconds),
            _ => Outcome::next(),
        }
    }
}

impl CallLimits {
    /// The price of a call, and an outcome that remembers it.
    fn price(
        &self,
        request: &Request<'_>,
        dialled: Option<&str>,
    ) -> Result<(Price, Outcome), Outcome> {
        if !self.costs {
            return Ok((Price::default(), Outcome::next()));
        }
        let list = self.prices.list();
        match self.prices.of(request, dialled) {
            Ok(priced) => {
                let outcome = Outcome::next().annotate(PRICE, priced.price.to_note());
                let outcome = match priced.without_list {
                    false => outcome,
                    true => outcome.alert_about(
                        Severity::Warning,
                        "call-limits/no-prices",
                        format!(
                            "the config has no list `{list}`: all calls have the default price"
                        ),
                    ),
                };
                Ok((priced.price, outcome))
            }
            Err(Fault::Entry { key, value }) => {
                let text = format!("the list `{list}` has `{value}` for {key}, which is no price");
                Err(Outcome::reject(403).because(text.as_str()).alert_about(
                    Severity::Critical,
                    format!("call-limits/price/{key}"),
                    text,
                ))
            }
        }
    }

    fn groups(&self, user: Option<&str>) -> Vec<String> {
        match user {
            Some(user) if self.by_group => identity::groups(user),
            _ => Vec::new(),
        }
    }

    /// The limits of some kinds with each of those they concern.
    fn concerned<'a>(
        &'a self,
        parties: &'a Parties<'_>,
        kinds: impl Fn(Per) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a Limit, &'a str)> {
        let limits = self.limits.iter().filter(move |limit| kinds(limit.per));
        limits.flat_map(move |limit| limit.concerned(parties).map(move |who| (limit, who)))
    }

    /// Takes a place, and what the first piece costs.
    fn reserve(
        &self,
        limit: &Limit,
        who: &str,
        price: Price,
        today: Today,
    ) -> Result<Option<u64>, Excess> {
        // Once for all, as each budget asks twice.
        let key = key(&[who.as_bytes()]);
        let held = limit.enter(&key)?;
        for budget in &limit.budgets {
            let pieces = budget.pieces(price, self.charge_every_s);
            if !budget.reserve(who, &key, today, pieces) {
                return Err(budget.excess());
            }
        }
        Ok(held)
    }

    /// Everything that a call spends from, and the price of its pieces.
    fn accounts<'a>(
        &'a self,
        parties: &'a Parties<'_>,
    ) -> impl Iterator<Item = (&'a Limit, &'a str, &'a Budget)> {
        let all = self.concerned(parties, |_| true);
        all.flat_map(|(limit, who)| limit.budgets.iter().map(move |budget| (limit, who, budget)))
    }

    fn answered(&self, call: &Call<'_>) -> Outcome {
        let parties = self.parties(call);
        let price = noted_price(call);
        let today = Today::now(self.periods, self.utc_offset_minutes);
        let mut outcome = Outcome::next();
        for (limit, who) in self.concerned(&parties, |per| per == Per::Trunk) {
            match self.reserve(limit, who, price, today) {
                Ok(None) => {}
                Ok(Some(held)) => outcome = warn_of_calls(outcome, limit, who, held),
                Err(excess) => return refuse(limit, who, excess),
            }
            if let Some(longest_s) = limit.longest_s {
                outcome = outcome.limit_duration(longest_s);
            }
        }
        self.spend(outcome, &parties, self.charge_every_s, |budget, who| {
            budget.spend_first(who, today, budget.pieces(price, self.charge_every_s))
        })
    }

    fn tick(&self, call: &Call<'_>, seconds: u32) -> Outcome {
        let parties = self.parties(call);
        let price = noted_price(call);
        let today = Today::now(self.periods, self.utc_offset_minutes);
        for (limit, who, budget) in self.accounts(&parties) {
            if !budget.affords(who, today, budget.pieces(price, self.charge_every_s)) {
                return refuse(limit, who, budget.excess());
            }
        }
        let Some(next_s) = seconds
            .checked_add(self.charge_every_s)
            .filter(|next_s| *next_s <= LAST_TICK_S)
        else {
            return Outcome::reject(403).because("the call lasts a day");
        };
        self.spend(Outcome::next(), &parties, next_s, |budget, who| {
            budget.spend_next(who, today, budget.pieces(price, self.charge_every_s))
        })
    }

    /// Spends from all budgets and asks for the next tick.
    fn spend(
        &self,
        mut outcome: Outcome,
        parties: &Parties<'_>,
        next_s: u32,
        spend: impl Fn(&Budget, &str) -> Spent,
    ) -> Outcome {
        let (mut any, mut warnings) = (false, 0);
        for (limit, who, budget) in self.accounts(parties) {
            any = true;
            match spend(budget, who) {
                Spent::Counted => {}
                Spent::Uncounted => return refuse(limit, who, budget.excess()),
                Spent::Warn(percent) if warnings < WARNINGS => {
                    warnings += 1;
                    let (name, all) = (limit.name(), budget.describe());
                    outcome = outcome.alert_about(
                        Severity::Warning,
                        format!("call-limits/{name}/{}/warning/{who}", budget.label()),
                        format!("{who} has used {percent} % of limit `{name}`: {all}"),
                    );
                }
                Spent::Warn(_) => {}
            }
        }
        match any {
            true => outcome.tick_after(next_s),
            false => outcome,
        }
    }

    fn parties<'a>(&self, call: &Call<'a>) -> Parties<'a> {
        Parties {
            user: call.identity(),
            groups: self.groups(call.identity()),
            caller: call.caller(),
            callee: call.callee(),
        }
    }
}

fn noted_price(call: &Call<'_>) -> Price {
    let note = call.annotation(PRICE).and_then(Price::from_note);
    note.unwrap_or_default()
}

fn warn_of_calls(outcome: Outcome, limit: &Limit, who: &str, held: u64) -> Outcome {
    let name = limit.name();
    outcome.alert_about(
        Severity::Warning,
        format!("call-limits/{name}/calls/warning/{who}"),
        format!("{who} has {held} calls at once; limit `{name}` is near"),
    )
}

/// The answer to a call that a limit refuses or ends.
fn refuse(limit: &Limit, who: &str, excess: Excess) -> Outcome {
    let name = limit.name();
    let text = format!("{who} has reached limit `{name}`: {}", excess.limit);
    let severity = match excess.status {
        403 => Severity::Critical,
        _ => Severity::Warning,
    };
    Outcome::reject(excess.status)
        .retry_after(excess.retry_after_s)
        .because(text.as_str())
        .alert_about(
            severity,
            format!("call-limits/{name}/{}/{who}", excess.label),
            text,
        )
}
