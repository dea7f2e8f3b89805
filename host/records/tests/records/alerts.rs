//! Alerts to a real receiver and a real program.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::time::{Duration, Instant};

use policy::Severity;
use records::alert::{
    Alarm, AlertConfig, AlertService, AlertWebhookConfig, CommandConfig, SieveConfig, Template,
};

use super::eventually;
use super::http::{Server, target};

fn alarm(severity: Severity, key: &str) -> Alarm {
    Alarm {
        severity,
        plugin: "fraud-score".to_owned(),
        call_id: "a@b".to_owned(),
        ..Alarm::of_host(key, format!("what happened: {key}"))
    }
}

fn quick() -> SieveConfig {
    SieveConfig {
        repeat_ms: 300,
        per_minute: 60_000,
        burst: 1_000,
    }
}

fn to(server: &Server, template: Option<&str>) -> AlertConfig {
    AlertConfig {
        sieve: quick(),
        webhooks: vec![AlertWebhookConfig {
            target: target(server.address),
            template: template.map(|text| Template::parse(text).unwrap()),
            severity: Severity::Warning,
        }],
        ..AlertConfig::default()
    }
}

fn bodies(server: &Server) -> Vec<serde_json::Value> {
    let parse = |body: &str| serde_json::from_str(body).unwrap();
    server.requests().iter().map(|it| parse(&it.body)).collect()
}

#[test]
fn a_webhook_gets_each_once_and_how_many_were_held_back() {
    let server = Server::anywhere();
    let service = AlertService::start(to(&server, None)).unwrap();
    let desk = service.desk();
    for _ in 0..3 {
        desk.raise(alarm(Severity::Warning, "alice"));
    }
    desk.raise(alarm(Severity::Info, "quiet"));
    eventually("the first is delivered", || desk.figures().delivered == 1);
    std::thread::sleep(Duration::from_millis(400));
    desk.raise(alarm(Severity::Warning, "alice"));
    eventually("the second is delivered", || desk.figures().delivered == 2);
    let bodies = bodies(&server);
    assert_eq!(bodies[0]["held_back"], 0);
    assert_eq!(bodies[1]["held_back"], 2);
    assert_eq!(bodies[1]["key"], "alice");
    assert_eq!(bodies[1]["severity"], "warning");
    assert_eq!(bodies[1]["plugin"], "fraud-score");
    let figures = desk.figures();
    assert_eq!((figures.raised, figures.told, figures.held_back), (5, 3, 2));
}

#[test]
fn a_chat_gets_its_own_words_and_retries() {
    let server = Server::anywhere();
    server.answer(503);
    let template = r#"{"text": "*{{severity}}* {{text}} ({{plugin}})"}"#;
    let service = AlertService::start(to(&server, Some(template))).unwrap();
    let desk = service.desk();
    desk.raise(alarm(Severity::Critical, "night"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(desk.figures().delivered, 0);
    server.answer(200);
    eventually("it is delivered", || desk.figures().delivered == 1);
    let text = "*critical* what happened: night (fraud-score)";
    assert_eq!(bodies(&server)[0]["text"], text);
}

#[test]
fn a_refusal_for_good_is_counted_and_the_next_one_goes() {
    let server = Server::anywhere();
    server.answer(404);
    let service = AlertService::start(to(&server, None)).unwrap();
    let desk = service.desk();
    desk.raise(alarm(Severity::Warning, "one"));
    eventually("it is given up", || desk.figures().failed == 1);
    server.answer(200);
    desk.raise(alarm(Severity::Warning, "two"));
    eventually("the next is delivered", || desk.figures().delivered == 1);
}

#[test]
fn raising_never_waits_for_a_program_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let command = |script: String, timeout| CommandConfig {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script],
        severity: Severity::Info,
        timeout,
        concurrent: 2,
    };
    let config = AlertConfig {
        log: false,
        sieve: SieveConfig {
            repeat_ms: 0,
            per_minute: u32::MAX,
            burst: u32::MAX,
        },
        commands: vec![
            command("sleep 600".to_owned(), Duration::from_millis(200)),
            command(format!("cat >> {}", out.display()), Duration::from_secs(10)),
        ],
        ..AlertConfig::default()
    };
    let mut service = AlertService::start(config).unwrap();
    let desk = service.desk();
    let started = Instant::now();
    for number in 0..2_000 {
        desk.raise(alarm(Severity::Info, &number.to_string()));
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    eventually("those that hang are killed", || desk.figures().failed >= 2);
    eventually("the others go on", || desk.figures().delivered >= 10);
    assert!(desk.figures().lost > 0, "more than one program can be told");
    service.stop();
    let text = std::fs::read_to_string(&out).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["plugin"], "fraud-score");
}

#[test]
fn a_change_takes_the_place_of_what_was() {
    let (one, two) = (Server::anywhere(), Server::anywhere());
    let service = AlertService::start(to(&one, None)).unwrap();
    let desk = service.desk();
    desk.raise(alarm(Severity::Warning, "a"));
    eventually("the first has it", || one.requests().len() == 1);
    service.prepare(to(&two, None)).unwrap().apply();
    desk.raise(alarm(Severity::Warning, "b"));
    eventually("the second has it", || two.requests().len() == 1);
    assert_eq!(one.requests().len(), 1);
}
