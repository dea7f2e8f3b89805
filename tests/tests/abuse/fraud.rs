//! A night of toll fraud: stolen credentials, 400 calls to dear numbers, off hours.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sip_message::{Message, Method};
use sipward_tests::stage::Proxy;

use crate::edge::{Edge, FROM_US, PASSWORD_200};
use crate::party::Got;
use crate::phone::Phone;
use crate::{DAILY, alone, ordinary_calls, shipped};

/// Calls of the night.
pub(crate) const ATTEMPTS: usize = 400;
/// Addresses that the thief has: at a real night's pace one would do.
const ADDRESSES: u8 = 50;
/// Seconds between two looks at a running call; the plugin's default is six times that.
const RECHECK_S: u64 = 10;

/// Satellites, and countries whose numbers pay whoever is called.
pub(crate) fn dear(attempt: usize) -> String {
    let serial = 10_000_000 + attempt * 37;
    match attempt % 4 {
        0 => format!("+8816{serial}"),
        1 => format!("+2217{serial}"),
        2 => format!("+2257{serial}"),
        _ => format!("+3712{serial}"),
    }
}

/// It is two o'clock in the morning where the settings say that the operator is.
pub(crate) fn at_night() -> [(String, String); 2] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let hour = now.expect("after 1970").as_secs() / 3_600 % 24;
    let ahead = match 2 - i64::try_from(hour).expect("an hour") {
        hours @ ..-12 => hours + 24,
        hours => hours,
    };
    // The names of these zones count westwards.
    let zone = match -ahead {
        0 => "Etc/GMT".to_owned(),
        west => format!("Etc/GMT{west:+}"),
    };
    [
        (
            "clock = { utc_offset_minutes = 60 }".to_owned(),
            format!("clock = {{ utc_offset_minutes = {} }}", ahead * 60),
        ),
        (
            "time_zone = \"Europe/Berlin\"".to_owned(),
            format!("time_zone = \"{zone}\""),
        ),
    ]
}

/// The thief at work: when each attempt was made, and how many were answered.
struct Night {
    attempts: Vec<Instant>,
    answered: usize,
    ends: Instant,
}

fn night(edge: &Edge, hangs_up: bool) -> Night {
    let mut thieves: Vec<Phone> = (0..ADDRESSES)
        .map(|number| {
            edge.phone(Ipv4Addr::new(127, 77, number, 1), "200")
                .with_password(PASSWORD_200)
        })
        .collect();
    let (mut attempts, mut answered) = (Vec::new(), 0);
    for attempt in 0..ATTEMPTS {
        let thief = &mut thieves[attempt % usize::from(ADDRESSES)];
        attempts.push(Instant::now());
        if let Ok(talk) = thief.call(&edge.number(&dear(attempt))) {
            answered += 1;
            if hangs_up {
                thief.hang_up(talk);
            }
        }
        // What the thief hears meanwhile is of no interest to it.
        thief.heard.clear();
    }
    Night {
        attempts,
        answered,
        ends: Instant::now(),
    }
}

/// The numbers of the dear calls that got out.
fn got_out(edge: &Edge) -> Vec<(String, Got)> {
    let calls = edge.trunk.invites().into_iter().filter_map(|got| {
        let message = got.message.clone()?;
        let user = String::from_utf8_lossy(message.request_uri().user?).into_owned();
        let is_dear = (0..4).any(|kind| user.starts_with(&dear(kind)[..4]));
        is_dear.then_some((user, got))
    });
    calls.collect()
}

/// What begun calls cost: a minute each is paid in advance.
fn cost(calls: &[(String, Got)]) -> f64 {
    calls.iter().map(|(number, _)| shipped::price(number)).sum()
}

fn edge(plugins: &[&str], more: &[(&str, &str)]) -> Edge {
    let night = at_night();
    let mut others: Vec<(&str, &str)> = night
        .iter()
        .map(|(shipped, here)| (shipped.as_str(), here.as_str()))
        .collect();
    others.extend_from_slice(more);
    Edge::new(plugins, &others)
}

/// The operator knows before the night is over: of the account, and soon.
fn told_meanwhile(edge: &Edge, night: &Night) {
    let first = edge.alarms.wait("of the account", |alert| {
        alert["plugin"] == "fraud-score" && alert["text"].to_string().contains("user/200")
    });
    let locked = edge.alarms.wait("of the lock", |alert| {
        alert["severity"] == "critical" && alert["text"].to_string().contains("user/200 is locked")
    });
    assert!(
        locked.at < night.ends,
        "the alert is there while it happens"
    );
    let before = night.attempts.iter().filter(|at| **at < first.at).count();
    assert!(
        before < ATTEMPTS / 4,
        "the alert came after {before} attempts"
    );
}

#[test]
fn a_night_of_fraud_gets_nowhere_and_is_told_while_it_happens() {
    let _alone = alone();
    let edge = edge(&FROM_US, &[]);
    let _proxy = Proxy::start(&edge.stage);
    let night = std::thread::scope(|scope| {
        let night = scope.spawn(|| night(&edge, false));
        ordinary_calls(&edge.stage, &DAILY[..4]);
        night.join().expect("the night ends")
    });
    assert_eq!(night.answered, 0);
    assert_eq!(got_out(&edge).len(), 0);
    told_meanwhile(&edge, &night);
}

/// The destinations are allowed and the hours too, so that the score alone is left.
#[test]
fn what_the_score_promises_holds_where_nothing_else_forbids() {
    let _alone = alone();
    let recheck = format!("lock_s = 14400\nrecheck_s = {RECHECK_S}");
    let edge = edge(
        &["scanner-guard", "rate-limit", "digest-auth", "fraud-score"],
        &[("lock_s = 14400", recheck.as_str())],
    );
    let _proxy = Proxy::start(&edge.stage);
    let night = night(&edge, false);
    let out = got_out(&edge);
    // Each dear call off hours has these points, the share counting from the second on.
    let each = shipped::points("off_hours") + shipped::points("high_cost");
    let reject = shipped::number("fraud-score", "thresholds", "reject");
    let most = 1 + (reject / each).ceil() as usize;
    assert!(
        (1..=most).contains(&out.len()),
        "{} calls got out, {most} may",
        out.len()
    );
    assert_eq!(night.answered, out.len());
    let dearest = (0..4).map(|kind| shipped::price(&dear(kind)));
    let dearest = dearest.fold(0.0, f64::max);
    assert!(cost(&out) <= most as f64 * dearest, "{}", cost(&out));
    told_meanwhile(&edge, &night);
    // What had begun is ended at the next look.
    let latest = night.ends + Duration::from_secs(RECHECK_S + 5);
    let byes = || {
        let got = edge.trunk.got().into_iter();
        let messages = got.filter_map(|got| got.message);
        messages
            .filter(|it: &Message| it.is_request() && it.method() == Method::Bye)
            .count()
    };
    while byes() < out.len() {
        assert!(Instant::now() < latest, "{} of {} ended", byes(), out.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Somebody else's account is none the worse.
    ordinary_calls(&edge.stage, &DAILY[..2]);
}

/// Not even the score is there: the money is.
#[test]
fn the_budget_holds_where_nothing_else_does() {
    let _alone = alone();
    let edge = edge(
        &["scanner-guard", "digest-auth", "call-limits"],
        &[
            ("calls_per_second = 1\n", "calls_per_second = 1000\n"),
            ("calls_per_second = 5\n", "calls_per_second = 1000\n"),
            ("calls_per_hour = 60\n", "calls_per_hour = 1000\n"),
        ],
    );
    let _proxy = Proxy::start(&edge.stage);
    // Hanging up at once and calling again is the dearest way to call.
    let night = night(&edge, true);
    let out = got_out(&edge);
    let money = shipped::number("call-limits", "name = \"person\"", "cost_per_day");
    assert_eq!(out.len(), night.answered);
    let spent = cost(&out);
    assert!(spent <= money, "{spent} of {money} spent");
    assert!(
        spent > 0.9 * money,
        "{spent} of {money}: something else held"
    );
    edge.alarms.wait("of the limit", |alert| {
        alert["plugin"] == "call-limits" && alert["text"].to_string().contains("200")
    });
    let told = edge.alarms.all();
    let told = told
        .iter()
        .find(|alarm| alarm.alert["plugin"] == "call-limits");
    assert!(told.is_some_and(|alarm| alarm.at < night.ends));
}
