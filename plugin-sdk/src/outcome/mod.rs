//! What a policy answers, as a builder over `outcomes.outcome`.

mod effects;
mod reading;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::bindings::outcomes;
use crate::{Challenge, DigestAlgorithm, Rejection, Verdict};

/// The answer of one plugin: a verdict, effects and a reason.
///
/// ```
/// use sipward_plugin_sdk::{Outcome, Severity};
/// let outcome = Outcome::reject(403)
///     .phrase("Not Today")
///     .alert(Severity::Warning, "somebody tries premium numbers")
///     .because("destination +4990 is denied");
/// assert_eq!(outcome.status(), Some(403));
/// assert_eq!(outcome.reason(), "destination +4990 is denied");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    raw: outcomes::Outcome,
}

impl Outcome {
    /// Bytes of a reason that the host accepts by default: one log line.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::reject(403).because("x".repeat(9_999));
    /// assert_eq!(outcome.reason().len(), Outcome::REASON_BYTES);
    /// ```
    pub const REASON_BYTES: usize = 512;

    /// Bytes of an alert that the host accepts: a few sentences.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Severity};
    /// let outcome = Outcome::next().alert(Severity::Info, "x".repeat(9_999));
    /// assert_eq!(outcome.alerts().next().unwrap().text.len(), Outcome::ALERT_BYTES);
    /// ```
    pub const ALERT_BYTES: usize = 1024;

    /// Bytes of an alert's key that the host accepts: a name and what it is about.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Severity};
    /// let outcome = Outcome::next().alert_about(Severity::Info, "x".repeat(999), "too long a key");
    /// assert_eq!(outcome.alerts().next().unwrap().key.len(), Outcome::ALERT_KEY_BYTES);
    /// ```
    pub const ALERT_KEY_BYTES: usize = 128;

    /// Bytes of a secret that the host accepts: not so few that logs become
    /// unreadable, and enough for any code that is dialled.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::SECRET_BYTES.contains(&"7391".len()));
    /// assert!(!Outcome::SECRET_BYTES.contains(&"739".len()));
    /// ```
    pub const SECRET_BYTES: core::ops::RangeInclusive<usize> = 4..=64;

    const fn of(verdict: Verdict) -> Self {
        Self {
            raw: outcomes::Outcome {
                verdict,
                effects: Vec::new(),
                reason: String::new(),
            },
        }
    }

    /// No objection; the next plugin decides.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::next().because("is on the list").is_next());
    /// ```
    #[must_use]
    pub const fn next() -> Self {
        Self::of(Verdict::Next)
    }

    /// Refuses the request with a status of 400 to 699; the host takes any other
    /// for a failure of the policy.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::reject(603).because("has to stay at home").status(), Some(603));
    /// ```
    #[must_use]
    pub const fn reject(status: u16) -> Self {
        Self::of(Verdict::Reject(Rejection {
            status,
            phrase: String::new(),
            retry_after: 0,
        }))
    }

    /// Asks for digest credentials with SHA-256, 407 Proxy Authentication
    /// Required (RFC 3261 section 22.3). The host makes the nonce.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::challenge("example.com");
    /// assert_eq!(outcome.challenged().unwrap().realm, "example.com");
    /// ```
    #[must_use]
    pub fn challenge(realm: impl Into<String>) -> Self {
        Self::of(Verdict::Challenge(Challenge {
            realm: realm.into(),
            algorithms: vec![DigestAlgorithm::Sha256],
            as_registrar: false,
            stale: false,
        }))
    }

    /// Answers 302 with these Contact URIs.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Verdict};
    /// let outcome = Outcome::redirect(["sip:bob@elsewhere.example".to_owned()]);
    /// assert!(matches!(outcome.verdict(), Verdict::Redirect(contacts) if contacts.len() == 1));
    /// ```
    #[must_use]
    pub fn redirect(contacts: impl IntoIterator<Item = String>) -> Self {
        Self::of(Verdict::Redirect(contacts.into_iter().collect()))
    }

    /// Says nothing at all to the peer.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::silence().because("scans the network").is_silence());
    /// ```
    #[must_use]
    pub const fn silence() -> Self {
        Self::of(Verdict::Drop)
    }

    /// The reason, for the operator's log; never sent to a peer. Cut to
    /// [`Outcome::REASON_BYTES`] and made one line, so that it may quote a peer.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::reject(403).because("From is `x\r\nVia: y`");
    /// assert_eq!(outcome.reason(), "From is `x??Via: y`");
    /// ```
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.raw.reason = one_line(reason.into(), Self::REASON_BYTES);
        self
    }

    /// The reason phrase of a rejection; without effect on other verdicts.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Verdict};
    /// let outcome = Outcome::reject(480).phrase("Come back at eight");
    /// assert!(matches!(outcome.verdict(), Verdict::Reject(it) if it.phrase == "Come back at eight"));
    /// ```
    #[must_use]
    pub fn phrase(mut self, phrase: impl Into<String>) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.phrase = phrase.into();
        }
        self
    }

    /// Seconds for the Retry-After of a rejection; without effect on other verdicts.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Verdict};
    /// let outcome = Outcome::reject(503).retry_after(30);
    /// assert!(matches!(outcome.verdict(), Verdict::Reject(it) if it.retry_after == 30));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.retry_after = seconds;
        }
        self
    }

    /// The algorithms of a challenge, best first; without effect on other verdicts.
    ///
    /// ```
    /// use sipward_plugin_sdk::{DigestAlgorithm, Outcome};
    /// let both = [DigestAlgorithm::Sha256, DigestAlgorithm::Md5];
    /// let outcome = Outcome::challenge("example.com").algorithms(&both);
    /// assert_eq!(outcome.challenged().unwrap().algorithms, both);
    /// ```
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[DigestAlgorithm]) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.algorithms = algorithms.to_vec();
        }
        self
    }

    /// Makes a challenge a 401 with WWW-Authenticate, as registrars send it;
    /// without effect on other verdicts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::challenge("example.com").as_registrar(true);
    /// assert!(outcome.challenged().unwrap().as_registrar);
    /// ```
    #[must_use]
    pub fn as_registrar(mut self, as_registrar: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.as_registrar = as_registrar;
        }
        self
    }

    /// Says in a challenge that only the nonce was wrong; without effect on
    /// other verdicts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::challenge("example.com").stale(true);
    /// assert!(outcome.challenged().unwrap().stale);
    /// ```
    #[must_use]
    pub fn stale(mut self, stale: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.stale = stale;
        }
        self
    }

    pub(crate) fn into_raw(self) -> outcomes::Outcome {
        self.raw
    }
}

/// Text that may stand in a log: no control characters, cut at a character.
fn one_line(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
    }
    // Most texts are plain ASCII, which is seen without decoding them.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(char::is_control) {
        text = text.replace(char::is_control, "?");
    }
    // A two-byte control character has become one byte, so it still fits.
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_read_is_one_bounded_line() {
        let reason = |text: &str| Outcome::next().because(text).reason().to_owned();
        assert_eq!(reason("a\r\nVia: x\u{85}"), "a??Via: x?");
        assert_eq!(reason(&"x".repeat(512)).len(), 512);
        assert_eq!(reason(&"x".repeat(513)).len(), 512);
        assert_eq!(reason(&format!("{}ä", "x".repeat(511))).len(), 511);
    }

    #[test]
    fn builders_touch_their_own_verdict_only() {
        let next = Outcome::next()
            .phrase("x")
            .retry_after(9)
            .stale(true)
            .as_registrar(true);
        assert_eq!(next, Outcome::next());
        let challenge = Outcome::challenge("r")
            .stale(true)
            .algorithms(&[DigestAlgorithm::Md5]);
        let asked = challenge.challenged().unwrap();
        assert!(asked.stale && !asked.as_registrar && asked.algorithms == [DigestAlgorithm::Md5]);
        assert_eq!(
            Outcome::next().identify("a").identify("b").identity(),
            Some("b")
        );
    }
}
