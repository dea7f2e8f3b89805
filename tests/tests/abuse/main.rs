//! Abuse: the attacks that a trunk meets, by the tools that make them, against the real
//! program with the plugins and settings of `examples/secure-trunk`. What is promised in
//! numbers is read from there.

mod alarms;
mod edge;
mod flood;
mod fraud;
mod numbers;
mod party;
mod phone;
mod scanners;
mod secure;
mod shipped;
mod sipvicious;
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sipward_tests::stage::{Calls, Stage};

/// Tests run one after the other: each wants the machine.
static MACHINE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an ordinary person calls on an ordinary day, each call with a name for its files.
const DAILY: [(&str, &str); 8] = [
    ("daily-1", "+493012345601"),
    ("daily-2", "+493012345702"),
    ("daily-3", "030123458"),
    ("daily-4", "+498912345904"),
    ("daily-5", "+494012346005"),
    ("daily-6", "+492211234606"),
    ("daily-7", "+496912346207"),
    ("daily-8", "+497111234608"),
];

/// A real user calls by sipp with digest credentials, one call after the other, and each
/// is answered and ended as it should be.
#[track_caller]
fn ordinary_calls(stage: &Stage, calls: &[(&'static str, &'static str)]) {
    for (name, number) in calls.iter().copied() {
        let made = Calls {
            name,
            number,
            talk_ms: 700,
            ..Calls::default()
        }
        .make(stage);
        assert_eq!((made.successful, made.failed), (1, 0), "{name} to {number}");
        // One call a second is what the example allows a person.
        std::thread::sleep(Duration::from_millis(400));
    }
}
