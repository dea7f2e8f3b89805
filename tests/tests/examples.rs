//! Every configuration in `examples/` is good, with the real plugins.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use sipward_tests::stage::{binary, plugin_folder, root};

#[expect(
    dead_code,
    reason = "the writer makes more kinds of values than are looked at here"
)]
#[path = "../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;

/// The example of all policies.
const ALL: &str = "secure-trunk";

/// Files that an example names and an operator brings.
fn bring(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["sip.example.com".to_owned()])
        .expect("a certificate");
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).expect("certificate.pem");
    std::fs::write(folder.join("ca.pem"), made.cert.pem()).expect("ca.pem");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("key.pem");
    std::fs::write(folder.join("office.password"), "a-long-password\n").expect("office.password");
    std::fs::write(folder.join("chat-url"), "https://chat.example.com/hook\n").expect("chat-url");
    std::fs::write(folder.join("page-night-shift"), "#!/bin/sh\n").expect("a program");
    let countries = mmdb::countries(&[("81.0.0.0/8", "DE")]);
    std::fs::write(folder.join("country.mmdb"), countries).expect("country.mmdb");
    std::fs::create_dir(folder.join("plugins")).expect("a folder for plugins");
    for entry in std::fs::read_dir(plugin_folder())
        .expect("plugins; run `cargo xtask plugins`")
        .flatten()
    {
        std::fs::copy(entry.path(), folder.join("plugins").join(entry.file_name()))
            .expect("a plugin");
    }
}

/// What an example has besides its configuration: lists.
fn copy_beside(example: &Path, folder: &Path) {
    for entry in std::fs::read_dir(example).expect("an example").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
        }
    }
}

fn sipward(arguments: &[&str], config: &Path) -> Output {
    Command::new(binary())
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env_remove("SIPWARD_CREDENTIALS_KEY")
        .output()
        .expect("sipward runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder as an operator has it after the steps of the example's README.
fn prepared(example: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    bring(folder.path());
    copy_beside(example, folder.path());
    let config = folder.path().join("sipward.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    if text.contains("[credentials]") {
        for arguments in [
            &["credential", "init"][..],
            &[
                "credential",
                "add",
                "alice",
                "--realm",
                "sip.example.com",
                "--totp",
            ],
        ] {
            let output = sipward(arguments, &config);
            assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        }
    }
    folder
}

#[test]
fn each_example_passes_the_check() {
    let mut checked = 0;
    for entry in std::fs::read_dir(root().join("examples"))
        .expect("examples")
        .flatten()
    {
        if !entry.path().join("sipward.toml").is_file() {
            continue;
        }
        // The state folder is the service's own; a check must not need it.
        let folder = prepared(&entry.path());
        let output = sipward(&["check"], &folder.path().join("sipward.toml"));
        let (said, example) = (said(&output), entry.path());
        assert!(output.status.success(), "{}: {said}", example.display());
        assert!(!said.contains("warning"), "{}: {said}", example.display());
        checked += 1;
    }
    assert!(checked > 0, "there are no examples");
}

/// The names of the policies that ship.
fn shipped() -> BTreeSet<String> {
    let folders = std::fs::read_dir(root().join("plugins")).expect("plugins");
    folders
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("a name"))
        .collect()
}

fn config_of(example: &str) -> serde_json::Value {
    let path = root().join("examples").join(example).join("sipward.toml");
    let text = std::fs::read_to_string(path).expect("the example");
    toml_edit::de::from_str(&text).expect("TOML")
}

#[test]
fn the_secure_trunk_asks_every_policy_that_ships() {
    let config = config_of(ALL);
    let plugins = config["plugin"].as_array().expect("plugins");
    // The first pipeline is that of the office and of people at home.
    let asked = config["pipeline"][0]["plugins"].as_array().expect("names");
    let files: BTreeSet<String> = plugins
        .iter()
        .filter(|plugin| asked.contains(&plugin["name"]))
        .map(|plugin| Path::new(plugin["path"].as_str().expect("a path")))
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(files, shipped());
}

#[test]
fn the_secure_trunk_explains_each_line() {
    let path = root().join("examples").join(ALL).join("sipward.toml");
    let text = std::fs::read_to_string(path).expect("the example");
    // A comment stands before each paragraph of at most so many lines.
    const TOGETHER: usize = 12;
    let mut bare = 0;
    for (number, line) in (1..).zip(text.lines()) {
        bare = match line.trim_start() {
            "" => bare,
            comment if comment.starts_with('#') => 0,
            _ => bare + 1,
        };
        assert!(
            bare <= TOGETHER,
            "line {number}: {bare} lines without a word"
        );
    }
}

#[test]
fn a_wrong_line_of_the_secure_trunk_is_named() {
    let folder = prepared(&root().join("examples").join(ALL));
    let config = folder.path().join("sipward.toml");
    let good = std::fs::read_to_string(&config).expect("the configuration");
    for (right, wrong, expected) in [
        (
            "[\"DE\", \"AT\", \"CH\"]",
            "[\"Germany\"]",
            "everybody.allow[0]",
        ),
        ("min_digits = 6", "min_digits = 3", "min_digits"),
        (
            "mon-fri 07:00",
            "mon-fri 7 o'clock",
            "schedules.office.hours[0]",
        ),
        ("warn = 40", "warn = 400", "thresholds.challenge"),
        (
            "charge_every_s = 60",
            "charge_every_s = 1",
            "charge_every_s",
        ),
        ("end_after = 0", "end_after = 20000", "end_after"),
    ] {
        assert!(good.contains(right), "{right}");
        std::fs::write(&config, good.replacen(right, wrong, 1)).expect("a configuration");
        let output = sipward(&["check"], &config);
        let said = said(&output);
        assert!(!output.status.success(), "{wrong}");
        assert!(said.contains(expected), "{wrong}: {said}");
    }
}
