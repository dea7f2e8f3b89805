//! The operator's side: what the examples' READMEs say to write is enough, and what is
//! too large is refused before it is read.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sipward_tests::stage::{binary, compiled_folder, plugin_folder};

/// A refusal that reads no file takes no time, on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A small site with this plugin.
fn site(plugin: &str) -> String {
    format!(
        r#"[server]
cache_dir = "{}"

[signatures]
required = false

[[listener]]
name = "local"
transport = "udp"
bind = "127.0.0.1:5060"

[[pbx]]
name = "office"
sources = ["127.0.0.1/32"]
targets = ["sip:127.0.0.1:5080"]

[[trunk]]
name = "carrier"
sources = ["192.0.2.0/24"]
targets = ["sip:127.0.0.1:5070"]

{plugin}
[[pipeline]]
name = "calls"
plugins = ["night-guard"]
"#,
        compiled_folder().display()
    )
}

fn check(folder: &Path, plugin: &str) -> Output {
    let config = folder.join("sipward.toml");
    fs::write(&config, site(plugin)).expect("a configuration");
    Command::new(binary())
        .args(["check", "--config"])
        .arg(config)
        .output()
        .expect("sipward runs")
}

fn said(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The `[[plugin]]` that a README shows.
fn shown(example: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let readme = fs::read_to_string(path.join(example).join("README.md")).expect("a README");
    let (_, use_it) = readme.split_once("## Use").expect("how to use it");
    let (_, block) = use_it.split_once("```toml\n").expect("a configuration");
    let (block, _) = block.split_once("```").expect("its end");
    block.to_owned()
}

#[test]
fn what_the_readmes_say_is_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    for (example, guest) in [
        ("policy-js", "night-guard-js"),
        ("policy-python", "night-guard-python"),
    ] {
        let component = plugin_folder().join(format!("{guest}.wasm"));
        let plugin = shown(example).replace("night-guard.wasm", &component.to_string_lossy());
        // A machine that does many other things makes nobody late.
        let plugin = plugin + "limits.configure_deadline_ms = 20000\n";
        let output = check(folder.path(), &plugin);
        assert!(output.status.success(), "{example}: {}", said(&output));
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let huge = folder.path().join("huge.wasm");
    let file = File::create(&huge).expect("a file");
    file.set_len(500 << 20).expect("a hole of 500 MiB");
    let plugin = "[[plugin]]\nname = \"night-guard\"\npath = \"huge.wasm\"\n";
    let started = Instant::now();
    let output = check(folder.path(), plugin);
    assert!(started.elapsed() < AT_ONCE);
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    for part in [
        "524288000 bytes",
        "wasm_bytes = 16777216",
        "limits.wasm_mib",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for (limit, expected) in [
        ("wasm_mib = 65", "65 is out of range; 1 to 64"),
        ("wasm_mib = 0", "wasm_mib"),
        ("instances = 129", "129 is out of range; 1 to 128"),
    ] {
        let output = check(folder.path(), &format!("{plugin}limits.{limit}\n"));
        let text = said(&output);
        let refused = !output.status.success() && text.contains(expected);
        assert!(refused, "{limit}: {text}");
    }
}
