//! `sipward plugin` from an empty folder to a second version, as an author types it.

use sipward_tests::stage::desk::{Desk, edit};
use sipward_tests::stage::plugin_folder;

#[test]
fn an_author_goes_from_an_empty_folder_to_a_second_version() {
    const NAME: &str = "barred-calls";
    let desk = Desk::new();
    desk.begin(NAME);

    // It passes its own tests, natively and in the host.
    let told = desk.done(NAME, &["test"]);
    assert!(told.contains("calls: as expected"), "{told}");
    assert!(told.contains("hostile: as expected"), "{told}");
    let told = desk.done(NAME, &["build"]);
    assert!(told.contains("barred-calls.wasm: "), "{told}");
    assert!(
        told.contains("imports sipward:policy/numbers@0.1.0"),
        "{told}"
    );
    assert!(!told.contains("wasi"), "{told}");
    signed_and_looked_into(&desk, NAME);
    expectations(&desk, NAME);
    costs(&desk, NAME);
    second_version(&desk, NAME);
}

/// Keys, a signature, and what `inspect` tells of both.
fn signed_and_looked_into(desk: &Desk, name: &str) {
    let key = desk.done(name, &["keygen", "mine", "--no-password"]);
    let public = std::fs::read_to_string(desk.path(name).join("mine.pub")).expect("a key");
    assert!(public.contains(key.trim()), "{public}");
    let wasm = format!("{name}.wasm");
    let told = desk.refused(name, &["verify", &wasm, "--key", "mine.pub"]);
    assert!(told.contains(".minisig"), "{told}");
    desk.done(name, &["sign", &wasm, "--key", "mine.key"]);
    let told = desk.done(name, &["verify", &wasm, "--key", key.trim()]);
    assert!(told.contains("good, by "), "{told}");

    let config = format!(
        "[[listener]]\nname = \"local\"\ntransport = \"udp\"\nbind = \"127.0.0.1:5060\"\n\
         [[signer]]\nname = \"me\"\npublic_key = \"{}\"\n\
         [[plugin]]\nname = \"calls\"\npath = \"{wasm}\"\ncapabilities = [\"counters\"]\n",
        key.trim()
    );
    let file = desk.path(name).join("sipward.toml");
    std::fs::write(&file, config).expect("a file");
    let told = desk.json(name, &["inspect", "--config", "sipward.toml", "--json"]);
    assert_eq!(told["name"], name);
    assert_eq!(told["wit"], serde_json::json!(["0.1.0"]));
    assert_eq!(told["hooks"], serde_json::json!(["request"]));
    assert_eq!(told["methods"], serde_json::json!(["INVITE"]));
    assert_eq!(told["asks"], serde_json::json!([]));
    assert_eq!(told["granted"][0]["spare"], serde_json::json!(["counters"]));
    assert_eq!(told["signature"]["state"], "good");
    assert_eq!(told["signature"]["signer"], "me");
    let barred = &told["settings"]["properties"]["barred"]["description"];
    assert!(
        barred.as_str().is_some_and(|it| it.contains("+1900")),
        "{told}"
    );
    let shown = desk.done(name, &["inspect"]);
    assert!(shown.contains("there is one; name a key"), "{shown}");
}

/// Expectations that are not met are shown, and written on demand.
fn expectations(desk: &Desk, name: &str) {
    let expected = desk.path(name).join("golden/calls.expected");
    edit(&expected, "reject 403", "reject 404");
    let wasm = format!("{name}.wasm");
    let told = desk.refused(name, &["test", &wasm]);
    assert!(told.contains("- message 2: reject 404"), "{told}");
    assert!(told.contains("+ message 2: reject 403"), "{told}");
    assert!(told.contains("hostile: as expected"), "{told}");
    desk.done(name, &["test", &wasm, "--bless"]);
    let blessed = std::fs::read_to_string(&expected).expect("a file");
    assert!(blessed.contains("message 2: reject 403"), "{blessed}");
    desk.done(name, &["test", &wasm]);

    let settings = desk.path(name).join("golden/settings.toml");
    edit(&settings, "barred = [\"+1900\"]", "barred = [\"1900\"]");
    let told = desk.refused(name, &["test", &wasm]);
    assert!(told.contains("`barred[0]`"), "{told}");
    edit(&settings, "barred = [\"1900\"]", "barred = [\"+1900\"]");
}

/// Fuel is the same each time, and a budget is kept or not.
fn costs(desk: &Desk, name: &str) {
    let wasm = format!("{name}.wasm");
    let bench =
        |more: &[&'static str]| [&["bench", wasm.as_str(), "--time", "50ms"], more].concat();
    let fuel = || {
        let report = desk.json(name, &bench(&["--json"]));
        let costs = report["costs"].as_array().expect("costs").clone();
        assert_eq!(costs.len(), 5, "{report}");
        for cost in &costs {
            assert!(cost["median_ns"].as_u64() > Some(0), "{report}");
            assert!(cost["memory_bytes"].as_u64() >= Some(65_536), "{report}");
        }
        costs
            .iter()
            .map(|it| it["fuel"].as_u64())
            .collect::<Vec<_>>()
    };
    let first = fuel();
    assert!(first.iter().all(|it| *it > Some(100)), "{first:?}");
    assert_eq!(first, fuel());
    let told = desk.refused(name, &bench(&["--fuel-budget", "100"]));
    assert!(told.contains("over budget: calls 1: fuel "), "{told}");
    desk.done(
        name,
        &bench(&["--fuel-budget", "10000000", "--budget", "10s"]),
    );
}

/// What an operator would get who takes another version.
fn second_version(desk: &Desk, name: &str) {
    let wasm = format!("{name}.wasm");
    let folder = desk.path(name);
    std::fs::copy(folder.join(&wasm), folder.join("old.wasm")).expect("a copy");
    edit(
        &folder.join("Cargo.toml"),
        "version = \"0.1.0\"",
        "version = \"0.2.0\"",
    );
    let library = folder.join("src/lib.rs");
    edit(
        &library,
        "    fn configure(",
        "    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];\n\n    fn configure(",
    );
    edit(&library, "reject(403)", "reject(603)");
    edit(
        &folder.join("src/settings.rs"),
        "    /// Names that",
        "    /// Not used yet.\n    #[serde(default)]\n    pub strict: bool,\n    /// Names that",
    );
    desk.done(name, &["build"]);
    let told = desk.done(name, &["diff", "old.wasm", &wasm]);
    assert!(
        told.contains("barred-calls 0.1.0 -> barred-calls 0.2.0"),
        "{told}"
    );
    assert!(
        told.contains("+ counters: refused until it is granted"),
        "{told}"
    );
    assert!(told.contains("+ strict (boolean, default false)"), "{told}");
    assert!(told.contains("- message 2: reject 403"), "{told}");
    assert!(told.contains("+ message 2: reject 603"), "{told}");
    let told = desk.json(name, &["diff", &wasm, &wasm, "--json"]);
    assert_eq!(told["identical"], true);
    assert_eq!(told["judged"], 5);
    assert_eq!(told["outcomes"], serde_json::json!([]));
    // The signature was that of the first version.
    let told = desk.refused(name, &["verify", &wasm, "--key", "mine.pub"]);
    assert!(told.contains("is not of these bytes"), "{told}");
}

#[test]
fn what_cannot_be_done_is_said_with_a_remedy() {
    let desk = Desk::new();
    for (arguments, expected) in [
        (&["new", "Mine"][..], "is no name for a plugin"),
        (
            &["new", "mine", "--sdk", "nowhere"],
            "failed to find the SDK",
        ),
        (&["build"], "begin one with `sipward plugin new NAME`"),
        (&["test"], "neither a Cargo.toml nor a sipward-plugin.toml"),
        (&["inspect", "none.wasm"], "failed to read none.wasm"),
        (&["diff", "a.wasm", "b.wasm"], "failed to read a.wasm"),
        (
            &["sign", "a.wasm", "--key", "a.key"],
            "failed to read a.wasm",
        ),
        (
            &["verify", "a.wasm", "--key", "nonsense"],
            "this is no public key",
        ),
        (&["keygen", "mine"], "SIPWARD_SIGNING_PASSWORD"),
        (&["bench", "--budget", "soon"], "write such as 20us"),
    ] {
        let told = desk.refused("", arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    std::fs::write(desk.path("text.wasm"), "#!/bin/sh\n").expect("a file");
    let told = desk.refused("", &["inspect", "text.wasm"]);
    assert!(told.contains("text.wasm"), "{told}");
}

#[test]
fn shipped_plugins_can_be_looked_into() {
    let desk = Desk::new();
    let plugin = plugin_folder().join("rate-limit.wasm");
    let told = desk.json("", &["inspect", &plugin.to_string_lossy(), "--json"]);
    assert_eq!(told["name"], "rate-limit");
    assert_eq!(told["asks"], serde_json::json!(["counters"]));
    assert_eq!(told["signature"]["state"], "unsigned");
    assert_eq!(told["sha256"].as_str().map(str::len), Some(64));
}
