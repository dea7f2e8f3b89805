//! The whole of `examples/secure-trunk`, with its TLS, certificates and accounts, on
//! loopback: nothing but addresses, files and the hour of the night are other ones.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Instant;

use sip_message::Message;
use sipward_tests::stage::{PBX, Proxy, Stage, TRUNK, binary, compiled_folder, free_port};

use crate::alarms::Alarms;
use crate::edge::{OFFICE, PASSWORD_200};
use crate::fraud::{ATTEMPTS, at_night, dear};
use crate::tls::{Authority, Caller, Taker};
use crate::{alone, shipped};

#[expect(
    dead_code,
    reason = "the writer makes more kinds of values than are looked at here"
)]
#[path = "../../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;

/// All plugins of the example.
const PLUGINS: [&str; 14] = [
    "scanner-guard",
    "ip-acl",
    "rate-limit",
    "encryption-required",
    "tls-identity",
    "digest-auth",
    "geo-fence",
    "caller-identity",
    "call-code",
    "fraud-score",
    "destination-limits",
    "business-hours",
    "call-limits",
    "media-guard",
];

/// Connections that the PBX has, so that calls wait for the disk together.
const CONNECTIONS: usize = 16;

/// Somebody at home, and whoever stole her password.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 5, 0, 1);
const THIEF: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// The example where this machine is its network.
struct Secured {
    stage: Stage,
    authority: Authority,
    alarms: Alarms,
    carrier: Taker,
    office: Taker,
}

impl Secured {
    fn new() -> Self {
        let stage = Stage::new();
        stage.bring(&PLUGINS);
        let authority = Authority::new(&stage.path("."));
        authority.issue("us", &["sip.example.com", "127.0.0.1"]);
        authority.issue("pbx", &["pbx.example.com", &OFFICE.to_string()]);
        authority.issue("carrier", &[&TRUNK.to_string()]);
        let alarms = Alarms::listen();
        let office = SocketAddr::from((OFFICE, free_port(OFFICE)));
        let carrier = SocketAddr::from((TRUNK, stage.trunk));
        let files = [
            ("barred.txt", shipped::file("barred.txt").into_bytes()),
            ("rates.txt", shipped::file("rates.txt").into_bytes()),
            ("chat-url", alarms.url().into_bytes()),
            ("country.mmdb", mmdb::countries(&[("81.0.0.0/8", "GB")])),
        ];
        for (name, bytes) in files {
            std::fs::write(stage.path(name), bytes).expect("a file");
        }
        stage.write(&configuration(&stage, office));
        let secured = Self {
            carrier: Taker::new(&authority, "carrier", carrier),
            office: Taker::new(&authority, "pbx", office),
            stage,
            authority,
            alarms,
        };
        secured.credential(&["init"], "");
        let add = [
            "add",
            "alice",
            "--realm",
            "sip.example.com",
            "--password-stdin",
        ];
        secured.credential(&add, PASSWORD_200);
        secured
    }

    /// `sipward credential`.
    fn credential(&self, arguments: &[&str], input: &str) {
        let mut child = Command::new(binary())
            .arg("credential")
            .args(arguments)
            .arg("--config")
            .arg(self.stage.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sipward runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        writeln!(pipe, "{input}").expect("it reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    /// The PBX's own connection.
    fn pbx(&self, user: &str) -> Caller {
        let proxy = SocketAddr::from((PBX, self.stage.inside));
        Caller::connect(&self.authority, Some("pbx"), OFFICE, proxy, user)
    }

    /// A telephone somewhere outside.
    fn telephone(&self, source: Ipv4Addr, user: &str) -> Caller {
        let proxy = SocketAddr::from((PBX, self.stage.outside));
        Caller::connect(&self.authority, None, source, proxy, user)
    }
}

/// The example's text with this machine's addresses.
fn configuration(stage: &Stage, office: SocketAddr) -> String {
    let mut text = shipped::file("sipward.toml");
    let mut changes = places(stage, office);
    changes.extend(at_night());
    for (shipped, here) in changes {
        assert!(text.contains(&shipped), "the example has no `{shipped}`");
        text = text.replace(&shipped, &here);
    }
    shipped::patient(&text)
}

/// What the example says, and what counts here.
fn places(stage: &Stage, office: SocketAddr) -> Vec<(String, String)> {
    let folder = stage.path(".").to_string_lossy().into_owned();
    let (inside, outside, trunk) = (stage.inside, stage.outside, stage.trunk);
    let cache = compiled_folder();
    let state = format!(
        "state_dir = \"{folder}/state\"\ncache_dir = {cache:?}\nworkers = 2\nwatch = false"
    );
    let gateways =
        "\"sip:198.51.100.1:5061;transport=tls\", \"sip:198.51.100.2:5061;transport=tls\"";
    let gateway = format!("\"sip:{TRUNK}:{trunk};transport=tls\"");
    let change = |shipped: &str, here: String| (shipped.to_owned(), here);
    vec![
        change("/run/sipward/admin.sock", format!("{folder}/admin.sock")),
        change("state_dir = \"/var/lib/sipward\"", state),
        change("log_format = \"human\"", "log_format = \"json\"".into()),
        change("10.0.0.10:5061", format!("127.0.0.1:{inside}")),
        change("203.0.113.10:5061", format!("127.0.0.1:{outside}")),
        change("bind = \"10.0.0.10\"", "bind = \"127.0.0.3\"".into()),
        change("bind = \"203.0.113.10\"", "bind = \"127.0.0.4\"".into()),
        change("20000-29999", "20000-20999".into()),
        change("30000-39999", "21000-21999".into()),
        change("certificate.pem", "us.pem".into()),
        change("\"key.pem\"", "\"us.key.pem\"".into()),
        change("10.0.0.20/32", format!("{OFFICE}/32")),
        change("sip:10.0.0.20:5061", format!("sip:{office}")),
        change(gateways, gateway),
        change("198.51.100.0/28", format!("{TRUNK}/32")),
        change("198.51.100.64/26", "127.0.0.9/32".into()),
    ]
}

/// Whom an INVITE is for.
fn user(invite: &Message) -> String {
    String::from_utf8_lossy(invite.request_uri().user.unwrap_or_default()).into_owned()
}

/// The PBX calls dear numbers as fast as it can; when each call was made.
fn night_of_the_pbx(secured: &Secured) -> Vec<Instant> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|thread| {
                let mut pbx = secured.pbx("+4930123410");
                scope.spawn(move || {
                    let serials = (thread..ATTEMPTS).step_by(CONNECTIONS);
                    let attempt = |serial| {
                        let at = Instant::now();
                        let status = pbx.call(&dear(serial));
                        assert!(status >= 400, "{}: {status}", dear(serial));
                        at
                    };
                    serials.map(attempt).collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|it| it.join().expect("calls"));
        joined.flatten().collect()
    })
}

#[test]
fn the_shipped_example_lets_business_through_and_a_night_of_fraud_not() {
    let _alone = alone();
    let secured = Secured::new();
    let proxy = Proxy::start(&secured.stage);

    // Business: the office calls the town, encrypted on the other leg too.
    let mut pbx = secured.pbx("+4930123410");
    assert_eq!(pbx.call("+493055512345"), 200);
    let invites = secured.carrier.invites();
    let [invite] = invites.as_slice() else {
        panic!("{invites:?}");
    };
    assert_eq!(user(invite), "+493055512345");
    let description = String::from_utf8_lossy(invite.body());
    assert!(
        description.contains("RTP/SAVP") && description.contains("a=crypto:"),
        "{description}"
    );
    // Somebody at home calls an extension.
    let mut alice = secured.telephone(HOME, "alice").with_password(PASSWORD_200);
    assert_eq!(alice.call("201"), 200);
    assert_eq!(secured.office.invites().len(), 1);

    // Her password is stolen: the thief knows no code.
    let mut thief = secured
        .telephone(THIEF, "alice")
        .with_password(PASSWORD_200);
    for attempt in 0..20 {
        let status = thief.call(&dear(attempt));
        assert!(status >= 400, "{}: {status}", dear(attempt));
    }
    secured.alarms.wait("of calls without a code", |alert| {
        let text = alert["text"].as_str().unwrap_or_default();
        text.starts_with("warning, call-code: alice has made")
    });
    // An extension of the PBX is taken over, and the PBX calls as it does by day.
    drop(pbx);
    let attempts = night_of_the_pbx(&secured);
    let ends = Instant::now();
    let locked = secured.alarms.wait("of the lock", |alert| {
        alert["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("critical, fraud-score: user/office is locked"))
    });
    assert!(locked.at < ends, "the alert is there while it happens");
    let before = attempts.iter().filter(|at| **at < locked.at).count();
    assert!(before < ATTEMPTS / 2, "after {before} attempts");
    assert_eq!(secured.carrier.invites().len(), 1, "no dear call got out");
    assert_eq!(secured.office.invites().len(), 1, "nor to the PBX");
    assert_eq!(proxy.status()["total"]["plugin_failures"], 0);
}
