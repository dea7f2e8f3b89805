//! The operator to whom the newcomer gives his plugin: whose plugins he accepts, and what
//! stands in his configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use plugin_signature::{NewKeys, SecretKey, signature_path};
use serde_json::Value;
use sipward_tests::stage::Stage;

use crate::author::{Author, NAME};

/// Plugins of the usual configuration, which the operator has signed himself.
const USUAL: [&str; 4] = ["ip-acl", "rate-limit", "digest-auth", "destination-limits"];

/// The operator, and what he has decided so far.
pub(crate) struct Operator<'s> {
    pub(crate) stage: &'s Stage,
    key: SecretKey,
    /// The author's key, once it is accepted.
    pub(crate) author_key: Option<String>,
    /// The version that is in use.
    pub(crate) plugin: Option<&'static str>,
    /// What stands in `[plugin.candidate]`, but for its share.
    pub(crate) candidate: Option<String>,
    /// Share of the calls that a candidate judges.
    pub(crate) share: f64,
}

impl<'s> Operator<'s> {
    pub(crate) fn new(stage: &'s Stage) -> Self {
        let keys = NewKeys::generate(None).expect("keys");
        let operator = Self {
            stage,
            key: SecretKey::open(&keys.secret_file, None).expect("an unlocked key"),
            author_key: None,
            plugin: None,
            candidate: None,
            share: 0.2,
        };
        for name in USUAL {
            operator.sign(&stage.plugin(name));
        }
        operator
    }

    fn sign(&self, plugin: &Path) {
        let wasm = std::fs::read(plugin).expect("a plugin");
        let signature = self.key.sign(&wasm, "house").expect("a signature");
        std::fs::write(signature_path(plugin), signature).expect("a file");
    }

    /// Where a version of the new plugin is kept.
    pub(crate) fn file(&self, version: &str) -> PathBuf {
        self.stage.plugin(&format!("{NAME}-{version}"))
    }

    /// Copies what the author gives: the component, and its signature if there is one.
    pub(crate) fn takes(&self, author: &Author, version: &str) {
        let (from, to) = (author.component(), self.file(version));
        std::fs::copy(&from, &to).expect("a component");
        let signature = signature_path(&from);
        if signature.exists() {
            std::fs::copy(signature, signature_path(&to)).expect("a signature");
        }
    }

    /// A canary of this version.
    pub(crate) fn canary(&self, version: &str, more: &str) -> String {
        format!(
            "path = {:?}\nmode = \"canary\"\n{more}",
            self.file(version).display().to_string()
        )
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self) {
        self.stage.configure(&[], "");
        let usual = std::fs::read_to_string(self.stage.config()).expect("the configuration");
        let mut text = in_place_of(&usual, "[signatures]\nrequired = false\n", &self.signers());
        if let Some(plugin) = self.plugin() {
            let pipelines = "[[pipeline]]\nname = \"from-pbx\"";
            text = in_place_of(&text, pipelines, &format!("{plugin}\n{pipelines}"));
            // Before the limits, which have a word on dear numbers too.
            let with = format!("\"digest-auth\", {NAME:?}, \"destination-limits\"");
            text = in_place_of(&text, "\"digest-auth\", \"destination-limits\"", &with);
        }
        self.stage.write(&text);
    }

    fn signers(&self) -> String {
        let house = format!(
            "[[signer]]\nname = \"house\"\npublic_key = \"{}\"\n",
            self.key.public()
        );
        match &self.author_key {
            Some(key) => {
                format!("{house}[[signer]]\nname = \"newcomer\"\npublic_key = \"{key}\"\n")
            }
            None => house,
        }
    }

    fn plugin(&self) -> Option<String> {
        let path = self.file(self.plugin?).display().to_string();
        let mut text = format!(
            "[[plugin]]\nname = {NAME:?}\npath = {path:?}\n\
             settings = {{ region = \"DE\", barred = [\"+1900\"] }}\n"
        );
        if let Some(candidate) = &self.candidate {
            let share = self.share;
            let _ = write!(text, "[plugin.candidate]\nshare = {share:?}\n{candidate}\n");
        }
        Some(text)
    }
}

fn in_place_of(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "no `{old}`: {text}");
    text.replacen(old, new, 1)
}

/// The only candidate, as the status shows it.
pub(crate) fn candidate(status: &Value) -> &Value {
    &status["versions"]["candidates"][0]
}
