//! Records by webhook: a receiver that is down, back, and picky.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use records::recorder::Stage;
use records::spool::WebhookConfig;
use records::{RecordConfig, RecordService};

use super::http::{Server, target};
use super::{alerts, eventually, record};

fn nobody(_: &[u64]) {}

fn to(folder: &Path, address: std::net::SocketAddr, spool_max: u64) -> RecordConfig {
    RecordConfig {
        queue: 1_000,
        sqlite: None,
        lines: None,
        webhook: Some(WebhookConfig {
            target: target(address),
            spool: folder.join("spool.sqlite"),
            spool_max,
            batch: 4,
        }),
    }
}

fn give(service: &RecordService, count: usize) -> BTreeSet<String> {
    let recorder = service.recorder();
    (0..count)
        .map(|_| {
            let id = recorder.begin();
            recorder
                .submit(record(id.clone()), Stage::Finished, None)
                .unwrap();
            id
        })
        .collect()
}

fn got(server: &Server) -> Vec<String> {
    let ids = |body: &str| -> Vec<String> {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let records = body["records"].as_array().unwrap();
        assert!((1..=4).contains(&records.len()), "{}", records.len());
        records
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    server
        .requests()
        .iter()
        .flat_map(|it| ids(&it.body))
        .collect()
}

#[test]
fn a_receiver_that_was_down_gets_everything_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut first =
        RecordService::start(to(folder.path(), address, 100), alerts.desk(), nobody).unwrap();
    let mut ids = give(&first, 10);
    eventually("posts fail", || first.figures().webhook_failed > 0);
    eventually("all wait", || first.figures().webhook_waiting == 10);
    first.stop();
    drop(first);
    // Another process finds the spool.
    let second =
        RecordService::start(to(folder.path(), address, 100), alerts.desk(), nobody).unwrap();
    ids.extend(give(&second, 3));
    let server = Server::start(address);
    server.answer(503);
    let failed = second.figures().webhook_failed;
    eventually("503 is a failure", || {
        second.figures().webhook_failed > failed
    });
    server.answer(200);
    eventually("all are posted", || second.figures().webhook_waiting == 0);
    let got = got(&server);
    assert_eq!(got.len(), 13, "each once");
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), ids);
    let head = &server.requests()[0].head;
    assert!(head.starts_with("post /hook/secret http/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nauthorization: bearer zanzibar\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\ncontent-type: application/json\r\n"),
        "{head}"
    );
    assert_eq!(second.figures().webhook_posted, 13);
}

#[test]
fn a_record_that_is_refused_for_good_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let server = Server::anywhere();
    server.answer(503);
    let service = RecordService::start(
        to(folder.path(), server.address, 100),
        alerts.desk(),
        nobody,
    )
    .unwrap();
    let mut ids = give(&service, 11);
    eventually("all wait", || service.figures().webhook_waiting == 11);
    let poisoned = ids.iter().nth(5).unwrap().clone();
    server.refuse(&format!("\"{poisoned}\""));
    server.answer(200);
    eventually("all are gone", || service.figures().webhook_waiting == 0);
    ids.remove(&poisoned);
    assert_eq!(got(&server).into_iter().collect::<BTreeSet<_>>(), ids);
    let figures = service.figures();
    assert_eq!((figures.webhook_posted, figures.webhook_refused), (10, 1));
}

#[test]
fn a_full_spool_loses_counts_and_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let service =
        RecordService::start(to(folder.path(), address, 5), alerts.desk(), nobody).unwrap();
    give(&service, 5);
    eventually("all wait", || service.figures().webhook_waiting == 5);
    assert_eq!(service.figures().webhook_lost, 0, "exactly full");
    give(&service, 1);
    eventually("one is lost", || service.figures().webhook_lost == 1);
    assert_eq!(service.figures().webhook_waiting, 5);
    eventually("it is alerted", || alerts.desk().figures().told >= 1);
}

#[test]
fn another_receiver_gets_what_the_old_one_did_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = alerts();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut service =
        RecordService::start(to(folder.path(), address, 100), alerts.desk(), nobody).unwrap();
    let ids = give(&service, 6);
    eventually("all wait", || service.figures().webhook_waiting == 6);
    let server = Server::anywhere();
    let change = service
        .prepare(to(folder.path(), server.address, 100))
        .unwrap();
    service.change(change).unwrap();
    eventually("all are posted", || service.figures().webhook_posted == 6);
    assert_eq!(got(&server).into_iter().collect::<BTreeSet<_>>(), ids);
}
