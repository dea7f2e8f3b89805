//! One line for each decision: who, what, which plugin, why, how long.

use policy::{Conclusion, Decision, RequestFacts, Severity};
use sip_proxy::{CallEvent, LogEvent};
use tracing::{debug, error, info, warn};

/// What a line says about the request; taken before the facts are handed over.
pub(crate) struct Subject {
    call_id: String,
    method: String,
    request_uri: String,
    from: String,
    source: String,
    peer: String,
    zone: &'static str,
}

impl Subject {
    /// The texts of one request. Bytes that are not UTF-8 are shown as U+FFFD,
    /// so that a log line is always text.
    pub(crate) fn of(facts: &RequestFacts) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let message = &facts.message;
        let peer = &facts.peer;
        Self {
            call_id: text(message.call_id()),
            method: text(message.method_name()),
            request_uri: text(message.request_uri().raw),
            from: text(message.from().uri.raw),
            source: format!("{}:{}/{}", peer.address, peer.port, peer.transport.name()),
            peer: peer.name.as_deref().unwrap_or("-").to_owned(),
            zone: peer.zone.name(),
        }
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
    info!(
        call = %subject.call_id,
        method = %subject.method,
        uri = %subject.request_uri,
        from = %subject.from,
        source = %subject.source,
        peer = %subject.peer,
        zone = subject.zone,
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
    for stage in &conclusion.trace {
        match &stage.failure {
            Some(failure) => warn!(
                call = %subject.call_id, plugin = %stage.plugin, reason = %failure, micros = stage.micros,
                "plugin failed"
            ),
            None => debug!(
                call = %subject.call_id, plugin = %stage.plugin, verdict = stage.verdict,
                reason = %stage.reason, micros = stage.micros,
                "stage"
            ),
        }
    }
    for raised in &conclusion.alerts {
        let (plugin, text) = (&raised.plugin, &raised.alert.text);
        match raised.alert.severity {
            Severity::Info => info!(call = %subject.call_id, %plugin, %text, "alert"),
            Severity::Warning => warn!(call = %subject.call_id, %plugin, %text, "alert"),
            Severity::Critical => error!(call = %subject.call_id, %plugin, %text, "alert"),
        }
    }
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
            call = %String::from_utf8_lossy(call_id),
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
    }
}
