//! The caller's side of digest authentication (RFC 7616 section 3.4.1): an answer with a
//! new count for every request, because none is taken twice.

use std::sync::Arc;

use md5::Md5;
use sha2::{Digest, Sha256};
use sip_message::{Limits, Message, ParseError};
use sipward_bench::messages::{self, REQUEST_URI};
use state::digest::Algorithm;

/// Who calls.
pub(crate) const USER: &str = "pbx";
/// Where that name is known.
pub(crate) const REALM: &str = "sipward";
/// What only the caller knows.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

const CLIENT_NONCE: &str = "f2a94c0d17e3b586";

/// Answers to one nonce, one after another.
pub(crate) struct Caller {
    algorithm: Algorithm,
    nonce: String,
    count: u32,
    ha1: String,
    ha2: String,
}

impl Caller {
    pub(crate) fn new(algorithm: Algorithm, nonce: String) -> Self {
        Self {
            ha1: hash(algorithm, &format!("{USER}:{REALM}:{PASSWORD}")),
            ha2: hash(algorithm, &format!("INVITE:{REQUEST_URI}")),
            algorithm,
            nonce,
            count: 0,
        }
    }

    /// The next value of Proxy-Authorization.
    pub(crate) fn answer(&mut self) -> String {
        self.count += 1;
        let Self {
            algorithm,
            nonce,
            count,
            ha1,
            ha2,
        } = self;
        let response = hash(
            *algorithm,
            &format!("{ha1}:{nonce}:{count:08x}:{CLIENT_NONCE}:auth:{ha2}"),
        );
        format!(
            "Digest username=\"{USER}\", realm=\"{REALM}\", nonce=\"{nonce}\", \
             uri=\"{REQUEST_URI}\", response=\"{response}\", algorithm={}, \
             cnonce=\"{CLIENT_NONCE}\", qop=auth, nc={count:08x}",
            algorithm.token()
        )
    }

    /// The next INVITE.
    ///
    /// # Errors
    /// Never: the message is sound.
    pub(crate) fn invite(&mut self) -> Result<Arc<Message>, ParseError> {
        let bytes = messages::invite_with("Proxy-Authorization", &self.answer());
        Message::parse_datagram(bytes, &Limits::default()).map(Arc::new)
    }
}

fn hash(algorithm: Algorithm, text: &str) -> String {
    match algorithm {
        Algorithm::Md5 => hex::encode(Md5::digest(text)),
        Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        Algorithm::Sha512_256 => hex::encode(sha2::Sha512_256::digest(text)),
    }
}
