//! One line for each decision: who, what, which plugin, why, how long. What the plugins
//! want concealed stands as `*`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use media::Rejection;
use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, Conclusion, Peer, RequestFacts,
    ResponseConclusion, ResponseFacts, StageReport, Version,
};
use records::conceal;
use sip_message::Message;
use sip_proxy::{CallEvent, LogEvent};
use tracing::{debug, info, warn};

use crate::media_figures;

/// What a line says about the message; taken before the facts are handed over.
/// Nothing is formatted unless the line is written.
pub(crate) struct Subject {
    pub(crate) message: Arc<Message>,
    pub(crate) peer: Peer,
}

/// Bytes as text. What is not UTF-8 is shown as U+FFFD, so that a log line is
/// always text.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

/// The same without what a plugin wants concealed.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8], pub(crate) &'a [String]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&conceal(&String::from_utf8_lossy(self.0), self.1))
    }
}

/// A version, or `-`.
struct Named<'a>(Option<&'a Version>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => version.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// The plugins of which a candidate was asked, or `-`.
struct Candidates<'a>(&'a Conclusion);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for report in self.0.candidates() {
            write!(f, "{before}{} {}", report.plugin, report.version.name)?;
            before = ", ";
        }
        match before {
            "" => f.write_str("-"),
            _ => Ok(()),
        }
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

    /// A response and who answered.
    pub(crate) fn of_response(facts: &ResponseFacts) -> Self {
        Self {
            message: Arc::clone(&facts.message),
            peer: facts.peer.clone(),
        }
    }
}

/// Write the line of a conclusion.
pub(crate) fn write(subject: &Subject, conclusion: &Conclusion) {
    let micros: u64 = conclusion.trace.iter().map(|stage| stage.micros).sum();
    let decision = &conclusion.decision;
    let secrets = &conclusion.account.secrets;
    let (message, peer) = (&subject.message, &subject.peer);
    let identity = conclusion.account.identity.as_deref().unwrap_or("-");
    info!(
        call = %Shown(message.call_id(), secrets),
        method = %Text(message.method_name()),
        uri = %Shown(message.request_uri().raw, secrets),
        from = %Shown(message.from().uri.raw, secrets),
        source = %format_args!("{}/{}", SocketAddr::new(peer.address, peer.port), peer.transport),
        peer = peer.name.as_deref().unwrap_or("-"),
        zone = peer.zone.name(),
        pipeline = %conclusion.pipeline,
        generation = conclusion.generation,
        verdict = decision.name(),
        status = decision.sent_status().unwrap_or(0),
        plugin = decision.plugin().map_or("-", |plugin| plugin.as_ref()),
        version = %Named(conclusion.version()),
        candidates = %Candidates(conclusion),
        reason = %Shown(decision.reason().as_bytes(), secrets),
        identity = %Shown(identity.as_bytes(), secrets),
        score = conclusion.score,
        micros,
        "decision"
    );
    stages(message.call_id(), &conclusion.trace, secrets);
}

/// Write what a policy made of a response: a line if it was replaced, and otherwise only
/// what failed. Most responses pass, and calls have several.
pub(crate) fn response(message: &Message, pass: &CallPass, conclusion: &ResponseConclusion) {
    let secrets = &pass.account().secrets;
    if let Some(refusal) = &conclusion.replacement {
        info!(
            call = %Shown(message.call_id(), secrets),
            method = %Text(message.method_name()),
            pipeline = %pass.pipeline(),
            status = message.status().unwrap_or_default(),
            sent = refusal.status,
            plugin = %refusal.plugin,
            reason = %Shown(refusal.reason.as_bytes(), secrets),
            "response replaced"
        );
    }
    stages(message.call_id(), &conclusion.trace, secrets);
}

fn stages(call_id: &[u8], trace: &[StageReport], secrets: &[String]) {
    for stage in trace {
        let call = Shown(call_id, secrets);
        let text = stage.failure.as_deref().unwrap_or(&stage.reason);
        let (plugin, reason) = (&stage.plugin, Shown(text.as_bytes(), secrets));
        if stage.failure.is_some() {
            let version = &stage.version;
            warn!(%call, %plugin, %version, %reason, micros = stage.micros, "plugin failed");
        } else {
            debug!(%call, %plugin, verdict = stage.verdict, %reason, micros = stage.micros, "stage");
        }
    }
}

/// Write what policies that follow a call said about what happened to it. `secrets` are
/// all that are known of it.
pub(crate) fn followed(
    facts: &CallFacts,
    event: &CallHappening,
    conclusion: &CallConclusion,
    secrets: &[String],
) {
    let call = Shown(&facts.call_id, secrets);
    for stage in &conclusion.trace {
        let (plugin, micros) = (&stage.plugin, stage.micros);
        let text = stage.failure.as_deref().unwrap_or(&stage.reason);
        let reason = Shown(text.as_bytes(), secrets);
        if stage.failure.is_some() {
            let version = &stage.version;
            warn!(%call, %plugin, %version, event = event.name(), %reason, micros, "plugin failed");
        } else {
            debug!(
                %call, %plugin, event = event.name(), verdict = stage.verdict, %reason, micros,
                "followed"
            );
        }
    }
    if let Some(veto) = &conclusion.end {
        info!(
            %call, number = facts.number, plugin = %veto.plugin,
            reason = %Shown(veto.reason.as_bytes(), secrets), event = event.name(),
            "call ended by policy"
        );
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
            pass,
            ..
        } => info!(
            number = call.as_u64(),
            call = %Shown(call_id, &pass.account().secrets),
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
