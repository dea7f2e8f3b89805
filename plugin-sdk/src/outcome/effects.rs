//! What shall happen besides the verdict.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Outcome, one_line};
use crate::{Alert, Annotation, Effect, HeaderValue, MediaRequirement, Points, Severity};

impl Outcome {
    /// Adds any effect.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Effect, Outcome};
    /// let outcome = Outcome::next().effect(Effect::LimitDuration(60));
    /// assert_eq!(outcome, Outcome::next().limit_duration(60));
    /// ```
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.raw.effects.push(effect);
        self
    }

    /// Replaces a header, or adds it. Needs [`crate::Capability::EditHeaders`].
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_header("Privacy", "id");
    /// assert!(outcome.replaces_header("Privacy"));
    /// assert_eq!(outcome.header("Privacy"), [b"id"]);
    /// ```
    #[must_use]
    pub fn set_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::SetHeader(HeaderValue { name, value }))
    }

    /// Adds a header line. Needs [`crate::Capability::EditHeaders`].
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().add_header("X-Office", "Berlin");
    /// assert!(!outcome.replaces_header("X-Office"));
    /// assert_eq!(outcome.header("X-Office"), [b"Berlin"]);
    /// ```
    #[must_use]
    pub fn add_header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.effect(Effect::AddHeader(HeaderValue { name, value }))
    }

    /// Removes every line of a header. Needs [`crate::Capability::EditHeaders`].
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::next().remove_header("Alert-Info").replaces_header("Alert-Info"));
    /// ```
    #[must_use]
    pub fn remove_header(self, name: impl Into<String>) -> Self {
        self.effect(Effect::RemoveHeader(name.into()))
    }

    /// Leaves a note for later plugins and the log. The key may hold letters,
    /// digits, `-`, `_` and `.`; the value is one line.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().annotate("price", "2");
    /// assert_eq!(outcome.annotation("price"), Some("2"));
    /// ```
    #[must_use]
    pub fn annotate(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.effect(Effect::Annotate(Annotation { key, value }))
    }

    /// Adds points to the score of the request; negative ones take away.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().score(30, "from abroad").score(-10, "a known caller");
    /// assert_eq!(outcome.points(), 20);
    /// ```
    #[must_use]
    pub fn score(self, amount: i32, reason: impl Into<String>) -> Self {
        self.effect(Effect::Score(Points {
            amount,
            reason: reason.into(),
        }))
    }

    /// Says who the caller is.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().identify("alice").identity(), Some("alice"));
    /// ```
    #[must_use]
    pub fn identify(self, identity: impl Into<String>) -> Self {
        self.effect(Effect::Identify(identity.into()))
    }

    /// Ends the call after this many seconds, counted from the answer.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().limit_duration(600).limit_duration(60);
    /// assert_eq!(outcome.duration_limit(), Some(60));
    /// ```
    #[must_use]
    pub fn limit_duration(self, seconds: u32) -> Self {
        self.effect(Effect::LimitDuration(seconds))
    }

    /// Routes to a `[[trunk]]` or `[[pbx]]`. Needs [`crate::Capability::Route`].
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().route("carrier").routed_to(), Some("carrier"));
    /// ```
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
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Severity};
    /// let outcome = Outcome::reject(403).alert(Severity::Critical, "somebody dials +4990");
    /// assert_eq!(outcome.alerts().next().unwrap().severity, Severity::Critical);
    /// ```
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
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_request_uri("sip:+4930123@example.com");
    /// assert_eq!(outcome.request_uri(), Some("sip:+4930123@example.com"));
    /// ```
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
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_to("<sip:bob@example.com>");
    /// assert_eq!(outcome.shown_to(), Some("<sip:bob@example.com>"));
    /// ```
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
}
