//! `sipward plugin push` and `pull` against the registry that everybody runs: Docker's,
//! as the system has it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use plugin_signature::{NewKeys, SecretKey, signature_path};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sipward_tests::stage::{binary, plugin_folder};
use tempfile::TempDir;

/// The plugin that goes to and fro, and another one.
const PLUGIN: &str = "rate-limit";
const OTHER: &str = "ip-acl";

/// A user of the registry, and what it knows of the password: bcrypt, which is the only
/// hash that it takes.
const USER: &str = "author";
const PASSWORD: &str = "it is me";
const HTPASSWD: &str = "author:$2y$05$abcdefghijklmnopqrstuuTDW2crBB8emGwox2m8rGGuWmjI15jWi\n";

/// How long a registry may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

/// What a registry demands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    Nothing,
    Password,
    Encryption,
}

/// A registry with an author's desk beside it.
struct Place {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Where the program is; systems call it by either name.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a search path");
    let found = ["docker-registry", "registry"].iter().find_map(|name| {
        let mut folders = std::env::split_paths(&path);
        folders.find_map(|it| Some(it.join(name)).filter(|it| it.is_file()))
    });
    found.expect("a registry; `cargo xtask setup --for test` installs one")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

impl Place {
    fn start(demand: Demand) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let port = free_port();
        fs::create_dir(at("storage")).expect("a folder");
        fs::create_dir(at("desk")).expect("a folder");
        let mut http = json!({ "addr": format!("127.0.0.1:{port}"), "secret": "of one node" });
        if demand == Demand::Encryption {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
            let made = made.expect("a certificate");
            fs::write(at("cert.pem"), made.cert.pem()).expect("a file");
            fs::write(at("key.pem"), made.signing_key.serialize_pem()).expect("a file");
            http["tls"] = json!({ "certificate": at("cert.pem"), "key": at("key.pem") });
        }
        // YAML takes JSON.
        let mut config = json!({
            "version": 0.1,
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": at("storage") } },
            "http": http,
        });
        if demand == Demand::Password {
            fs::write(at("htpasswd"), HTPASSWD).expect("a file");
            config["auth"] = json!({ "htpasswd": { "realm": "test", "path": at("htpasswd") } });
        }
        fs::write(at("config.yml"), config.to_string()).expect("a file");
        let log = fs::File::create(at("registry.log")).expect("a file");
        let child = Command::new(program())
            .arg("serve")
            .arg(at("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the registry starts");
        let mut place = Self {
            folder,
            port,
            child,
        };
        place.wait();
        place
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && began.elapsed() < BEGIN,
                "{ended:?}: {}",
                fs::read_to_string(self.folder.path().join("registry.log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A file of the author's.
    fn desk(&self, name: &str) -> PathBuf {
        self.folder.path().join("desk").join(name)
    }

    /// A shipped plugin on the desk, signed if there is a key.
    fn lay(&self, plugin: &str, name: &str, key: Option<&SecretKey>) -> Vec<u8> {
        let bytes = fs::read(plugin_folder().join(format!("{plugin}.wasm"))).expect("a plugin");
        let path = self.desk(name);
        fs::write(&path, &bytes).expect("a file");
        if let Some(key) = key {
            let signature = key.sign(&bytes, "version 1.0").expect("a signature");
            fs::write(signature_path(&path), signature).expect("a file");
        }
        bytes
    }

    fn reference(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/acme/night-calls:{tag}", self.port)
    }

    /// `sipward plugin` at the desk, as nobody in particular.
    fn plugin(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("plugin")
            .args(arguments)
            .current_dir(self.desk(""))
            .env("DOCKER_CONFIG", self.desk("docker"))
            .env_remove("SIPWARD_REGISTRY_USER")
            .env_remove("SIPWARD_REGISTRY_PASSWORD")
            .env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn done(&self, arguments: &[&str]) -> String {
        done(&mut self.plugin(arguments))
    }

    fn refused(&self, arguments: &[&str]) -> String {
        refused(&mut self.plugin(arguments))
    }

    /// The file in which the registry keeps a blob.
    fn blob(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").expect("a digest");
        let blobs = "storage/docker/registry/v2/blobs/sha256";
        let folder = self.folder.path().join(blobs);
        folder.join(&digits[..2]).join(digits).join("data")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// It must succeed. What it printed.
fn done(command: &mut Command) -> String {
    let output = command.output().expect("sipward runs");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// It must not. All that it said.
fn refused(command: &mut Command) -> String {
    let output = command.output().expect("sipward runs");
    assert!(!output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}

fn key() -> SecretKey {
    let keys = NewKeys::generate(None).expect("keys");
    SecretKey::open(&keys.secret_file, None).expect("an unlocked key")
}

fn digest_of(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    format!("sha256:{digits}")
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|it| {
            it.expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_plugin_comes_back_as_it_went_with_its_signature() {
    let (place, key) = (Place::start(Demand::Nothing), key());
    let public = key.public().to_string();
    let bytes = place.lay(PLUGIN, "a.wasm", Some(&key));
    let reference = place.reference("1.0");
    let told = place.done(&["push", "a.wasm", &reference, "--key", &public]);
    let digest = told.trim().rsplit('@').next().expect("a digest").to_owned();
    assert_eq!(told.trim(), format!("{reference}@{digest}"));
    // The same plugin is the same artifact.
    assert_eq!(place.done(&["push", "a.wasm", &reference]), told);

    // What others find there.
    let manifest = fs::read(place.blob(&digest)).expect("the manifest");
    assert_eq!(digest_of(&manifest), digest);
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], digest_of(&bytes));
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let config = fs::read(place.blob(config)).expect("the configuration");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["layerDigests"], json!([digest_of(&bytes)]));
    let imports = config["component"]["imports"].to_string();
    assert!(imports.contains("sipward:policy/"), "{imports}");

    // By tag and by digest, into another folder.
    let by_digest = format!("127.0.0.1:{}/acme/night-calls@{digest}", place.port);
    for (number, reference) in [&reference, &by_digest].into_iter().enumerate() {
        let folder = place.desk(&number.to_string());
        fs::create_dir(&folder).expect("a folder");
        let mut command = place.plugin(&["pull", reference, "--signer", &public]);
        let told = done(command.current_dir(&folder));
        assert!(told.contains(&digest), "{told}");
        assert!(told.contains("good, by "), "{told}");
        assert!(told.contains("version 1.0"), "{told}");
        assert_eq!(
            files(&folder),
            ["night-calls.wasm", "night-calls.wasm.minisig"]
        );
        let path = folder.join("night-calls.wasm");
        assert_eq!(fs::read(&path).expect("the plugin"), bytes);
        assert_eq!(
            fs::read(signature_path(&path)).expect("the signature"),
            fs::read(signature_path(&place.desk("a.wasm"))).expect("the signature")
        );
    }
    place.done(&["verify", "0/night-calls.wasm", "--key", &public]);
    let told = place.done(&["inspect", "0/night-calls.wasm", "--key", &public, "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["name"], PLUGIN);
    assert_eq!(told["signature"]["state"], "good");
    assert_eq!(
        format!("sha256:{}", told["sha256"].as_str().unwrap_or_default()),
        digest_of(&bytes)
    );
}

#[test]
fn nothing_is_overwritten_here_or_there_unless_that_is_meant() {
    let (place, key) = (Place::start(Demand::Nothing), key());
    place.lay(PLUGIN, "a.wasm", Some(&key));
    let other = place.lay(OTHER, "b.wasm", None);
    let reference = place.reference("1.0");
    place.done(&["push", "a.wasm", &reference]);
    let told = place.refused(&["push", "b.wasm", &reference]);
    assert!(told.contains("move the tag with --force"), "{told}");
    place.done(&["pull", &reference, "--out", "got.wasm"]);
    place.done(&["push", "b.wasm", &reference, "--force"]);

    let told = place.refused(&["pull", &reference, "--out", "got.wasm"]);
    assert!(told.contains("got.wasm is there already"), "{told}");
    assert_ne!(fs::read(place.desk("got.wasm")).expect("a file"), other);
    place.done(&["pull", &reference, "--out", "got.wasm", "--force"]);
    assert_eq!(fs::read(place.desk("got.wasm")).expect("a file"), other);
    // The signature was that of the plugin before.
    assert!(!signature_path(&place.desk("got.wasm")).exists());
}

#[test]
fn whoever_asks_for_a_signer_gets_nothing_from_others() {
    let (place, mine, other) = (Place::start(Demand::Nothing), key(), key());
    let public = mine.public().to_string();
    place.lay(PLUGIN, "unsigned.wasm", None);
    place.lay(PLUGIN, "other.wasm", Some(&other));
    let told = place.refused(&[
        "push",
        "unsigned.wasm",
        &place.reference("0"),
        "--key",
        &public,
    ]);
    assert!(told.contains("unsigned.wasm.minisig"), "{told}");
    for (name, tag, expected) in [
        ("unsigned.wasm", "1.0", "it is not signed"),
        ("other.wasm", "1.1", "it is signed by the key"),
    ] {
        let reference = place.reference(tag);
        place.done(&["push", name, &reference]);
        let before = files(&place.desk(""));
        let told = place.refused(&["pull", &reference, "--signer", &public]);
        assert!(told.contains(expected), "{told}");
        assert_eq!(files(&place.desk("")), before, "nothing is left");
    }
    // The operator's configuration says whose plugins are taken.
    let config = format!(
        "[[listener]]\nname = \"local\"\ntransport = \"udp\"\nbind = \"127.0.0.1:5060\"\n\
         [[signer]]\nname = \"acme\"\npublic_key = \"{}\"\n",
        other.public()
    );
    fs::write(place.desk("sipward.toml"), config).expect("a file");
    let told = place.done(&["pull", &place.reference("1.1"), "--config", "sipward.toml"]);
    assert!(told.contains("good, by `acme`"), "{told}");
}

#[test]
fn bytes_that_were_changed_in_the_registry_are_refused() {
    let (place, key) = (Place::start(Demand::Nothing), key());
    let public = key.public().to_string();
    let bytes = place.lay(PLUGIN, "a.wasm", Some(&key));
    let reference = place.reference("1.0");
    let told = place.done(&["push", "a.wasm", &reference]);
    let before = files(&place.desk(""));
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let blob = place.blob(&digest_of(&bytes));
    fs::write(&blob, &changed).expect("the registry's file");
    for arguments in [
        &["pull", reference.as_str()][..],
        &["pull", &reference, "--key", &public],
    ] {
        let told = place.refused(arguments);
        assert!(told.contains("digest mismatch: the component"), "{told}");
    }
    fs::write(&blob, &bytes).expect("the registry's file");

    // Another manifest under the digest that somebody wrote down.
    let digest = told.trim().rsplit('@').next().expect("a digest");
    let manifest = fs::read_to_string(place.blob(digest)).expect("the manifest");
    let forged = manifest.replace("a.wasm", "b.wasm");
    assert_ne!(forged, manifest);
    fs::write(place.blob(digest), forged).expect("the registry's file");
    let by_digest = format!("127.0.0.1:{}/acme/night-calls@{digest}", place.port);
    for reference in [&by_digest, &reference] {
        let told = place.refused(&["pull", reference]);
        assert!(told.contains("digest mismatch: the manifest"), "{told}");
    }
    assert_eq!(files(&place.desk("")), before, "nothing is left");
}

#[test]
fn a_registry_that_wants_a_password_gets_the_right_one() {
    let place = Place::start(Demand::Password);
    let bytes = place.lay(PLUGIN, "a.wasm", None);
    let reference = place.reference("1.0");
    let told = place.refused(&["push", "a.wasm", &reference]);
    assert!(told.contains("SIPWARD_REGISTRY_USER"), "{told}");
    let as_user = |arguments: &[&str], password: &str| {
        let mut command = place.plugin(arguments);
        command
            .env("SIPWARD_REGISTRY_USER", USER)
            .env("SIPWARD_REGISTRY_PASSWORD", password);
        command
    };
    let push = ["push", "a.wasm", reference.as_str()];
    let told = refused(&mut as_user(&push, "it is not me"));
    assert!(told.contains("answered 401"), "{told}");
    assert!(!told.contains("it is not me"), "{told}");
    done(&mut as_user(&push, PASSWORD));

    // As container tools leave it after a login.
    fs::create_dir(place.desk("docker")).expect("a folder");
    // `author:it is me` in base64.
    let auth = "YXV0aG9yOml0IGlzIG1l";
    let host = format!("127.0.0.1:{}", place.port);
    let config = json!({ "auths": { host.as_str(): { "auth": auth } } });
    fs::write(place.desk("docker/config.json"), config.to_string()).expect("a file");
    place.done(&["pull", &reference]);
    let path = place.desk("night-calls.wasm");
    assert_eq!(fs::read(path).expect("the plugin"), bytes);
    let config = json!({ "auths": { host.as_str(): {} }, "credsStore": "desktop" });
    fs::write(place.desk("docker/config.json"), config.to_string()).expect("a file");
    let told = place.refused(&["pull", &reference, "--force"]);
    assert!(told.contains("another program, which is not run"), "{told}");
}

#[test]
fn a_registry_is_who_the_authorities_say() {
    let place = Place::start(Demand::Encryption);
    let bytes = place.lay(PLUGIN, "a.wasm", None);
    let reference = format!("https://localhost:{}/acme/night-calls:1.0", place.port);
    let authorities = place.folder.path().join("cert.pem");
    let authorities = authorities.to_string_lossy();
    let told = place.refused(&["push", "a.wasm", &reference]);
    assert!(
        told.contains("certificate") || told.contains("authorities"),
        "{told}"
    );
    place.done(&["push", "a.wasm", &reference, "--ca", &authorities]);
    place.done(&["pull", &reference, "--ca", &authorities]);
    let path = place.desk("night-calls.wasm");
    assert_eq!(fs::read(path).expect("the plugin"), bytes);
    // The certificate is not of that name.
    let other = reference.replace("localhost", "127.0.0.1");
    let told = place.refused(&["pull", &other, "--ca", &authorities, "--force"]);
    assert!(told.contains("certificate"), "{told}");
}

#[test]
fn what_cannot_be_done_is_said_with_a_remedy() {
    let place = Place::start(Demand::Nothing);
    place.lay(PLUGIN, "a.wasm", None);
    fs::write(place.desk("text.wasm"), "#!/bin/sh\n").expect("a file");
    let here = place.reference("1.0");
    let nobody = format!("127.0.0.1:{}/acme/a:1", free_port());
    for (arguments, expected) in [
        (&["pull", here.as_str()][..], "has no such thing (404)"),
        (&["pull", &nobody], "does not answer"),
        (&["pull", "acme/night-calls:1.0"], "the registry's host"),
        (
            &["pull", "registry.example.com/a"],
            "neither a tag nor a digest",
        ),
        (&["pull", "http://registry.example.com/a:1"], "--plain-http"),
        (&["push", "none.wasm", &here], "none.wasm is not there"),
        (&["push", "text.wasm", &here], "the component is none"),
        (
            &["push", "a.wasm", &here, "--key", "nonsense"],
            "this is no public key",
        ),
        (&["pull", &here, "--timeout", "soon"], "write such as"),
    ] {
        let told = place.refused(arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}
