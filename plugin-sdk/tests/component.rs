//! What the built components import and export: exactly what was written.
//!
//! Builds the shipped plugins, the SDK's example and the hostile ones as users do, and
//! looks at the bytes through wit-component.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

/// Folder of the built guests.
fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--target",
            "wasm32-unknown-unknown",
            "--profile",
            "plugin",
        ])
        .args([
            "-p",
            "ip-acl",
            "-p",
            "digest-auth",
            "-p",
            "destination-limits",
            "-p",
            "rate-limit",
        ])
        .args(["-p", "hostile-plugins", "-p", "sipward-plugin-sdk"])
        .args(["--lib", "--example", "prepaid"])
        .status()
        .unwrap();
    assert!(status.success(), "rustup target add wasm32-unknown-unknown");
    target.join("wasm32-unknown-unknown/plugin")
}

/// The example that has no standard library, as it is meant to be built.
fn lean() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // A folder of its own: the features differ from those of every other build.
    let target = root.join(env!("CARGO_TARGET_TMPDIR")).join("lean");
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target)
        .args(["build", "--quiet", "--profile", "plugin"])
        .args(["--target", "wasm32-unknown-unknown"])
        .args(["-p", "sipward-plugin-sdk", "--no-default-features"])
        .args(["--example", "lean"])
        .status()
        .unwrap();
    assert!(status.success(), "something asks for the standard library");
    target.join("wasm32-unknown-unknown/plugin/examples/lean.wasm")
}

fn encoded(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(module)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)?
        .encode()
}

/// Short names of the interfaces that a component imports and exports.
fn interfaces(component: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap() else {
        panic!("not a component");
    };
    let world = &resolve.worlds[world];
    let names = |items: Vec<&WorldItem>| {
        let name = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => {
                let name = resolve.id_of(*id).unwrap();
                let short = name
                    .strip_prefix("sipward:policy/")
                    .map(|rest| rest.strip_suffix("@0.1.0").unwrap());
                short.map_or(name.clone(), str::to_owned)
            }
            other => panic!("{other:?}"),
        };
        items.into_iter().map(name).collect()
    };
    (
        names(world.imports.values().collect()),
        names(world.exports.values().collect()),
    )
}

#[test]
fn a_guest_needs_no_standard_library() {
    let component = encoded(&lean()).unwrap();
    let (imported, exported) = interfaces(&component);
    assert!(imported.contains("geo") && imported.contains("log"));
    assert!(exported.contains("packed-request-policy"));
    println!("lean: {} KiB", component.len() / 1024);
    assert!(component.len() < 256 * 1024, "{} bytes", component.len());
}

#[test]
fn components_import_what_they_use_and_export_what_they_have() {
    let built = built();
    let request = ["lifecycle", "packed-request-policy"].as_slice();
    let both = &[request, &["response-policy"]].concat()[..];
    let all = &[both, &["call-policy"]].concat()[..];
    // Every hook that was written in Rust has these.
    let usual = ["outcomes", "log"];
    for (name, extra, exports) in [
        ("ip_acl", ["messages"].as_slice(), request),
        (
            "digest_auth",
            &["clock", "counters", "credentials", "keyvalue", "messages"],
            request,
        ),
        (
            "destination_limits",
            &["identity", "lists", "messages", "numbers", "types"],
            both,
        ),
        ("rate_limit", &["counters", "messages"], request),
        (
            "hostile_plugins",
            &["clock", "messages", "random", "types"],
            both,
        ),
        (
            "examples/prepaid",
            &[
                "counters",
                "credentials",
                "geo",
                "identity",
                "leases",
                "lists",
                "messages",
                "numbers",
                "types",
            ],
            all,
        ),
        (
            "examples/foreign_import",
            &["evil:network/dial@1.0.0"],
            request,
        ),
    ] {
        let component = encoded(&built.join(format!("{name}.wasm"))).unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted: BTreeSet<String> = set(&[&usual[..], extra].concat());
        let (imported, exported) = interfaces(&component);
        assert_eq!(imported, wanted, "{name}");
        assert_eq!(exported, set(exports), "{name}");
        println!("{name}: {} KiB", component.len() / 1024);
        assert!(
            component.len() < 512 * 1024,
            "{name} has {} bytes",
            component.len()
        );
    }
    let refused = encoded(&built.join("examples/forbidden_import.wasm")).unwrap_err();
    assert!(
        format!("{refused:?}").contains("wasi_snapshot_preview1"),
        "{refused:?}"
    );
}
