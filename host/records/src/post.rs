//! One HTTP POST, on a thread that may wait.
//!
//! An address may be a secret itself (chat services
//! do that), so errors and logs show its host alone.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::TlsConfig;

/// Where to and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// `https://` or `http://` and all that follows.
    pub url: SecretString,
    /// Further header lines; values may be secret.
    pub headers: Vec<(String, SecretString)>,
    /// PEM file with the authorities that may vouch for the server.
    pub authorities: Option<PathBuf>,
    /// Longest time from connecting to the last byte of the answer's head.
    pub timeout: Duration,
}

/// Why a target cannot be used. No secret is shown.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address.
    #[error("the address is not `http://host/...` or `https://host/...`")]
    Address,
    /// A header line.
    #[error("the header `{0}` cannot be sent")]
    Header(String),
    /// The file of authorities.
    #[error("failed to read authorities from {}: {problem}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// https without authorities.
    #[error("https needs the authorities that may vouch for the server, and the system has none")]
    NoAuthorities,
}

/// Why a POST did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The server answered with another status than 2xx.
    #[error("the server answered {0}")]
    Status(u16),
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

impl PostError {
    /// Whether the very same body will never be taken: RFC 9110 sections 15.5.1,
    /// 15.5.14 and 15.5.21.
    pub const fn is_about_the_body(&self) -> bool {
        matches!(self, Self::Status(400 | 413 | 422))
    }
}

/// A target that is ready.
pub struct Post {
    agent: Agent,
    target: Target,
    host: String,
}

impl fmt::Debug for Post {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Post")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Post {
    /// Checks the target and reads its authorities.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn new(target: Target) -> Result<Self, TargetError> {
        let uri: Uri = target
            .url
            .expose_secret()
            .parse()
            .map_err(|_| TargetError::Address)?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or(TargetError::Address)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(TargetError::Address),
        };
        for (name, value) in &target.headers {
            let name_is_good = ureq::http::HeaderName::try_from(name).is_ok();
            let value_is_good = ureq::http::HeaderValue::from_str(value.expose_secret()).is_ok();
            if !name_is_good || !value_is_good {
                return Err(TargetError::Header(name.clone()));
            }
        }
        let mut config = web_client::config().timeout_global(Some(target.timeout));
        if secure {
            config = config.tls_config(tls(&target)?);
        }
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            host: host.to_owned(),
            target,
        })
    }

    /// The server's host, for log lines.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a body and waits for the answer's head.
    ///
    /// # Errors
    /// See [`PostError`].
    pub fn send(&self, content_type: &str, body: &[u8]) -> Result<(), PostError> {
        let mut request = self
            .agent
            .post(self.target.url.expose_secret())
            .header("Content-Type", content_type);
        for (name, value) in &self.target.headers {
            request = request.header(name, value.expose_secret());
        }
        let answer = request
            .send(body)
            .map_err(|error| PostError::NoAnswer(cause(&error)))?;
        match answer.status().as_u16() {
            200..300 => Ok(()),
            status => Err(PostError::Status(status)),
        }
    }
}

/// What went wrong, without the address.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "the time is over".to_owned(),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Rustls(error) => error.to_string(),
        _ => "HTTP failed".to_owned(),
    }
}

fn tls(target: &Target) -> Result<TlsConfig, TargetError> {
    let file = target
        .authorities
        .as_deref()
        .ok_or(TargetError::NoAuthorities)?;
    web_client::tls(file).map_err(|error| TargetError::Authorities {
        file: file.to_owned(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target {
            url: url.into(),
            headers: Vec::new(),
            authorities: None,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn addresses_are_checked_and_never_shown() {
        for url in [
            "",
            "hook",
            "ftp://a/secret",
            "/secret",
            "https://",
            "http:///secret",
        ] {
            let error = Post::new(target(url)).unwrap_err();
            assert!(matches!(error, TargetError::Address), "{url}: {error}");
            assert!(!error.to_string().contains("secret"));
        }
        let post = Post::new(target("http://chat.example.com/secret")).unwrap();
        assert_eq!(post.host(), "chat.example.com");
        assert!(!format!("{post:?}").contains("secret"));
        let error = Post::new(target("https://a/")).unwrap_err();
        assert!(matches!(error, TargetError::NoAuthorities));
    }

    #[test]
    fn headers_are_checked() {
        for (name, value) in [("X Y", "1"), ("X", "1\r\nY: 2")] {
            let mut target = target("http://a/");
            target.headers.push((name.to_owned(), value.into()));
            assert!(matches!(Post::new(target), Err(TargetError::Header(_))));
        }
    }

    #[test]
    fn authorities_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let mut target = target("https://a/");
        target.authorities = Some(file.clone());
        assert!(matches!(
            Post::new(target.clone()),
            Err(TargetError::Authorities { .. })
        ));
        std::fs::write(&file, "nothing").unwrap();
        assert!(matches!(
            Post::new(target),
            Err(TargetError::Authorities { .. })
        ));
    }

    #[test]
    fn nobody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap());
        drop(listener);
        let error = Post::new(target(&url))
            .unwrap()
            .send("text/plain", b"x")
            .unwrap_err();
        assert!(matches!(&error, PostError::NoAnswer(cause) if !cause.contains("secret")));
        assert!(!error.is_about_the_body());
    }
}
