//! Shadow runs of candidates, on a thread of their own, and the report about where they
//! would have decided otherwise.
//!
//! Live traffic never waits for it: shards hand over what they have asked, and what the
//! thread cannot keep up with is left out and counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use policy_wasm::{Asked, Candidate, Executor, Numbers, Rehearsal, Rehearsed};
use records::conceal;
use serde::Serialize;
use sip_message::Uri;

/// Rows of the report about one candidate. 256: more than anybody reads; what differs
/// beyond is counted.
const ROWS: usize = 256;
/// Bytes of a text in it.
const TEXT_BYTES: usize = 128;
/// Instances of candidates that are gone are dropped so often.
const SWEEP: Duration = Duration::from_secs(1);

/// The way to the thread, and its report.
pub(crate) struct ShadowRuns {
    sender: Sender<Rehearsal>,
    reports: Arc<Mutex<HashMap<String, Report>>>,
}

/// What was found about one candidate.
struct Report {
    candidate: Weak<Candidate>,
    rehearsed: u64,
    differed: u64,
    rows: HashMap<Place, Row>,
    beyond: u64,
}

/// Where two versions differ, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    /// What was asked.
    asked: &'static str,
    /// Name of the peer, or its address.
    peer: String,
    /// Calling code and country, or what was dialled.
    destination: String,
    /// What the version in use answered.
    live: String,
    /// What the candidate would have.
    candidate: String,
}

/// How often, and the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    count: u64,
    call_id: String,
    reason: String,
}

/// The report about one candidate, ready to be shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ShadowReport {
    /// Questions that both versions answered.
    pub(crate) compared: u64,
    /// Of those, answers that differed.
    pub(crate) differed: u64,
    /// Where, most often first.
    pub(crate) differences: Vec<Difference>,
    /// Differences for which there was no row left.
    pub(crate) beyond: u64,
}

/// One row of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    row: Row,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (place, row) = (&self.place, &self.row);
        write!(
            formatter,
            "{:>7} x {} from {} to {}: {} -> {} ({}; last {})",
            row.count,
            place.asked,
            place.peer,
            place.destination,
            place.live,
            place.candidate,
            row.reason,
            row.call_id
        )
    }
}

impl ShadowRuns {
    /// Starts the thread. It ends when nobody can hand it anything.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(numbers: Arc<dyn Numbers>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let reports: Arc<Mutex<HashMap<String, Report>>> = Arc::default();
        let shared = Arc::clone(&reports);
        std::thread::Builder::new()
            .name("policy-shadow".to_owned())
            .spawn(move || {
                scheduling::patient();
                run(&receiver, &shared, &*numbers);
            })?;
        Ok(Self { sender, reports })
    }

    /// The way in. What waits is bounded by each candidate.
    pub(crate) fn sender(&self) -> Sender<Rehearsal> {
        self.sender.clone()
    }

    /// What was found about a candidate so far.
    pub(crate) fn report(&self, candidate: &Arc<Candidate>) -> ShadowReport {
        let reports = self.reports.lock();
        let report = reports.get(&**candidate.name());
        let is_of = |report: &&Report| report.candidate.as_ptr() == Arc::as_ptr(candidate);
        report.filter(is_of).map(Report::shown).unwrap_or_default()
    }
}

fn run(
    receiver: &Receiver<Rehearsal>,
    reports: &Mutex<HashMap<String, Report>>,
    numbers: &dyn Numbers,
) {
    let mut executor = Executor::new();
    let mut swept = Instant::now();
    loop {
        match receiver.recv_timeout(SWEEP) {
            Ok(mut rehearsal) => {
                if let Some(rehearsed) = executor.rehearse(&mut rehearsal) {
                    note(reports, numbers, &rehearsal, rehearsed);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // By the clock: where calls never cease, there is always something to rehearse.
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            executor.sweep();
            let mut reports = reports.lock();
            reports.retain(|_, report| report.candidate.strong_count() > 0);
        }
    }
}

fn note(
    reports: &Mutex<HashMap<String, Report>>,
    numbers: &dyn Numbers,
    rehearsal: &Rehearsal,
    rehearsed: Rehearsed,
) {
    let secrets = rehearsal.secrets();
    let found = rehearsed.divergence.map(|divergence| {
        let place = Place {
            asked: match rehearsal.asked() {
                Asked::Request => "request",
                Asked::Response => "response",
                Asked::CallEvent => "call event",
            },
            peer: match rehearsal.peer() {
                Some(name) => name.to_string(),
                None => rehearsal.source().to_string(),
            },
            destination: destination(rehearsal.destination(), secrets, numbers),
            live: divergence.live,
            candidate: divergence.candidate,
        };
        let call_id = shown(&String::from_utf8_lossy(rehearsal.call_id()), secrets);
        (place, call_id, shown(&rehearsed.reason, secrets))
    });
    let mut reports = reports.lock();
    let candidate = rehearsal.candidate();
    let report = match reports.entry(candidate.name().to_string()) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(Report::of(candidate)),
    };
    if report.candidate.as_ptr() != Arc::as_ptr(candidate) {
        *report = Report::of(candidate);
    }
    report.note(found);
}

impl Report {
    fn of(candidate: &Arc<Candidate>) -> Self {
        Self {
            candidate: Arc::downgrade(candidate),
            rehearsed: 0,
            differed: 0,
            rows: HashMap::new(),
            beyond: 0,
        }
    }

    fn note(&mut self, found: Option<(Place, String, String)>) {
        self.rehearsed += 1;
        let Some((place, call_id, reason)) = found else {
            return;
        };
        self.differed += 1;
        if self.rows.len() >= ROWS && !self.rows.contains_key(&place) {
            self.beyond += 1;
            return;
        }
        let row = self.rows.entry(place).or_default();
        row.count += 1;
        row.call_id = call_id;
        row.reason = reason;
    }

    fn shown(&self) -> ShadowReport {
        let rows = self.rows.iter();
        let mut differences: Vec<Difference> = rows
            .map(|(place, row)| Difference {
                place: place.clone(),
                row: row.clone(),
            })
            .collect();
        differences.sort_by(|one, other| {
            let counts = other.row.count.cmp(&one.row.count);
            counts.then_with(|| one.place.cmp(&other.place))
        });
        ShadowReport {
            compared: self.rehearsed,
            differed: self.differed,
            differences,
            beyond: self.beyond,
        }
    }
}

/// Where a call goes, in few enough words that rows are few: the calling code and country
/// of an international number, else what was dialled.
fn destination(uri: &[u8], secrets: &[String], numbers: &dyn Numbers) -> String {
    let parsed = Uri::parse(uri).ok();
    let user = parsed.and_then(|uri| uri.user).unwrap_or(uri);
    let text = conceal(&String::from_utf8_lossy(user), secrets).into_owned();
    let international = match text.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => text.clone(),
    };
    if international.starts_with('+') {
        // Any region does for a number that names its country.
        if let Ok(number) = numbers.parse(&international, "US") {
            return format!("+{} {}", number.country_code, number.region);
        }
    }
    cut(text)
}

fn shown(text: &str, secrets: &[String]) -> String {
    cut(conceal(text, secrets).into_owned())
}

/// One short line.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use policy_wasm::RecentNumbers;

    use super::*;

    #[test]
    fn destinations_are_countries_or_what_was_dialled() {
        let numbers = RecentNumbers::new().unwrap();
        let to = |uri: &str| destination(uri.as_bytes(), &["9876".to_owned()], &numbers);
        assert_eq!(to("sip:+4930123456@pbx.example"), "+49 DE");
        assert_eq!(to("sip:004930123457@pbx.example"), "+49 DE");
        assert_eq!(to("sip:200@pbx.example"), "200");
        assert_eq!(to("sip:bob@pbx.example;transport=tcp"), "bob");
        assert!(!to("sip:*9876*030555@pbx.example").contains("9876"));
        assert_eq!(to(&format!("sip:{}@h", "a".repeat(400))).len(), TEXT_BYTES);
    }

    #[test]
    fn rows_have_a_ceiling_and_the_most_frequent_come_first() {
        let mut report = Report {
            candidate: Weak::new(),
            rehearsed: 0,
            differed: 0,
            rows: HashMap::new(),
            beyond: 0,
        };
        let found = |number: usize| {
            let place = Place {
                asked: "request",
                peer: "carrier".to_owned(),
                destination: number.to_string(),
                live: "next".to_owned(),
                candidate: "reject 403".to_owned(),
            };
            Some((place, format!("call-{number}"), "new rule".to_owned()))
        };
        for number in 0..ROWS + 3 {
            report.note(found(number));
        }
        report.note(found(7));
        report.note(None);
        let shown = report.shown();
        assert_eq!(shown.differences.len(), ROWS);
        assert_eq!(
            (shown.compared, shown.differed, shown.beyond),
            (ROWS as u64 + 5, ROWS as u64 + 4, 3)
        );
        let first = shown.differences[0].to_string();
        assert_eq!(
            first.trim_start(),
            "2 x request from carrier to 7: next -> reject 403 (new rule; last call-7)"
        );
    }
}
