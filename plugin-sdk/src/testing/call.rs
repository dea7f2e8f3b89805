//! A call that the virtual host follows from its admission to its end.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::bindings::types;
use crate::testing::Harness;
use crate::testing::facts::Arena;
use crate::{MediaFigures, Outcome, Policy, Verdict};

/// An admitted call: made by [`Harness::begin`], moved on by its methods.
///
/// A policy that answers an event with a rejection ends the call: the event
/// [`Happened::Ended`] with the cause `policy` follows at once, as in the host. A call
/// that is over takes no further events.
///
/// ```
/// # use sipward_plugin_sdk::prelude::*;
/// # struct OneMinute;
/// # #[policy]
/// # impl Policy for OneMinute {
/// #     type Settings = ();
/// #     fn configure(_: ()) -> Result<Self, SettingsError> { Ok(Self) }
/// #     fn on_call_event(&self, _: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
/// #         match event {
/// #             CallEvent::Started => Outcome::next().tick_after(60),
/// #             CallEvent::Tick(_) => Outcome::reject(480).because("one minute"),
/// #             _ => Outcome::next(),
/// #         }
/// #     }
/// # }
/// # fn main() {
/// use std::time::Duration;
/// use sipward_plugin_sdk::testing::{Harness, Request, json};
///
/// let harness = Harness::<OneMinute>::new(json!(null));
/// let (outcome, call) = harness.begin(&Request::invite("sip:bob@example.com"));
/// assert!(outcome.is_next());
/// let call = call.unwrap();
/// call.answered_by("carrier");
/// assert!(call.advance(Duration::from_secs(59)).is_empty());
/// let heard = call.advance(Duration::from_secs(1));
/// assert_eq!(heard[0].reason(), "one minute");
/// assert!(call.is_over());
/// # }
/// ```
pub struct CallHandle<'h, P> {
    pub(super) harness: &'h Harness<P>,
    pub(super) number: u64,
}

impl<P: Policy> CallHandle<'_, P> {
    /// The call's number.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// assert_eq!(call.number(), 1);
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// A 2xx is forwarded: time that counts from the answer begins.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// assert!(call.answered().is_next());
    /// ```
    ///
    /// # Panics
    /// If the call is over or was answered before.
    pub fn answered(&self) -> Outcome {
        self.harness.answer_call(self.number, None)
    }

    /// The same, and the name of the `[[pbx]]` or `[[trunk]]` that answered.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// assert!(call.answered_by("carrier").is_next());
    /// ```
    ///
    /// # Panics
    /// As [`CallHandle::answered`].
    pub fn answered_by(&self, peer: &str) -> Outcome {
        self.harness.answer_call(self.number, Some(peer))
    }

    /// Lets time pass, as [`Harness::advance`] does for all calls, and gives what the
    /// policy said to the events of this one, in order.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// // This policy asked for no tick.
    /// assert!(call.advance(std::time::Duration::from_secs(3_600)).is_empty());
    /// ```
    pub fn advance(&self, by: Duration) -> Vec<Outcome> {
        let steps = self.harness.advance(by).into_iter();
        let own = steps.filter(|step| step.call == self.number);
        own.map(|step| step.outcome).collect()
    }

    /// Media came from somebody else on the first stream.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Happened, Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// call.foreign_media("198.51.100.1:4000", "source");
    /// assert_eq!(call.steps()[1].event, Happened::ForeignMedia("source".to_owned()));
    /// ```
    ///
    /// # Panics
    /// If the call is over, or `source` is no address with a port.
    pub fn foreign_media(&self, source: &str, cause: &str) -> Outcome {
        let Ok(source) = source.parse() else {
            panic!("`{source}` is no address with a port, as 192.0.2.1:4000");
        };
        let cause = cause.to_owned();
        self.harness.tell(
            self.number,
            &Event::ForeignMedia {
                source,
                stream: 0,
                cause,
            },
        )
    }

    /// The call ends: `"bye"`, or an [`End`] with more to say. What it held is given
    /// back before the policy hears of it, and nothing can be held any more.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{End, Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// call.ended(End::refused(486));
    /// assert!(call.is_over());
    /// ```
    ///
    /// # Panics
    /// If the call is over.
    pub fn ended(&self, end: impl Into<End>) -> Outcome {
        self.harness.tell(self.number, &Event::Ended(end.into()))
    }

    /// Whether the call is over, by whomever.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// assert!(!call.is_over());
    /// call.ended("bye");
    /// assert!(call.is_over());
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.harness.follows(self.number)
    }

    /// What happened to the call so far, and what the policy said to it, from
    /// [`Happened::Started`] on.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Happened, Harness, Passing, Request, json};
    /// # let harness = Harness::<Passing>::new(json!(null));
    /// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
    /// call.answered();
    /// let events: Vec<_> = call.steps().into_iter().map(|step| step.event).collect();
    /// assert_eq!(events, [Happened::Started, Happened::Answered]);
    /// ```
    #[must_use]
    pub fn steps(&self) -> Vec<CallStep> {
        self.harness.steps_of(self.number)
    }
}

/// One event of a call and the policy's answer.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
/// # let harness = Harness::<Passing>::new(json!(null));
/// harness.set_now_ms(5_000);
/// let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
/// let step = &call.steps()[0];
/// assert!(step.call == 1 && step.at_ms == 5_000 && step.outcome.is_next());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CallStep {
    /// The call's number.
    pub call: u64,
    /// When it was, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened.
    pub event: Happened,
    /// What the policy said.
    pub outcome: Outcome,
}

/// What happened to a call.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Happened, Harness, Passing, Request, json};
/// # let harness = Harness::<Passing>::new(json!(null));
/// # let call = harness.begin(&Request::invite("sip:bob@example.com")).1.unwrap();
/// call.ended("bye");
/// assert_eq!(call.steps()[1].event, Happened::Ended("bye".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It was admitted.
    Started,
    /// It was answered.
    Answered,
    /// So many seconds have passed since the answer.
    Tick(u32),
    /// Media came from somebody else, for this cause.
    ForeignMedia(String),
    /// It is over, for this cause.
    Ended(String),
}

/// How a call ends in a test.
///
/// ```
/// use sipward_plugin_sdk::testing::End;
/// assert_eq!(End::from("media-timeout"), End::new("media-timeout"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    cause: String,
    status: u16,
    caller_media: Option<MediaFigures>,
    callee_media: Option<MediaFigures>,
}

impl End {
    /// An end for this cause, without media figures.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::End;
    /// let timeout = End::new("media-timeout");
    /// # let _ = timeout;
    /// ```
    #[must_use]
    pub fn new(cause: &str) -> Self {
        Self {
            cause: cause.to_owned(),
            status: 0,
            caller_media: None,
            callee_media: None,
        }
    }

    /// The call was refused with this final response.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::End;
    /// let busy = End::refused(486);
    /// # let _ = busy;
    /// ```
    #[must_use]
    pub fn refused(status: u16) -> Self {
        Self {
            status,
            ..Self::new("refused")
        }
    }

    /// The same with what came from the caller.
    ///
    /// ```
    /// use sipward_plugin_sdk::{MediaFigures, testing::End};
    /// let heard = MediaFigures { packets: 500, octets: 86_000, ..MediaFigures::default() };
    /// let end = End::new("bye").caller_media(heard);
    /// # let _ = end;
    /// ```
    #[must_use]
    pub fn caller_media(self, figures: MediaFigures) -> Self {
        Self {
            caller_media: Some(figures),
            ..self
        }
    }

    /// The same with what came from the callee.
    ///
    /// ```
    /// use sipward_plugin_sdk::{MediaFigures, testing::End};
    /// // One-way audio: nothing came from the callee.
    /// let end = End::new("one-way-media").callee_media(MediaFigures::default());
    /// # let _ = end;
    /// ```
    #[must_use]
    pub fn callee_media(self, figures: MediaFigures) -> Self {
        Self {
            callee_media: Some(figures),
            ..self
        }
    }
}

impl From<&str> for End {
    fn from(cause: &str) -> Self {
        Self::new(cause)
    }
}

/// An event before it is put into a host's words.
pub(super) enum Event {
    Started,
    Answered,
    Tick(u32),
    ForeignMedia {
        source: SocketAddr,
        stream: u8,
        cause: String,
    },
    Ended(End),
}

impl Event {
    pub(super) fn happened(&self) -> Happened {
        match self {
            Self::Started => Happened::Started,
            Self::Answered => Happened::Answered,
            Self::Tick(seconds) => Happened::Tick(*seconds),
            Self::ForeignMedia { cause, .. } => Happened::ForeignMedia(cause.clone()),
            Self::Ended(end) => Happened::Ended(end.cause.clone()),
        }
    }
}

/// A call that is not over.
pub(super) struct OpenCall {
    pub(super) number: u64,
    pub(super) call_id: String,
    pub(super) request_uri: String,
    pub(super) from: String,
    pub(super) source: IpAddr,
    pub(super) identity: Option<String>,
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    pub(super) annotations: String,
    pub(super) score: i32,
    pub(super) started_ms: u64,
    pub(super) answered_ms: Option<u64>,
    /// Seconds after the answer at which the policy wants to be called.
    pub(super) ticks: BTreeSet<u32>,
    /// Seconds after the answer at which the call ends.
    pub(super) limit: Option<u32>,
}

impl OpenCall {
    /// The next thing that time alone brings, and when.
    pub(super) fn due(&self) -> Option<(u64, Event)> {
        let answered_ms = self.answered_ms?;
        let at = |seconds: u32| answered_ms.saturating_add(u64::from(seconds) * 1000);
        let tick = self.ticks.first().copied();
        match (tick, self.limit) {
            // A tick at the very end is still heard.
            (Some(tick), limit) if limit.is_none_or(|limit| tick <= limit) => {
                Some((at(tick), Event::Tick(tick)))
            }
            (_, Some(limit)) => Some((at(limit), Event::Ended(End::new("duration-limit")))),
            (_, None) => None,
        }
    }

    /// Takes what the policy said; gives the cause for which the call ends now.
    ///
    /// # Panics
    /// If a tick is asked for at a time that has passed: the host would not give it.
    pub(super) fn obey(&mut self, outcome: &Outcome, now_ms: u64) -> Option<&'static str> {
        let passed = |seconds: u32| {
            let is_past = self.lasted_ms(now_ms) >= u64::from(seconds) * 1000;
            self.answered_ms.is_some() && is_past
        };
        if let Some(late) = outcome.ticks().find(|seconds| passed(*seconds)) {
            panic!("a tick {late} seconds after the answer, which have passed already");
        }
        let limit = self.limit.into_iter().chain(outcome.duration_limit()).min();
        let is_out_of_time = limit.is_some_and(passed);
        self.limit = limit;
        self.ticks.extend(outcome.ticks());
        match outcome.verdict() {
            Verdict::Reject(_) => Some("policy"),
            _ => is_out_of_time.then_some("duration-limit"),
        }
    }

    /// Milliseconds since the answer; 0 before it.
    pub(super) fn lasted_ms(&self, now_ms: u64) -> u64 {
        let answered = self.answered_ms.unwrap_or(now_ms);
        now_ms.saturating_sub(answered)
    }

    /// The facts and the event as a host hands them over.
    pub(super) fn build(&self, event: &Event, now_ms: u64) -> (types::CallFacts, types::CallEvent) {
        let mut arena = Arena::default();
        let mut put = |text: &str| arena.put(text.as_bytes());
        let raw_event = match event {
            Event::Started => types::CallEvent::Started,
            Event::Answered => types::CallEvent::Answered,
            Event::Tick(seconds) => types::CallEvent::Tick(*seconds),
            Event::ForeignMedia {
                source,
                stream,
                cause,
            } => types::CallEvent::ForeignMedia(types::ForeignMedia {
                source: crate::source::to_raw(source.ip()),
                port: source.port(),
                stream: *stream,
                cause: put(cause),
            }),
            Event::Ended(end) => types::CallEvent::Ended(types::CallEnd {
                cause: put(&end.cause),
                status: end.status,
                lasted_ms: self.lasted_ms(now_ms),
                caller_media: end.caller_media,
                callee_media: end.callee_media,
            }),
        };
        let facts = types::CallFacts {
            number: self.number,
            call_id: put(&self.call_id),
            request_uri: put(&self.request_uri),
            from: put(&self.from),
            source: crate::source::to_raw(self.source),
            identity: self.identity.as_deref().map(&mut put),
            caller: self.caller.as_deref().map(&mut put),
            callee: self.callee.as_deref().map(&mut put),
            annotations: put(&self.annotations),
            score: self.score,
            started_ms: self.started_ms,
            answered_ms: self.answered_ms,
            text: arena.0,
        };
        (facts, raw_event)
    }
}
