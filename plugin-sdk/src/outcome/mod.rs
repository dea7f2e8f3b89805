//! What a policy answers, as a builder over `outcomes.outcome`.

mod reading;

use crate::bindings::outcomes;
use crate::{
    Alert, Annotation, Challenge, DigestAlgorithm, Effect, HeaderValue, MediaRequirement, Points,
    Rejection, Severity, Verdict,
};

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
    pub const REASON_BYTES: usize = 512;

    /// Bytes of an alert that the host accepts: a few sentences.
    pub const ALERT_BYTES: usize = 1024;

    /// Bytes of an alert's key that the host accepts: a name and what it is about.
    pub const ALERT_KEY_BYTES: usize = 128;

    /// Bytes of a secret that the host accepts: not so few that logs become
    /// unreadable, and enough for any code that is dialled.
    pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=64;

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
    #[must_use]
    pub const fn next() -> Self {
        Self::of(Verdict::Next)
    }

    /// Refuses the request with a status of 400 to 699; the host takes any other
    /// for a failure of the policy.
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
    #[must_use]
    pub fn redirect(contacts: impl IntoIterator<Item = String>) -> Self {
        Self::of(Verdict::Redirect(contacts.into_iter().collect()))
    }

    /// Says nothing at all to the peer.
    #[must_use]
    pub const fn silence() -> Self {
        Self::of(Verdict::Drop)
    }

    /// The reason, for the operator's log; never sent to a peer. Cut to
    /// [`Outcome::REASON_BYTES`] and made one line, so that it may quote a peer.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.raw.reason = one_line(reason.into(), Self::REASON_BYTES);
        self
    }

    /// The reason phrase of a rejection; without effect on other verdicts.
    #[must_use]
    pub fn phrase(mut self, phrase: impl Into<String>) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.phrase = phrase.into();
        }
        self
    }

    /// Seconds for the Retry-After of a rejection; without effect on other verdicts.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.retry_after = seconds;
        }
        self
    }

    /// The algorithms of a challenge, best first; without effect on other verdicts.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[DigestAlgorithm]) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.algorithms = algorithms.to_vec();
        }
        self
    }

    /// Makes a challenge a 401 with WWW-Authenticate, as registrars send it;
    /// without effect on other verdicts.
    #[must_use]
    pub fn as_registrar(mut self, as_registrar: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.as_registrar = as_registrar;
        }
        self
    }

    /// Says in a challenge that only the nonce was wrong; without effect on
    /// other verdicts.
    #[must_use]
    pub fn stale(mut self, stale: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.stale = stale;
        }
        self
    }

    /// Adds any effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.raw.effects.push(effect);
        self
    }

    /// Replaces a header, or adds it. Needs [`crate::Capability::EditHeaders`].
    #[must_use]
    pub fn set_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::SetHeader(HeaderValue { name, value }))
    }

    /// Adds a header line. Needs [`crate::Capability::EditHeaders`].
    #[must_use]
    pub fn add_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::AddHeader(HeaderValue { name, value }))
    }

    /// Removes every line of a header. Needs [`crate::Capability::EditHeaders`].
    #[must_use]
    pub fn remove_header(self, name: impl Into<String>) -> Self {
        self.effect(Effect::RemoveHeader(name.into()))
    }

    /// Leaves a note for later plugins and the log. The key may hold letters,
    /// digits, `-`, `_` and `.`; the value is one line.
    #[must_use]
    pub fn annotate(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.effect(Effect::Annotate(Annotation { key, value }))
    }

    /// Adds points to the score of the request; negative ones take away.
    #[must_use]
    pub fn score(self, amount: i32, reason: impl Into<String>) -> Self {
        self.effect(Effect::Score(Points {
            amount,
            reason: reason.into(),
        }))
    }

    /// Says who the caller is.
    #[must_use]
    pub fn identify(self, identity: impl Into<String>) -> Self {
        self.effect(Effect::Identify(identity.into()))
    }

    /// Ends the call after this many seconds, counted from the answer.
    #[must_use]
    pub fn limit_duration(self, seconds: u32) -> Self {
        self.effect(Effect::LimitDuration(seconds))
    }

    /// Routes to a `[[trunk]]` or `[[pbx]]`. Needs [`crate::Capability::Route`].
    #[must_use]
    pub fn route(self, name: impl Into<String>) -> Self {
        self.effect(Effect::Route(name.into()))
    }

    /// Says what the media of the call must be, later offers included. It can
    /// only make the call stricter: of what several plugins ask for, the
    /// strictest holds, and a call that cannot be so is refused with 488.
    ///
    /// ```
    /// use sipward_plugin_sdk::{MediaRequirement, Outcome};
    /// let outcome = Outcome::next()
    ///     .require_media(MediaRequirement::Encrypted)
    ///     .require_media(MediaRequirement::Any);
    /// assert_eq!(outcome.media_requirement(), MediaRequirement::Encrypted);
    /// ```
    #[must_use]
    pub fn require_media(self, requirement: MediaRequirement) -> Self {
        self.effect(Effect::RequireMedia(requirement))
    }

    /// Tells the operator, whatever becomes of the request. Cut to
    /// [`Outcome::ALERT_BYTES`] and made one line, so that it may quote a peer. Of
    /// alerts with the same text the operator gets one within a time that the config
    /// says; [`Outcome::alert_about`] is for texts that differ.
    #[must_use]
    pub fn alert(self, severity: Severity, text: impl Into<String>) -> Self {
        self.alert_about(severity, "", text)
    }

    /// Tells the operator, and names what it is about, as `brute-force/alice`: of
    /// alerts with the same key the operator gets one within a time that the config
    /// says, with the number of those held back. The key is cut to
    /// [`Outcome::ALERT_KEY_BYTES`] and made one line, the text as
    /// [`Outcome::alert`] has it.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Severity};
    /// let outcome = Outcome::reject(403)
    ///     .alert_about(Severity::Warning, "guessing/alice", "the 7th wrong code");
    /// assert_eq!(outcome.alerts().next().unwrap().key, "guessing/alice");
    /// ```
    #[must_use]
    pub fn alert_about(
        self,
        severity: Severity,
        key: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let key = one_line(key.into(), Self::ALERT_KEY_BYTES);
        let text = one_line(text.into(), Self::ALERT_BYTES);
        self.effect(Effect::Alert(Alert {
            severity,
            key,
            text,
        }))
    }

    /// Asks for [`CallEvent::Tick`](crate::CallEvent::Tick) this many seconds after
    /// the answer, 1 to 86,400. May stand several times. In a call event it counts
    /// from the answer too, and a time that has passed already is refused.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().tick_after(60).tick_after(600);
    /// assert_eq!(outcome.ticks().collect::<Vec<_>>(), [60, 600]);
    /// ```
    #[must_use]
    pub fn tick_after(self, seconds: u32) -> Self {
        self.effect(Effect::TickAfter(seconds))
    }

    /// Forwards to this URI instead. Needs [`crate::Capability::EditHeaders`]. What
    /// the config's routes choose is chosen by it, and later plugins see it.
    #[must_use]
    pub fn set_request_uri(self, uri: impl Into<String>) -> Self {
        self.effect(Effect::SetRequestUri(uri.into()))
    }

    /// Shows the callee this address in From, a name-addr without parameters as
    /// `"Reception" <sip:+4930123@example.com>`; the caller goes on seeing its own.
    /// Needs [`crate::Capability::EditHeaders`].
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_from("<sip:+4930123@example.com>");
    /// assert_eq!(outcome.shown_from(), Some("<sip:+4930123@example.com>"));
    /// ```
    #[must_use]
    pub fn set_from(self, address: impl Into<String>) -> Self {
        self.effect(Effect::SetFrom(address.into()))
    }

    /// Shows the callee this address in To, as [`Outcome::set_from`] does in From.
    #[must_use]
    pub fn set_to(self, address: impl Into<String>) -> Self {
        self.effect(Effect::SetTo(address.into()))
    }

    /// A secret in this request of [`Outcome::SECRET_BYTES`] bytes: wherever the host
    /// writes about the request (log, record, alert) it stands as `*`, whatever
    /// becomes of the request. The host refuses an outcome with a longer or shorter one.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::reject(403).conceal("7391").because("wrong code 7391");
    /// assert_eq!(outcome.secrets().collect::<Vec<_>>(), ["7391"]);
    /// ```
    #[must_use]
    pub fn conceal(self, secret: impl Into<String>) -> Self {
        self.effect(Effect::Conceal(secret.into()))
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
    if text.chars().any(char::is_control) {
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
