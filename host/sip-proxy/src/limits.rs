//! Ceilings of the proxy core's tables. Reaching one answers 503 with
//! Retry-After, or forgets the oldest entry where that is harmless.

use std::time::Duration;

/// Ceilings of one proxy core, that is of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Requests that await their policy. 4096: at 300 calls per second and the
    /// default deadline of two seconds all of them could be late at once, six
    /// times over. Config key `pending_consults`.
    pub pending_consults: usize,
    /// Requests that are being forwarded. 65,536: each outlives its final
    /// response by 32 s, and 300 calls per second make 600 requests.
    /// Config key `contexts`.
    pub contexts: usize,
    /// Calls that were admitted and have not ended. 50,000: about 2 kB each.
    /// Config key `calls`.
    pub calls: usize,
    /// Dialogs that one forked INVITE may create. 16: one for each target, and
    /// as many again from a forking proxy behind one. Config key
    /// `dialogs_per_call`.
    pub dialogs_per_call: usize,
    /// Targets of one request; further ones are not tried. 16: more than an
    /// operator lists for one peer. Config key `targets_per_request`.
    pub targets_per_request: usize,
    /// Routes kept for one side of a call, so that the proxy can send a BYE
    /// itself. 16: each is a proxy on the way. Config key `routes_per_leg`.
    pub routes_per_leg: usize,
    /// Challenges gathered from the targets of one request. 16: one for each
    /// target. Config key `challenges_per_response`.
    pub challenges_per_response: usize,
    /// Responses of one transaction that wait, in order, for a policy to answer about
    /// the first of them. 16: a callee that rings sends one or two; beyond it
    /// provisional and repeated responses are dropped. Config key `held_responses`.
    pub held_responses: usize,
    /// Dropped requests whose retransmissions are remembered. 10,000: beyond it
    /// the oldest is forgotten and, if it comes again, judged again. Config key
    /// `silenced`.
    pub silenced: usize,
    /// Sum of branches that one request may cause, here and downstream, when it
    /// brings no Max-Breadth. 60: RFC 5393 section 5.3.3.1. Config key
    /// `max_breadth`.
    pub max_breadth: u32,
    /// Hops of a request that brings no Max-Forwards. 70: RFC 3261 section 16.6
    /// step 3. Config key `max_forwards`.
    pub max_forwards: u32,
    /// Age at which a call is ended whatever a policy said. 12 h: longer than
    /// any conversation, short enough that a lost BYE does not hold a lease for
    /// days. Config key `call_age_s`.
    pub call_age: Duration,
    /// Seconds written into Retry-After when a table is full or while draining.
    /// 5: long enough to be felt, short enough for a caller to try again.
    /// Config key `retry_after_s`.
    pub retry_after_seconds: u32,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            pending_consults: 4096,
            contexts: 65_536,
            calls: 50_000,
            dialogs_per_call: 16,
            targets_per_request: 16,
            routes_per_leg: 16,
            challenges_per_response: 16,
            held_responses: 16,
            silenced: 10_000,
            max_breadth: 60,
            max_forwards: 70,
            call_age: Duration::from_secs(12 * 3600),
            retry_after_seconds: 5,
        }
    }
}

/// Bytes of a request from which on UDP would cut it into fragments: RFC 3261 section
/// 18.1.1 has 1,300 where the path's MTU is not known.
pub(crate) const LARGE_REQUEST_BYTES: usize = 1_300;

/// Listeners of earlier configs that are still recognised as ours. 64: a few reloads that
/// move every listener; calls that are older still end by their age limit.
pub(crate) const RETIRED_LISTENERS: usize = 64;
