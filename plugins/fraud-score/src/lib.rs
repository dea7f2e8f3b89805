//! Sipward policy `fraud-score`: gives points for what looks like toll fraud, and acts
//! on their sum.
//!
//! See the README for threats, settings, examples and limits.

mod account;
mod check;
mod dialled;
mod habit;
mod hours;
mod note;
mod rule;
mod settings;
mod signs;

use sipward_plugin_sdk::counters::CounterError;
use sipward_plugin_sdk::credentials::{Verification, verify};
use sipward_plugin_sdk::numbers::parse;
use sipward_plugin_sdk::{CallEnd, DigestAlgorithm, clock, identity, prelude::*};

use account::{Account, Finding, Ledger, Total};
use dialled::Reader;
use hours::{Clock, Span};
use note::Note;
use rule::{Level, Rules};
pub use settings::Settings;
use signs::Signs;

/// The longest tick in seconds: a day.
const LAST_TICK_S: u32 = 86_400;

/// What a challenge offers, best first.
const ALGORITHMS: [DigestAlgorithm; 2] = [DigestAlgorithm::Sha256, DigestAlgorithm::Md5];

/// Statuses that say nothing bad of a call: given up, busy, declined.
const HARMLESS: [u16; 5] = [480, 486, 487, 600, 603];

/// The configured policy.
pub struct FraudScore {
    reader: Reader,
    ledger: Ledger,
    signs: Signs,
    rules: Rules,
    clock: Clock,
    usual: Span,
    challenge_realm: String,
    recheck_s: u32,
    emergency: Vec<String>,
}

#[policy]
impl Policy for FraudScore {
    type Settings = Settings;

    const METHODS: &'static [&'static str] = &["INVITE", "REGISTER"];
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
        Capability::Leases,
        Capability::Geo,
        Capability::Lists,
    ];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check::settings(&settings)?;
        let usual = Span::new(&settings.usual)
            .map_err(|(field, why)| SettingsError::new(format!("usual.{field}"), why))?;
        Ok(Self {
            reader: Reader {
                region: settings.region,
                home: settings.home,
                dear_classes: settings.signs.high_cost.classes.clone(),
                dear_list: settings.signs.high_cost.list.clone(),
            },
            ledger: Ledger::new(settings.thresholds, settings.forget_s, settings.lock_s),
            signs: Signs::new(settings.signs),
            rules: Rules::new(settings.rules)?,
            clock: settings.clock,
            usual,
            challenge_realm: settings.challenge_realm,
            recheck_s: settings.recheck_s,
            emergency: settings.emergency,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        match request.method() {
            Method::Register => self.registration(request),
            Method::Invite if request.dialog() == Dialog::None => self.call(request),
            _ => Outcome::next(),
        }
    }

    fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
        let Some(text) = call.annotation(note::KEY) else {
            return Outcome::next();
        };
        match (event, Note::read(text)) {
            (CallEvent::Tick(seconds), Some(note)) => self.tick(&note, *seconds),
            (CallEvent::Ended(end), Some(note)) => self.ended(call, &note, end),
            (CallEvent::Ended(end), None) if text == note::INBOUND => {
                self.missed(call, end);
                Outcome::next()
            }
            _ => Outcome::next(),
        }
    }
}

impl FraudScore {
    /// A registration is never refused here: its owner may have to call for help.
    fn registration(&self, request: &Request<'_>) -> Outcome {
        let Some(user) = request.identity() else {
            return Outcome::next();
        };
        let account = Account::user(user);
        let mut findings = Vec::new();
        let source = request.peer().address();
        let total = self
            .signs
            .origin(&account, source, &mut findings)
            .and_then(|()| self.ledger.add(&account, &findings));
        match total {
            Ok(total) => self.tell(
                scored(Outcome::next(), &findings, total),
                &account,
                total,
                &findings,
            ),
            Err(_) => Outcome::next().because("the counters are full"),
        }
    }

    fn call(&self, request: &Request<'_>) -> Outcome {
        let uri = request.request_uri();
        let text = uri.dialled();
        let is_dialled = |number: &String| Some(number.as_str()) == text.as_deref();
        if self.emergency.iter().any(is_dialled) {
            return Outcome::next();
        }
        let Some(account) = Account::of(request) else {
            return Outcome::next().annotate(note::KEY, note::INBOUND);
        };
        let name = account.name();
        match self.ledger.is_locked(&account) {
            Ok(false) => {}
            Ok(true) => return Outcome::reject(403).because(format!("{name} is locked")),
            Err(_) => {
                let reason = format!("nobody knows whether {name} is locked: the store failed");
                return Outcome::reject(503).because(reason);
            }
        }
        let mut findings = Vec::new();
        let noted = self.look(request, &account, text.as_deref(), &mut findings);
        let judged = noted.and_then(|noted| {
            let total = self.ledger.add(&account, &findings)?;
            Ok((noted, total))
        });
        match judged {
            Ok(((note, ticks), total)) => self.judge(request, &note, &ticks, total, findings),
            Err(_) => Outcome::reject(503).because("the tables are full: nobody can be scored"),
        }
    }

    /// Looks for signs and at rules; what the events have to know, and their ticks.
    fn look(
        &self,
        request: &Request<'_>,
        account: &Account,
        text: Option<&str>,
        findings: &mut Vec<Finding>,
    ) -> Result<(Note, Vec<u32>), CounterError> {
        let dialled = self.reader.read(&request.request_uri(), text);
        let moment = self.clock.read(clock::now_ms());
        let usual_hours = self.usual.contains(moment);
        if request.identity().is_some() {
            let source = request.peer().address();
            self.signs.origin(account, source, findings)?;
        }
        let usual = self.signs.begin(account, &dialled, usual_hours, findings)?;
        let groups = match request.identity() {
            Some(user) if self.rules.by_group => identity::groups(user),
            _ => Vec::new(),
        };
        let user = request.identity();
        let rule = self.rules.find(&dialled.text, user, &groups, moment);
        let mut ticks: Vec<u32> = Vec::new();
        if let Some(rule) = rule {
            for breach in rule.count(account.name(), &dialled.text)? {
                findings.push(breached(rule, &breach));
            }
            ticks.extend(rule.durations());
        }
        ticks.extend(usual.long_s);
        ticks.extend((self.recheck_s > 0).then_some(self.recheck_s));
        let note = Note {
            held: usual.held,
            long_s: usual.long_s.unwrap_or(0),
            rule: rule.map(|rule| rule.name().to_owned()),
            account: Account::noted(account.name()),
        };
        Ok((note, ticks))
    }

    /// What becomes of a call.
    fn judge(
        &self,
        request: &Request<'_>,
        note: &Note,
        ticks: &[u32],
        total: Total,
        findings: Vec<Finding>,
    ) -> Outcome {
        let thresholds = &self.ledger.thresholds;
        let account = &note.account;
        if total.reaches(thresholds.lock) || total.reaches(thresholds.reject) {
            return self.refused(account, total, &findings);
        }
        if total.reaches(thresholds.challenge) && !self.challenge_realm.is_empty() {
            match self.proof(request) {
                Proof::Given => {}
                Proof::Missing { stale } => {
                    let reason = format!("{} has {} points", account.name(), total.after);
                    let challenge = Outcome::challenge(self.challenge_realm.as_str())
                        .algorithms(&ALGORITHMS)
                        .stale(stale)
                        .because(reason);
                    let outcome = scored(challenge, &findings, total);
                    return self.tell(outcome, account, total, &findings);
                }
                Proof::Wrong => return self.wrong_answer(account, findings),
            }
        }
        let outcome = ticks
            .iter()
            .fold(Outcome::next(), |outcome, seconds| {
                outcome.tick_after(*seconds)
            })
            .annotate(note::KEY, note.write());
        self.tell(scored(outcome, &findings, total), account, total, &findings)
    }

    /// Whether the request proves who calls.
    fn proof(&self, request: &Request<'_>) -> Proof {
        let may_answer = |user: &str| request.identity().is_none_or(|identity| identity == user);
        // An earlier plugin may just have asked.
        if identity::verified().iter().any(|who| may_answer(&who.user)) {
            return Proof::Given;
        }
        match verify(request, &self.challenge_realm, &ALGORITHMS) {
            Verification::Ok(user) if may_answer(&user) => Proof::Given,
            Verification::Stale(_) => Proof::Missing { stale: true },
            Verification::Wrong(_) | Verification::Replayed(_) | Verification::Ok(_) => {
                Proof::Wrong
            }
            _ => Proof::Missing { stale: false },
        }
    }

    /// A wrong answer to the challenge. It is asked again until its points refuse it.
    fn wrong_answer(&self, account: &Account, mut findings: Vec<Finding>) -> Outcome {
        let wrong = [self.signs.wrong_answer()];
        let Ok(total) = self.ledger.add(account, &wrong) else {
            return Outcome::reject(503).because("the tables are full: nobody can be scored");
        };
        findings.extend(wrong);
        let thresholds = &self.ledger.thresholds;
        if total.reaches(thresholds.lock) || total.reaches(thresholds.reject) {
            return self.refused(account, total, &findings);
        }
        let challenge = Outcome::challenge(self.challenge_realm.as_str())
            .algorithms(&ALGORITHMS)
            .because(format!("{} has answered wrongly", account.name()));
        let outcome = scored(challenge, &findings, total);
        self.tell(outcome, account, total, &findings)
    }

    fn refused(&self, account: &Account, total: Total, findings: &[Finding]) -> Outcome {
        let reason = format!("{} has {} points", account.name(), total.after);
        let outcome = scored(Outcome::reject(403).because(reason), findings, total);
        self.tell(outcome, account, total, findings)
    }

    /// Tells the operator what points have led to, and locks.
    fn tell(
        &self,
        outcome: Outcome,
        account: &Account,
        total: Total,
        findings: &[Finding],
    ) -> Outcome {
        let thresholds = &self.ledger.thresholds;
        let (name, points) = (account.name(), total.after);
        let why = || {
            let reasons: Vec<_> = findings
                .iter()
                .map(|finding| finding.why.as_str())
                .collect();
            match reasons.is_empty() {
                true => "what was before".to_owned(),
                false => reasons.join("; "),
            }
        };
        if total.reaches(thresholds.lock) {
            self.ledger.lock(account);
            return outcome.alert_about(
                Severity::Critical,
                format!("fraud-score/locked/{name}"),
                format!("{name} is locked with {points} points: {}", why()),
            );
        }
        if total.reaches(thresholds.reject) {
            return outcome.alert_about(
                Severity::Critical,
                format!("fraud-score/refused/{name}"),
                format!(
                    "calls of {name} are refused, it has {points} points: {}",
                    why()
                ),
            );
        }
        match total.crosses(thresholds.warn) {
            true => outcome.alert_about(
                Severity::Warning,
                format!("fraud-score/warning/{name}"),
                format!("{name} has {points} points: {}", why()),
            ),
            false => outcome,
        }
    }

    /// A call goes on.
    fn tick(&self, note: &Note, seconds: u32) -> Outcome {
        let account = &note.account;
        let mut findings = Vec::new();
        let mut severity = Severity::Warning;
        let mut outcome = Outcome::next();
        let again = |outcome: Outcome, every: u32| match seconds.checked_add(every) {
            Some(next) if next <= LAST_TICK_S => outcome.tick_after(next),
            _ => outcome,
        };
        if note.long_s > 0 && seconds.is_multiple_of(note.long_s) {
            findings.push(self.signs.long(seconds));
            outcome = again(outcome, note.long_s);
        }
        let rule = note.rule.as_deref().and_then(|name| self.rules.named(name));
        let breach = rule.and_then(|rule| Some((rule, rule.duration(seconds)?)));
        if let Some((rule, breach)) = breach {
            if breach.level == Level::Critical {
                severity = Severity::Critical;
            }
            findings.push(breached(rule, &breach));
        }
        if self.recheck_s > 0 && seconds.is_multiple_of(self.recheck_s) {
            outcome = again(outcome, self.recheck_s);
        }
        let name = account.name();
        for finding in &findings {
            outcome = outcome.alert_about(
                severity,
                format!("fraud-score/duration/{name}"),
                format!("{name}: {}", finding.why),
            );
        }
        let Ok(total) = self.ledger.add(account, &findings) else {
            // The call was admitted; that nobody can count now is not its fault.
            return outcome.because("the counters are full");
        };
        let ends = total.reaches(self.ledger.thresholds.lock)
            || self.ledger.is_locked(account).unwrap_or(false);
        match (ends, findings.is_empty()) {
            (true, _) => {
                let ending = Outcome::reject(403).because(format!("{name} is locked"));
                let alerts = outcome.alerts().cloned().collect::<Vec<_>>();
                let ending = alerts.into_iter().fold(ending, |ending, alert| {
                    ending.alert_about(alert.severity, alert.key, alert.text)
                });
                match findings.is_empty() {
                    true => ending,
                    false => self.tell(ending, account, total, &findings),
                }
            }
            (false, true) => outcome,
            (false, false) => self.tell(outcome, account, total, &findings),
        }
    }

    /// A call is over: it may be a sign, and it is learnt.
    fn ended(&self, call: &Call<'_>, note: &Note, end: &CallEnd<'_>) -> Outcome {
        let account = &note.account;
        let mut findings = Vec::new();
        let answered = call.answered_ms().is_some();
        let failed =
            end.cause == "timed-out" || (end.cause == "refused" && !HARMLESS.contains(&end.status));
        let looked = match (answered, failed) {
            (true, _) => self.signs.answered(account, end.lasted_ms, &mut findings),
            (false, true) => self.signs.failed(account, &mut findings),
            (false, false) => Ok(()),
        };
        let Ok(total) = looked.and_then(|()| self.ledger.add(account, &findings)) else {
            return Outcome::next().because("the counters are full");
        };
        // Nothing is learnt from an account that is suspected.
        if answered && !total.reaches(self.ledger.thresholds.warn) {
            self.signs.learn(account, end.lasted_ms, note.held);
        }
        match findings.is_empty() {
            true => Outcome::next(),
            false => self.tell(Outcome::next(), account, total, &findings),
        }
    }

    /// A call for us is over. Foreign numbers that rang only briefly want to be called
    /// back (wangiri).
    fn missed(&self, call: &Call<'_>, end: &CallEnd<'_>) {
        let rang_ms = clock::now_ms().saturating_sub(call.started_ms());
        let given_up = end.cause == "cancelled" || end.cause == "caller-gone";
        if call.answered_ms().is_some() || !given_up || !self.signs.is_bait(rang_ms) {
            return;
        }
        let caller = call.from().dialled();
        let number = caller.and_then(|caller| parse(&caller, &self.reader.region).ok());
        if let Some(number) = number {
            // A full table forgets a bait; nothing is refused for it.
            _ = self.signs.remember_bait(&number.e164);
        }
    }
}

/// Whether a request proves who calls.
enum Proof {
    /// It does.
    Given,
    /// It does not try to, or with a nonce that is too old.
    Missing { stale: bool },
    /// It tries to, and fails.
    Wrong,
}

fn breached(rule: &rule::Checked, breach: &rule::Breach) -> Finding {
    let level = match breach.level {
        Level::Warning => "warning",
        Level::Critical => "critical",
    };
    Finding {
        points: rule.points(breach.level),
        why: format!(
            "rule `{}`: {} is {}, {level}",
            rule.name(),
            breach.item,
            breach.value
        ),
    }
}

/// The points of this request for the host, and the account's for later plugins.
fn scored(outcome: Outcome, findings: &[Finding], total: Total) -> Outcome {
    let outcome = findings.iter().fold(outcome, |outcome, finding| {
        // Checked: at most 10,000.
        let points = i32::try_from(finding.points).unwrap_or(i32::MAX);
        outcome.score(points, finding.why.as_str())
    });
    outcome.annotate("fraud-score.total", total.after.to_string())
}
