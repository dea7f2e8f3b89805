//! HTTP with a registry: one request after the other, each within what is left of the
//! time, each answer within its bound.
//!
//! Redirects are followed here and not by the library, since each step has to be looked
//! at: it never leads from encryption to none, and what shows who we are goes to the
//! registry alone.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use ureq::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use crate::address::{host_of, joined, token_url};
use crate::challenge::Challenge;
use crate::credentials::{Credentials, PASSWORD_VARIABLE, USER_VARIABLE};
use crate::error::{RegistryError, shown};
use crate::reference::{Reference, Scheme, is_loopback};
use crate::registry::Options;
use crate::{ANSWER_BYTES, REDIRECTS};

/// The longest that setting up a connection takes.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest that anybody may want to wait: more is a slip, and no clock adds it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// One request.
pub(crate) struct Ask<'a> {
    /// What it is for, after "failed to".
    pub(crate) goal: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Uri,
    /// The type that is wanted.
    pub(crate) accept: Option<&'static str>,
    /// What is sent, and its type.
    pub(crate) body: Option<(&'static str, &'a [u8])>,
}

/// An answer. Its body is read with a bound, or not at all.
pub(crate) struct Answer {
    goal: &'static str,
    host: String,
    response: Response<Body>,
}

/// Who speaks to one registry.
pub(crate) struct Client {
    agent: Agent,
    /// Scheme and authority of the registry.
    origin: Uri,
    /// Whether anybody may be asked without encryption.
    plain_http: bool,
    /// Whether there are authorities, without which nobody can be asked with it.
    encrypts: bool,
    credentials: Credentials,
    /// The token's scope, where the registry does not say.
    scope: String,
    /// What the last challenge was answered with.
    authorization: Option<SecretString>,
    until: Instant,
}

impl Client {
    pub(crate) fn new(
        reference: &Reference,
        credentials: Credentials,
        options: &Options,
    ) -> Result<Self, RegistryError> {
        let local = reference.is_loopback();
        let plain = match reference.scheme {
            Some(Scheme::Https) => false,
            Some(Scheme::Http) => true,
            None => local || options.plain_http,
        };
        let host = reference.serving_host();
        if plain && !local && !options.plain_http {
            return Err(RegistryError::PlainHttp {
                host: host.to_owned(),
            });
        }
        let scheme = if plain { "http" } else { "https" };
        let origin = Uri::builder().scheme(scheme).authority(host);
        let origin = origin.path_and_query("/").build();
        let origin = origin.map_err(|_| RegistryError::Reference {
            problem: "its host is none",
        })?;
        let mut config = web_client::config().timeout_connect(Some(CONNECT));
        // A registry on this machine can do without authorities.
        let encrypts = !plain || options.authorities.is_some();
        if encrypts {
            config = config.tls_config(tls(options.authorities.as_deref())?);
        }
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            origin,
            plain_http: options.plain_http,
            encrypts,
            credentials,
            scope: format!("repository:{}:pull,push", reference.name()),
            authorization: None,
            until: Instant::now() + options.time.min(LONGEST),
        })
    }

    /// An address of the registry.
    pub(crate) fn url(&self, goal: &'static str, path: &str) -> Result<Uri, RegistryError> {
        joined(&self.origin, path).ok_or_else(|| RegistryError::Protocol {
            goal,
            problem: "this makes no address".to_owned(),
        })
    }

    /// Sends a request, says who asks if the registry wants to know, and follows it to
    /// where the answer is.
    pub(crate) fn send(&mut self, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let mut response = self.once(ask, &ask.url)?;
        if response.status() == 401 && self.is_origin(&ask.url) {
            self.authorize(ask.goal, &response)?;
            response = self.once(ask, &ask.url)?;
            if response.status() == 401 {
                return Err(self.unauthorized(ask.goal));
            }
        }
        let mut url = ask.url.clone();
        let mut steps = 0;
        let follows = matches!(ask.method, Method::GET | Method::HEAD);
        while follows && response.status().is_redirection() {
            if steps == REDIRECTS {
                return Err(RegistryError::Redirects { goal: ask.goal });
            }
            steps += 1;
            url = self.next(ask.goal, &url, &response)?;
            response = self.once(ask, &url)?;
        }
        Ok(Answer {
            goal: ask.goal,
            host: host_of(&url),
            response,
        })
    }

    /// Where an answer points to.
    pub(crate) fn location(&self, from: &Uri, answer: &Answer) -> Result<Uri, RegistryError> {
        self.next(answer.goal, from, &answer.response)
    }

    fn next<T>(
        &self,
        goal: &'static str,
        from: &Uri,
        response: &Response<T>,
    ) -> Result<Uri, RegistryError> {
        let lost = || RegistryError::Protocol {
            goal,
            problem: format!("{} does not say where to", host_of(from)),
        };
        let location = text(response, &LOCATION).ok_or_else(lost)?;
        let url = joined(from, location).ok_or_else(lost)?;
        self.may_ask(&url)?;
        Ok(url)
    }

    /// Whether somebody may be asked: with encryption anybody, without only this machine,
    /// and only if the registry itself is on it.
    fn may_ask(&self, url: &Uri) -> Result<(), RegistryError> {
        let local = |url: &Uri| url.host().is_some_and(is_loopback);
        let plain = |url: &Uri| url.scheme_str() == Some("http");
        let here = plain(&self.origin) && local(&self.origin) && local(url);
        if plain(url) && !here && !self.plain_http {
            return Err(RegistryError::PlainHttp { host: host_of(url) });
        }
        if !plain(url) && !self.encrypts {
            return Err(RegistryError::NoAuthorities);
        }
        Ok(())
    }

    fn is_origin(&self, url: &Uri) -> bool {
        url.scheme() == self.origin.scheme() && url.authority() == self.origin.authority()
    }

    /// One exchange, and nothing more.
    fn once(&self, ask: &Ask<'_>, url: &Uri) -> Result<Response<Body>, RegistryError> {
        let authorization = self.authorization.as_ref().filter(|_| self.is_origin(url));
        self.exchange(ask, url, authorization)
    }

    fn exchange(
        &self,
        ask: &Ask<'_>,
        url: &Uri,
        authorization: Option<&SecretString>,
    ) -> Result<Response<Body>, RegistryError> {
        let goal = ask.goal;
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(RegistryError::Time { goal });
        }
        let mut request = Request::builder().method(&ask.method).uri(url);
        if let Some(wanted) = ask.accept {
            request = request.header(ACCEPT, wanted);
        }
        if let Some((media_type, _)) = ask.body {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(authorization) = authorization {
            let value = HeaderValue::from_str(authorization.expose_secret());
            let mut value = value.map_err(|_| RegistryError::Protocol {
                goal,
                problem: "user, password or token cannot be sent".to_owned(),
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let sent = match ask.body {
            Some((_, bytes)) => request
                .body(bytes)
                .map_err(ureq::Error::from)
                .and_then(|it| {
                    let it = self.agent.configure_request(it);
                    self.agent.run(it.timeout_global(Some(left)).build())
                }),
            None => request.body(()).map_err(ureq::Error::from).and_then(|it| {
                let it = self.agent.configure_request(it);
                self.agent.run(it.timeout_global(Some(left)).build())
            }),
        };
        sent.map_err(|error| failed(goal, &host_of(url), &error))
    }

    /// Finds out what the registry wants to see with the next request.
    fn authorize<T>(
        &mut self,
        goal: &'static str,
        response: &Response<T>,
    ) -> Result<(), RegistryError> {
        let lines = response.headers().get_all(WWW_AUTHENTICATE).into_iter();
        let challenges: Vec<Challenge> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(Challenge::read)
            .collect();
        for challenge in challenges {
            match challenge {
                Challenge::Basic => {
                    let Some(basic) = self.credentials.basic() else {
                        continue;
                    };
                    self.authorization = Some(basic);
                    return Ok(());
                }
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                } => {
                    let scope = scope.unwrap_or_else(|| self.scope.clone());
                    let url = token_url(&realm, service.as_deref(), &scope).ok_or_else(|| {
                        RegistryError::Protocol {
                            goal,
                            problem: "the registry names no address that gives tokens".to_owned(),
                        }
                    })?;
                    self.authorization = Some(self.token(goal, url)?);
                    return Ok(());
                }
            }
        }
        Err(self.unauthorized(goal))
    }

    /// A token of the service that the registry names, which learns who we are.
    fn token(&self, goal: &'static str, url: Uri) -> Result<SecretString, RegistryError> {
        /// What such a service answers; it may use either name.
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }

        self.may_ask(&url)?;
        let basic = self.credentials.basic();
        let ask = Ask {
            goal,
            method: Method::GET,
            url: url.clone(),
            accept: None,
            body: None,
        };
        let response = self.exchange(&ask, &url, basic.as_ref())?;
        if response.status() == 401 || response.status() == 403 {
            return Err(self.unauthorized(goal));
        }
        let mut answer = Answer {
            goal,
            host: host_of(&url),
            response,
        };
        answer.must_be(&[200])?;
        let bytes = answer.bytes("the token", ANSWER_BYTES)?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|it| it.token.or(it.access_token));
        let token = token.ok_or_else(|| RegistryError::Protocol {
            goal,
            problem: format!("{} gives no token", answer.host),
        })?;
        Ok(SecretString::from(format!("Bearer {token}")))
    }

    fn unauthorized(&self, goal: &'static str) -> RegistryError {
        let remedy = match &self.credentials {
            Credentials::None => {
                format!("put user and password into {USER_VARIABLE} and {PASSWORD_VARIABLE}")
            }
            Credentials::Elsewhere { file } => format!(
                "{} leaves the password to another program, which is not run; put user and password into {USER_VARIABLE} and {PASSWORD_VARIABLE}",
                file.display()
            ),
            Credentials::Password { user, .. } => format!(
                "the user `{}` may not do that, or the password is wrong",
                shown(user)
            ),
        };
        RegistryError::Unauthorized {
            goal,
            host: host_of(&self.origin),
            remedy,
        }
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header line, if it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        text(&self.response, name)
    }

    /// An error unless the status is one of these.
    pub(crate) fn must_be(&mut self, wanted: &[u16]) -> Result<(), RegistryError> {
        let status = self.status();
        if wanted.contains(&status) {
            return Ok(());
        }
        let (goal, host) = (self.goal, self.host.clone());
        let told = self.told();
        Err(match status {
            404 => RegistryError::NotFound { goal, host, told },
            status => RegistryError::Status {
                goal,
                host,
                status,
                told,
            },
        })
    }

    /// The body, if it has at most so many bytes.
    pub(crate) fn bytes(
        &mut self,
        what: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || RegistryError::TooLarge { what, limit };
        let body = self.response.body_mut();
        if body.content_length().is_some_and(|it| it > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let read = body
            .as_reader()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|error| failed(self.goal, &self.host, &ureq::Error::from(error)))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(too_large());
        }
        Ok(bytes)
    }

    /// What a registry says about a failure, with a colon before it.
    fn told(&mut self) -> String {
        /// The errors of the distribution specification.
        #[derive(Deserialize)]
        struct Told {
            errors: Vec<Fault>,
        }
        #[derive(Deserialize)]
        struct Fault {
            code: String,
            #[serde(default)]
            message: String,
        }

        let bytes = self.bytes("the answer", ANSWER_BYTES).unwrap_or_default();
        let told: Option<Told> = serde_json::from_slice(&bytes).ok();
        let first = told.and_then(|it| it.errors.into_iter().next());
        first.map_or_else(String::new, |fault| {
            format!(": {}", shown(&format!("{} {}", fault.code, fault.message)))
        })
    }
}

fn text<'a, T>(response: &'a Response<T>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn failed(goal: &'static str, host: &str, error: &ureq::Error) -> RegistryError {
    let cause = match error {
        ureq::Error::Timeout(_) => return RegistryError::Time { goal },
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Rustls(error) => error.to_string(),
        other => other.to_string(),
    };
    RegistryError::Unreachable {
        goal,
        host: host.to_owned(),
        cause: shown(&cause),
    }
}

fn tls(authorities: Option<&Path>) -> Result<TlsConfig, RegistryError> {
    let file = authorities.ok_or(RegistryError::NoAuthorities)?;
    web_client::tls(file).map_err(|error| RegistryError::Authorities {
        file: file.to_owned(),
        problem: error.to_string(),
    })
}
