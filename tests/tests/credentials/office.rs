//! A folder with a configuration and a store, and the command line on it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::{BookError, Enrolment, NewPassword, StoreError, StoreFile, StoreKey};
use serde_json::Value;
use sipward_tests::stage::binary;

/// A password that breaks no rule.
pub(crate) const GOOD: &str = "Vq7!mzR2pLx#";

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The folder.
pub(crate) struct Office(tempfile::TempDir);

impl Office {
    /// A configuration that names a store which is not there yet.
    pub(crate) fn new() -> Self {
        let office = Self(tempfile::tempdir().expect("a folder"));
        office.configure("[credentials]\nfile = \"accounts\"\nkey_file = \"accounts.key\"\n");
        office
    }

    /// With an empty store.
    pub(crate) fn ready() -> Self {
        let office = Self::new();
        office.done(&["init"]);
        office
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path("sipward.toml"), text).expect("a configuration");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("credential")
            .args(arguments)
            .arg("--config")
            .arg(self.path("sipward.toml"))
            .env_remove("SIPWARD_CREDENTIALS_KEY");
        command
    }

    pub(crate) fn finish(mut command: Command, input: &str) -> Done {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sipward starts");
        let mut stdin = child.stdin.take().expect("its input");
        // It may have ended without reading.
        let _unread = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("its output");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Done {
            code: output.status.code().expect("an exit code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Done {
        Self::finish(self.command(arguments), input)
    }

    /// It succeeds; what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        self.fed(arguments, "").stdout
    }

    /// It succeeds with this input.
    pub(crate) fn fed(&self, arguments: &[&str], input: &str) -> Done {
        let done = self.run(arguments, input);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done
    }

    /// It fails; why.
    pub(crate) fn refused(&self, arguments: &[&str], input: &str) -> String {
        let done = self.run(arguments, input);
        assert_ne!(done.code, 0, "{arguments:?}: {}", done.stdout);
        assert_eq!(done.stdout, "", "{arguments:?}");
        done.stderr
    }

    /// One account of `list --json`.
    pub(crate) fn account(&self, user: &str) -> Value {
        let list: Value =
            serde_json::from_str(&self.done(&["list", "--json"])).expect("a list in JSON");
        let accounts = list.as_array().expect("a list");
        let found = accounts.iter().find(|one| one["user"] == user);
        found.expect("the account").clone()
    }

    /// An account whose password was made so many days ago.
    pub(crate) fn add_long_ago(&self, user: &str, days: u64) -> String {
        let key = StoreKey::from_file(&self.path("accounts.key")).expect("the key");
        add_long_ago(
            &StoreFile::new(&self.path("accounts"), key),
            user,
            "r",
            days,
        )
    }
}

/// An account whose password was made so many days ago.
pub(crate) fn add_long_ago(store: &StoreFile, user: &str, realm: &str, days: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let then = now - Duration::from_secs(days * 86_400 + 60);
    let then_ms = u64::try_from(then.as_millis()).expect("milliseconds");
    let enrolment = Enrolment {
        user,
        realms: &[realm],
        groups: &[],
        max_age_days: None,
    };
    let added: Result<_, Trouble> =
        store.change(|book| Ok(book.add(enrolment, NewPassword::Generated, then_ms)?));
    added.expect("an account").expect("a password").to_string()
}

/// Neither is expected.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by the panic of a failed step")]
pub(crate) enum Trouble {
    Store(StoreError),
    Book(BookError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BookError> for Trouble {
    fn from(error: BookError) -> Self {
        Self::Book(error)
    }
}

/// The password in what `add` or `rotate` printed.
pub(crate) fn password_of(out: &str) -> String {
    let password = out.lines().find_map(|line| line.strip_prefix("password: "));
    password.expect("a password").to_owned()
}
