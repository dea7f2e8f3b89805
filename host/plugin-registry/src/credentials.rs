//! Who asks: a user and a password from the environment, or from the file that container
//! tools keep. Programs that such a file names are never run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::CREDENTIALS_BYTES;
use crate::error::RegistryError;

/// The variable that holds the user.
pub const USER_VARIABLE: &str = "SIPWARD_REGISTRY_USER";
/// The variable that holds the password, or a token of the registry's.
pub const PASSWORD_VARIABLE: &str = "SIPWARD_REGISTRY_PASSWORD";

/// By what right a registry is asked.
#[derive(Clone, Default)]
pub enum Credentials {
    /// As anybody.
    #[default]
    None,
    /// As somebody whose password only another program knows.
    Elsewhere {
        /// The file that names the program.
        file: PathBuf,
    },
    /// As a user.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Elsewhere { .. } => "Elsewhere",
            Self::Password { .. } => "Password",
        })
    }
}

/// The parts of `config.json` that are read.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Purse {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// Those for a registry; `variable` reads the environment.
    ///
    /// # Errors
    /// The file cannot be read, or half of what is needed is there.
    pub fn find(
        host: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, RegistryError> {
        match (variable(USER_VARIABLE), variable(PASSWORD_VARIABLE)) {
            (Some(user), Some(password)) => {
                return Ok(Self::Password {
                    user,
                    password: password.into(),
                });
            }
            (None, None) => {}
            _ => return Err(RegistryError::HalfCredentials),
        }
        match usual_file(variable).filter(|file| file.is_file()) {
            Some(file) => Self::from_file(host, &file),
            None => Ok(Self::None),
        }
    }

    fn from_file(host: &str, file: &Path) -> Result<Self, RegistryError> {
        let failed = |problem: String| RegistryError::Credentials {
            file: file.to_owned(),
            problem,
        };
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|it| it.take(CREDENTIALS_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| failed(error.to_string()))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > CREDENTIALS_BYTES {
            return Err(failed(format!(
                "it has more than {CREDENTIALS_BYTES} bytes"
            )));
        }
        // The library's own words may quote what stands there.
        let purse: Purse = serde_json::from_slice(&bytes).map_err(|error| {
            failed(format!(
                "it is not the JSON of container tools, line {}",
                error.line()
            ))
        })?;
        let entry = purse.auths.iter().find(|(key, _)| is_key_of(key, host));
        let found = entry.map(|(_, entry)| entry.password());
        match found {
            Some(Some(Ok(password))) => return Ok(password),
            Some(Some(Err(problem))) => return Err(failed(problem.to_owned())),
            Some(None) | None => {}
        }
        let helped = purse.cred_helpers.keys().any(|key| is_key_of(key, host));
        if helped || !purse.creds_store.is_empty() {
            return Ok(Self::Elsewhere {
                file: file.to_owned(),
            });
        }
        Ok(Self::None)
    }

    /// The value of a header `Authorization` of the scheme Basic (RFC 7617).
    pub(crate) fn basic(&self) -> Option<SecretString> {
        let Self::Password { user, password } = self else {
            return None;
        };
        let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
        let pair = STANDARD.encode(pair.expose_secret());
        Some(SecretString::from(format!("Basic {pair}")))
    }
}

impl Entry {
    /// None if it has no password.
    fn password(&self) -> Option<Result<Credentials, &'static str>> {
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            return Some(Ok(Credentials::Password {
                user: user.clone(),
                password: password.as_str().into(),
            }));
        }
        let auth = self.auth.as_ref().filter(|it| !it.is_empty())?;
        Some(decoded(auth).ok_or("an `auth` is not `user:password` in base64"))
    }
}

fn decoded(auth: &str) -> Option<Credentials> {
    let pair = STANDARD.decode(auth.trim()).ok()?;
    let pair = SecretString::from(String::from_utf8(pair).ok()?);
    let (user, password) = pair.expose_secret().split_once(':')?;
    Some(Credentials::Password {
        user: user.to_owned(),
        password: password.into(),
    })
}

/// Where container tools keep it.
fn usual_file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = match variable("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(variable("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

/// Whether an entry is for a whole registry: its host, or the address of its interface.
/// One for a part of a registry is not used for the rest.
fn is_key_of(key: &str, host: &str) -> bool {
    let key = key.strip_prefix("https://").unwrap_or(key);
    let key = key.strip_prefix("http://").unwrap_or(key);
    let (key, path) = key.split_once('/').unwrap_or((key, ""));
    let whole = matches!(path.trim_end_matches('/'), "" | "v1" | "v2");
    let same = key.eq_ignore_ascii_case(host) || (key == "index.docker.io" && host == "docker.io");
    whole && same
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn pair(credentials: &Credentials) -> Option<(String, String)> {
        match credentials {
            Credentials::Password { user, password } => {
                Some((user.clone(), password.expose_secret().to_owned()))
            }
            _ => None,
        }
    }

    fn from_text(host: &str, text: &str) -> Result<Credentials, RegistryError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        Credentials::from_file(host, &file)
    }

    #[test]
    fn the_environment_comes_first_and_whole() {
        let both = |name: &str| match name {
            USER_VARIABLE => Some("me".to_owned()),
            PASSWORD_VARIABLE => Some("a:b".to_owned()),
            _ => None,
        };
        let found = Credentials::find("a.example", both).unwrap();
        assert_eq!(pair(&found), Some(("me".to_owned(), "a:b".to_owned())));
        // RFC 7617 section 2, with this pair.
        assert_eq!(found.basic().unwrap().expose_secret(), "Basic bWU6YTpi");
        assert_eq!(format!("{found:?}"), "Password");
        for name in [USER_VARIABLE, PASSWORD_VARIABLE] {
            let half = |asked: &str| (asked == name).then(|| "x".to_owned());
            let error = Credentials::find("a.example", half).unwrap_err();
            assert!(matches!(error, RegistryError::HalfCredentials));
        }
    }

    #[test]
    fn the_file_is_found_where_tools_keep_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"auths":{"a.example":{"auth":"bWU6YTpi"}}}"#;
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let set = |name: &str| {
            let folder = folder.path().to_string_lossy().into_owned();
            (name == "DOCKER_CONFIG").then_some(folder)
        };
        let found = Credentials::find("a.example", set).unwrap();
        assert_eq!(pair(&found), Some(("me".to_owned(), "a:b".to_owned())));
        let none = Credentials::find("b.example", set).unwrap();
        assert!(matches!(none, Credentials::None));
        let none = Credentials::find("a.example", nothing).unwrap();
        assert!(matches!(none, Credentials::None));
    }

    #[test]
    fn an_entry_is_for_its_registry_alone() {
        for (key, host, expected) in [
            ("a.example", "a.example", true),
            ("https://a.example", "a.example", true),
            ("https://a.example/v2/", "a.example", true),
            ("https://index.docker.io/v1/", "docker.io", true),
            ("a.example:5000", "a.example", false),
            ("a.example", "a.example:5000", false),
            ("a.example/acme", "a.example", false),
            ("b.a.example", "a.example", false),
            ("a.example.org", "a.example", false),
        ] {
            assert_eq!(is_key_of(key, host), expected, "{key} {host}");
        }
    }

    #[test]
    fn two_spellings_of_a_password_are_read() {
        let text = r#"{"auths":{"a.example":{"username":"me","password":"it"}}}"#;
        let found = from_text("a.example", text).unwrap();
        assert_eq!(pair(&found), Some(("me".to_owned(), "it".to_owned())));
        // An empty entry stands there where a program keeps the password.
        for text in [
            r#"{"auths":{"a.example":{}},"credsStore":"desktop"}"#,
            r#"{"credHelpers":{"a.example":"desktop"}}"#,
        ] {
            let found = from_text("a.example", text).unwrap();
            assert!(matches!(found, Credentials::Elsewhere { .. }), "{text}");
            assert!(found.basic().is_none());
        }
    }

    #[test]
    fn a_broken_file_is_named_and_its_secrets_are_not() {
        for text in [
            "secret",
            r#"{"auths":{"a.example":{"auth":"secret!"}}}"#,
            r#"{"auths":{"a.example":{"auth":"c2VjcmV0"}}}"#,
            r#"{"auths":{"a.example":{"auth":["secret"]}}}"#,
            r#"{"auths":["secret"]}"#,
        ] {
            let error = from_text("a.example", text).unwrap_err().to_string();
            assert!(error.contains("config.json"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let long = " ".repeat(usize::try_from(CREDENTIALS_BYTES).unwrap() + 1);
        assert!(from_text("a.example", &long).is_err());
    }
}
