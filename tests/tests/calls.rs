//! Real calls by sipp through the real binary with the four shipped plugins.

use std::sync::Mutex;
use std::time::Duration;

use sipward_tests::stage::{Calls, Figures, Proxy, Stage, Trunk, marked};

/// Tests of this file run one after the other: each wants the machine.
static MACHINE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    MACHINE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The same plugin with other bytes.
fn republish(stage: &Stage, plugin: &str, round: u32) {
    let file = stage.plugin(plugin);
    let wasm = std::fs::read(&file).expect("the plugin");
    let beside = file.with_extension("new");
    std::fs::write(&beside, marked(&wasm, &format!("round {round}"))).expect("the new plugin");
    std::fs::rename(&beside, &file).expect("the new plugin in its place");
}

#[test]
fn ten_thousand_calls_while_plugins_and_config_are_reloaded_fifty_times() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&["+49900"], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let calls = Calls {
        name: "many",
        count: 10_000,
        rate: 400,
        ..Calls::default()
    }
    .start(&stage);
    for round in 1..=50_u32 {
        match round % 3 {
            // Other settings, a plugin's other bytes, a signal instead of a command.
            0 => stage.configure(&["+49900", &format!("+4998{round}")], ""),
            1 => republish(&stage, "destination-limits", round),
            _ => republish(&stage, "digest-auth", round),
        }
        if round % 5 == 0 {
            proxy.signal("HUP");
            let generation = u64::from(round) + 1;
            proxy.wait_until("the reload by signal", |status| {
                status["total"]["generation"] == generation
            });
        } else {
            proxy.reload().expect("a good configuration");
        }
        std::thread::sleep(Duration::from_millis(350));
    }
    assert_eq!(
        calls.finish(),
        Figures {
            successful: 10_000,
            failed: 0,
            retransmissions: 0
        }
    );
    let status = proxy.status();
    assert_eq!(status["total"]["generation"], 51, "{status:#}");
    assert_eq!(status["total"]["calls_answered"], 10_000, "{status:#}");
    assert_eq!(status["total"]["plugin_failures"], 0, "{status:#}");
    assert_eq!(status["work_lost"], 0, "{status:#}");
    proxy.wait_until("all calls have ended", |status| {
        status["total"]["calls"] == 0
    });
}

#[test]
fn what_is_wrong_changes_nothing_and_says_why() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&[], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let good = std::fs::read_to_string(stage.config()).expect("the configuration");

    stage.write(&good.replace(
        "[[pipeline]]\nname = \"from-pbx\"",
        "[[pipeline]]\nname = \"from-pbx\"\nbogus = 1",
    ));
    let refusal = proxy.reload().expect_err("an unknown key");
    assert!(
        refusal.contains("bogus") && refusal.contains("sipward.toml:"),
        "{refusal}"
    );

    stage.write(&good.replace(
        "default = \"deny\"\nallow = [\"+49\"]",
        "default = \"maybe\"\nallow = [\"+49\"]",
    ));
    let refusal = proxy
        .reload()
        .expect_err("settings that the plugin refuses");
    assert!(
        refusal.contains("destination-limits") && refusal.contains("default"),
        "{refusal}"
    );

    stage.write(&good);
    let plugin = std::fs::read(stage.plugin("ip-acl")).expect("the plugin");
    std::fs::write(stage.plugin("ip-acl"), &plugin[..plugin.len() / 2]).expect("half a plugin");
    let refusal = proxy.reload().expect_err("half a plugin");
    assert!(refusal.contains("ip-acl"), "{refusal}");
    std::fs::write(stage.plugin("ip-acl"), &plugin).expect("the whole plugin");

    stage.write(&good.replace(
        "capabilities = [\"credentials\", \"counters\", \"keyvalue\"]",
        "capabilities = []",
    ));
    let refusal = proxy
        .reload()
        .expect_err("capabilities that are not granted");
    assert!(
        refusal.contains("digest-auth") && refusal.contains("counters"),
        "{refusal}"
    );

    assert_eq!(proxy.status()["total"]["generation"], 1);
    let made = Calls {
        name: "after",
        count: 5,
        ..Calls::default()
    }
    .make(&stage);
    assert_eq!(
        made,
        Figures {
            successful: 5,
            failed: 0,
            retransmissions: 0
        }
    );
}

#[test]
fn a_lockout_survives_kill_nine() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&[], "");
    let _trunk = Trunk::answer(&stage);
    let guesses = Calls {
        name: "guesses",
        scenario: "pbx-is-refused.xml",
        password: "guess",
        count: 12,
        rate: 5,
        ..Calls::default()
    };
    {
        let proxy = Proxy::start(&stage);
        let _some_end_otherwise = guesses.make(&stage);
        let reasons: Vec<String> = proxy
            .decisions()
            .iter()
            .map(|line| line["reason"].to_string())
            .collect();
        assert!(
            reasons.iter().any(|reason| reason.contains("lock")),
            "no lockout: {reasons:#?}"
        );
        proxy.signal("KILL");
        let _killed = proxy.wait();
    }
    let proxy = Proxy::start(&stage);
    let before = proxy.decisions().len();
    let right = Calls {
        name: "right",
        ..Calls::default()
    }
    .make(&stage);
    assert_eq!(right.successful, 0, "the lockout was forgotten");
    let after = &proxy.decisions()[before..];
    assert!(
        after
            .iter()
            .any(|line| line["reason"].to_string().contains("lock")),
        "{after:#?}"
    );
    assert!(
        after.iter().all(|line| line["verdict"] != "admit"),
        "{after:#?}"
    );
}

#[test]
fn a_drain_lets_calls_end_and_takes_no_new_ones() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&[], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let running = Calls {
        name: "running",
        count: 3,
        talk_ms: 4000,
        ..Calls::default()
    }
    .start(&stage);
    proxy.wait_until("three calls run", |status| {
        status["total"]["calls_answered"] == 3
    });
    proxy.signal("TERM");
    proxy.wait_until("it drains", |status| status["draining"] == true);
    let refused = Calls {
        name: "too-late",
        ..Calls::default()
    }
    .make(&stage);
    assert_eq!(refused.successful, 0);
    assert_eq!(
        running.finish(),
        Figures {
            successful: 3,
            failed: 0,
            retransmissions: 0
        }
    );
    assert!(proxy.wait().success());
}

#[test]
fn two_plugins_may_verify_the_same_credentials() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&[], "");
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    let second = format!(
        "[[plugin]]\nname = \"digest-again\"\npath = \"{}\"\n\
         capabilities = [\"credentials\", \"counters\", \"keyvalue\"]\n\
         [plugin.settings]\nrealm = \"test.sipward\"\nalgorithms = [\"MD5\"]\n",
        stage.plugin("digest-auth").display()
    );
    let text = text.replace(
        "\"digest-auth\", \"destination-limits\"]",
        "\"digest-auth\", \"digest-again\"]",
    );
    stage.write(&format!("{text}\n{second}"));
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let made = Calls {
        name: "twice",
        count: 3,
        ..Calls::default()
    }
    .make(&stage);
    assert_eq!(
        made,
        Figures {
            successful: 3,
            failed: 0,
            retransmissions: 0
        },
        "{:#?}",
        proxy.decisions()
    );
}

#[test]
fn the_operator_reads_every_refusal() {
    let _alone = alone();
    let stage = Stage::new();
    stage.configure(&["+49900"], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let barred = Calls {
        name: "barred",
        scenario: "pbx-is-refused.xml",
        number: "+49900123456",
        ..Calls::default()
    };
    assert_eq!(
        barred.make(&stage),
        Figures {
            successful: 1,
            failed: 0,
            retransmissions: 0
        }
    );
    let decisions = proxy.decisions();
    let refused = decisions
        .iter()
        .find(|line| line["verdict"] == "reject")
        .expect("a refusal");
    assert_eq!(refused["plugin"], "destination-limits");
    assert_eq!(refused["status"], 403);
    assert!(
        refused["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("49900")),
        "{refused}"
    );
    assert!(
        refused["micros"].is_u64() && refused["call"].is_string(),
        "{refused}"
    );
}
