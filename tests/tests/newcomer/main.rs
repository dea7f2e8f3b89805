//! Somebody who has never seen this project: from an empty folder to a policy of his own
//! that decides live calls, then a better version, then a bad one. From the first minute to
//! the last, 100 calls a second run through the proxy, and none may fail.

mod author;
mod operator;

use std::time::{Duration, Instant};

use author::Author;
use operator::Operator;
use sipward_tests::stage::{Calls, Figures, NUMBER, Proxy, Stage, Trunk};

/// Calls per second that go on all the time.
const RATE: u32 = 100;
/// What the newcomer is promised.
const PROMISED: Duration = Duration::from_secs(600);

/// A number at a premium rate, which the first version refuses.
const PREMIUM: &str = "+499001234567";
/// A number for votes on television, which the second refuses too.
const VOTES: &str = "+491377123456";

#[test]
fn a_newcomer_goes_from_an_empty_folder_to_a_bad_version_that_goes_by_itself() {
    let stage = Stage::new();
    let mut operator = Operator::new(&stage);
    operator.configure();
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let calls = Calls {
        name: "all-day",
        // Until they are told to stop.
        count: u32::MAX >> 1,
        rate: RATE,
        limit_s: 1_200,
        ..Calls::default()
    }
    .start(&stage);
    proxy.wait_until("calls run", |status| {
        status["total"]["calls_answered"].as_u64() > Some(u64::from(RATE))
    });

    let began = Instant::now();
    let author = Author::new();
    first_version(&author, &mut operator, &proxy);
    let took = began.elapsed();
    println!("from an empty folder to a refused call: {took:.1?}");
    assert!(took < PROMISED, "{took:?}");
    second_version(&author, &mut operator, &proxy);
    bad_version(&author, &mut operator, &proxy);
    let took = began.elapsed().as_secs();

    let figures = calls.stop();
    println!("{figures:?} in {took} s");
    assert_eq!(figures.failed, 0, "{figures:?}");
    // A machine on which a compiler runs too may be a little behind.
    assert!(
        figures.successful > u64::from(RATE) * took * 9 / 10,
        "{figures:?}"
    );
    let status = proxy.status();
    assert_eq!(status["total"]["decisions"]["reject"], 15, "{status:#}");
    assert_eq!(status["work_lost"], 0, "{status:#}");

    strict_version(&mut operator, &proxy);
}

/// `new`, an edit, `test`, `build`, `sign`, a config line, `reload`, and a call that the new
/// rule refuses.
fn first_version(author: &Author, operator: &mut Operator<'_>, proxy: &Proxy<'_>) {
    author.begin();
    author.expects_premium_numbers_to_be_refused();
    author.refuses_premium_numbers();
    author.tests();
    author.builds();
    operator.takes(author, "first");
    operator.plugin = Some("first");
    operator.configure();
    let refusal = proxy.reload().expect_err("a plugin that nobody signed");
    assert!(refusal.contains("it is not signed"), "{refusal}");

    author.signs();
    operator.takes(author, "first");
    let refusal = proxy.reload().expect_err("a plugin of somebody unknown");
    assert!(refusal.contains("nothing has changed"), "{refusal}");
    operator.author_key = Some(author.public_key());
    operator.configure();
    proxy.reload().expect("a plugin of somebody known");
    assert_eq!(refused(operator.stage, "premium", PREMIUM), all(5));
    let decision = proxy.decision("premium", |line| line["verdict"] == "reject");
    assert_eq!(decision["plugin"], author::NAME, "{decision}");
    assert_eq!(decision["version"], "0.1.0", "{decision}");
    assert_eq!(decision["reason"], "a premium rate", "{decision}");
}

/// What `diff` tells, then a share of the calls, then all of them.
fn second_version(author: &Author, operator: &mut Operator<'_>, proxy: &Proxy<'_>) {
    author.refuses_votes();
    author.tests();
    author.builds();
    author.signs();
    let told = author.compares(&operator.file("first"));
    for line in [
        "no-premium 0.1.0 -> no-premium 0.2.0",
        "- message 2: next",
        "+ message 2: reject 403",
    ] {
        assert!(told.contains(line), "no `{line}`: {told}");
    }
    assert!(!told.contains("- message 1"), "{told}");
    operator.takes(author, "second");
    operator.candidate = Some(operator.canary("second", ""));
    operator.configure();
    proxy.reload().expect("a canary");
    proxy.wait_until("both versions judge calls", |status| {
        let shown = operator::candidate(status);
        let answers = |version: &str| shown[version]["answers"].as_u64();
        answers("candidate") >= Some(100) && answers("live") >= Some(100)
    });
    let status = proxy.status();
    let shown = operator::candidate(&status);
    assert_eq!(shown["stance"], "canary", "{shown:#}");
    for figure in ["denied", "failures"] {
        assert_eq!(shown["candidate"][figure], 0, "{shown:#}");
    }

    let promoted = proxy.ask(&format!("candidate promote {}", author::NAME));
    assert!(promoted.status.success(), "{promoted:?}");
    assert_eq!(refused(operator.stage, "votes", VOTES), all(5));
    // What `promote` says is still to be done.
    operator.plugin = Some("second");
    operator.candidate = None;
    operator.configure();
    proxy.reload().expect("the second version in its place");
    assert_eq!(refused(operator.stage, "votes-again", VOTES), all(5));
    let decision = proxy.decision("votes-again", |line| line["verdict"] == "reject");
    assert_eq!(decision["version"], "0.2.0", "{decision}");
}

/// A version that panics at every number of usual length. Nobody asked its tests.
fn bad_version(author: &Author, operator: &mut Operator<'_>, proxy: &Proxy<'_>) {
    author.cuts_numbers_short();
    author.builds();
    author.signs();
    operator.takes(author, "third");
    operator.candidate = Some(operator.canary("third", ""));
    operator.configure();
    proxy.reload().expect("a canary that can be loaded");
    proxy.wait_until("the rollback", |status| {
        let shown = operator::candidate(status);
        shown["stance"] == "withdrawn" && shown["decision"]["what"] == "rolled-back"
    });
    let status = proxy.status();
    let failures = operator::candidate(&status)["candidate"]["failures"].as_u64();
    // Three, and what was on its way in two workers.
    assert!((Some(3)..=Some(8)).contains(&failures), "{status:#}");
    let failed = proxy.line("plugin failed", |line| line["plugin"] == author::NAME);
    assert_eq!(failed["version"], "0.3.0 (candidate)", "{failed}");
    proxy.wait_until("the alert", |status| {
        status["alerts"]["told"].as_u64() >= Some(1)
    });
    let before = proxy.status()["total"]["calls_answered"].as_u64();
    proxy.wait_until("calls go on", |status| {
        status["total"]["calls_answered"].as_u64() > before.map(|it| it + u64::from(RATE))
    });
}

/// A candidate that denies too much, with callers of its own: what it denies until it is
/// taken back is denied.
fn strict_version(operator: &mut Operator<'_>, proxy: &Proxy<'_>) {
    operator.candidate = Some(operator.canary(
        "second",
        "settings = { region = \"DE\", barred = [\"+49\"] }\n\
         rollback = { calls_min = 20, deny_max = 0.10 }",
    ));
    operator.share = 1.0;
    operator.configure();
    proxy.reload().expect("a canary for all calls");
    let denied = Calls {
        name: "denied",
        scenario: "pbx-is-refused.xml",
        count: 20,
        ..Calls::default()
    };
    assert_eq!(denied.make(operator.stage), all(20));
    proxy.wait_until("the rollback", |status| {
        operator::candidate(status)["stance"] == "withdrawn"
    });
    let usual = Calls {
        name: "as-before",
        number: NUMBER,
        count: 5,
        ..Calls::default()
    };
    assert_eq!(usual.make(operator.stage), all(5));
}

/// Five calls that have to be refused with 403.
fn refused(stage: &Stage, name: &'static str, number: &'static str) -> Figures {
    let calls = Calls {
        name,
        number,
        scenario: "pbx-is-refused.xml",
        count: 5,
        ..Calls::default()
    };
    let mut figures = calls.make(stage);
    // A compiler may have kept the machine from them for half a second.
    figures.retransmissions = 0;
    figures
}

fn all(count: u64) -> Figures {
    Figures {
        successful: count,
        failed: 0,
        retransmissions: 0,
    }
}
