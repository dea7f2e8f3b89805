//! What the demo shows, scene by scene. Every claim on the screen was checked: by
//! sipp, whose scenario would have failed, and by the proxy's own decision log.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sipward_tests::stage::{Calls, NUMBER, Proxy, Sipp};

use crate::{Set, phone, screen};

/// A second PBX, which calls too often.
const HASTY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Somebody whom no list allows.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// A number that the stricter policy forbids.
const MOBILE: &str = "+49170123456";
/// Its prefix.
const MOBILE_PREFIX: &str = "+4917";
/// A number that is never allowed.
const PREMIUM: &str = "+49900123456";
/// Its prefix, denied from the beginning.
pub(crate) const PREMIUM_PREFIX: &str = "+49900";

/// One scene.
type Scene = fn(&Set, &Proxy<'_>);

/// All scenes in order.
pub(crate) const SCENES: [(&str, Scene); 8] = [
    (
        "An authenticated call through UDP, answered and ended",
        call_by_udp,
    ),
    (
        "An authenticated call through TLS, answered and ended",
        call_by_tls,
    ),
    (
        "A stranger's address: refused by ip-acl",
        refused_by_address,
    ),
    (
        "A wrong password: refused by digest-auth",
        refused_by_digest,
    ),
    (
        "A premium number: refused by destination-limits",
        refused_by_destination,
    ),
    (
        "Too many calls at once: refused by rate-limit",
        refused_by_rate,
    ),
    (
        "A stricter policy takes over while a call goes on",
        stricter_policy,
    ),
    (
        "A broken plugin is refused while the old one keeps deciding",
        broken_plugin,
    ),
];

/// Make calls that all go as their scenario says.
fn make(set: &Set, calls: Calls) {
    let count = calls.count;
    finish(calls.start(set), count);
}

fn finish(calls: Sipp, count: u32) {
    let figures = calls.finish();
    assert_eq!(figures.successful, u64::from(count), "{figures:?}");
}

fn call_by_udp(set: &Set, proxy: &Proxy<'_>) {
    make(
        set,
        Calls {
            name: "udp",
            ..Calls::default()
        },
    );
    screen::says(
        "pbx",
        &format!("INVITE {NUMBER} answered 407, again with digest; 200, ACK, BYE, 200"),
    );
    admitted(proxy, "udp-");
}

fn call_by_tls(set: &Set, proxy: &Proxy<'_>) {
    for line in phone::call(set, "tls-1@phone.example") {
        screen::says("phone", &line);
    }
    admitted(proxy, "tls-");
}

fn admitted(proxy: &Proxy<'_>, call: &str) {
    let last = proxy.decision(call, |it| {
        it["method"] == "INVITE" && it["verdict"] == "admit"
    });
    for decision in &proxy.decisions_on(call) {
        if decision["method"] == "INVITE" && decision["verdict"] != "admit" {
            screen::decision(decision);
        }
    }
    screen::decision(&last);
}

/// Show the refusal of an INVITE, after checking which plugin made it.
fn refused(proxy: &Proxy<'_>, call: &str, plugin: &str) {
    let decision = proxy.decision(call, |it| {
        let refused = it["status"].as_u64() >= Some(400);
        it["plugin"] == plugin && refused && it["verdict"] != "challenge"
    });
    assert_ne!(decision["reason"], "", "{plugin} gave no reason");
    screen::decision(&decision);
}

fn refused_by_address(set: &Set, proxy: &Proxy<'_>) {
    make(
        set,
        Calls {
            name: "acl",
            scenario: "stranger-is-refused.xml",
            source: STRANGER,
            ..Calls::default()
        },
    );
    screen::says("stranger", &format!("INVITE from {STRANGER} answered 403"));
    refused(proxy, "acl-", "ip-acl");
}

fn refused_by_digest(set: &Set, proxy: &Proxy<'_>) {
    make(
        set,
        Calls {
            name: "digest",
            scenario: "pbx-is-refused.xml",
            password: "not-the-password",
            refusal: 407,
            ..Calls::default()
        },
    );
    screen::says("pbx", "INVITE with a wrong password answered 407 again");
    let decision = proxy.decision("digest-", |it| {
        let reason = it["reason"].as_str();
        it["plugin"] == "digest-auth" && reason.is_some_and(|it| it.contains("wrong"))
    });
    screen::decision(&decision);
}

fn refused_by_destination(set: &Set, proxy: &Proxy<'_>) {
    make(
        set,
        Calls {
            name: "premium",
            scenario: "pbx-is-refused.xml",
            number: PREMIUM,
            ..Calls::default()
        },
    );
    screen::says(
        "pbx",
        &format!("INVITE {PREMIUM} with good credentials answered 403"),
    );
    refused(proxy, "premium-", "destination-limits");
}

fn refused_by_rate(set: &Set, proxy: &Proxy<'_>) {
    const ATTEMPTS: u32 = 16;
    let calls = Calls {
        name: "hasty",
        scenario: "stranger-is-refused.xml",
        source: HASTY,
        refusal: 503,
        count: ATTEMPTS,
        ..Calls::default()
    };
    // The first attempts are challenged as usual, which this scenario does not expect;
    // the log says what became of each.
    let mut calls = calls.start(set);
    while calls.is_running() {
        thread::sleep(Duration::from_millis(20));
    }
    let limited = |it: &Value| it["plugin"] == "rate-limit";
    let _one = proxy.decision("hasty-", limited);
    let decisions = proxy.decisions_on("hasty-");
    let over = decisions.iter().filter(|it| limited(it)).count();
    assert!(over < decisions.len(), "rate-limit let nothing through");
    screen::says(
        "pbx 2",
        &format!(
            "{ATTEMPTS} INVITEs from {HASTY} within a third of a second; {over} over the limit"
        ),
    );
    refused(proxy, "hasty-", "rate-limit");
}

fn stricter_policy(set: &Set, proxy: &Proxy<'_>) {
    make(
        set,
        Calls {
            name: "before",
            number: MOBILE,
            ..Calls::default()
        },
    );
    screen::says("pbx", &format!("INVITE {MOBILE} answered 200, ended"));
    let talk = Calls {
        name: "talk",
        number: MOBILE,
        talk_ms: 4000,
        ..Calls::default()
    };
    let mut talk = talk.start(set);
    let _begun = proxy.decision("talk-", |it| it["verdict"] == "admit");
    thread::sleep(Duration::from_millis(300));
    screen::says("pbx", &format!("a second call to {MOBILE} goes on talking"));
    set.configure(&[PREMIUM_PREFIX, MOBILE_PREFIX]);
    let said = proxy.reload().expect("a good configuration");
    screen::says("reload", said.trim());
    make(
        set,
        Calls {
            name: "after",
            scenario: "pbx-is-refused.xml",
            number: MOBILE,
            ..Calls::default()
        },
    );
    screen::says("pbx", &format!("INVITE {MOBILE} answered 403"));
    refused(proxy, "after-", "destination-limits");
    assert!(talk.is_running(), "the call ended before its time");
    finish(talk, 1);
    screen::says("pbx", "the call in progress talked to its end: BYE, 200");
}

fn broken_plugin(set: &Set, proxy: &Proxy<'_>) {
    let file = set.plugin("destination-limits");
    let whole = fs::read(&file).expect("the plugin");
    fs::write(&file, &whole[..whole.len() / 2]).expect("half a plugin");
    let said = proxy.reload().expect_err("half a plugin");
    // Files are named from the demo's folder, which was shown at the beginning.
    let folder = set.path("").display().to_string();
    let said = said.trim().replace(&folder, "");
    screen::says("reload", &format!("refused: {said}"));
    make(
        set,
        Calls {
            name: "still",
            scenario: "pbx-is-refused.xml",
            number: MOBILE,
            ..Calls::default()
        },
    );
    screen::says("pbx", &format!("INVITE {MOBILE} answered 403"));
    refused(proxy, "still-", "destination-limits");
    make(
        set,
        Calls {
            name: "works",
            ..Calls::default()
        },
    );
    screen::says("pbx", &format!("INVITE {NUMBER} answered 200, ended"));
    admitted(proxy, "works-");
    fs::write(&file, whole).expect("the whole plugin");
    let said = proxy.reload().expect("the whole plugin");
    screen::says("reload", said.trim());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_prefixes_that_the_scenes_are_about() {
        assert!(PREMIUM.starts_with(PREMIUM_PREFIX));
        assert!(MOBILE.starts_with(MOBILE_PREFIX) && !MOBILE.starts_with(PREMIUM_PREFIX));
        assert!(!NUMBER.starts_with(PREMIUM_PREFIX) && !NUMBER.starts_with(MOBILE_PREFIX));
    }
}
