//! What `sipward status` shows.

use std::sync::Arc;

use serde_json::json;

use super::{Control, leases, lookups, plugins};
use crate::admin::Answer;
use crate::media_figures::{LiveSession, MediaCounts};
use crate::status::ShardFigures;

/// Live sessions that the text shows; a screen or two.
const SESSIONS_IN_TEXT: usize = 20;
/// Live sessions that the JSON has. Each has about a kilobyte a stream, so that the
/// answer stays below the admin socket's 8 MiB.
const SESSIONS_IN_JSON: usize = 1_000;

impl Control {
    pub(super) fn status(&self) -> Answer {
        let shards = self.figures();
        let total = ShardFigures::total(&shards);
        let state = self.state.figures();
        let transport = self.shared.figures();
        let media = self.live_media();
        let book = self.lookups.current();
        let mut message = self.counted(&total);
        message.push_str(&self.told(&total));
        if let Some(media) = &media {
            message.push_str(&media.text(&total));
        }
        message.push_str(&plugins::text(&self.shelf));
        message.push_str(&self.candidates_text());
        message.push_str(&leases::text(self.state.leases()));
        message.push_str(&lookups::text(&book));
        let data = json!({
            "uptime_seconds": self.started.elapsed().as_secs(),
            "draining": self.draining.is_some(),
            "workers": shards.len(),
            "total": total,
            "shards": shards,
            "work_lost": self.shards.lost(),
            "accounts": self.accounts.figures(self.services.clock.now_ms()),
            "state": format!("{state:?}"),
            "transport": format!("{transport:?}"),
            "last_reload": self.last_reload,
            "records": self.archive.record_figures(),
            "alerts": self.archive.alert_figures(),
            "media": media.map(|media| media.json(&total)),
            "plugins": plugins::json(&self.shelf),
            "versions": self.candidates_json(),
            "leases": leases::json(self.state.leases()),
            "lookups": lookups::json(&book),
        });
        Answer {
            ok: true,
            message,
            data,
        }
    }

    /// Calls, decisions and messages.
    fn counted(&self, total: &ShardFigures) -> String {
        format!(
            "up {} s{}, generation {}, {} workers\n\
             calls: {} now, {} answered, {} ended\n\
             transactions: {} server, {} client, {} waiting for a policy\n\
             decisions: {} admit, {} reject, {} challenge, {} redirect, {} drop\n\
             plugins: {} calls, {} failures, {} instances ready, {} made while a call waited\n\
             messages: {} invalid, {} lost in full queues\n\
             last reload: {}",
            self.started.elapsed().as_secs(),
            if self.draining.is_some() {
                ", draining"
            } else {
                ""
            },
            total.generation,
            self.workers.len(),
            total.calls,
            total.calls_answered,
            total.calls_ended,
            total.server_transactions,
            total.client_transactions,
            total.pending_consults,
            total.decisions.admit,
            total.decisions.reject,
            total.decisions.challenge,
            total.decisions.redirect,
            total.decisions.drop,
            total.plugin_calls,
            total.plugin_failures,
            total.plugin_instances,
            total.plugin_instances_waited_for,
            total.invalid_messages,
            self.shards.lost(),
            self.last_reload,
        )
    }

    /// Records and alerts.
    fn told(&self, total: &ShardFigures) -> String {
        let alerts = self.archive.alert_figures();
        let mut text = format!(
            "\nalerts: {} told, {} held back, {} delivered, {} failed, {} lost",
            alerts.told, alerts.held_back, alerts.delivered, alerts.failed, alerts.lost
        );
        let Some(records) = self.archive.record_figures() else {
            return text;
        };
        text.push_str(&format!(
            "\nrecords: {} written, {} queued, {} lost, {} writes failed; \
             {} calls refused for want of room, {} responses waiting\n\
             records by webhook: {} waiting, {} posted, {} refused, {} lost, {} posts failed",
            records.written,
            records.queued,
            records.lost,
            records.failed,
            total.refused_for_records,
            total.held_responses,
            records.webhook_waiting,
            records.webhook_posted,
            records.webhook_refused,
            records.webhook_lost,
            records.webhook_failed,
        ));
        text
    }

    /// The relay's open sessions; none without a relay.
    fn live_media(&self) -> Option<LiveMedia> {
        let relay = self.media.as_ref()?.handle();
        let mut live = LiveMedia {
            open: relay.session_count(),
            ..LiveMedia::default()
        };
        for session in relay.sessions(usize::MAX) {
            // It may have been closed since.
            let Some(figures) = relay.figures(session) else {
                continue;
            };
            live.counts.add(&figures);
            if live.sessions.len() < SESSIONS_IN_JSON {
                let record = self
                    .shards
                    .with(session.shard(), |shard| shard.record(session))
                    .unwrap_or_default();
                let call_id = record.shown_call_id().to_string();
                let name = |peer: Option<Arc<str>>| peer.map(|name| name.to_string());
                let (caller, callee) = (name(record.caller), name(record.callee));
                let shown = LiveSession::new(session, call_id, caller, callee, &figures);
                live.sessions.push(shown);
            }
        }
        Some(live)
    }
}

/// What is being relayed.
#[derive(Default)]
struct LiveMedia {
    open: usize,
    counts: MediaCounts,
    sessions: Vec<LiveSession>,
}

impl LiveMedia {
    /// Since the start: what has ended and what goes on.
    fn since_start(&self, total: &ShardFigures) -> MediaCounts {
        let mut all = total.media.ended;
        all.sum(&self.counts);
        all
    }

    fn text(&self, total: &ShardFigures) -> String {
        let shares = &total.media;
        let all = self.since_start(total);
        let mut text = format!(
            "\nmedia: {} sessions now, {} closing, {} ended\n\
             media ports: {} pairs in use, {} free, {} resting\n\
             media packets: {} relayed, {} lost, {} late, {} duplicate, rejected {}",
            self.open,
            shares.closing,
            shares.ended.sessions,
            shares.ports_in_use,
            shares.ports_free,
            shares.ports_resting,
            all.packets,
            all.lost,
            all.late,
            all.duplicate,
            all.rejected,
        );
        for session in self.sessions.iter().take(SESSIONS_IN_TEXT) {
            text.push_str(&format!("\n{session}"));
        }
        if self.open > SESSIONS_IN_TEXT {
            let more = self.open - SESSIONS_IN_TEXT;
            text.push_str(&format!("\n  and {more} more; see `sipward status --json`"));
        }
        text
    }

    fn json(&self, total: &ShardFigures) -> serde_json::Value {
        let shares = &total.media;
        json!({
            "sessions_now": self.open,
            "sessions_closing": shares.closing,
            "sessions_ended": shares.ended.sessions,
            "ports_in_use": shares.ports_in_use,
            "ports_free": shares.ports_free,
            "ports_resting": shares.ports_resting,
            "since_start": self.since_start(total),
            "sessions": self.sessions,
            "sessions_left_out": self.open.saturating_sub(self.sessions.len()),
        })
    }
}
