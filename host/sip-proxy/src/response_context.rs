//! The response context: RFC 3261 section 16.7. One for each request that is being
//! forwarded; it holds the branches, the targets not yet tried, and the best response.

use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Message, Method};
use sip_transaction::{Destination, Flow, TransactionId};
use smallvec::SmallVec;

use crate::anchoring::{BothTerms, PassedBody};
use crate::authority::Authority;
use crate::best_response::BestResponse;
use crate::calls::DialogRef;
use crate::described::Described;
use crate::forwarding::Plan;
use crate::judging::Upstream;
use crate::output::CallId;
use crate::targets::{Choice, TargetSet};
use crate::timers::TimerKey;

/// What a request means for the call it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The first INVITE of a call.
    Begins(CallId),
    /// A BYE.
    Ends(DialogRef),
    /// Anything else within a dialog.
    Within(DialogRef),
    /// A request outside any call.
    Alone,
}

/// How far the cancelling of a branch is: section 9.1 and 16.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelling {
    /// Not wanted.
    No,
    /// Wanted, but no provisional response has come.
    Wanted,
    /// CANCEL has been sent.
    Sent,
}

/// How far a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing has come back.
    Calling,
    /// A provisional response has come.
    Proceeding,
    /// The final response has come, or nothing will.
    Finished,
}

/// A copy that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) choice: Choice,
    /// Max-Breadth to write, if one is to be written.
    pub(crate) max_breadth: Option<u32>,
    /// Its body, and the terms that the answer is read by.
    pub(crate) described: Described,
}

/// One forwarded copy of the request.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) client: TransactionId,
    pub(crate) destination: Destination,
    pub(crate) peer: Option<Arc<str>>,
    /// Terms that its answers are read by; none if the call is not anchored this way.
    pub(crate) terms: Option<BothTerms>,
    /// What to do if no connection comes about.
    pub(crate) by_udp: Option<Box<Start>>,
    /// As it was sent, to make a CANCEL from.
    pub(crate) sent: Bytes,
    pub(crate) progress: Progress,
    pub(crate) cancelling: Cancelling,
    /// Timer C ended it, rather than the caller or another branch.
    pub(crate) timed_out: bool,
    /// Timer C, or the wait after a CANCEL.
    pub(crate) timer: Option<TimerKey>,
}

impl Branch {
    /// A branch to which nothing has come back.
    pub(crate) fn new(
        client: TransactionId,
        choice: Choice,
        terms: Option<BothTerms>,
        by_udp: Option<Box<Start>>,
        sent: Bytes,
        timer: Option<TimerKey>,
    ) -> Self {
        Self {
            client,
            destination: choice.destination,
            peer: choice.peer,
            terms,
            by_udp,
            sent,
            progress: Progress::Calling,
            cancelling: Cancelling::No,
            timed_out: false,
            timer,
        }
    }
}

/// A request that is being forwarded, until its server transaction ends.
#[derive(Debug)]
pub(crate) struct ResponseContext {
    pub(crate) request: Arc<Message>,
    pub(crate) flow: Flow,
    pub(crate) authority: Authority,
    pub(crate) plan: Plan,
    pub(crate) purpose: Purpose,
    pub(crate) targets: TargetSet,
    pub(crate) branches: SmallVec<[Branch; 1]>,
    /// What the media room made of the body for the group of targets that is tried now.
    pub(crate) described: Option<PassedBody>,
    /// Tags of callees that were turned down after a 2xx; at most `dialogs_per_call`.
    pub(crate) dismissed: Vec<Box<[u8]>>,
    pub(crate) best: BestResponse,
    /// What waits to leave, where a policy judges responses.
    pub(crate) upstream: Option<Box<Upstream>>,
    /// Status of the final response that was sent; for several 2xx the first.
    pub(crate) final_sent: Option<u16>,
    /// The caller cancelled, or the host did on its behalf.
    pub(crate) cancelled: bool,
    /// The server transaction has ended, but a branch may still need its CANCEL.
    pub(crate) upstream_gone: bool,
    /// A session description was not let through to the targets tried last; once the final
    /// response is sent, that it says so.
    pub(crate) media_refused: bool,
    /// A branch could not be started for want of room in a table of ours.
    pub(crate) overloaded: bool,
}

impl ResponseContext {
    pub(crate) fn is_invite(&self) -> bool {
        self.request.method() == Method::Invite
    }

    /// Whether the media room was asked about a branch.
    pub(crate) fn is_anchored(&self) -> bool {
        self.branches.iter().any(|branch| branch.terms.is_some())
    }

    /// Whether the callee with this tag was turned down.
    pub(crate) fn is_dismissed(&self, tag: &[u8]) -> bool {
        self.dismissed.iter().any(|known| **known == *tag)
    }

    /// Whether a branch may still bring a final response.
    pub(crate) fn awaits_branches(&self) -> bool {
        self.branches
            .iter()
            .any(|branch| branch.progress != Progress::Finished)
    }

    /// Notes the final response of a branch. False if it had one already.
    pub(crate) fn finish(&mut self, index: usize) -> Option<&mut Branch> {
        let branch = self.branches.get_mut(index)?;
        if branch.progress == Progress::Finished {
            return None;
        }
        branch.progress = Progress::Finished;
        branch.sent = Bytes::new();
        branch.by_udp = None;
        Some(branch)
    }
}
