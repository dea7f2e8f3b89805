//! The Permit: proof that a pipeline admitted a request. It is made in this file
//! and nowhere else, at the end of [`Run::conclude`].

use std::sync::Arc;

use crate::decision::{ChallengeSpec, Conclusion, Decision, Redirection, Refusal, Silence};
use crate::facts::ConsultId;
use crate::failure::PolicyFailure;
use crate::holdings::Holdings;
use crate::outcome::{HeaderEdit, MediaRequirement, Verdict};
use crate::run::{End, Run};
use crate::text::one_line;

/// Leave to forward one request, bound to the consult that earned it.
///
/// It has no public constructor, is not `Clone` and not `Default`; forwarding
/// consumes it.
#[derive(Debug)]
pub struct Permit {
    consult: ConsultId,
    pipeline: Arc<str>,
    generation: u64,
    header_edits: Vec<HeaderEdit>,
    account: Arc<CallAccount>,
    limit_duration: Option<u32>,
    route: Option<String>,
    media_requirement: MediaRequirement,
    strip_credentials_realm: Option<String>,
    rewrites: Option<Box<Rewrites>>,
    holdings: Option<Arc<dyn Holdings>>,
}

/// Addresses that the callee shall see instead of those that the caller wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrites {
    /// The Request-URI.
    pub request_uri: Option<String>,
    /// The name-addr of From, without parameters.
    pub from: Option<String>,
    /// The name-addr of To, without parameters.
    pub to: Option<String>,
}

/// A plugin's wish to hear of a call once it has lasted so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickWish {
    /// The plugin.
    pub plugin: Arc<str>,
    /// Seconds after the answer, 1 to 86,400.
    pub seconds: u32,
}

impl Permit {
    /// The consult that earned it.
    pub fn consult(&self) -> ConsultId {
        self.consult
    }

    /// The pipeline that gave it.
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// The generation of the pipeline that gave it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Changes to the headers, in the order in which plugins asked for them.
    pub fn header_edits(&self) -> &[HeaderEdit] {
        &self.header_edits
    }

    /// Who the caller is, if a plugin said so.
    pub fn identity(&self) -> Option<&str> {
        self.account.identity.as_deref()
    }

    /// Seconds after which the call shall be ended; the shortest asked for.
    pub fn limit_duration(&self) -> Option<u32> {
        self.limit_duration
    }

    /// Name of the peer to route to; the last one asked for.
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// What the media of the call must be; the strictest asked for.
    pub fn media_requirement(&self) -> MediaRequirement {
        self.media_requirement
    }

    /// Notes of all plugins in order.
    pub fn annotations(&self) -> &[(String, String)] {
        &self.account.annotations
    }

    /// Credentials for this realm were verified here and need not be sent on:
    /// RFC 3261 section 22.3.
    pub fn strip_credentials_realm(&self) -> Option<&str> {
        self.strip_credentials_realm.as_deref()
    }

    /// Addresses that the callee shall see instead of the caller's, if any.
    pub fn rewrites(&self) -> Option<&Rewrites> {
        self.rewrites.as_deref()
    }

    /// What the pipeline found out about the request and its call.
    pub fn account(&self) -> &Arc<CallAccount> {
        &self.account
    }

    /// The pass for the rest of the call that this request begins.
    pub fn call_pass(&self) -> CallPass {
        CallPass {
            consult: self.consult,
            pipeline: Arc::clone(&self.pipeline),
            generation: self.generation,
            media_requirement: self.media_requirement,
            account: Arc::clone(&self.account),
            holdings: self.holdings.clone(),
        }
    }
}

/// What a pipeline found out about a request, and about the call that it begins if it is
/// admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallAccount {
    /// Who the caller is.
    pub identity: Option<Arc<str>>,
    /// Notes of all plugins in order.
    pub annotations: Vec<(String, String)>,
    /// The score with which the pipeline ended.
    pub score: i32,
    /// What plugins want to hear about it later.
    pub ticks: Vec<TickWish>,
    /// Texts that nothing written about it may show.
    pub secrets: Vec<String>,
}

/// Lives with an admitted call and lets its ACK, CANCEL, BYE and responses
/// through, so that calls can end whatever becomes of the policies.
#[derive(Clone, Debug)]
pub struct CallPass {
    consult: ConsultId,
    pipeline: Arc<str>,
    generation: u64,
    media_requirement: MediaRequirement,
    account: Arc<CallAccount>,
    holdings: Option<Arc<dyn Holdings>>,
}

impl CallPass {
    /// The consult that admitted the call.
    pub fn consult(&self) -> ConsultId {
        self.consult
    }

    /// The pipeline that admitted the call; its response hooks see the answers.
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// The generation of that pipeline.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the media of the call must be, in later offers too.
    pub fn media_requirement(&self) -> MediaRequirement {
        self.media_requirement
    }

    /// What the pipeline found out about the call.
    pub fn account(&self) -> &Arc<CallAccount> {
        &self.account
    }

    /// What the call holds; further leases are added to it.
    pub fn holdings(&self) -> Option<&Arc<dyn Holdings>> {
        self.holdings.as_ref()
    }

    /// The call is over: what it holds is given back, whoever else still has a copy
    /// of the pass.
    pub fn release(&self) {
        if let Some(holdings) = &self.holdings {
            holdings.release();
        }
    }
}

impl Run<'_> {
    /// Ends the run. It admits only if at least one plugin judged the request,
    /// every plugin that wanted to see it was asked, and none objected.
    pub fn conclude(mut self) -> Conclusion {
        let unfinished = self.next_stage().map(|stage| Arc::clone(&stage.name));
        let end = self.end.take();
        let points = std::mem::take(&mut self.gathered.points);
        let account = Arc::new(CallAccount {
            identity: self.facts.identity.take().map(Arc::from),
            annotations: std::mem::take(&mut self.facts.annotations),
            score: self.facts.score,
            ticks: std::mem::take(&mut self.gathered.ticks),
            secrets: std::mem::take(&mut self.gathered.secrets),
        });
        let decision = match (end, unfinished) {
            (Some(End::Verdict(plugin, verdict, reason)), _) => {
                match refusal_of(plugin, verdict, reason) {
                    Some(decision) => decision,
                    // `next` never ends a run; refuse rather than trust that.
                    None => self.refuse_all("the pipeline ended without a decision"),
                }
            }
            (Some(End::Failure(plugin, failure)), _) => failed(plugin, &failure),
            (None, Some(plugin)) => failed(plugin, &PolicyFailure::Late),
            (None, None) if self.pipeline.stages.is_empty() => {
                self.refuse_all("the pipeline has no plugins; an empty pipeline refuses")
            }
            (None, None) if !self.judged => self.refuse_all("no plugin handles this method"),
            (None, None) => Decision::Admit(self.admit(&account)),
        };
        Conclusion {
            consult: self.consult,
            pipeline: Arc::clone(&self.pipeline.name),
            generation: self.pipeline.generation,
            decision,
            account,
            alerts: self.alerts,
            score: self.facts.score,
            points,
            trace: self.trace,
        }
    }

    fn admit(&mut self, account: &Arc<CallAccount>) -> Permit {
        let gathered = std::mem::take(&mut self.gathered);
        Permit {
            consult: self.consult,
            pipeline: Arc::clone(&self.pipeline.name),
            generation: self.pipeline.generation,
            header_edits: gathered.header_edits,
            account: Arc::clone(account),
            limit_duration: gathered.limit_duration,
            route: gathered.route,
            media_requirement: gathered.media_requirement,
            strip_credentials_realm: gathered.verified_realm,
            rewrites: gathered.rewrites,
            holdings: gathered.holdings,
        }
    }

    fn refuse_all(&self, reason: &str) -> Decision {
        Decision::Refuse(Refusal {
            status: 403,
            phrase: String::new(),
            headers: Vec::new(),
            retry_after: None,
            plugin: Arc::clone(&self.pipeline.name),
            reason: reason.to_owned(),
        })
    }
}

fn refusal_of(plugin: Arc<str>, verdict: Verdict, reason: String) -> Option<Decision> {
    Some(match verdict {
        Verdict::Next => return None,
        Verdict::Reject(rejection) => Decision::Refuse(Refusal {
            status: rejection.status,
            phrase: rejection.phrase,
            headers: Vec::new(),
            retry_after: (rejection.retry_after > 0).then_some(rejection.retry_after),
            plugin,
            reason,
        }),
        Verdict::Challenge(challenge) => Decision::Challenge(ChallengeSpec {
            realm: challenge.realm,
            algorithms: challenge.algorithms,
            as_registrar: challenge.as_registrar,
            stale: challenge.stale,
            plugin,
            reason,
        }),
        Verdict::Redirect(contacts) => Decision::Redirect(Redirection {
            contacts,
            plugin,
            reason,
        }),
        Verdict::Drop => Decision::Drop(Silence { plugin, reason }),
    })
}

/// A failure is ours to the peer: 500, without a word about why.
fn failed(plugin: Arc<str>, failure: &PolicyFailure) -> Decision {
    Decision::Refuse(Refusal {
        status: 500,
        phrase: String::new(),
        headers: Vec::new(),
        retry_after: None,
        plugin,
        reason: one_line(failure.to_string()),
    })
}
