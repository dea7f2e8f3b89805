//! What the host tells about an admitted call and what happens to it.

use std::net::{IpAddr, SocketAddr};

pub use crate::bindings::types::MediaFigures;
use crate::bindings::types::{self, CallFacts};
use crate::request::Text;
use crate::{Annotations, Uri};

/// A call that the whole pipeline admitted.
///
/// What the accessors return is free: it has crossed into the guest already.
///
/// ```
/// use sipward_plugin_sdk::{Call, clock};
/// /// Seconds that the caller heard the tone; 0 after the answer.
/// fn ringing(call: &Call<'_>) -> u64 {
///     match call.answered_ms() {
///         None => clock::now_ms().saturating_sub(call.started_ms()) / 1000,
///         Some(_) => 0,
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Call<'a> {
    facts: &'a CallFacts,
}

impl<'a> Call<'a> {
    pub(crate) const fn new(facts: &'a CallFacts) -> Self {
        Self { facts }
    }

    fn text(&self) -> Text<'a> {
        Text(&self.facts.text)
    }

    /// The call's number; unique while the host runs.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.facts.number
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// The Request-URI as it was received.
    #[must_use]
    pub fn request_uri(&self) -> Uri<'a> {
        Uri::parse_or_whole(self.text().at(self.facts.request_uri))
    }

    /// URI of From.
    #[must_use]
    pub fn from(&self) -> Uri<'a> {
        Uri::parse_or_whole(self.text().at(self.facts.from))
    }

    /// Source address of the INVITE.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        crate::source::from_raw(self.facts.source)
    }

    /// Identity that the pipeline established.
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that calls.
    #[must_use]
    pub fn caller(&self) -> Option<&'a str> {
        self.facts.caller.map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that answered; none before
    /// [`CallEvent::Answered`].
    #[must_use]
    pub fn callee(&self) -> Option<&'a str> {
        self.facts.callee.map(|span| self.text().utf8(span))
    }

    /// What the pipeline annotated, oldest first.
    #[must_use]
    pub fn annotations(&self) -> Annotations<'a> {
        Annotations::new(self.text().utf8(self.facts.annotations))
    }

    /// The newest annotation under a key.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations().newest(key)
    }

    /// The score with which the call was admitted.
    #[must_use]
    pub const fn score(&self) -> i32 {
        self.facts.score
    }

    /// When it was admitted, in milliseconds since 1970.
    #[must_use]
    pub const fn started_ms(&self) -> u64 {
        self.facts.started_ms
    }

    /// When it was answered, in milliseconds since 1970.
    #[must_use]
    pub const fn answered_ms(&self) -> Option<u64> {
        self.facts.answered_ms
    }
}

/// Something that happened to an admitted call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CallEvent<'a> {
    /// It was admitted by the whole pipeline.
    Started,
    /// A 2xx was forwarded.
    Answered,
    /// So many seconds have passed since the answer, as
    /// [`Outcome::tick_after`](crate::Outcome::tick_after) asked.
    Tick(u32),
    /// Media claimed to be a party's, came from somebody else and was dropped. Once
    /// for each stream and cause.
    ForeignMedia {
        /// Where it came from.
        source: SocketAddr,
        /// The stream, counted from 0.
        stream: u8,
        /// `source`, `ssrc`, `authentication`, `replay`, `size`, `rate`,
        /// `malformed` or `closed`; more may come.
        cause: &'a str,
    },
    /// It is over. Always the last event, and always one.
    Ended(CallEnd<'a>),
}

impl<'a> CallEvent<'a> {
    /// The spans of a raw event point into the text of the facts it came with.
    pub(crate) fn new(raw: &types::CallEvent, facts: &'a CallFacts) -> Self {
        let text = Text(&facts.text);
        match raw {
            types::CallEvent::Started => Self::Started,
            types::CallEvent::Answered => Self::Answered,
            types::CallEvent::Tick(seconds) => Self::Tick(*seconds),
            types::CallEvent::ForeignMedia(foreign) => Self::ForeignMedia {
                source: SocketAddr::new(crate::source::from_raw(foreign.source), foreign.port),
                stream: foreign.stream,
                cause: text.utf8(foreign.cause),
            },
            types::CallEvent::Ended(end) => Self::Ended(CallEnd {
                cause: text.utf8(end.cause),
                status: end.status,
                lasted_ms: end.lasted_ms,
                caller_media: end.caller_media,
                callee_media: end.callee_media,
            }),
        }
    }

    /// The name of what happened, as `wit/policy.wit` has it.
    ///
    /// ```
    /// use sipward_plugin_sdk::CallEvent;
    /// assert_eq!(CallEvent::Tick(60).name(), "tick");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Tick(_) => "tick",
            Self::ForeignMedia { .. } => "foreign-media",
            Self::Ended(_) => "ended",
        }
    }
}

/// How a call ended.
///
/// ```
/// use sipward_plugin_sdk::CallEnd;
/// /// Answered and gone within six seconds: as a machine calls.
/// fn is_short(end: &CallEnd<'_>) -> bool {
///     (1..6_000).contains(&end.lasted_ms)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallEnd<'a> {
    /// `bye`, `cancelled`, `refused`, `timed-out`, `caller-gone`, `duration-limit`,
    /// `age-limit`, `operator`, `policy`, `media-timeout`, `one-way-media`,
    /// `hold-timeout`, `media-failed` or `media-refused`; more may come.
    pub cause: &'a str,
    /// Status of the final response of a refused call; 0 otherwise.
    pub status: u16,
    /// Milliseconds from the answer to the end; 0 if it was never answered.
    pub lasted_ms: u64,
    /// What came from the caller; none if the host relayed no media.
    pub caller_media: Option<MediaFigures>,
    /// What came from the callee.
    pub callee_media: Option<MediaFigures>,
}

impl Default for MediaFigures {
    /// No packet came.
    fn default() -> Self {
        Self {
            packets: 0,
            octets: 0,
            lost: 0,
            rejected: 0,
            jitter_us: 0,
            mos_hundredths: None,
        }
    }
}
