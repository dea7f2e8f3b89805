//! What the demo shows, scene by scene. Every claim on the screen was checked: by
//! sipp, whose scenario would have failed, and by the proxy's own decision log.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::demo::proxy::Proxy;
use crate::demo::sipp::Calls;
use crate::demo::stage::{
    HASTY, MOBILE, MOBILE_PREFIX, ORDINARY, PREMIUM, PREMIUM_PREFIX, STRANGER, Stage,
};
use crate::demo::{phone, screen};

/// One scene.
type Scene = fn(&Stage, &Proxy) -> Result<()>;

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

fn call_by_udp(stage: &Stage, proxy: &Proxy) -> Result<()> {
    Calls {
        name: "udp",
        ..Calls::default()
    }
    .make(stage)?;
    screen::says(
        "pbx",
        &format!("INVITE {ORDINARY} answered 407, again with digest; 200, ACK, BYE, 200"),
    );
    admitted(proxy, "udp-")
}

fn call_by_tls(stage: &Stage, proxy: &Proxy) -> Result<()> {
    for line in phone::call(stage, "tls-1@phone.example")? {
        screen::says("phone", &line);
    }
    admitted(proxy, "tls-")
}

fn admitted(proxy: &Proxy, call: &str) -> Result<()> {
    let last = proxy.wait_for(call, |it| it.method == "INVITE" && it.verdict == "admit")?;
    for decision in proxy
        .decisions(call)
        .iter()
        .filter(|it| it.method == "INVITE" && it.verdict != "admit")
    {
        screen::decision(decision);
    }
    screen::decision(&last);
    Ok(())
}

/// Show the refusal of an INVITE, after checking which plugin made it.
fn refused(proxy: &Proxy, call: &str, plugin: &str) -> Result<()> {
    let decision = proxy.wait_for(call, |it| {
        it.plugin == plugin && it.status >= 400 && it.verdict != "challenge"
    })?;
    ensure!(!decision.reason.is_empty(), "{plugin} gave no reason");
    screen::decision(&decision);
    Ok(())
}

fn refused_by_address(stage: &Stage, proxy: &Proxy) -> Result<()> {
    Calls {
        name: "acl",
        scenario: "stranger-is-refused.xml",
        source: STRANGER,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("stranger", &format!("INVITE from {STRANGER} answered 403"));
    refused(proxy, "acl-", "ip-acl")
}

fn refused_by_digest(stage: &Stage, proxy: &Proxy) -> Result<()> {
    Calls {
        name: "digest",
        scenario: "pbx-is-refused.xml",
        password: Some("not-the-password"),
        status: 407,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("pbx", "INVITE with a wrong password answered 407 again");
    let decision = proxy.wait_for("digest-", |it| {
        it.plugin == "digest-auth" && it.reason.contains("wrong")
    })?;
    screen::decision(&decision);
    Ok(())
}

fn refused_by_destination(stage: &Stage, proxy: &Proxy) -> Result<()> {
    Calls {
        name: "premium",
        scenario: "pbx-is-refused.xml",
        number: PREMIUM,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says(
        "pbx",
        &format!("INVITE {PREMIUM} with good credentials answered 403"),
    );
    refused(proxy, "premium-", "destination-limits")
}

fn refused_by_rate(stage: &Stage, proxy: &Proxy) -> Result<()> {
    const ATTEMPTS: u32 = 16;
    let calls = Calls {
        name: "hasty",
        scenario: "stranger-is-refused.xml",
        source: HASTY,
        status: 503,
        count: ATTEMPTS,
        ..Calls::default()
    };
    // The first attempts are challenged as usual, which this scenario does not expect;
    // the log says what became of each.
    let _mixed = calls.make(stage);
    proxy.wait_for("hasty-", |it| it.plugin == "rate-limit")?;
    let decisions = proxy.decisions("hasty-");
    let over = decisions
        .iter()
        .filter(|it| it.plugin == "rate-limit")
        .count();
    ensure!(over < decisions.len(), "rate-limit let nothing through");
    screen::says(
        "pbx 2",
        &format!(
            "{ATTEMPTS} INVITEs from {HASTY} within a third of a second; {over} over the limit"
        ),
    );
    refused(proxy, "hasty-", "rate-limit")
}

fn stricter_policy(stage: &Stage, proxy: &Proxy) -> Result<()> {
    Calls {
        name: "before",
        number: MOBILE,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("pbx", &format!("INVITE {MOBILE} answered 200, ended"));
    let talk = Calls {
        name: "talk",
        number: MOBILE,
        talk_ms: 4000,
        ..Calls::default()
    };
    let mut talk = talk.start(stage)?;
    proxy.wait_for("talk-", |it| it.verdict == "admit")?;
    thread::sleep(Duration::from_millis(300));
    screen::says("pbx", &format!("a second call to {MOBILE} goes on talking"));
    stage.configure(&[PREMIUM_PREFIX, MOBILE_PREFIX])?;
    let (done, said) = proxy.reload()?;
    ensure!(done, "the reload was refused: {said}");
    screen::says("reload", &said);
    Calls {
        name: "after",
        scenario: "pbx-is-refused.xml",
        number: MOBILE,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("pbx", &format!("INVITE {MOBILE} answered 403"));
    refused(proxy, "after-", "destination-limits")?;
    ensure!(
        talk.is_running()?,
        "the call in progress ended before its time"
    );
    talk.finish()?;
    screen::says("pbx", "the call in progress talked to its end: BYE, 200");
    Ok(())
}

fn broken_plugin(stage: &Stage, proxy: &Proxy) -> Result<()> {
    let file = stage.plugin("destination-limits");
    let whole = fs::read(&file)?;
    fs::write(&file, whole.get(..whole.len() / 2).unwrap_or_default())?;
    let (done, said) = proxy.reload()?;
    ensure!(!done, "a plugin cut in half was loaded: {said}");
    screen::says("reload", &format!("refused: {said}"));
    Calls {
        name: "still",
        scenario: "pbx-is-refused.xml",
        number: MOBILE,
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("pbx", &format!("INVITE {MOBILE} answered 403"));
    refused(proxy, "still-", "destination-limits")?;
    Calls {
        name: "works",
        ..Calls::default()
    }
    .make(stage)?;
    screen::says("pbx", &format!("INVITE {ORDINARY} answered 200, ended"));
    admitted(proxy, "works-")?;
    fs::write(&file, whole)?;
    let (done, said) = proxy.reload()?;
    ensure!(done, "the whole plugin was refused: {said}");
    screen::says("reload", &said);
    Ok(())
}
