//! What an outcome says, for tests of policies.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Alert, Challenge, Effect, MediaRequirement, Outcome, Verdict};

impl Outcome {
    /// The verdict.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Verdict};
    /// assert!(matches!(Outcome::reject(403).verdict(), Verdict::Reject(it) if it.status == 403));
    /// ```
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.raw.verdict
    }

    /// The effects, in order.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Effect, Outcome};
    /// let outcome = Outcome::next().identify("alice");
    /// assert_eq!(outcome.effects(), [Effect::Identify("alice".to_owned())]);
    /// ```
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.raw.effects
    }

    /// The reason for the operator.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().because("is at home").reason(), "is at home");
    /// ```
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.raw.reason
    }

    /// True if the policy has no objection.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::next().is_next() && !Outcome::reject(403).is_next());
    /// ```
    #[must_use]
    pub const fn is_next(&self) -> bool {
        matches!(self.raw.verdict, Verdict::Next)
    }

    /// True if the peer shall hear nothing.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::silence().is_silence() && !Outcome::reject(403).is_silence());
    /// ```
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(self.raw.verdict, Verdict::Drop)
    }

    /// The status of a rejection.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::reject(403).status(), Some(403));
    /// assert_eq!(Outcome::silence().status(), None);
    /// ```
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.raw.verdict {
            Verdict::Reject(rejection) => Some(rejection.status),
            _ => None,
        }
    }

    /// The challenge, if the verdict is one.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::challenge("example.com").challenged().is_some());
    /// assert!(Outcome::reject(407).challenged().is_none());
    /// ```
    #[must_use]
    pub const fn challenged(&self) -> Option<&Challenge> {
        match &self.raw.verdict {
            Verdict::Challenge(challenge) => Some(challenge),
            _ => None,
        }
    }

    /// The identity that the effects establish; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().identify("a").identify("b").identity(), Some("b"));
    /// ```
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
    ///
    /// ```
    /// use sipward_plugin_sdk::{MediaRequirement, Outcome};
    /// assert_eq!(Outcome::next().media_requirement(), MediaRequirement::Any);
    /// ```
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

    /// Seconds after the answer at which the policy wants to be called, in the order
    /// of the effects.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::next().tick_after(60).tick_after(30).ticks().eq([60, 30]));
    /// ```
    pub fn ticks(&self) -> impl Iterator<Item = u32> {
        self.effects().iter().filter_map(|effect| match effect {
            Effect::TickAfter(seconds) => Some(*seconds),
            _ => None,
        })
    }

    /// What the operator is told.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Outcome, Severity};
    /// let outcome = Outcome::next().alert(Severity::Info, "first call of the day");
    /// assert_eq!(outcome.alerts().count(), 1);
    /// ```
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.effects().iter().filter_map(|effect| match effect {
            Effect::Alert(alert) => Some(alert),
            _ => None,
        })
    }

    /// The Request-URI that the effects set; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().request_uri(), None);
    /// ```
    #[must_use]
    pub fn request_uri(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetRequestUri(uri) => Some(uri.as_str()),
            _ => None,
        })
    }

    /// The address that the effects show in From; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_from("<sip:100@example.com>");
    /// assert_eq!(outcome.shown_from(), Some("<sip:100@example.com>"));
    /// ```
    #[must_use]
    pub fn shown_from(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetFrom(address) => Some(address.as_str()),
            _ => None,
        })
    }

    /// The address that the effects show in To; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().shown_to(), None);
    /// ```
    #[must_use]
    pub fn shown_to(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetTo(address) => Some(address.as_str()),
            _ => None,
        })
    }

    /// What nothing written about the request may show.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert!(Outcome::next().conceal("7391").secrets().eq(["7391"]));
    /// ```
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.effects().iter().filter_map(|effect| match effect {
            Effect::Conceal(secret) => Some(secret.as_str()),
            _ => None,
        })
    }

    /// The lines of a header that the effects write into the request, by its name
    /// without regard to case: none if they do not touch it or remove it.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next()
    ///     .remove_header("P-Asserted-Identity")
    ///     .add_header("P-Asserted-Identity", "<sip:alice@example.com>");
    /// assert_eq!(outcome.header("p-asserted-identity"), [b"<sip:alice@example.com>"]);
    /// assert!(outcome.replaces_header("p-asserted-identity"));
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        let mut lines = Vec::new();
        for effect in self.effects() {
            match effect {
                Effect::SetHeader(header) if header.name.eq_ignore_ascii_case(name) => {
                    lines = vec![header.value.as_slice()];
                }
                Effect::AddHeader(header) if header.name.eq_ignore_ascii_case(name) => {
                    lines.push(header.value.as_slice());
                }
                Effect::RemoveHeader(removed) if removed.eq_ignore_ascii_case(name) => {
                    lines.clear();
                }
                _ => {}
            }
        }
        lines
    }

    /// Whether the effects take away the header's lines that the peer sent, by its
    /// name without regard to case: they remove it or set it anew.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().set_header("Privacy", "id").add_header("X-A", "1");
    /// assert!(outcome.replaces_header("privacy") && !outcome.replaces_header("x-a"));
    /// ```
    #[must_use]
    pub fn replaces_header(&self, name: &str) -> bool {
        self.effects().iter().any(|effect| match effect {
            Effect::RemoveHeader(other) => other.eq_ignore_ascii_case(name),
            Effect::SetHeader(header) => header.name.eq_ignore_ascii_case(name),
            _ => false,
        })
    }

    /// The value that the effects annotate under a key; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().annotate("price", "2").annotate("price", "3");
    /// assert_eq!(outcome.annotation("price"), Some("3"));
    /// ```
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::Annotate(annotation) if annotation.key == key => {
                Some(annotation.value.as_str())
            }
            _ => None,
        })
    }

    /// All points together; it stops at the ends of `i32`, as the host does.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// let outcome = Outcome::next().score(i32::MAX, "certain").score(1, "and more");
    /// assert_eq!(outcome.points(), i32::MAX);
    /// ```
    #[must_use]
    pub fn points(&self) -> i32 {
        self.effects().iter().fold(0, |total, effect| match effect {
            Effect::Score(points) => total.saturating_add(points.amount),
            _ => total,
        })
    }

    /// Seconds after the answer at which the effects end the call; the fewest count.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().duration_limit(), None);
    /// ```
    #[must_use]
    pub fn duration_limit(&self) -> Option<u32> {
        let limits = self.effects().iter().filter_map(|effect| match effect {
            Effect::LimitDuration(seconds) => Some(*seconds),
            _ => None,
        });
        limits.min()
    }

    /// The peer that the effects route to; the last one counts.
    ///
    /// ```
    /// use sipward_plugin_sdk::Outcome;
    /// assert_eq!(Outcome::next().route("a").route("b").routed_to(), Some("b"));
    /// ```
    #[must_use]
    pub fn routed_to(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::Route(peer) => Some(peer.as_str()),
            _ => None,
        })
    }

    /// What the newest effect of a kind says.
    fn last<'o, T>(&'o self, said: impl FnMut(&'o Effect) -> Option<T>) -> Option<T> {
        self.effects().iter().rev().find_map(said)
    }
}
