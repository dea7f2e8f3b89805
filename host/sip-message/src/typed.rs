//! The vocabulary of `rsip`: the only file that names it.
//!
//! Our parser reads; what it read can be had as `rsip` values, built from parsed components and
//! never by `rsip`'s own readers, and what the host makes itself may use `rsip`'s builders. Where
//! `rsip` 0.4.0 is wrong ours is used; `tests/rsip.rs` holds one test per fault and says why.

use rsip::headers::auth;

use crate::name_addr::NameAddr;
use crate::splice::{self, EditError};
use crate::status::reason_phrase;
use crate::uri::{Host, Scheme, Uri};
use crate::via::Via;

pub use rsip;

/// Why a value has no counterpart in `rsip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TypedError {
    /// `rsip` keeps text as `String`.
    #[error("the value is not UTF-8")]
    Utf8,
    /// `rsip` knows seven transports.
    #[error("the transport has no name in rsip")]
    Transport,
    /// `rsip` takes what follows `tel:` and unknown schemes for a host.
    #[error("the scheme has no host")]
    Scheme,
}

/// The method; `None` for [`Method::Other`](crate::Method::Other), which `rsip` cannot hold.
pub fn method(method: crate::Method) -> Option<rsip::Method> {
    Some(match method {
        crate::Method::Invite => rsip::Method::Invite,
        crate::Method::Ack => rsip::Method::Ack,
        crate::Method::Bye => rsip::Method::Bye,
        crate::Method::Cancel => rsip::Method::Cancel,
        crate::Method::Register => rsip::Method::Register,
        crate::Method::Options => rsip::Method::Options,
        crate::Method::Prack => rsip::Method::PRack,
        crate::Method::Subscribe => rsip::Method::Subscribe,
        crate::Method::Notify => rsip::Method::Notify,
        crate::Method::Publish => rsip::Method::Publish,
        crate::Method::Info => rsip::Method::Info,
        crate::Method::Refer => rsip::Method::Refer,
        crate::Method::Message => rsip::Method::Message,
        crate::Method::Update => rsip::Method::Update,
        crate::Method::Other => return None,
    })
}

/// The status; one that `rsip` does not know carries our phrase.
pub fn status_code(status: u16) -> rsip::StatusCode {
    match rsip::StatusCode::from(status) {
        rsip::StatusCode::Other(status, _) => {
            rsip::StatusCode::Other(status, reason_phrase(status).to_owned())
        }
        known => known,
    }
}

/// A SIP URI without its headers, which `rsip` keeps as numbers.
///
/// # Errors
/// [`TypedError`] when `rsip` cannot hold it.
pub fn uri(uri: &Uri<'_>) -> Result<rsip::Uri, TypedError> {
    let scheme = match uri.scheme {
        Scheme::Sip => rsip::Scheme::Sip,
        Scheme::Sips => rsip::Scheme::Sips,
        Scheme::Tel | Scheme::Other => return Err(TypedError::Scheme),
    };
    let auth = match uri.user {
        Some(user) => Some(rsip::Auth {
            user: text(user)?,
            password: uri.password.map(text).transpose()?,
        }),
        None => None,
    };
    Ok(rsip::Uri {
        scheme: Some(scheme),
        auth,
        host_with_port: host_with_port(uri.host, uri.port)?,
        params: params(uri.params)?,
        headers: Vec::new(),
    })
}

fn host_with_port(host: Host<'_>, port: Option<u16>) -> Result<rsip::HostWithPort, TypedError> {
    let host = match host {
        Host::Name(name) => rsip::Host::Domain(text(name)?.into()),
        Host::V4(address) => rsip::Host::IpAddr(address.into()),
        // As an address rsip would write it without brackets.
        Host::V6(address) => rsip::Host::Domain(format!("[{address}]").into()),
    };
    Ok(rsip::HostWithPort {
        host,
        port: port.map(Into::into),
    })
}

/// Parameters one by one, so that `rsip` reads no delimiters.
fn params(text_of_params: &[u8]) -> Result<Vec<rsip::Param>, TypedError> {
    let mut params = Vec::new();
    for param in text_of_params.split(|byte| *byte == b';').skip(1) {
        let (name, value) = match memchr::memchr(b'=', param) {
            Some(equals) => (param.get(..equals), param.get(equals + 1..)),
            None => (Some(param), None),
        };
        let name = text(crate::grammar::trim(name.unwrap_or_default()))?;
        let value = value
            .map(|value| text(crate::grammar::trim(value)))
            .transpose()?;
        let param = rsip::Param::try_from((name.as_str(), value.as_deref()));
        // What rsip has a type for but cannot read, such as an unknown transport, stays text.
        params
            .push(param.unwrap_or_else(|_| rsip::Param::Other(name.into(), value.map(Into::into))));
    }
    Ok(params)
}

/// A Via.
///
/// # Errors
/// [`TypedError`] when `rsip` cannot hold it.
pub fn via(via: &Via<'_>) -> Result<rsip::typed::Via, TypedError> {
    let transport = text(via.transport)?
        .parse()
        .map_err(|_| TypedError::Transport)?;
    Ok(rsip::typed::Via {
        version: rsip::Version::V2,
        transport,
        uri: rsip::Uri {
            host_with_port: host_with_port(via.host, via.port)?,
            ..rsip::Uri::default()
        },
        params: params(via.params)?,
    })
}

/// A From.
///
/// # Errors
/// [`TypedError`] when `rsip` cannot hold it.
pub fn from(from: &NameAddr<'_>) -> Result<rsip::typed::From, TypedError> {
    let (display_name, uri, params) = address(from)?;
    Ok(rsip::typed::From {
        display_name,
        uri,
        params,
    })
}

/// A To.
///
/// # Errors
/// [`TypedError`] when `rsip` cannot hold it.
pub fn to(to: &NameAddr<'_>) -> Result<rsip::typed::To, TypedError> {
    let (display_name, uri, params) = address(to)?;
    Ok(rsip::typed::To {
        display_name,
        uri,
        params,
    })
}

/// A Contact.
///
/// # Errors
/// [`TypedError`] when `rsip` cannot hold it.
pub fn contact(contact: &NameAddr<'_>) -> Result<rsip::typed::Contact, TypedError> {
    let (display_name, uri, params) = address(contact)?;
    Ok(rsip::typed::Contact {
        display_name,
        uri,
        params,
    })
}

type Address = (Option<String>, rsip::Uri, Vec<rsip::Param>);

fn address(address: &NameAddr<'_>) -> Result<Address, TypedError> {
    Ok((
        address.display.map(text).transpose()?,
        uri(&address.uri)?,
        params(address.params)?,
    ))
}

fn text(bytes: &[u8]) -> Result<String, TypedError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| TypedError::Utf8)
}

/// Digest algorithms of RFC 8760 section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// `MD5`
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512-256`
    Sha512Of256,
}

impl DigestAlgorithm {
    /// Its name in a header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512Of256 => "SHA-512-256",
        }
    }
}

/// A digest challenge with `qop="auth"`: RFC 3261 section 22, RFC 7616, RFC 8760.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// Shown to users; any printable text.
    pub realm: &'a str,
    /// The server's nonce.
    pub nonce: &'a str,
    /// Returned by the client as it is.
    pub opaque: Option<&'a str>,
    /// The algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest was right, the nonce too old.
    pub stale: bool,
}

impl Challenge<'_> {
    /// The value of a WWW-Authenticate or Proxy-Authenticate header.
    ///
    /// # Errors
    /// [`EditError::Value`] when a part holds a control character.
    pub fn value(&self) -> Result<String, EditError> {
        for part in [self.realm, self.nonce, self.opaque.unwrap_or_default()] {
            splice::check_value(part.as_bytes())?;
        }
        let header = rsip::typed::WwwAuthenticate {
            scheme: auth::Scheme::Digest,
            realm: escaped(self.realm),
            domain: None,
            nonce: escaped(self.nonce),
            opaque: self.opaque.map(escaped),
            stale: self.stale.then(|| "true".to_owned()),
            // rsip writes SHA256, which nobody understands; and has no SHA-512-256.
            algorithm: None,
            qop: Some(auth::Qop::Auth),
            charset: None,
        };
        Ok(format!("{header}, algorithm={}", self.algorithm.name()))
    }
}

/// The inside of a quoted string; `rsip` does not escape.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
