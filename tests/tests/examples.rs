//! Every configuration in `examples/` is good, with the real plugins.

use std::path::Path;
use std::process::Command;

use sipward_tests::stage::{binary, plugin_folder, root};

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
    std::fs::create_dir(folder.join("plugins")).expect("a folder for plugins");
    for entry in std::fs::read_dir(plugin_folder())
        .expect("plugins; run `cargo xtask plugins`")
        .flatten()
    {
        std::fs::copy(entry.path(), folder.join("plugins").join(entry.file_name()))
            .expect("a plugin");
    }
}

#[test]
fn each_example_passes_the_check() {
    let mut checked = 0;
    for entry in std::fs::read_dir(root().join("examples"))
        .expect("examples")
        .flatten()
    {
        let config = entry.path().join("sipward.toml");
        if !config.is_file() {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        bring(folder.path());
        let copy = folder.path().join("sipward.toml");
        // The state folder is the service's own; a check must not need it.
        std::fs::copy(&config, &copy).expect("a copy");
        let output = Command::new(binary())
            .args(["check", "--config"])
            .arg(&copy)
            .output()
            .expect("sipward runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", config.display());
        assert!(!said.contains("warning"), "{}: {said}", config.display());
        checked += 1;
    }
    assert!(checked > 0, "there are no examples");
}
