//! What the host tells about an admitted call and what happens to it.

use core::net::{IpAddr, SocketAddr};

/// What came from one party of a call, all its streams together.
///
/// ```
/// use sipward_plugin_sdk::MediaFigures;
/// fn lost_percent(figures: &MediaFigures) -> u64 {
///     figures.lost * 100 / (figures.packets + figures.lost).max(1)
/// }
/// let figures = MediaFigures { packets: 98, lost: 2, ..MediaFigures::default() };
/// assert_eq!(lost_percent(&figures), 2);
/// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// assert_eq!(invite.seen_as_call(&Outcome::next(), |call| call.number()), 1);
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.facts.number
    }

    /// Call-ID.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com").call_id("7@phone");
    /// invite.seen_as_call(&Outcome::next(), |call| assert_eq!(call.call_id(), b"7@phone"));
    /// ```
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// The Request-URI as it was received.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// invite.seen_as_call(&Outcome::next(), |call| {
    ///     assert_eq!(call.request_uri().user(), Some(&b"bob"[..]));
    /// });
    /// ```
    #[must_use]
    pub fn request_uri(&self) -> Uri<'a> {
        Uri::parse_or_whole(self.text().at(self.facts.request_uri))
    }

    /// URI of From.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com").from_uri("sip:alice@example.org");
    /// invite.seen_as_call(&Outcome::next(), |call| assert_eq!(call.from().host(), b"example.org"));
    /// ```
    #[must_use]
    pub fn from(&self) -> Uri<'a> {
        Uri::parse_or_whole(self.text().at(self.facts.from))
    }

    /// Source address of the INVITE.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com").from_address("192.0.2.7");
    /// invite.seen_as_call(&Outcome::next(), |call| assert!(call.source().is_ipv4()));
    /// ```
    #[must_use]
    pub fn source(&self) -> IpAddr {
        crate::source::from_raw(self.facts.source)
    }

    /// Identity that the pipeline established.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// invite.seen_as_call(&Outcome::next().identify("alice"), |call| {
    ///     assert_eq!(call.identity(), Some("alice"));
    /// });
    /// ```
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that calls.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com").peer_name("office");
    /// invite.seen_as_call(&Outcome::next(), |call| assert_eq!(call.caller(), Some("office")));
    /// ```
    #[must_use]
    pub fn caller(&self) -> Option<&'a str> {
        self.facts.caller.map(|span| self.text().utf8(span))
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that answered; none before
    /// [`CallEvent::Answered`].
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// invite.seen_as_call(&Outcome::next(), |call| assert_eq!(call.callee(), None));
    /// ```
    #[must_use]
    pub fn callee(&self) -> Option<&'a str> {
        self.facts.callee.map(|span| self.text().utf8(span))
    }

    /// What the pipeline annotated, oldest first.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// invite.seen_as_call(&Outcome::next().annotate("price", "2"), |call| {
    ///     assert!(call.annotations().eq([("price", "2")]));
    /// });
    /// ```
    #[must_use]
    pub fn annotations(&self) -> Annotations<'a> {
        Annotations::new(self.text().utf8(self.facts.annotations))
    }

    /// The newest annotation under a key.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// invite.seen_as_call(&Outcome::next().annotate("price", "2"), |call| {
    ///     assert_eq!(call.annotation("price"), Some("2"));
    /// });
    /// ```
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations().newest(key)
    }

    /// The score with which the call was admitted.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com").score(10);
    /// let outcome = Outcome::next().score(5, "from abroad");
    /// assert_eq!(invite.seen_as_call(&outcome, |call| call.score()), 15);
    /// ```
    #[must_use]
    pub const fn score(&self) -> i32 {
        self.facts.score
    }

    /// When it was admitted, in milliseconds since 1970.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// assert_eq!(invite.seen_as_call(&Outcome::next(), |call| call.started_ms()), 0);
    /// ```
    #[must_use]
    pub const fn started_ms(&self) -> u64 {
        self.facts.started_ms
    }

    /// When it was answered, in milliseconds since 1970.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Outcome, testing::Request};
    /// let invite = Request::invite("sip:bob@example.com");
    /// assert_eq!(invite.seen_as_call(&Outcome::next(), |call| call.answered_ms()), None);
    /// ```
    #[must_use]
    pub const fn answered_ms(&self) -> Option<u64> {
        self.facts.answered_ms
    }
}

/// Something that happened to an admitted call.
///
/// ```
/// use sipward_plugin_sdk::{CallEvent, Outcome};
///
/// fn answer(event: &CallEvent<'_>) -> Outcome {
///     match event {
///         CallEvent::Answered => Outcome::next().tick_after(3_600),
///         CallEvent::Tick(_) => Outcome::reject(480).because("talks for an hour"),
///         _ => Outcome::next(),
///     }
/// }
///
/// assert_eq!(answer(&CallEvent::Tick(3_600)).status(), Some(480));
/// ```
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
