//! Algorithms, HA1, HA2 and the response: RFC 7616 section 3.4, RFC 8760.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Digest algorithms: RFC 7616 section 3.2, RFC 8760 section 2.1. The `-sess`
/// variants are not among them: they make the hash of the password depend on a
/// session that a proxy does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, for peers that know nothing else.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
}

/// Bytes of the longest hash.
pub(crate) const HASH_BYTES: usize = 32;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Sha512_256];

    /// The token of the `algorithm` parameter.
    pub fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The algorithm of a token, without regard to case; `None` for any other,
    /// the `-sess` variants included.
    pub fn from_token(token: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.token().as_bytes().eq_ignore_ascii_case(token))
    }

    /// Bytes of a hash: 16 or 32.
    pub fn hash_bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 | Self::Sha512_256 => 32,
        }
    }

    /// HA1 of a password: RFC 7616 section 3.4.2. As good as the password for this
    /// realm, so it is wiped when dropped.
    pub fn ha1(self, user: &str, realm: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let hash = self.hash(&[user.as_bytes(), realm.as_bytes(), password]);
        Zeroizing::new(hash.as_bytes().to_vec())
    }

    /// H() of RFC 7616 section 3.3 over parts joined by colons.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Self::Md5 => hash_with::<Md5>(parts),
            Self::Sha256 => hash_with::<Sha256>(parts),
            Self::Sha512_256 => hash_with::<Sha512_256>(parts),
        }
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> Hash {
    let mut hasher = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    let output = hasher.finalize();
    Hash::from_bytes(&output)
}

/// A hash. It may be as good as a password (HA1), so it is wiped when dropped
/// and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hash {
    bytes: [u8; HASH_BYTES],
    length: usize,
}

impl Hash {
    /// Nobody's hash, of no length.
    pub(crate) const NONE: &'static Self = &Self {
        bytes: [0; HASH_BYTES],
        length: 0,
    };

    fn from_bytes(from: &[u8]) -> Self {
        let mut bytes = [0; HASH_BYTES];
        let length = from.len().min(HASH_BYTES);
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Self { bytes, length }
    }

    /// From as many bytes as the algorithm has.
    pub(crate) fn from_whole(algorithm: Algorithm, from: &[u8]) -> Option<Self> {
        (from.len() == algorithm.hash_bytes()).then(|| Self::from_bytes(from))
    }

    /// From hexadecimal digits, as many as the algorithm has.
    pub(crate) fn from_hex(algorithm: Algorithm, digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        let length = algorithm.hash_bytes();
        hex::decode_to_slice(digits, bytes.get_mut(..length)?).ok()?;
        Some(Self { bytes, length })
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Lower-case hexadecimal digits: LHEX of RFC 7616 section 3.3.
    pub(crate) fn to_hex(&self) -> Hex {
        let mut hex = Hex {
            digits: [0; 2 * HASH_BYTES],
            length: 2 * self.length,
        };
        if let Some(digits) = hex.digits.get_mut(..hex.length) {
            // Cannot fail: the slice is twice as long.
            let _ = hex::encode_to_slice(self.as_bytes(), digits);
        }
        hex
    }
}

/// Hexadecimal digits of a hash, as secret as that.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hex {
    digits: [u8; 2 * HASH_BYTES],
    length: usize,
}

impl Hex {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }
}

/// What protects what: RFC 7616 section 3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality<'a> {
    /// No `qop`: RFC 2069, kept in RFC 2617.
    Legacy,
    /// `qop=auth`.
    Auth { count: &'a [u8], client: &'a [u8] },
    /// `qop=auth-int`: the body is hashed too.
    AuthInt { count: &'a [u8], client: &'a [u8] },
}

/// What the response is computed from, besides HA1.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) nonce: &'a [u8],
    pub(crate) quality: Quality<'a>,
}

impl Question<'_> {
    /// The response that the owner of HA1 gives: RFC 7616 section 3.4.1.
    pub(crate) fn response(&self, ha1: &Hash) -> Hash {
        let algorithm = self.algorithm;
        let ha1 = ha1.to_hex();
        let ha2 = match self.quality {
            Quality::AuthInt { .. } => {
                let body = algorithm.hash(&[self.body]).to_hex();
                algorithm.hash(&[self.method, self.uri, body.as_bytes()])
            }
            Quality::Legacy | Quality::Auth { .. } => algorithm.hash(&[self.method, self.uri]),
        };
        let ha2 = ha2.to_hex();
        let (ha1, ha2) = (ha1.as_bytes(), ha2.as_bytes());
        match self.quality {
            Quality::Legacy => algorithm.hash(&[ha1, self.nonce, ha2]),
            Quality::Auth { count, client } => {
                algorithm.hash(&[ha1, self.nonce, count, client, b"auth", ha2])
            }
            Quality::AuthInt { count, client } => {
                algorithm.hash(&[ha1, self.nonce, count, client, b"auth-int", ha2])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(
        algorithm: Algorithm,
        user: &[u8],
        realm: &[u8],
        password: &[u8],
        question: Question<'_>,
    ) -> String {
        let ha1 = algorithm.hash(&[user, realm, password]);
        String::from_utf8(question.response(&ha1).to_hex().as_bytes().to_vec()).unwrap()
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn rfc7616_md5_and_sha256() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let question = Question {
                algorithm,
                method: b"GET",
                uri: b"/dir/index.html",
                body: b"",
                nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                quality: Quality::Auth {
                    count: b"00000001",
                    client: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                },
            };
            let got = response(
                algorithm,
                b"Mufasa",
                b"http-auth@example.org",
                b"Circle of Life",
                question,
            );
            assert_eq!(got, expected);
        }
    }

    /// RFC 7616 section 3.9.2, with the corrections of errata 4897: the printed
    /// hashes are not those of SHA-512/256, these are.
    #[test]
    fn rfc7616_sha512_256_as_corrected() {
        let user = "J\u{e4}s\u{f8}n Doe".as_bytes();
        let question = Question {
            algorithm: Algorithm::Sha512_256,
            method: b"GET",
            uri: b"/doe.json",
            body: b"",
            nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            quality: Quality::Auth {
                count: b"00000001",
                client: b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            },
        };
        let got = response(
            Algorithm::Sha512_256,
            user,
            b"api@example.org",
            b"Secret, or not?",
            question,
        );
        assert_eq!(
            got,
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    /// RFC 2617 section 3.5.
    #[test]
    fn rfc2617_example() {
        let question = Question {
            algorithm: Algorithm::Md5,
            method: b"GET",
            uri: b"/dir/index.html",
            body: b"",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            quality: Quality::Auth {
                count: b"00000001",
                client: b"0a4f113b",
            },
        };
        let got = response(
            Algorithm::Md5,
            b"Mufasa",
            b"testrealm@host.com",
            b"Circle Of Life",
            question,
        );
        assert_eq!(got, "6629fae49393a05397450978507c4ef1");
    }

    /// RFC 2069 section 2.4 as corrected by errata 749.
    #[test]
    fn rfc2069_example() {
        let question = Question {
            algorithm: Algorithm::Md5,
            method: b"GET",
            uri: b"/dir/index.html",
            body: b"",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            quality: Quality::Legacy,
        };
        let got = response(
            Algorithm::Md5,
            b"Mufasa",
            b"testrealm@host.com",
            b"CircleOfLife",
            question,
        );
        assert_eq!(got, "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn tokens_and_refused_variants() {
        for algorithm in Algorithm::ALL {
            assert_eq!(
                Algorithm::from_token(algorithm.token().to_lowercase().as_bytes()),
                Some(algorithm)
            );
        }
        for token in ["MD5-sess", "SHA-256-sess", "SHA-512-256-sess", "SHA-1", ""] {
            assert_eq!(Algorithm::from_token(token.as_bytes()), None);
        }
    }

    #[test]
    fn hex_takes_exactly_the_algorithms_length() {
        assert!(Hash::from_hex(Algorithm::Md5, &[b'a'; 32]).is_some());
        assert!(Hash::from_hex(Algorithm::Md5, &[b'A'; 32]).is_some());
        for length in [0, 31, 33, 64] {
            assert!(Hash::from_hex(Algorithm::Md5, &vec![b'a'; length]).is_none());
        }
        assert!(Hash::from_hex(Algorithm::Sha256, &[b'0'; 64]).is_some());
        assert!(Hash::from_hex(Algorithm::Sha256, &[b'g'; 64]).is_none());
    }
}
