//! What an outcome says, for tests of policies.

use crate::{Alert, Challenge, Effect, MediaRequirement, Outcome, Verdict};

impl Outcome {
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

    /// Seconds after the answer at which the policy wants to be called, in the order
    /// of the effects.
    pub fn ticks(&self) -> impl Iterator<Item = u32> {
        self.effects().iter().filter_map(|effect| match effect {
            Effect::TickAfter(seconds) => Some(*seconds),
            _ => None,
        })
    }

    /// What the operator is told.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.effects().iter().filter_map(|effect| match effect {
            Effect::Alert(alert) => Some(alert),
            _ => None,
        })
    }

    /// The Request-URI that the effects set; the last one counts.
    #[must_use]
    pub fn request_uri(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetRequestUri(uri) => Some(uri.as_str()),
            _ => None,
        })
    }

    /// The address that the effects show in From; the last one counts.
    #[must_use]
    pub fn shown_from(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetFrom(address) => Some(address.as_str()),
            _ => None,
        })
    }

    /// The address that the effects show in To; the last one counts.
    #[must_use]
    pub fn shown_to(&self) -> Option<&str> {
        self.last(|effect| match effect {
            Effect::SetTo(address) => Some(address.as_str()),
            _ => None,
        })
    }

    /// What nothing written about the request may show.
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
    #[must_use]
    pub fn replaces_header(&self, name: &str) -> bool {
        self.effects().iter().any(|effect| match effect {
            Effect::RemoveHeader(other) => other.eq_ignore_ascii_case(name),
            Effect::SetHeader(header) => header.name.eq_ignore_ascii_case(name),
            _ => false,
        })
    }

    /// The value that the effects annotate under a key; the last one counts.
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
    #[must_use]
    pub fn points(&self) -> i32 {
        self.effects().iter().fold(0, |total, effect| match effect {
            Effect::Score(points) => total.saturating_add(points.amount),
            _ => total,
        })
    }

    /// Seconds after the answer at which the effects end the call; the fewest count.
    #[must_use]
    pub fn duration_limit(&self) -> Option<u32> {
        let limits = self.effects().iter().filter_map(|effect| match effect {
            Effect::LimitDuration(seconds) => Some(*seconds),
            _ => None,
        });
        limits.min()
    }

    /// The peer that the effects route to; the last one counts.
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
