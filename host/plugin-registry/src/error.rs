//! Why a plugin was not pushed or pulled: each message says what would be right, and none
//! shows a password.

use std::io;
use std::path::{Path, PathBuf};

use plugin_signature::SignatureError;

use crate::credentials::{PASSWORD_VARIABLE, USER_VARIABLE};
use crate::digest::Digest;
use crate::{REDIRECTS, TOLD_CHARACTERS};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The reference cannot be used.
    #[error(
        "this is no reference: {problem}; write `registry.example.com/acme/night-calls:1.0`, or the digest `@sha256:...` in place of the tag"
    )]
    Reference {
        /// What is wrong.
        problem: &'static str,
    },
    /// Pushing takes a tag.
    #[error("a push takes a tag and no digest, which follows from what is pushed")]
    WantsTag,
    /// The file of credentials.
    #[error("failed to read credentials from {}: {problem}", .file.display())]
    Credentials {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// One of two variables is missing.
    #[error("{USER_VARIABLE} and {PASSWORD_VARIABLE} go together: one of them is not set")]
    HalfCredentials,
    /// The file of authorities.
    #[error("failed to read authorities from {}: {problem}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// https without authorities.
    #[error(
        "https needs the authorities that may vouch for the registry, and the system has none; name a file with --ca"
    )]
    NoAuthorities,
    /// Nobody may read along.
    #[error(
        "{host} would be asked without encryption; that is done on this machine alone, or with --plain-http"
    )]
    PlainHttp {
        /// Who would be asked.
        host: String,
    },
    /// No answer.
    #[error("failed to {goal}: {host} does not answer: {cause}")]
    Unreachable {
        /// What was tried.
        goal: &'static str,
        /// Who was asked.
        host: String,
        /// What happened.
        cause: String,
    },
    /// It takes too long.
    #[error("failed to {goal}: the time is over")]
    Time {
        /// What was tried.
        goal: &'static str,
    },
    /// The registry wants to know who asks, or does not believe it.
    #[error("failed to {goal}: {host} answered 401: {remedy}")]
    Unauthorized {
        /// What was tried.
        goal: &'static str,
        /// Who was asked.
        host: String,
        /// What can be done.
        remedy: String,
    },
    /// There is no such artifact.
    #[error("failed to {goal}: {host} has no such thing (404){told}")]
    NotFound {
        /// What was tried.
        goal: &'static str,
        /// Who was asked.
        host: String,
        /// Its words.
        told: String,
    },
    /// The registry refuses.
    #[error("failed to {goal}: {host} answered {status}{told}")]
    Status {
        /// What was tried.
        goal: &'static str,
        /// Who was asked.
        host: String,
        /// What it answered.
        status: u16,
        /// Its words.
        told: String,
    },
    /// The answer makes no sense.
    #[error("failed to {goal}: {problem}")]
    Protocol {
        /// What was tried.
        goal: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Sent from one place to the next.
    #[error("failed to {goal}: more than {REDIRECTS} redirects")]
    Redirects {
        /// What was tried.
        goal: &'static str,
    },
    /// More bytes than there may be.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// What would be read.
        limit: u64,
    },
    /// Fewer bytes than were announced.
    #[error("{what} has {bytes} bytes, and its manifest says {announced}")]
    Short {
        /// What is too short.
        what: &'static str,
        /// How many came.
        bytes: u64,
        /// How many should have.
        announced: u64,
    },
    /// Something else lies there.
    #[error("{what} is `{found}` and not `{wanted}`; is it a plugin?")]
    MediaType {
        /// What it is about.
        what: &'static str,
        /// The type that it has.
        found: String,
        /// The type that it should have.
        wanted: &'static str,
    },
    /// Other bytes than those that were asked for.
    #[error("digest mismatch: {what} is {found} and should be {wanted}")]
    Digest {
        /// What it is about.
        what: &'static str,
        /// That of what came.
        found: Digest,
        /// That of what should have come.
        wanted: Digest,
    },
    /// The manifest describes something else.
    #[error("the manifest is no plugin's: {problem}")]
    Manifest {
        /// What is wrong.
        problem: String,
    },
    /// The component is none.
    #[error("the component is none: {0}")]
    NotAComponent(String),
    /// Keys are named, and nobody signed.
    #[error(
        "it is not signed; sign it with `sipward plugin sign` and push it again, or pull it without --key and --config"
    )]
    Unsigned,
    /// The signature is not good.
    #[error("{0}")]
    Signature(SignatureError),
    /// The tag is taken.
    #[error("{tag} is {there} already; push it as another version, or move the tag with --force")]
    Taken {
        /// The tag.
        tag: String,
        /// What it names.
        there: Digest,
    },
    /// The file is there.
    #[error("{} is there already; name another file with --out, or replace it with --force", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("failed to {action} {}: {cause}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl RegistryError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File {
            action,
            path,
            cause,
        }
    }
}

/// Words of somebody else, fit for a terminal: one line of bearable length.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .take(TOLD_CHARACTERS)
        .collect();
    if text.chars().nth(TOLD_CHARACTERS).is_some() {
        shown.push_str(" ...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_cannot_write_on_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
        let long = "x".repeat(TOLD_CHARACTERS);
        assert_eq!(shown(&long), long);
        assert_eq!(shown(&format!("{long}x")), format!("{long} ..."));
    }
}
