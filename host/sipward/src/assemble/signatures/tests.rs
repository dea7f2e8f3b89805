//! Every way in which a plugin is not accepted, and the ways in which it is.

use std::path::Path;

use plugin_signature::{NewKeys, SecretKey};

use super::*;

const WASM: &[u8] = b"what a plugin is made of";

/// Keys, a folder with a plugin, and a configuration around it.
struct Scene {
    folder: tempfile::TempDir,
    acme: SecretKey,
    other: SecretKey,
}

fn key() -> SecretKey {
    let keys = NewKeys::generate(None).unwrap();
    SecretKey::open(&keys.secret_file, None).unwrap()
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), WASM).unwrap();
        Self {
            folder,
            acme: key(),
            other: key(),
        }
    }

    fn sign(&self, key: &SecretKey, bytes: &[u8]) {
        self.write(&key.sign(bytes, "a 1.0.0").unwrap());
    }

    fn write(&self, signature: &str) {
        std::fs::write(self.folder.path().join("a.wasm.minisig"), signature).unwrap();
    }

    fn signers(&self) -> String {
        let signer = |name: &str, key: &SecretKey| {
            format!(
                "[[signer]]\nname = \"{name}\"\npublic_key = \"{}\"\n",
                key.public()
            )
        };
        signer("acme", &self.acme) + &signer("other", &self.other)
    }

    /// What becomes of the plugin under `signatures`, `signers` and a line of the pipeline.
    fn judge(&self, head: &str, pipeline: &str) -> Result<Option<Signed>, String> {
        let text = format!(
            "{head}\n\
             [[listener]]\nname = \"local\"\ntransport = \"udp\"\nbind = \"127.0.0.1:5060\"\n\
             [[plugin]]\nname = \"a\"\npath = \"a.wasm\"\n\
             [[pipeline]]\nname = \"calls\"\nplugins = [\"a\"]\n{pipeline}\n"
        );
        let file = self.folder.path().join("sipward.toml");
        std::fs::write(&file, text).unwrap();
        let config = config::load_with(&file, []).unwrap().config;
        Acceptance::of(&config)
            .check(&config.plugins[0], WASM)
            .map_err(|error| {
                let folder = format!("{}/", self.folder.path().display());
                error.to_string().replace(&folder, "")
            })
    }

    fn refused(&self, expected: &str) {
        let refusal = self.judge(&self.signers(), "").unwrap_err();
        assert!(refusal.contains(expected), "{refusal}");
        assert!(refusal.starts_with("plugin `a` (a.wasm): "), "{refusal}");
    }
}

#[test]
fn a_signed_plugin_is_accepted_and_its_signer_known() {
    let scene = Scene::new();
    scene.sign(&scene.other, WASM);
    let signed = scene.judge(&scene.signers(), "").unwrap().unwrap();
    assert_eq!(&*signed.signer.name, "other");
    assert_eq!(signed.comment, "a 1.0.0");
}

#[test]
fn an_unsigned_plugin_is_refused_outside_development() {
    let scene = Scene::new();
    scene.refused("it is not signed: there is no a.wasm.minisig");
    let development = format!("[signatures]\nrequired = false\n{}", scene.signers());
    assert_eq!(scene.judge(&development, ""), Ok(None));
    // What lies beside it does not matter then.
    scene.write("nonsense");
    assert_eq!(scene.judge(&development, ""), Ok(None));
    scene.refused("is refused: the signature is damaged or cut off");
}

#[test]
fn without_signers_nothing_is_accepted() {
    let scene = Scene::new();
    scene.sign(&scene.acme, WASM);
    let refusal = scene.judge("", "").unwrap_err();
    assert!(
        refusal.contains("nobody's signature is accepted; add a [[signer]]"),
        "{refusal}"
    );
}

#[test]
fn a_valid_signature_over_other_bytes_is_refused() {
    let scene = Scene::new();
    scene.sign(&scene.acme, b"what another plugin is made of");
    scene.refused("which names the key of `acme`, is not of these bytes");
}

#[test]
fn a_key_that_is_not_accepted_is_refused() {
    let scene = Scene::new();
    scene.sign(&key(), WASM);
    scene.refused("and accepted are `acme` (");
}

#[test]
fn a_forged_comment_is_refused() {
    let scene = Scene::new();
    let signature = scene.acme.sign(WASM, "a 1.0.0").unwrap();
    scene.write(&signature.replace("a 1.0.0", "a 9.0.0"));
    scene.refused("or its comment was changed");
}

#[test]
fn a_signature_that_is_cut_off_or_endless_is_refused() {
    let scene = Scene::new();
    let signature = scene.acme.sign(WASM, "a 1.0.0").unwrap();
    scene.write(signature.get(..signature.len() / 2).unwrap());
    scene.refused("damaged or cut off");
    scene.write(&signature.repeat(1000));
    scene.refused("at most 8192 are read");
}

#[test]
fn a_pipeline_may_insist_on_signers_of_its_own() {
    let scene = Scene::new();
    scene.sign(&scene.other, WASM);
    for required in [true, false] {
        let head = format!("[signatures]\nrequired = {required}\n{}", scene.signers());
        let refusal = scene.judge(&head, "signers = [\"acme\"]").unwrap_err();
        assert!(
            refusal.ends_with("it is signed by `other`, and pipeline `calls` accepts acme"),
            "{refusal}"
        );
        let signed = scene.judge(&head, "signers = [\"acme\", \"other\"]");
        assert!(signed.unwrap().is_some());
    }
}

#[test]
fn a_signature_that_cannot_be_read_is_no_missing_one() {
    let scene = Scene::new();
    std::fs::create_dir(scene.folder.path().join("a.wasm.minisig")).unwrap();
    scene.refused("failed to read its signature a.wasm.minisig");
    assert!(signature_path(Path::new("a.wasm")).ends_with("a.wasm.minisig"));
}
