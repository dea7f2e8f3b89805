//! Wrong configurations and exactly what the operator reads about them.

mod accounts;
mod candidates;
mod lookups;
mod media;
mod records;

use std::path::Path;

use super::{Config, ConfigErrors, Loaded, load_with};

/// A folder with a certificate, a key, a plugin and a secret to name.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "cert.pem",
            "key.pem",
            "ca.pem",
            "acl.wasm",
            "rate.wasm",
            "secret",
        ] {
            std::fs::write(folder.path().join(name), "zanzibar").unwrap();
        }
        Self(folder)
    }

    fn load(&self, text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let file = self.0.path().join("sipward.toml");
        std::fs::write(&file, text).unwrap();
        load_with(
            &file,
            environment
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )
    }

    /// What the operator reads, with the folder's name taken out.
    fn rendered(&self, text: &str, environment: &[(&str, &str)]) -> String {
        let shown = match self.load(text, environment) {
            Ok(loaded) => {
                let warnings: Vec<String> = loaded
                    .warnings
                    .iter()
                    .map(|warning| format!("warning: {warning}"))
                    .collect();
                format!("good\n{}", warnings.join("\n"))
            }
            Err(errors) => errors.to_string(),
        };
        shown.replace(&format!("{}/", self.0.path().display()), "")
    }
}

const GOOD: &str = r#"
[server]
workers = 2
admin_socket = "admin.sock"
domains = ["example.com"]

[[listener]]
name = "outside"
transport = "udp"
bind = "192.0.2.1:5060"
zone = "outside"

[[listener]]
name = "inside"
transport = "tls"
bind = "[::]:5061"
zone = "inside"
tls = { certificate = "cert.pem", key = "key.pem", client_ca = "ca.pem", client_auth = "required" }

[[pbx]]
name = "main"
sources = ["10.0.0.0/8"]
targets = ["sip:10.0.0.5:5061;transport=tls"]

[[trunk]]
name = "carrier"
sources = ["198.51.100.0/24", "2001:db8::/32"]
targets = ["sip:198.51.100.7", "sip:[2001:db8::7]:5070;transport=tcp"]
fork = "parallel"
route_to = "main"

[[plugin]]
name = "acl"
path = "acl.wasm"
capabilities = ["counters"]
settings = { allow = ["10.0.0.0/8"], strict = true, depth = 3 }
limits = { deadline_ms = 5 }

[[pipeline]]
name = "all"
methods = ["INVITE"]
plugins = ["acl"]

[[credential]]
user = "bob"
realm = "example.com"
password_file = "secret"
"#;

#[test]
fn a_good_one_is_read_whole() {
    let folder = Folder::new();
    let Loaded { config, warnings } = folder.load(GOOD, &[]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.server.workers, 2);
    assert_eq!(config.listeners[1].bind.port(), 5061);
    assert_eq!(config.trunks[0].sources.len(), 2);
    assert_eq!(config.plugins[0].settings["depth"], 3);
    assert_eq!(config.plugins[0].path, folder.0.path().join("acl.wasm"));
    assert_eq!(
        config.server.admin_socket,
        folder.0.path().join("admin.sock")
    );
    let files = config.files();
    assert_eq!(files.len(), 6, "{files:?}");
    assert!(files.iter().all(|file| file.is_absolute()));
}

#[test]
fn variables_override_the_file() {
    let folder = Folder::new();
    let environment = [
        ("SIPWARD_SERVER__WORKERS", "7"),
        ("SIPWARD_SERVER__LOG_LEVEL", "debug"),
        ("SIPWARD_SERVER__DOMAINS", "[\"a.example\", \"b.example\"]"),
        ("SIPWARD_TIMERS__T1_MS", "250"),
        ("SIPWARD_CONFIG", "elsewhere"),
        ("SIPWARD_BOB_PASSWORD", "secret"),
        ("OTHER__THING", "1"),
    ];
    let config = folder.load(GOOD, &environment).unwrap().config;
    assert_eq!(config.server.workers, 7);
    assert_eq!(config.server.log_level, "debug");
    assert_eq!(config.server.domains, ["a.example", "b.example"]);
    assert_eq!(config.timers.t1_ms, Some(250));
}

/// Each line: name, what is replaced in the good one, by what.
const WRONG: &[(&str, &str, &str)] = &[
    ("syntax", "workers = 2", "workers = = 2"),
    ("unclosed_text", "name = \"acl\"", "name = \"acl"),
    ("key_twice", "workers = 2", "workers = 2\nworkers = 3"),
    ("unknown_section", "[server]", "[sever]"),
    (
        "unknown_list",
        "[[listener]]\nname = \"outside\"",
        "[[lisener]]\nname = \"outside\"",
    ),
    ("unknown_key", "fork = ", "forks = "),
    ("unknown_key_far_off", "workers = 2", "database = 2"),
    ("unknown_key_in_inline_table", "deadline_ms", "dead_line_ms"),
    ("table_for_list", "[[plugin]]", "[plugin]"),
    ("wrong_type", "workers = 2", "workers = \"two\""),
    ("negative", "workers = 2", "workers = -2"),
    (
        "text_for_list",
        "domains = [\"example.com\"]",
        "domains = \"example.com\"",
    ),
    (
        "wrong_entry_in_list",
        "domains = [\"example.com\"]",
        "domains = [\"example.com\", 5]",
    ),
    ("bad_address", "192.0.2.1:5060", "192.0.2.1"),
    (
        "bad_network",
        "10.0.0.0/8\"]\ntargets",
        "10.0.0.0/33\"]\ntargets",
    ),
    ("network_without_prefix", "198.51.100.0/24", "198.51.100.1"),
    (
        "unknown_variant",
        "transport = \"udp\"",
        "transport = \"udo\"",
    ),
    ("missing_key", "bind = \"192.0.2.1:5060\"\n", ""),
    ("missing_keys_inside", "certificate = \"cert.pem\", ", ""),
    (
        "tls_without_certificate",
        "tls = { certificate = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\", client_auth = \"required\" }",
        "",
    ),
    ("tls_on_udp", "transport = \"tls\"", "transport = \"tcp\""),
    (
        "unknown_cipher",
        "client_auth = \"required\"",
        "ciphers = [\"TLS_AES_256_GCM_SHA384\", \"TLS_RSA_WITH_NULL_MD5\"]",
    ),
    (
        "ciphers_below_the_floor",
        "client_auth = \"required\"",
        "min_version = \"1.3\", ciphers = [\"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\"]",
    ),
    (
        "old_tls",
        "client_auth = \"required\"",
        "min_version = \"1.1\"",
    ),
    ("client_auth_without_ca", "client_ca = \"ca.pem\", ", ""),
    ("unreadable_file", "\"acl.wasm\"", "\"missing.wasm\""),
    (
        "unknown_plugin",
        "plugins = [\"acl\"]",
        "plugins = [\"alc\"]",
    ),
    (
        "large_requests_without_tcp",
        "route_to = \"main\"",
        "large_by_tcp = true",
    ),
    ("unknown_peer", "route_to = \"main\"", "route_to = \"mian\""),
    (
        "unknown_capability",
        "[\"counters\"]",
        "[\"counter\", \"sockets\"]",
    ),
    (
        "method_in_lower_case",
        "[\"INVITE\"]",
        "[\"invite\", \"INVIT\", \"XFOO\"]",
    ),
    ("bad_target", "sip:198.51.100.7", "http://198.51.100.7"),
    (
        "bad_target_transport",
        "5070;transport=tcp",
        "5070;transport=sctp",
    ),
    ("same_name", "name = \"inside\"", "name = \"outside\""),
    (
        "same_name_of_pbx_and_trunk",
        "name = \"carrier\"",
        "name = \"main\"",
    ),
    ("same_source", "\"198.51.100.0/24\"", "\"10.0.0.0/8\""),
    (
        "port_clash",
        "transport = \"tls\"\nbind = \"[::]:5061\"",
        "transport = \"udp\"\nbind = \"0.0.0.0:5060\"",
    ),
    (
        "password_in_file",
        "password_file = \"secret\"",
        "password = \"zanzibar\"",
    ),
    (
        "two_secrets",
        "password_file = \"secret\"",
        "password_file = \"secret\"\nha1_file = \"secret\"",
    ),
    (
        "variable_not_set",
        "password_file = \"secret\"",
        "password_env = \"BOB\"",
    ),
    (
        "wrong_type_of_secret",
        "password_file = \"secret\"",
        "password_file = 12345",
    ),
    ("bad_log_level", "workers = 2", "log_level = \"a=b=c\""),
    ("zero", "deadline_ms = 5", "deadline_ms = 0"),
    (
        "no_instance_ready",
        "deadline_ms = 5",
        "ready_instances = 0",
    ),
    (
        "too_many_instances_ready",
        "deadline_ms = 5",
        "ready_instances = 65",
    ),
    (
        "as_many_instances_as_may_be_ready",
        "deadline_ms = 5",
        "ready_instances = 64",
    ),
    (
        "no_such_isolation",
        "path = \"acl.wasm\"",
        "path = \"acl.wasm\"\nisolation = \"once\"",
    ),
    (
        "no_pipeline_for_a_zone",
        "methods = [\"INVITE\"]",
        "zone = \"inside\"",
    ),
    (
        "empty_pipeline_and_idle_plugin",
        "plugins = [\"acl\"]",
        "plugins = []",
    ),
];

/// What the operator reads about each wrong one.
fn refusals(good: &str, wrong: &[(&str, &str, &str)]) -> String {
    let folder = Folder::new();
    let mut table = String::new();
    for (name, from, to) in wrong {
        assert!(good.contains(from), "{name}: `{from}` is not there");
        let shown = folder.rendered(&good.replacen(from, to, 1), &[]);
        assert!(
            !shown.contains("zanzibar") && !shown.contains("12345"),
            "{name}: {shown}"
        );
        table.push_str(&format!("## {name}\n{shown}\n\n"));
    }
    table
}

#[test]
fn wrong_ones_say_where_and_what_would_be_right() {
    insta::assert_snapshot!("wrong_configurations", refusals(GOOD, WRONG));
}

#[test]
fn many_mistakes_are_reported_at_once() {
    let folder = Folder::new();
    let text = GOOD
        .replace("workers = 2", "workers = true\nworker = 1")
        .replace("bind = \"192.0.2.1:5060\"", "bnid = \"192.0.2.1:5060\"")
        .replace("plugins = [\"acl\"]", "plugins = [\"acl\", \"rate\"]")
        .replace("\"acl.wasm\"", "\"acl.wsam\"");
    insta::assert_snapshot!("many_mistakes", folder.rendered(&text, &[]));
}

#[test]
fn variables_are_named_when_they_are_wrong() {
    let folder = Folder::new();
    let environment = [
        ("SIPWARD_SERVER__WORKERS", "many"),
        ("SIPWARD_SERVER__LOGLEVEL", "debug"),
        ("SIPWARD_TIMERS__T1_MS", "0"),
        ("SIPWARD_LISTENER__0__BIND", "0.0.0.0:5060"),
        ("SIPWARD_SEVER__WORKERS", "1"),
    ];
    insta::assert_snapshot!("variables", folder.rendered(GOOD, &environment));
}

#[test]
fn files_that_are_no_configuration() {
    let folder = Folder::new();
    let missing = load_with(Path::new("/nonexistent/sipward.toml"), []).unwrap_err();
    insta::assert_snapshot!("missing_file", missing.to_string());
    insta::assert_snapshot!("empty_file", folder.rendered("", &[]));
    let path = folder.0.path().join("sipward.toml");
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    let binary = load_with(&path, []).unwrap_err().to_string();
    assert!(binary.contains("failed to read it"), "{binary}");
    let comment = |bytes: usize| format!("{GOOD}#{}", "x".repeat(bytes - GOOD.len() - 1));
    assert!(folder.load(&comment(4 << 20), &[]).is_ok());
    let large = folder
        .load(&comment((4 << 20) + 1), &[])
        .unwrap_err()
        .to_string();
    assert!(large.contains("larger than 4194304 bytes"), "{large}");
}

#[test]
fn debug_shows_no_settings() {
    let folder = Folder::new();
    let text = GOOD.replace("strict = true", "api_key = \"zanzibar\"");
    let config: Config = folder.load(&text, &[]).unwrap().config;
    let shown = format!("{config:?}");
    assert!(
        shown.contains("api_key") && !shown.contains("zanzibar"),
        "{shown}"
    );
}
