//! What a policy answers, as a builder over `outcomes.outcome`.

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
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    raw: outcomes::Outcome,
}

impl Outcome {
    /// Bytes of a reason that the host accepts by default: one log line.
    pub const REASON_BYTES: usize = 512;

    /// Bytes of an alert that the host accepts: a few sentences.
    pub const ALERT_BYTES: usize = 1024;

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
    pub const fn next() -> Self {
        Self::of(Verdict::Next)
    }

    /// Refuses the request with a status of 400 to 699; the host takes any other
    /// for a failure of the policy.
    pub const fn reject(status: u16) -> Self {
        Self::of(Verdict::Reject(Rejection {
            status,
            phrase: String::new(),
            retry_after: 0,
        }))
    }

    /// Asks for digest credentials with SHA-256, 407 Proxy Authentication
    /// Required (RFC 3261 section 22.3). The host makes the nonce.
    pub fn challenge(realm: impl Into<String>) -> Self {
        Self::of(Verdict::Challenge(Challenge {
            realm: realm.into(),
            algorithms: vec![DigestAlgorithm::Sha256],
            as_registrar: false,
            stale: false,
        }))
    }

    /// Answers 302 with these Contact URIs.
    pub fn redirect(contacts: impl IntoIterator<Item = String>) -> Self {
        Self::of(Verdict::Redirect(contacts.into_iter().collect()))
    }

    /// Says nothing at all to the peer.
    pub const fn silence() -> Self {
        Self::of(Verdict::Drop)
    }

    /// The reason, for the operator's log; never sent to a peer. Cut to
    /// [`Outcome::REASON_BYTES`] and made one line, so that it may quote a peer.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.raw.reason = one_line(reason.into(), Self::REASON_BYTES);
        self
    }

    /// The reason phrase of a rejection; without effect on other verdicts.
    pub fn phrase(mut self, phrase: impl Into<String>) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.phrase = phrase.into();
        }
        self
    }

    /// Seconds for the Retry-After of a rejection; without effect on other verdicts.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Verdict::Reject(rejection) = &mut self.raw.verdict {
            rejection.retry_after = seconds;
        }
        self
    }

    /// The algorithms of a challenge, best first; without effect on other verdicts.
    pub fn algorithms(mut self, algorithms: &[DigestAlgorithm]) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.algorithms = algorithms.to_vec();
        }
        self
    }

    /// Makes a challenge a 401 with WWW-Authenticate, as registrars send it;
    /// without effect on other verdicts.
    pub fn as_registrar(mut self, as_registrar: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.as_registrar = as_registrar;
        }
        self
    }

    /// Says in a challenge that only the nonce was wrong; without effect on
    /// other verdicts.
    pub fn stale(mut self, stale: bool) -> Self {
        if let Verdict::Challenge(challenge) = &mut self.raw.verdict {
            challenge.stale = stale;
        }
        self
    }

    /// Adds any effect.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.raw.effects.push(effect);
        self
    }

    /// Replaces a header, or adds it. Needs [`crate::Capability::EditHeaders`].
    pub fn set_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::SetHeader(HeaderValue { name, value }))
    }

    /// Adds a header line. Needs [`crate::Capability::EditHeaders`].
    pub fn add_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::AddHeader(HeaderValue { name, value }))
    }

    /// Removes every line of a header. Needs [`crate::Capability::EditHeaders`].
    pub fn remove_header(self, name: impl Into<String>) -> Self {
        self.effect(Effect::RemoveHeader(name.into()))
    }

    /// Leaves a note for later plugins and the log. The key may hold letters,
    /// digits, `-`, `_` and `.`; the value is one line.
    pub fn annotate(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.effect(Effect::Annotate(Annotation { key, value }))
    }

    /// Adds points to the score of the request; negative ones take away.
    pub fn score(self, amount: i32, reason: impl Into<String>) -> Self {
        self.effect(Effect::Score(Points {
            amount,
            reason: reason.into(),
        }))
    }

    /// Says who the caller is.
    pub fn identify(self, identity: impl Into<String>) -> Self {
        self.effect(Effect::Identify(identity.into()))
    }

    /// Ends the call after this many seconds.
    pub fn limit_duration(self, seconds: u32) -> Self {
        self.effect(Effect::LimitDuration(seconds))
    }

    /// Routes to a `[[trunk]]` or `[[pbx]]`. Needs [`crate::Capability::Route`].
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
    pub fn require_media(self, requirement: MediaRequirement) -> Self {
        self.effect(Effect::RequireMedia(requirement))
    }

    /// Tells the operator, whatever becomes of the request. Cut to
    /// [`Outcome::ALERT_BYTES`] and made one line, so that it may quote a peer.
    pub fn alert(self, severity: Severity, text: impl Into<String>) -> Self {
        let text = one_line(text.into(), Self::ALERT_BYTES);
        let key = String::new();
        self.effect(Effect::Alert(Alert {
            severity,
            key,
            text,
        }))
    }

    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.raw.verdict
    }

    /// The effects, in order.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.raw.effects
    }

    /// The reason for the operator.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.raw.reason
    }

    /// True if the policy has no objection.
    #[must_use]
    pub const fn is_next(&self) -> bool {
        matches!(self.raw.verdict, Verdict::Next)
    }

    /// True if the peer shall hear nothing.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(self.raw.verdict, Verdict::Drop)
    }

    /// The status of a rejection.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.raw.verdict {
            Verdict::Reject(rejection) => Some(rejection.status),
            _ => None,
        }
    }

    /// The challenge, if the verdict is one.
    #[must_use]
    pub const fn challenged(&self) -> Option<&Challenge> {
        match &self.raw.verdict {
            Verdict::Challenge(challenge) => Some(challenge),
            _ => None,
        }
    }

    /// The identity that the effects establish; the last one counts.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.raw
            .effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Identify(identity) => Some(identity.as_str()),
                _ => None,
            })
    }

    /// What the effects demand of the media: the strictest of them, and
    /// [`MediaRequirement::Any`] without one.
    #[must_use]
    pub fn media_requirement(&self) -> MediaRequirement {
        let strictness = |requirement: &MediaRequirement| match requirement {
            MediaRequirement::Any => 0,
            MediaRequirement::Encrypted => 1,
            MediaRequirement::EncryptedBoth => 2,
        };
        self.raw
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::RequireMedia(requirement) => Some(*requirement),
                _ => None,
            })
            .max_by_key(strictness)
            .unwrap_or(MediaRequirement::Any)
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
