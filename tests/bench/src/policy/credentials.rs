//! The caller's side of digest authentication (RFC 7616 section 3.4.1): an answer with a
//! new count for every request, because none is taken twice.

use std::sync::Arc;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use sip_message::{Limits, Message, ParseError};
use sipward_bench::messages::{self, REQUEST_URI};
use state::digest::Algorithm;

/// Who calls, and where that name is known.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: &'static str,
    pub(crate) realm: &'static str,
    /// What only the caller knows.
    pub(crate) password: &'static str,
}

/// The PBX of the four plugins.
pub(crate) const PBX: Account = Account {
    user: "pbx",
    realm: "sipward",
    password: "correct horse battery staple",
};

/// Somebody at home, of the example `secure-trunk`.
pub(crate) const ALICE: Account = Account {
    user: "alice",
    realm: "sip.example.com",
    password: "quite another horse",
};

const CLIENT_NONCE: &str = "f2a94c0d17e3b586";

/// Writes an INVITE with these header lines.
pub(crate) type Writer = fn(headers: &str) -> Bytes;

/// Answers to one nonce, one after another.
pub(crate) struct Caller {
    account: &'static Account,
    algorithm: Algorithm,
    nonce: String,
    count: u32,
    uri: &'static str,
    write: Writer,
    ha1: String,
    ha2: String,
}

impl Caller {
    /// Who calls as [`PBX`].
    pub(crate) fn pbx(algorithm: Algorithm, nonce: String) -> Self {
        let write: Writer = |headers| {
            let (name, value) = headers.trim_end().split_once(": ").unwrap_or_default();
            messages::invite_with(name, value)
        };
        Self::new(&PBX, algorithm, nonce, REQUEST_URI, write)
    }

    pub(crate) fn new(
        account: &'static Account,
        algorithm: Algorithm,
        nonce: String,
        uri: &'static str,
        write: Writer,
    ) -> Self {
        let Account {
            user,
            realm,
            password,
        } = account;
        Self {
            ha1: hash(algorithm, &format!("{user}:{realm}:{password}")),
            ha2: hash(algorithm, &format!("INVITE:{uri}")),
            account,
            algorithm,
            nonce,
            count: 0,
            uri,
            write,
        }
    }

    /// The next value of Proxy-Authorization.
    pub(crate) fn answer(&mut self) -> String {
        self.count += 1;
        let Self {
            account,
            algorithm,
            nonce,
            count,
            uri,
            ha1,
            ha2,
            ..
        } = self;
        let Account { user, realm, .. } = account;
        let response = hash(
            *algorithm,
            &format!("{ha1}:{nonce}:{count:08x}:{CLIENT_NONCE}:auth:{ha2}"),
        );
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm={}, \
             cnonce=\"{CLIENT_NONCE}\", qop=auth, nc={count:08x}",
            algorithm.token()
        )
    }

    /// The next INVITE.
    ///
    /// # Errors
    /// Never: the message is sound.
    pub(crate) fn invite(&mut self) -> Result<Arc<Message>, ParseError> {
        let header = format!("Proxy-Authorization: {}\n", self.answer());
        Message::parse_datagram((self.write)(&header), &Limits::default()).map(Arc::new)
    }
}

fn hash(algorithm: Algorithm, text: &str) -> String {
    match algorithm {
        Algorithm::Md5 => hex::encode(Md5::digest(text)),
        Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        Algorithm::Sha512_256 => hex::encode(sha2::Sha512_256::digest(text)),
    }
}
