//! What calls hold comes back in every way in which a call can end, and `kill -9` is
//! one of them.

mod callee;
mod caller;
mod ending;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sipward_tests::stage::wire::Wire;
use sipward_tests::stage::{PBX, Proxy, Stage, TRUNK};

use callee::Callee;
use caller::Caller;
use ending::Ending;

/// Calls in all.
const CALLS: usize = 5_000;
/// Calls per second.
const RATE: usize = 200;
/// After so many calls the proxy is killed.
const KILLS: [usize; 2] = [1_700, 3_400];
/// How long a call is that is hung up.
const TALK: Duration = Duration::from_millis(300);
/// Calls whose money runs out come from here.
const BRANCH: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

/// The place in line of the calls that are made besides.
const EXTRA: usize = 90_000;

fn configure(stage: &Stage) {
    stage.bring(&["call-limits", "fraud-score"]);
    std::fs::write(stage.path("rates.txt"), "+ = 0.01\n").expect("rates");
    let refused = Ending::Refused.prefix();
    let mut text = stage
        .filled(include_str!("leases.toml"), &[])
        .replace("@REFUSED@", &refused);
    for serial in (0..CALLS).filter(|serial| ending_of(*serial) == Ending::Spent) {
        let password = stage.path("password");
        write!(
            text,
            "[[credential]]\nuser = \"u{serial}\"\nrealm = \"test.sipward\"\npassword_file = {password:?}\n"
        )
        .expect("text grows");
    }
    stage.write(&text);
}

fn ending_of(serial: usize) -> Ending {
    Ending::ALL[serial % Ending::ALL.len()]
}

/// Both parties, and whether they do anything now.
struct Parties {
    office: Caller,
    branch: Caller,
    begun: usize,
}

impl Parties {
    fn new(stage: &Stage) -> Self {
        let proxy = SocketAddr::from((PBX, stage.inside));
        Self {
            office: Caller::new("office", Wire::new(PBX, 0), proxy),
            branch: Caller::new("branch", Wire::new(BRANCH, 0), proxy),
            begun: 0,
        }
    }

    fn begin(&mut self, ending: Ending, serial: usize) {
        match ending {
            Ending::Spent => self.branch.begin(ending, serial),
            _ => self.office.begin(ending, serial),
        }
    }

    fn poll(&mut self) {
        self.office.poll();
        self.branch.poll();
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Calls at a steady pace until so many have begun.
    fn call_until(&mut self, count: usize) {
        let (first, start) = (self.begun, Instant::now());
        while self.begun < count {
            let due = first + start.elapsed().as_millis() as usize * RATE / 1_000;
            while self.begun < due.min(count) {
                self.begin(ending_of(self.begun), self.begun);
                self.begun += 1;
            }
            self.poll();
        }
    }

    /// Goes on until all calls are over for their callers.
    fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.office.going() + self.branch.going() > 0 {
            assert!(Instant::now() < deadline, "calls that never end");
            self.poll();
        }
    }
}

/// What `sipward status` says of leases.
fn leases(proxy: &Proxy<'_>) -> Value {
    proxy.status()["leases"].clone()
}

fn assert_nothing_is_held(leases: &Value) {
    for figure in ["calls", "keys", "held"] {
        assert_eq!(leases[figure], 0, "{leases:#}");
    }
    assert_eq!(leases["granted"], leases["given_back"], "{leases:#}");
    assert_eq!(leases["conserved"], true, "{leases:#}");
    assert_eq!(leases["kinds"], json!([]), "{leases:#}");
}

/// How calls have ended, from the log.
fn endings(proxy: &Proxy<'_>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let log = proxy.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for line in lines.filter(|line| line["message"] == "call ended") {
        let reason = line["reason"].as_str().unwrap_or_default().to_owned();
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

/// The callee goes on by itself, but for the time that the whole world stands still.
fn with_callee(stage: &Stage, act: impl FnOnce(&AtomicBool)) {
    let (frozen, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut callee = Callee::new(TRUNK, stage.trunk);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if !frozen.load(Ordering::Relaxed) {
                    callee.poll();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&frozen)));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = acted {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn nothing_is_held_after_five_thousand_calls_and_two_kills() {
    let stage = Stage::new();
    configure(&stage);
    with_callee(&stage, |frozen| {
        let mut parties = Parties::new(&stage);
        let mut proxy = Proxy::start(&stage);
        for kill in KILLS {
            parties.call_until(kill);
            let before = leases(&proxy);
            assert!(
                before["calls"].as_u64() > Some(20) && before["held"].as_u64() > Some(100),
                "it is killed while calls hold something: {before:#}"
            );
            frozen.store(true, Ordering::Relaxed);
            proxy.signal("KILL");
            let _killed = proxy.wait();
            proxy = Proxy::start(&stage);
            let after = leases(&proxy);
            assert_nothing_is_held(&after);
            assert_eq!(after["granted"], 0, "a new process: {after:#}");
            frozen.store(false, Ordering::Relaxed);
        }
        parties.call_until(CALLS);
        parties.settle();
        proxy.wait_until("no call is left", |status| {
            status["total"]["calls"] == 0 && status["total"]["pending_consults"] == 0
        });
        let status = proxy.status();
        assert_nothing_is_held(&status["leases"]);
        assert!(status["leases"]["granted"].as_u64() > Some(1_000));
        assert_eq!(status["total"]["plugin_failures"], 0, "{status:#}");
        assert_eq!(status["work_lost"], 0, "{status:#}");
        let seen = endings(&proxy);
        println!("{CALLS} calls ended so: {seen:?}");
        for reason in [
            "bye",
            "cancelled",
            "refused",
            "timed-out",
            "duration-limit",
            "media-timeout",
            "policy",
        ] {
            // Of each kind of call there were 294.
            assert!(seen.get(reason) > Some(&100), "{reason}: {seen:?}");
        }
        drain(&stage, &mut parties, proxy);
    });
}

/// While calls stand still the sums are exact, and a drain ends with nothing held.
fn drain(stage: &Stage, parties: &mut Parties, proxy: Proxy<'_>) {
    const STANDING: u64 = 30;
    for serial in EXTRA..EXTRA + STANDING as usize {
        parties.begin(Ending::TooLong, serial);
    }
    let deadline = Instant::now() + PATIENCE;
    while proxy.status()["total"]["calls"] != STANDING {
        assert!(Instant::now() < deadline, "calls that never begin");
        parties.poll();
    }
    let held = leases(&proxy);
    assert_eq!(held["calls"], STANDING, "{held:#}");
    assert_eq!(held["conserved"], true, "{held:#}");
    let kind = |plugin: &str, name: &str| {
        let kinds = held["kinds"].as_array().expect("kinds");
        let found = kinds
            .iter()
            .find(|kind| kind["plugin"] == plugin && kind["name"] == name);
        found.map(|kind| kind["held"].clone())
    };
    assert_eq!(kind("call-limits", "calls-office"), Some(STANDING.into()));
    assert_eq!(kind("fraud-score", "calls"), Some(STANDING.into()));
    // A piece of six seconds costs ten ten-thousandths.
    assert_eq!(
        kind("call-limits", "money-day-office"),
        Some((STANDING * 10).into()),
        "{held:#}"
    );
    proxy.signal("TERM");
    proxy.wait_until("it drains", |status| status["draining"] == true);
    parties.settle();
    assert!(proxy.wait().success());
    let log = std::fs::read_to_string(stage.path("log")).expect("the log");
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut stopped = lines.filter(|line| line["message"] == "stopped");
    let stopped = stopped.next_back().expect("it says so");
    assert_eq!(stopped["leases_held"], 0, "{stopped}");
    assert_eq!(stopped["leases_conserved"], true, "{stopped}");
}
