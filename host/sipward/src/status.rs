//! What the proxy is doing, in figures.

use policy::Decision;
use serde::Serialize;

pub use crate::media_figures::{MediaCounts, RejectedCounts, ShardMedia};

/// How requests were decided, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DecisionCounts {
    /// Forwarded.
    pub admit: u64,
    /// Answered with a refusal.
    pub reject: u64,
    /// Asked for credentials.
    pub challenge: u64,
    /// Sent elsewhere.
    pub redirect: u64,
    /// Not answered.
    pub drop: u64,
}

impl DecisionCounts {
    pub(crate) fn count(&mut self, decision: &Decision) {
        let field = match decision {
            Decision::Admit(_) => &mut self.admit,
            Decision::Refuse(_) => &mut self.reject,
            Decision::Challenge(_) => &mut self.challenge,
            Decision::Redirect(_) => &mut self.redirect,
            Decision::Drop(_) => &mut self.drop,
        };
        *field += 1;
    }
}

/// Figures of one shard. All counts are since the start; the others are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShardFigures {
    /// Configuration generation in use.
    pub generation: u64,
    /// Calls that were admitted and have not ended.
    pub calls: u64,
    /// Server transactions.
    pub server_transactions: u64,
    /// Client transactions.
    pub client_transactions: u64,
    /// Requests waiting for their policy.
    pub pending_consults: u64,
    /// Calls that were answered.
    pub calls_answered: u64,
    /// Calls that have ended.
    pub calls_ended: u64,
    /// Messages that could not be read.
    pub invalid_messages: u64,
    /// Calls of plugin hooks.
    pub plugin_calls: u64,
    /// Hooks that failed.
    pub plugin_failures: u64,
    /// Plugin instances kept.
    pub plugin_instances: u64,
    /// Plugin instances that a call had to wait for.
    pub plugin_instances_waited_for: u64,
    /// Decisions.
    pub decisions: DecisionCounts,
    /// Calls refused because their records would have found no room.
    pub refused_for_records: u64,
    /// Final responses that wait for records.
    pub held_responses: u64,
    /// Media.
    pub media: ShardMedia,
}

impl ShardFigures {
    /// The figures of several shards as one. The generation is the lowest: the
    /// reload is through when all have it.
    #[must_use]
    pub fn total(shards: &[Self]) -> Self {
        let mut total = Self {
            generation: u64::MAX,
            ..Self::default()
        };
        for shard in shards {
            total.generation = total.generation.min(shard.generation);
            total.calls += shard.calls;
            total.server_transactions += shard.server_transactions;
            total.client_transactions += shard.client_transactions;
            total.pending_consults += shard.pending_consults;
            total.calls_answered += shard.calls_answered;
            total.calls_ended += shard.calls_ended;
            total.invalid_messages += shard.invalid_messages;
            total.plugin_calls += shard.plugin_calls;
            total.plugin_failures += shard.plugin_failures;
            total.plugin_instances += shard.plugin_instances;
            total.plugin_instances_waited_for += shard.plugin_instances_waited_for;
            total.decisions.admit += shard.decisions.admit;
            total.decisions.reject += shard.decisions.reject;
            total.decisions.challenge += shard.decisions.challenge;
            total.decisions.redirect += shard.decisions.redirect;
            total.decisions.drop += shard.decisions.drop;
            total.refused_for_records += shard.refused_for_records;
            total.held_responses += shard.held_responses;
            total.media.sum(&shard.media);
        }
        total
    }
}
