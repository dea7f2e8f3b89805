//! `[records]` and `[alerts]`.

use super::{Folder, GOOD};
use crate::config::{Loaded, Records, Severity};

const WHOLE: &str = r#"
[records]
durable = true
queue = 100
methods = ["INVITE", "REFER"]
challenges = false
sqlite = { path = "calls.sqlite", keep_days = 7, keep_records = 1000 }

[records.lines]
path = "calls.jsonl"
files = 2

[records.webhook]
url = "https://records.example.com/"
headers = [{ name = "Authorization", value_env = "TOKEN" }, { name = "X-Site", value = "a" }]
ca = "ca.pem"
batch = 10
spool_path = "spool.sqlite"

[alerts]
log = false
repeat_seconds = 60

[[alerts.webhook]]
url_file = "secret"
template = '{"text": "{{severity}}: {{text}}"}'
severity = "warning"

[[alerts.command]]
program = "acl.wasm"
arguments = ["--now"]
severity = "critical"
concurrent = 16
timeout_seconds = 600
"#;

fn good() -> String {
    format!("{GOOD}{WHOLE}")
}

const TOKEN: (&str, &str) = ("TOKEN", "zanzibar");

#[test]
fn a_good_one_is_read_whole() {
    let folder = Folder::new();
    let Loaded { config, warnings } = folder.load(&good(), &[TOKEN]).unwrap();
    assert_eq!(warnings, []);
    let records = config.records.as_ref().unwrap();
    assert!(records.durable && !records.challenges);
    assert_eq!((records.queue, records.methods.len()), (100, 2));
    let at = |name: &str| folder.0.path().join(name);
    assert_eq!(records.sqlite_path(None), Some(at("calls.sqlite")));
    let lines = records.lines.as_ref().unwrap();
    assert_eq!(
        (&lines.path, lines.file_mib, lines.files),
        (&at("calls.jsonl"), 64, 2)
    );
    let webhook = records.webhook.as_ref().unwrap();
    assert_eq!((webhook.batch, webhook.timeout_seconds), (10, 10));
    assert_eq!(webhook.spool_path, Some(at("spool.sqlite")));
    assert_eq!(config.alerts.webhooks[0].severity, Severity::Warning);
    assert_eq!(config.alerts.commands[0].program, at("acl.wasm"));
    assert_eq!((config.alerts.per_minute, config.alerts.burst), (10, 10));
    // Secrets and authorities are watched as certificates are.
    let files = config.files();
    assert!(
        files.contains(&at("secret")) && files.contains(&at("ca.pem")),
        "{files:?}"
    );
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("records.example.com") && !shown.contains("zanzibar"),
        "{shown}"
    );
}

#[test]
fn records_are_kept_where_there_is_a_folder_for_them() {
    let state = std::path::Path::new("/state");
    let unsaid = Records::default();
    assert_eq!(
        unsaid.sqlite_path(Some(state)),
        Some(state.join("records.sqlite"))
    );
    assert_eq!(unsaid.sqlite_path(None), None);
    let off = Records {
        enabled: false,
        ..Records::default()
    };
    assert_eq!(off.sqlite_path(Some(state)), None);
}

/// What is wrong, and a part of what the operator reads.
const WRONG: [(&str, &str, &str); 22] = [
    (
        "durable = true",
        "durabel = true",
        "`records.durabel`: unknown key; did you mean `durable`?",
    ),
    ("queue = 100", "queue = 0", "`records.queue`: is 0"),
    (
        "queue = 100",
        "queue = \"all\"",
        "`records.queue`: is the text \"all\"; write a whole number",
    ),
    (
        "\"REFER\"",
        "\"REFFER\"",
        "`records.methods[1]`: `REFFER` is no known method; did you mean `REFER`?",
    ),
    (
        "[\"INVITE\", \"REFER\"]",
        "[]",
        "`records.methods`: names no method",
    ),
    (
        "path = \"calls.sqlite\", ",
        "",
        "`records`: there is no place for the records; set `server.state_dir`",
    ),
    (
        "spool_path = \"spool.sqlite\"",
        "",
        "`records.webhook`: there is no place for records that wait",
    ),
    (
        "keep_records = 1000",
        "keep_records = 0",
        "`records.sqlite.keep_records`: is 0",
    ),
    ("files = 2", "files = 0", "`records.lines.files`: is 0"),
    (
        "batch = 10",
        "batch = 1001",
        "`records.webhook.batch`: is 1001; write at most 1000",
    ),
    (
        "url = \"https://records",
        "url = \"ftp://records",
        "`records.webhook.url`: is no HTTP address",
    ),
    (
        "url = \"https://records.example.com/\"",
        "",
        "`records.webhook`: has none of `url`, `url_file` and `url_env`",
    ),
    (
        "value = \"a\"",
        "value = \"a\", value_env = \"TOKEN\"",
        "`records.webhook.headers[1]`: has more than one of `value`",
    ),
    (
        "value_env = \"TOKEN\"",
        "value_env = \"NOTHING\"",
        "the environment variable NOTHING is not set",
    ),
    (
        "ca = \"ca.pem\"",
        "ca = \"none.pem\"",
        "`records.webhook.ca`: failed to read none.pem",
    ),
    (
        "repeat_seconds = 60",
        "per_minute = 0",
        "`alerts.per_minute`: is 0",
    ),
    (
        "url_file = \"secret\"",
        "url_file = \"none\"",
        "`alerts.webhook[0].url_file`: failed to read none",
    ),
    (
        "{{text}}",
        "{{caller}}",
        "`alerts.webhook[0].template`: there is no field `caller`",
    ),
    (
        "'{\"text\"",
        "'{text",
        "`alerts.webhook[0].template`: with its fields filled in it is no JSON",
    ),
    (
        "severity = \"critical\"",
        "severity = \"loud\"",
        "`alerts.command[0].severity`: `loud` is none of",
    ),
    (
        "concurrent = 16",
        "concurrent = 17",
        "`alerts.command[0].concurrent`: is 17; write 1 to 16",
    ),
    (
        "timeout_seconds = 600",
        "timeout_seconds = 601",
        "`alerts.command[0].timeout_seconds`: is 601",
    ),
];

#[test]
fn wrong_ones_say_where_and_what_would_be_right() {
    let folder = Folder::new();
    for (right, wrong, said) in WRONG {
        assert!(WHOLE.contains(right), "{right}");
        let text = format!("{GOOD}{}", WHOLE.replacen(right, wrong, 1));
        let shown = folder.rendered(&text, &[TOKEN]);
        assert!(shown.contains(said), "{wrong}: {shown}");
        assert!(shown.starts_with("sipward.toml:"), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{wrong}: {shown}");
    }
}

#[test]
fn durable_records_need_a_disk() {
    let folder = Folder::new();
    let text = format!(
        "{GOOD}[records]\ndurable = true\nsqlite.enabled = false\n\
         webhook = {{ url = \"http://a/\", spool_path = \"s\" }}\n"
    );
    let shown = folder.rendered(&text, &[]);
    assert!(
        shown.contains("`records.durable`: nothing is written to a disk"),
        "{shown}"
    );
    let with_lines = text.replace("webhook =", "lines = { path = \"l\" }\nwebhook =");
    assert_eq!(folder.rendered(&with_lines, &[]), "good\n");
    let off = text.replace("durable = true", "durable = true\nenabled = false");
    assert_eq!(folder.rendered(&off, &[]), "good\n");
}

#[test]
fn a_mistake_in_one_receiver_leaves_the_others() {
    let folder = Folder::new();
    let text = format!(
        "{GOOD}[[alerts.command]]\narguments = []\n[[alerts.command]]\nprogram = \"none\"\n\
         [[alerts.webhook]]\nurl = 3\n"
    );
    let shown = folder.rendered(&text, &[]);
    for said in [
        "`alerts.command[0].program`: missing key",
        "`alerts.command[1].program`: failed to read none",
        "`alerts.webhook[0].url`: is the number 3; write an address in quotes",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
}
