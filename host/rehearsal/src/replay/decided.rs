//! What is told of each decision. Nothing in it depends on the machine, so that the same
//! capture and policy give the same bytes.

use serde::Serialize;
use sip_proxy::EndReason;

use super::calls::Call;

/// One request and what the policy decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Which message of the capture it is, counted from 1.
    pub message: u64,
    /// The capture's time, in milliseconds since 1970.
    pub at_ms: u64,
    /// Call-ID.
    pub call_id: String,
    /// Number of its CSeq.
    pub cseq: u32,
    /// Method.
    pub method: String,
    /// Address and port that it came from.
    pub source: String,
    /// The transport that it came by.
    pub transport: &'static str,
    /// Name of the peer that sent it.
    pub peer: Option<String>,
    /// `inside` or `outside`.
    pub zone: &'static str,
    /// URI of From.
    pub from: String,
    /// Request-URI.
    pub request_uri: String,
    /// The country of the number that it is for, or `other`.
    pub destination: String,
    /// `none`, `early` or `confirmed`.
    pub dialog: &'static str,
    /// An INVITE that is no part of a call yet.
    pub begins_call: bool,
    /// The pipeline that judged it.
    pub pipeline: String,
    /// `admit`, `reject`, `challenge`, `redirect` or `drop`.
    pub verdict: &'static str,
    /// The status that it would have been answered with.
    pub status: Option<u16>,
    /// The plugin that ended the pipeline.
    pub plugin: Option<String>,
    /// Why.
    pub reason: String,
    /// Who the caller is, if a plugin said so.
    pub identity: Option<String>,
    /// The score of the pipeline.
    pub score: i32,
    /// What became of the call that it began.
    pub call: Option<CallTold>,
}

/// What became of a call: what the capture shows, and what the policy made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallTold {
    /// When it was answered.
    pub answered_ms: Option<u64>,
    /// Milliseconds from the answer to the end.
    pub talked_ms: u64,
    /// How it ended; `open` if the capture does not show it.
    pub end: &'static str,
    /// The final status of a call that was not answered.
    pub status: Option<u16>,
}

impl CallTold {
    pub(super) fn open(call: &Call, talked_ms: u64) -> Self {
        Self {
            answered_ms: call.answered_ms,
            talked_ms,
            end: "open",
            status: None,
        }
    }

    pub(super) fn ended(call: &Call, talked_ms: u64, reason: EndReason) -> Self {
        Self {
            answered_ms: call.answered_ms,
            talked_ms,
            end: reason.name(),
            status: match reason {
                EndReason::Refused { status } => Some(status),
                _ => None,
            },
        }
    }
}

/// How many there were of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayFigures {
    /// Requests that were judged.
    pub judged: u64,
    /// Of those, admitted ones.
    pub admitted: u64,
    /// Refused with a status.
    pub rejected: u64,
    /// Asked for credentials.
    pub challenged: u64,
    /// Sent elsewhere.
    pub redirected: u64,
    /// Not answered.
    pub dropped: u64,
    /// Messages that were there before: retransmissions, and copies that a proxy sent on.
    pub repeated: u64,
    /// Requests of calls that the policy did not let in, or that began before the capture.
    pub of_no_call: u64,
    /// Responses that plugins saw.
    pub responses_judged: u64,
    /// Responses that a plugin replaced.
    pub responses_replaced: u64,
    /// Alerts that were raised.
    pub alerts: u64,
    /// Messages for which a table had no room; the report is short of them.
    pub left_out: u64,
}

impl ReplayFigures {
    pub(super) fn count(&mut self, decided: &Decided, alerts: usize) {
        self.judged += 1;
        self.alerts += alerts as u64;
        let counter = match decided.verdict {
            "admit" => &mut self.admitted,
            "challenge" => &mut self.challenged,
            "redirect" => &mut self.redirected,
            "drop" => &mut self.dropped,
            _ => &mut self.rejected,
        };
        *counter += 1;
    }
}
