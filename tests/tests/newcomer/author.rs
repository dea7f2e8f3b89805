//! What the newcomer types, and what he writes into his files.

use std::path::{Path, PathBuf};

use sipward_tests::stage::desk::{Desk, edit};

/// What he calls his policy.
pub(crate) const NAME: &str = "no-premium";

/// Two calls as they come over the wire, to a premium rate and to a vote.
fn messages() -> String {
    let first = message(1, "premium", crate::PREMIUM);
    let second = message(2, "votes", crate::VOTES);
    format!("@from 192.0.2.10:5060\n@zone inside\n\n{first}\n---\n{second}")
}

fn message(place: u32, name: &str, number: &str) -> String {
    format!(
        "INVITE sip:{number}@example.com SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{place}\n\
         Max-Forwards: 70\n\
         From: <sip:alice@example.com>;tag={place}\n\
         To: <sip:{number}@example.com>\n\
         Call-ID: {name}@192.0.2.10\n\
         CSeq: 1 INVITE\n\
         Contact: <sip:alice@192.0.2.10:5060>\n\
         Content-Length: 0\n"
    )
}

/// What the first version has to make of them.
const EXPECTED: &str = "message 1: reject 403\n  reason: a premium rate\n\n\
     message 2: next\n  reason: not barred\n";

/// Before this line of the template the new rule stands.
const AFTER_THE_RULE: &str = "        let mut barred = self.settings.barred.iter();";

/// The new rule.
const RULE: &str = "        if number.e164.starts_with(\"+49900\") {\n            \
     return Outcome::reject(403).because(\"a premium rate\");\n        }\n";

/// The newcomer and his folder.
pub(crate) struct Author(Desk);

impl Author {
    pub(crate) fn new() -> Self {
        Self(Desk::new())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path(NAME).join(name)
    }

    /// The component, as `build` makes it.
    pub(crate) fn component(&self) -> PathBuf {
        self.file(&format!("{NAME}.wasm"))
    }

    pub(crate) fn begin(&self) {
        self.0.begin(NAME);
    }

    /// A golden file comes first, as it should.
    pub(crate) fn expects_premium_numbers_to_be_refused(&self) {
        std::fs::write(self.file("golden/premium.sip"), messages()).expect("a file");
        std::fs::write(self.file("golden/premium.expected"), EXPECTED).expect("a file");
    }

    pub(crate) fn refuses_premium_numbers(&self) {
        let with = format!("{RULE}{AFTER_THE_RULE}");
        edit(&self.file("src/lib.rs"), AFTER_THE_RULE, &with);
    }

    pub(crate) fn refuses_votes(&self) {
        self.is_now("0.1.0", "0.2.0");
        edit(
            &self.file("src/lib.rs"),
            "if number.e164.starts_with(\"+49900\") {",
            "let dear = [\"+49900\", \"+49137\"];\n        \
             if dear.iter().any(|it| number.e164.starts_with(it)) {",
        );
        edit(
            &self.file("golden/premium.expected"),
            "message 2: next\n  reason: not barred",
            "message 2: reject 403\n  reason: a premium rate",
        );
    }

    /// Shows at most 16 characters of numbers that have 12.
    pub(crate) fn cuts_numbers_short(&self) {
        self.is_now("0.2.0", "0.3.0");
        edit(
            &self.file("src/lib.rs"),
            "because(\"not barred\")",
            "because(format!(\"{} is not barred\", &number.e164[..16]))",
        );
    }

    fn is_now(&self, old: &str, new: &str) {
        let version = |it: &str| format!("version = \"{it}\"\nedition");
        edit(&self.file("Cargo.toml"), &version(old), &version(new));
    }

    /// Natively, and then the component in the real host.
    pub(crate) fn tests(&self) {
        let told = self.0.done(NAME, &["test"]);
        for file in ["calls", "hostile", "premium"] {
            assert!(told.contains(&format!("{file}: as expected")), "{told}");
        }
    }

    pub(crate) fn builds(&self) {
        let told = self.0.done(NAME, &["build"]);
        assert!(told.contains(&format!("{NAME}.wasm: ")), "{told}");
    }

    /// With a key that is made the first time.
    pub(crate) fn signs(&self) {
        if !self.file("mine.key").exists() {
            self.0.done(NAME, &["keygen", "mine", "--no-password"]);
        }
        let component = format!("{NAME}.wasm");
        self.0
            .done(NAME, &["sign", &component, "--key", "mine.key"]);
    }

    /// The line that an operator needs.
    pub(crate) fn public_key(&self) -> String {
        let text = std::fs::read_to_string(self.file("mine.pub")).expect("a key");
        text.lines().last().expect("a line").to_owned()
    }

    /// What changes from an older version to this one.
    pub(crate) fn compares(&self, old: &Path) -> String {
        let component = format!("{NAME}.wasm");
        self.0
            .done(NAME, &["diff", &old.to_string_lossy(), &component])
    }
}
