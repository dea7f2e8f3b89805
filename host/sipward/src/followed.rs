//! Calls that policies follow: what they are told about them, and when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::{SessionFigures, SessionId, Side};
use policy::{CallFacts, CallHappening, PartyMedia};
use policy_wasm::Generation;
use sip_proxy::{CallEvent, CallId, EndReason};

use crate::records::Finished;

/// The calls of one shard whose pipeline had a plugin with a call hook when they began.
/// Bounded by the limit of calls; an ended call stays until its media session is closed.
#[derive(Default)]
pub(crate) struct Followed {
    calls: HashMap<CallId, CallFacts, FixedState>,
}

impl Followed {
    /// A call has begun. False if no plugin wants to follow it.
    pub(crate) fn begin(
        &mut self,
        event: &CallEvent,
        policy: &Generation,
        shard: usize,
        now_ms: u64,
    ) -> bool {
        let CallEvent::Started {
            call,
            call_id,
            caller,
            source,
            pass,
            request,
            ..
        } = event
        else {
            return false;
        };
        if !policy.follows_calls(pass) {
            return false;
        }
        let shard = u16::try_from(shard).unwrap_or(u16::MAX);
        let facts = CallFacts {
            number: SessionId::new(shard, call.as_u64()).0,
            pass: pass.clone(),
            call_id: Bytes::copy_from_slice(call_id),
            request_uri: Bytes::copy_from_slice(request.request_uri().raw),
            from: Bytes::copy_from_slice(request.from().uri.raw),
            source: source.ip().to_canonical(),
            caller: caller.clone(),
            callee: None,
            started_ms: now_ms,
            answered_ms: None,
        };
        self.calls.insert(*call, facts);
        true
    }

    /// It was answered. False if nobody follows it.
    pub(crate) fn answer(&mut self, call: CallId, callee: Option<&Arc<str>>, now_ms: u64) -> bool {
        let Some(facts) = self.calls.get_mut(&call) else {
            return false;
        };
        facts.callee = callee.cloned();
        facts.answered_ms = Some(now_ms);
        true
    }

    /// What is known of a call that is followed.
    pub(crate) fn facts(&self, call: CallId) -> Option<&CallFacts> {
        self.calls.get(&call)
    }

    /// All is known of a call that has ended; it is forgotten.
    pub(crate) fn finish(&mut self, finished: &Finished) -> Option<(CallFacts, CallHappening)> {
        let facts = self.calls.remove(&finished.call)?;
        let lasted = finished.lasted.unwrap_or(Duration::ZERO);
        let figures = finished.figures.as_deref();
        let ended = CallHappening::Ended {
            cause: finished.reason.name(),
            status: match finished.reason {
                EndReason::Refused { status } => status,
                _ => 0,
            },
            lasted_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            caller_media: figures.map(|figures| party(figures, Side::Caller)),
            callee_media: figures.map(|figures| party(figures, Side::Callee)),
        };
        Some((facts, ended))
    }

    /// The proxy stops: the calls that are left, each once.
    pub(crate) fn calls(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }
}

/// All streams of one party together; of jitter and score the worst.
fn party(figures: &SessionFigures, side: Side) -> PartyMedia {
    let mut sum = PartyMedia::default();
    for stream in figures.streams.iter().filter(|stream| stream.side == side) {
        sum.packets = sum.packets.saturating_add(stream.packets);
        sum.octets = sum.octets.saturating_add(stream.octets);
        sum.lost = sum.lost.saturating_add(stream.lost);
        sum.rejected = sum.rejected.saturating_add(stream.rejected.total());
        sum.jitter_us = sum.jitter_us.max(stream.jitter_us);
        sum.mos_hundredths = match (sum.mos_hundredths, stream.mos_hundredths) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    sum
}
