//! One line for each decision: who, what, which plugin, why, how long.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use media::Rejection;
use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, Conclusion, Decision, Peer, RaisedAlert,
    RequestFacts, ResponseConclusion, Severity, StageReport,
};
use sip_message::Message;
use sip_proxy::{CallEvent, LogEvent};
use tracing::{debug, error, info, warn};

use crate::media_figures;

/// What a line says about the request; taken before the facts are handed over.
/// Nothing is formatted unless the line is written.
pub(crate) struct Subject {
    message: Arc<Message>,
    peer: Peer,
}

/// Bytes as text. What is not UTF-8 is shown as U+FFFD, so that a log line is
/// always text.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

impl Subject {
    /// The request and its sender.
    pub(crate) fn of(facts: &RequestFacts) -> Self {
        Self {
            message: Arc::clone(&facts.message),
            peer: facts.peer.clone(),
        }
    }

    fn call_id(&self) -> Text<'_> {
        Text(self.message.call_id())
    }
}

/// Write the line of a conclusion, and one for each alert it raised.
pub(crate) fn write(subject: &Subject, conclusion: &Conclusion) {
    let micros: u64 = conclusion.trace.iter().map(|stage| stage.micros).sum();
    let decision = &conclusion.decision;
    let status = match decision {
        Decision::Refuse(refusal) => refusal.status,
        Decision::Challenge(challenge) if challenge.as_registrar => 401,
        Decision::Challenge(_) => 407,
        Decision::Redirect(_) => 302,
        Decision::Admit(_) | Decision::Drop(_) => 0,
    };
    let identity = match decision {
        Decision::Admit(permit) => permit.identity().unwrap_or("-"),
        _ => "-",
    };
    let (message, peer) = (&subject.message, &subject.peer);
    info!(
        call = %subject.call_id(),
        method = %Text(message.method_name()),
        uri = %Text(message.request_uri().raw),
        from = %Text(message.from().uri.raw),
        source = %format_args!("{}/{}", SocketAddr::new(peer.address, peer.port), peer.transport),
        peer = peer.name.as_deref().unwrap_or("-"),
        zone = peer.zone.name(),
        pipeline = %conclusion.pipeline,
        generation = conclusion.generation,
        verdict = decision.name(),
        status,
        plugin = decision.plugin().map_or("-", |plugin| plugin.as_ref()),
        reason = decision.reason(),
        identity,
        score = conclusion.score,
        micros,
        "decision"
    );
    stages(message.call_id(), &conclusion.trace);
    alerts(&conclusion.alerts, message.call_id());
}

/// Write what a policy made of a response: a line if it was replaced, and otherwise only
/// what failed or was raised. Most responses pass, and calls have several.
pub(crate) fn response(message: &Message, pass: &CallPass, conclusion: &ResponseConclusion) {
    let call_id = message.call_id();
    if let Some(refusal) = &conclusion.replacement {
        info!(
            call = %Text(call_id),
            method = %Text(message.method_name()),
            pipeline = %pass.pipeline(),
            status = message.status().unwrap_or_default(),
            sent = refusal.status,
            plugin = %refusal.plugin,
            reason = %refusal.reason,
            "response replaced"
        );
    }
    stages(call_id, &conclusion.trace);
    alerts(&conclusion.alerts, call_id);
}

fn stages(call_id: &[u8], trace: &[StageReport]) {
    for stage in trace {
        match &stage.failure {
            Some(failure) => warn!(
                call = %Text(call_id), plugin = %stage.plugin, reason = %failure, micros = stage.micros,
                "plugin failed"
            ),
            None => debug!(
                call = %Text(call_id), plugin = %stage.plugin, verdict = stage.verdict,
                reason = %stage.reason, micros = stage.micros,
                "stage"
            ),
        }
    }
}

/// Write one line for each alert about a call.
fn alerts(raised: &[RaisedAlert], call_id: &[u8]) {
    let call = Text(call_id);
    for RaisedAlert { plugin, alert } in raised {
        let text = &alert.text;
        match alert.severity {
            Severity::Info => info!(%call, %plugin, %text, "alert"),
            Severity::Warning => warn!(%call, %plugin, %text, "alert"),
            Severity::Critical => error!(%call, %plugin, %text, "alert"),
        }
    }
}

/// Write what policies that follow a call said about what happened to it.
pub(crate) fn followed(facts: &CallFacts, event: &CallHappening, conclusion: &CallConclusion) {
    let call = Text(&facts.call_id);
    for stage in &conclusion.trace {
        let (plugin, micros) = (&stage.plugin, stage.micros);
        match &stage.failure {
            Some(reason) => {
                warn!(%call, %plugin, event = event.name(), reason, micros, "plugin failed");
            }
            None => debug!(
                %call, %plugin, event = event.name(), verdict = stage.verdict,
                reason = %stage.reason, micros,
                "followed"
            ),
        }
    }
    if let Some(veto) = &conclusion.end {
        info!(
            %call, number = facts.number, plugin = %veto.plugin, reason = %veto.reason,
            event = event.name(),
            "call ended by policy"
        );
    }
    alerts(&conclusion.alerts, &facts.call_id);
}

/// Write what became of a call.
pub(crate) fn call(event: &CallEvent) {
    match event {
        CallEvent::Started {
            call,
            call_id,
            caller,
            zone,
            source,
            limit,
            ..
        } => info!(
            number = call.as_u64(),
            call = %Text(call_id),
            peer = caller.as_deref().unwrap_or("-"),
            zone = zone.name(),
            %source,
            limit_seconds = limit.map_or(0, |limit| limit.as_secs()),
            "call started"
        ),
        CallEvent::Answered { call, callee } => {
            info!(
                number = call.as_u64(),
                peer = callee.as_deref().unwrap_or("-"),
                "call answered"
            );
        }
        CallEvent::Tick {
            call,
            plugin,
            seconds,
        } => debug!(number = call.as_u64(), %plugin, seconds, "tick"),
        CallEvent::Ended {
            call,
            reason,
            lasted,
        } => info!(
            number = call.as_u64(),
            reason = reason.name(),
            lasted_ms = lasted.map_or(0, |lasted| lasted.as_millis() as u64),
            "call ended"
        ),
    }
}

/// Write what the proxy core noticed. A flood can cause most of these, so they
/// are quiet unless something of ours is at its limit.
pub(crate) fn noticed(event: &LogEvent) {
    match event {
        LogEvent::Rejected {
            status,
            cause,
            source,
        } => debug!(%source, status, cause, "rejected"),
        LogEvent::Dropped { source, cause } => debug!(%source, cause, "dropped"),
        LogEvent::ConclusionIgnored { consult } => debug!(%consult, "a conclusion came too late"),
        LogEvent::ConsultLate { consult } => warn!(%consult, "no conclusion in time; denied"),
        LogEvent::Full(table) => warn!(limit = table.name(), "table full; answered 503"),
        LogEvent::NoRoute { cause, .. } => warn!(cause, "admitted, but there is no route"),
        LogEvent::Failover { target, status } => {
            warn!(%target, status, "target failed; trying the next")
        }
        LogEvent::MediaRefused {
            consult,
            carrier,
            side,
            reason,
        } => info!(
            %consult, %carrier, side = media_figures::side(*side), reason,
            "media refused"
        ),
        LogEvent::MediaFault { call, cause } => {
            warn!(number = call.as_u64(), cause, "media failed")
        }
        LogEvent::ForeignMedia {
            call,
            stream,
            side,
            source,
            rejection,
        } => info!(
            number = call.as_u64(), stream, side = media_figures::side(*side), %source,
            kind = rejection_name(*rejection),
            "foreign media packet dropped; more of the kind are counted only"
        ),
    }
}

/// As in `sipward status`.
pub(crate) const fn rejection_name(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Source => "source",
        Rejection::Ssrc => "ssrc",
        Rejection::Authentication => "authentication",
        Rejection::Replay => "replay",
        Rejection::Size => "size",
        Rejection::Rate => "rate",
        Rejection::Malformed => "malformed",
        Rejection::Closed => "closed",
    }
}
