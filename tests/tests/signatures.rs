//! A running proxy and whose plugins it takes: signed ones of accepted signers, and what
//! is refused changes nothing.

use std::path::Path;
use std::process::{Command, Output};

use plugin_signature::{NewKeys, SecretKey, signature_path};
use sipward_tests::stage::{Proxy, Stage, binary};

/// The plugins of the usual configuration.
const PLUGINS: [&str; 4] = ["ip-acl", "rate-limit", "digest-auth", "destination-limits"];

fn key() -> SecretKey {
    let keys = NewKeys::generate(None).expect("keys");
    SecretKey::open(&keys.secret_file, None).expect("an unlocked key")
}

fn sign(plugin: &Path, key: &SecretKey) {
    let wasm = std::fs::read(plugin).expect("a plugin");
    let signature = key.sign(&wasm, "test").expect("a signature");
    std::fs::write(signature_path(plugin), signature).expect("a file");
}

/// The usual configuration, with `head` in the place of its `[signatures]`.
fn configure(stage: &Stage, head: &str) {
    stage.configure(&[], "");
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    let usual = "[signatures]\nrequired = false\n";
    assert!(text.contains(usual), "{text}");
    stage.write(&text.replace(usual, head));
}

fn signer(name: &str, key: &SecretKey) -> String {
    let key = key.public();
    format!("[[signer]]\nname = \"{name}\"\npublic_key = \"{key}\"\n")
}

/// A stage whose plugins are signed by an accepted key.
fn stage(acme: &SecretKey) -> Stage {
    let stage = Stage::new();
    for name in PLUGINS {
        sign(&stage.plugin(name), acme);
    }
    configure(&stage, &signer("acme", acme));
    stage
}

fn check(stage: &Stage) -> Output {
    Command::new(binary())
        .args(["check", "--config"])
        .arg(stage.config())
        .output()
        .expect("sipward runs")
}

#[test]
fn unsigned_plugins_are_refused_before_anything_runs() {
    let stage = Stage::new();
    configure(&stage, &signer("acme", &key()));
    let output = check(&stage);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("plugin `ip-acl`"), "{said}");
    assert!(said.contains("it is not signed: there is no"), "{said}");

    configure(&stage, "");
    let output = check(&stage);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nobody's signature is accepted"), "{said}");
}

#[test]
fn a_badly_signed_version_leaves_the_running_one_and_says_why() {
    let (acme, mallory) = (key(), key());
    let stage = stage(&acme);
    let proxy = Proxy::start(&stage);
    let plugin = stage.plugin("ip-acl");
    let signature = signature_path(&plugin);
    let (old, its_signature) = (
        std::fs::read(&plugin).expect("the plugin"),
        std::fs::read_to_string(&signature).expect("its signature"),
    );
    // Another policy under the same name: valid, and not what was signed.
    let new = std::fs::read(stage.plugin("media-guard")).expect("a plugin");
    let refused = |expected: &str| {
        let said = proxy.reload().expect_err("it must be refused");
        assert!(said.contains("nothing has changed"), "{said}");
        assert!(said.contains("plugin `ip-acl`"), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(proxy.status()["total"]["generation"], 1);
    };
    std::fs::write(&plugin, &new).expect("a file");
    refused("is not of these bytes");
    sign(&plugin, &mallory);
    refused("and accepted are `acme` (");
    std::fs::remove_file(&signature).expect("it was there");
    refused("it is not signed");
    std::fs::write(&plugin, &old).expect("a file");
    let forged = its_signature.replace("comment: test", "comment: tent");
    assert_ne!(forged, its_signature);
    std::fs::write(&signature, forged).expect("a file");
    refused("or its comment was changed");
    std::fs::write(&signature, &its_signature[..its_signature.len() / 2]).expect("a file");
    refused("damaged or cut off");

    // The same plugin is verified again when the signers change.
    std::fs::write(&signature, its_signature).expect("a file");
    configure(&stage, &signer("mallory", &mallory));
    refused("and accepted are `mallory` (");

    configure(
        &stage,
        &(signer("acme", &acme) + &signer("mallory", &mallory)),
    );
    sign(&plugin, &mallory);
    proxy.reload().expect("both are accepted now");
    assert_eq!(proxy.status()["total"]["generation"], 2);
}

#[test]
fn a_pipeline_insists_on_its_own_signers() {
    let (acme, other) = (key(), key());
    let stage = stage(&acme);
    sign(&stage.plugin("rate-limit"), &other);
    configure(&stage, &(signer("acme", &acme) + &signer("other", &other)));
    assert!(check(&stage).status.success());
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    stage.write(&text.replace(
        "name = \"from-pbx\"\n",
        "name = \"from-pbx\"\nsigners = [\"acme\"]\n",
    ));
    let output = check(&stage);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("it is signed by `other`, and pipeline `from-pbx` accepts acme"),
        "{said}"
    );
}
