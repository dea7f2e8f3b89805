//! Nonces that the host makes and recognises without remembering them: RFC 7616
//! section 3.3.
//!
//! ```text
//! base64url( version(1) issued-ms(8) random(15) tag(16) )
//! tag = HMAC-SHA-256(secret, version issued-ms random source(9) realm), first half
//! ```
//!
//! Nobody else can make one, and one for a realm or a source is none for another:
//! whoever forges a UDP source never sees a nonce that is good there (RFC 7616
//! section 5.5). A flood of requests costs no memory; only nonces that were
//! answered rightly are remembered, for the sake of their counts.

use std::{fmt::Write as _, net::IpAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    Algorithm,
    replay::{REMEMBERED, Replays},
};

/// 2: the tag covers the source.
const VERSION: u8 = 2;
const BODY: usize = 1 + 8 + 15;
const TAG: usize = 16;
/// Characters of a nonce.
const TEXT: usize = (BODY + TAG).div_ceil(3) * 4 - 2;

/// What is known of a nonce that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    /// When it was made. First, so that stamps order by age.
    pub(crate) issued_ms: u64,
    /// Which one it is.
    pub(crate) tag: [u8; TAG],
}

/// Makes nonces and verifies what is answered to them.
pub struct Nonces {
    secret: Zeroizing<[u8; 32]>,
    pub(crate) lifetime_ms: u64,
    pub(crate) not_before_ms: u64,
    pub(crate) permits_legacy: bool,
    pub(crate) replays: Replays,
}

impl Nonces {
    /// With a secret of 32 random bytes and the time for which a nonce is good.
    /// A secret that outlives the process
    /// ([`State::secret`](crate::State::secret)) needs [`Self::not_before`].
    pub fn new(secret: [u8; 32], lifetime: Duration) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            lifetime_ms: u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX),
            not_before_ms: 0,
            permits_legacy: false,
            replays: Replays::new(REMEMBERED),
        }
    }

    /// Takes nonces from before this time for expired: the start of the process,
    /// because the counts seen before it are not known any more. Clients then
    /// get `stale=true` and go on without asking their user.
    #[must_use]
    pub fn not_before(mut self, now_ms: u64) -> Self {
        self.not_before_ms = now_ms;
        self
    }

    /// Accepts answers without `qop` (RFC 2069), each nonce once. Off by default:
    /// such a response protects neither against replay nor against a chosen
    /// nonce.
    #[must_use]
    pub fn permit_legacy(mut self, permit: bool) -> Self {
        self.permits_legacy = permit;
        self
    }

    /// Remembers the counts of so many nonces instead of 65,536.
    #[must_use]
    pub fn remember(mut self, nonces: usize) -> Self {
        self.replays = Replays::new(nonces);
        self
    }

    /// A new nonce for a realm, to be answered from the source that asked: 54
    /// characters of base64url.
    ///
    /// A source is an IPv4 address, mapped to IPv6 or not, or an IPv6 /64, within
    /// which hosts change their address as they like (RFC 8981). The port is left
    /// out, for a NAT may change it between challenge and answer.
    ///
    /// Without randomness from the system the nonce is still unforgeable and
    /// distinct per millisecond, so none is refused.
    pub fn issue(&self, now_ms: u64, realm: &str, source: IpAddr) -> String {
        let mut random = [0; 15];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::error!(%error, "no randomness for a nonce");
        }
        let mut bytes = Vec::with_capacity(BODY + TAG);
        bytes.push(VERSION);
        bytes.extend_from_slice(&now_ms.to_be_bytes());
        bytes.extend_from_slice(&random);
        let tag = self.tag(&bytes, realm.as_bytes(), source);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Reads a nonce; `None` if it is not ours, or another realm's or source's.
    pub(crate) fn read(&self, nonce: &[u8], realm: &[u8], source: IpAddr) -> Option<Stamp> {
        if nonce.len() != TEXT {
            return None;
        }
        let mut bytes = [0; BODY + TAG];
        let length = URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes).ok()?;
        if length != BODY + TAG {
            return None;
        }
        let (body, tag) = bytes.split_last_chunk::<TAG>()?;
        let ours = self.tag(body, realm, source);
        if !bool::from(ours.ct_eq(tag)) {
            return None;
        }
        let (version, rest) = body.split_first()?;
        let issued = rest.first_chunk::<8>()?;
        (*version == VERSION).then_some(Stamp {
            issued_ms: u64::from_be_bytes(*issued),
            tag: *tag,
        })
    }

    fn tag(&self, body: &[u8], realm: &[u8], source: IpAddr) -> [u8; TAG] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.secret) else {
            // HMAC takes keys of any length; an all-zero tag would be guessable,
            // so this must not look like one.
            return *blake3::hash(&*self.secret)
                .as_bytes()
                .first_chunk()
                .unwrap_or(&[0xff; TAG]);
        };
        mac.update(body);
        mac.update(&source_key(source));
        mac.update(realm);
        let output = mac.finalize().into_bytes();
        output.first_chunk::<TAG>().copied().unwrap_or([0xff; TAG])
    }

    /// Whether a nonce is of no use any more.
    pub(crate) fn is_stale(&self, stamp: &Stamp, now_ms: u64) -> bool {
        // A nonce from the future means that the clock was put back: as many
        // milliseconds are forgiven as a nonce may live.
        stamp.issued_ms < self.not_before_ms || now_ms.abs_diff(stamp.issued_ms) > self.lifetime_ms
    }

    /// Nonces whose counts are remembered, for metrics.
    pub fn remembered(&self) -> usize {
        self.replays.len()
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Nonces")
            .field("lifetime_ms", &self.lifetime_ms)
            .field("remembered", &self.remembered())
            .finish_non_exhaustive()
    }
}

/// What of an address a nonce is bound to: the family, then all of IPv4 or the
/// /64 of IPv6. Always as long, so that no realm can begin with a part of it.
fn source_key(source: IpAddr) -> [u8; 9] {
    let (family, network) = match source.to_canonical() {
        IpAddr::V4(address) => (4, u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments().map(u64::from);
            (6, a << 48 | b << 32 | c << 16 | d)
        }
    };
    let [a, b, c, d, e, f, g, h] = network.to_be_bytes();
    [family, a, b, c, d, e, f, g, h]
}

/// The value of a WWW-Authenticate or Proxy-Authenticate header: RFC 7616 section
/// 3.3, RFC 3261 section 22.
///
/// `qop` offers `auth` alone: several old clients stumble over a list, and
/// `auth-int` is broken by every middlebox that touches SDP. It is understood if a
/// client chooses it all the same.
pub fn challenge_value(realm: &str, algorithm: Algorithm, nonce: &str, stale: bool) -> String {
    let mut value = String::with_capacity(realm.len() + nonce.len() + 80);
    value.push_str("Digest realm=\"");
    push_quoted(&mut value, realm);
    value.push_str("\", nonce=\"");
    push_quoted(&mut value, nonce);
    // Writing to a String cannot fail.
    let _ = write!(
        value,
        "\", algorithm={}, qop=\"auth\"{}",
        algorithm.token(),
        if stale { ", stale=true" } else { "" },
    );
    value
}

/// Escapes what would end a quoted string, and leaves out what would end a line.
fn push_quoted(value: &mut String, text: &str) {
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            value.push('\\');
        }
        value.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.10";

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn nonces() -> Nonces {
        Nonces::new([7; 32], Duration::from_secs(60))
    }

    #[test]
    fn a_nonce_is_ours_for_its_realm_only() {
        let nonces = nonces();
        let nonce = nonces.issue(123_456, "pbx", at(HOME));
        assert_eq!(nonce.len(), TEXT);
        assert_eq!(
            nonces
                .read(nonce.as_bytes(), b"pbx", at(HOME))
                .unwrap()
                .issued_ms,
            123_456
        );
        assert_eq!(nonces.read(nonce.as_bytes(), b"trunk", at(HOME)), None);
        assert_eq!(
            Nonces::new([8; 32], Duration::ZERO).read(nonce.as_bytes(), b"pbx", at(HOME)),
            None
        );
        assert_ne!(nonce, nonces.issue(123_456, "pbx", at(HOME)));
    }

    #[test]
    fn a_nonce_is_ours_for_its_source_only() {
        let nonces = nonces();
        let good = |made_for: &str, used_by: &str| {
            let nonce = nonces.issue(1, "pbx", at(made_for));
            nonces.read(nonce.as_bytes(), b"pbx", at(used_by)).is_some()
        };
        assert!(good(HOME, HOME));
        assert!(!good(HOME, "192.0.2.11"));
        assert!(!good("0.0.0.0", "::"), "families are apart");
        assert!(!good("::", "0.0.0.0"));
        assert!(good(HOME, "::ffff:192.0.2.10"));
        assert!(good("::ffff:192.0.2.10", HOME));
        assert!(!good("::ffff:192.0.2.10", "::ffff:192.0.2.11"));
        assert!(good("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert!(!good("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(!good("2001:db8:0:1::1", "2001:db9:0:1::1"));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let nonces = nonces();
        let nonce = nonces.issue(1, "pbx", at(HOME)).into_bytes();
        for place in 0..nonce.len() {
            let mut forged = nonce.clone();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces.read(&forged, b"pbx", at(HOME)), None, "at {place}");
        }
        assert_eq!(nonces.read(&nonce[1..], b"pbx", at(HOME)), None);
        assert_eq!(nonces.read(b"", b"pbx", at(HOME)), None);
        assert_eq!(nonces.read(&[0xff; TEXT], b"pbx", at(HOME)), None);
    }

    #[test]
    fn lifetime_on_both_sides() {
        let nonces = nonces().not_before(500);
        let stamp = |issued_ms| Stamp {
            issued_ms,
            tag: [0; TAG],
        };
        assert!(!nonces.is_stale(&stamp(1_000), 61_000));
        assert!(nonces.is_stale(&stamp(1_000), 61_001));
        assert!(!nonces.is_stale(&stamp(500), 600));
        assert!(nonces.is_stale(&stamp(499), 600));
        assert!(!nonces.is_stale(&stamp(60_600), 600), "the clock went back");
        assert!(nonces.is_stale(&stamp(60_601), 600));
    }

    #[test]
    fn challenges_are_quoted() {
        assert_eq!(
            challenge_value("a\"b\\c\r\nX: y", Algorithm::Sha256, "n", true),
            "Digest realm=\"a\\\"b\\\\cX: y\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\", \
             stale=true"
        );
        assert_eq!(
            challenge_value("pbx", Algorithm::Md5, "n", false),
            "Digest realm=\"pbx\", nonce=\"n\", algorithm=MD5, qop=\"auth\""
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", nonces());
        assert!(shown.starts_with("Nonces"), "{shown}");
        assert!(!shown.contains('7'), "{shown}");
    }
}
