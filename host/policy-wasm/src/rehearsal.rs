//! Shadow runs: what the version in use was asked, kept so that a candidate can be asked
//! the same a moment later, on another thread, without any effect.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{
    CallFacts, CallHappening, Divergence, Judged, Outcome, Peer, PolicyFailure, RequestFacts,
    ResponseFacts, Rewrites, check_outcome, divergence,
};

use crate::candidate::{Candidate, Stance, Waiting};
use crate::executor::Executor;
use crate::host::Consultation;
use crate::services::overlay::{Held, Precedent};

/// A question that the version in use has answered.
pub struct Rehearsal {
    pub(crate) candidate: Arc<Candidate>,
    pub(crate) scene: Box<Scene>,
    pub(crate) at_ms: u64,
    pub(crate) live: Result<Outcome, PolicyFailure>,
    pub(crate) secrets: Vec<String>,
    pub(crate) held: Vec<Held>,
    pub(crate) _waiting: Waiting,
}

/// What was asked.
pub(crate) enum Scene {
    Request {
        facts: RequestFacts,
        rewrites: Option<Rewrites>,
        consultation: Consultation,
    },
    Response(ResponseFacts),
    Call {
        facts: CallFacts,
        happening: CallHappening,
        consultation: Consultation,
    },
}

/// What was asked, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asked {
    /// A request.
    Request,
    /// A response.
    Response,
    /// A call event.
    CallEvent,
}

impl Rehearsal {
    /// Notes a question and its answer; none if the candidate has too many before it.
    pub(crate) fn note(
        candidate: &Arc<Candidate>,
        live: Result<&Outcome, &PolicyFailure>,
        scene: impl FnOnce() -> Scene,
    ) -> Option<Self> {
        if matches!(live, Err(PolicyFailure::TakenOut { .. })) {
            return None;
        }
        Some(Self {
            _waiting: candidate.seat()?,
            scene: Box::new(scene()),
            at_ms: candidate.plugin.blueprint.services.clock.now_ms(),
            live: live.cloned().map_err(Clone::clone),
            secrets: Vec::new(),
            held: Vec::new(),
            candidate: Arc::clone(candidate),
        })
    }

    /// The candidate that is asked.
    pub fn candidate(&self) -> &Arc<Candidate> {
        &self.candidate
    }

    /// What is asked.
    pub fn asked(&self) -> Asked {
        match &*self.scene {
            Scene::Request { .. } => Asked::Request,
            Scene::Response(_) => Asked::Response,
            Scene::Call { .. } => Asked::CallEvent,
        }
    }

    /// Name of the peer that the request came from, or that answered.
    pub fn peer(&self) -> Option<&Arc<str>> {
        match &*self.scene {
            Scene::Request { facts, .. } => facts.peer.name.as_ref(),
            Scene::Response(facts) => facts.peer.name.as_ref(),
            Scene::Call { facts, .. } => facts.caller.as_ref(),
        }
    }

    /// Its address.
    pub fn source(&self) -> IpAddr {
        let address = |peer: &Peer| peer.address;
        match &*self.scene {
            Scene::Request { facts, .. } => address(&facts.peer),
            Scene::Response(facts) => address(&facts.peer),
            Scene::Call { facts, .. } => facts.source,
        }
    }

    /// Whom the call is for: the Request-URI, or To of a response.
    pub fn destination(&self) -> &[u8] {
        match &*self.scene {
            Scene::Request { facts, .. } => facts.message.request_uri().raw,
            Scene::Response(facts) => facts.message.to().uri.raw,
            Scene::Call { facts, .. } => &facts.request_uri,
        }
    }

    /// Call-ID.
    pub fn call_id(&self) -> &[u8] {
        match &*self.scene {
            Scene::Request { facts, .. } => facts.message.call_id(),
            Scene::Response(facts) => facts.message.call_id(),
            Scene::Call { facts, .. } => &facts.call_id,
        }
    }

    /// Texts that nothing written about it may show.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

/// How a rehearsal went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// How the two versions differ; none if they do not.
    pub divergence: Option<Divergence>,
    /// The candidate's reason.
    pub reason: String,
}

impl Executor {
    /// The rehearsals that the last runs have left.
    pub fn take_rehearsals(&mut self) -> Vec<Rehearsal> {
        std::mem::take(&mut self.rehearsals)
    }

    /// Asks the candidate. None if it is no shadow any more, or has not the hook.
    pub fn rehearse(&mut self, rehearsal: &mut Rehearsal) -> Option<Rehearsed> {
        let candidate = Arc::clone(&rehearsal.candidate);
        let plugin = &candidate.understudy;
        if candidate.stance() != Stance::Shadow {
            return None;
        }
        let mut precedent = Precedent {
            at_ms: rehearsal.at_ms,
            held: std::mem::take(&mut rehearsal.held),
            codes: Vec::new(),
        };
        let answer = match &mut *rehearsal.scene {
            Scene::Request {
                facts,
                rewrites,
                consultation,
            } => {
                if !plugin.judges_requests() || !plugin.wants(facts.message.method()) {
                    return None;
                }
                precedent.codes = std::mem::take(&mut consultation.codes);
                candidate.overlay.begin(precedent);
                self.facts.fill(facts);
                self.facts.refresh(facts, rewrites.as_ref());
                self.ask_request(plugin, facts, consultation)
            }
            Scene::Response(facts) => {
                if !plugin.judges_responses() || !plugin.wants(facts.message.method()) {
                    return None;
                }
                candidate.overlay.begin(precedent);
                self.ask_response(plugin, facts)
            }
            Scene::Call {
                facts,
                happening,
                consultation,
            } => {
                if !plugin.follows_calls() {
                    return None;
                }
                candidate.overlay.begin(precedent);
                self.ask_call(plugin, facts, happening, consultation)
            }
        };
        let limits = &plugin.blueprint.limits.outcome;
        let answer = answer.and_then(|answer| {
            check_outcome(&answer.outcome, plugin.grants(), limits)?;
            Ok(answer.outcome)
        });
        // What happens to calls is neither let pass nor denied.
        if rehearsal.asked() == Asked::Request || answer.is_err() {
            candidate.answered(Judged::of(answer.as_ref()));
        }
        Some(Rehearsed {
            divergence: divergence(rehearsal.live.as_ref(), answer.as_ref()),
            reason: answer.map_or_else(|failure| failure.to_string(), |outcome| outcome.reason),
        })
    }
}
