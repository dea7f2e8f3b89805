//! The policy of a simulated world: a real pipeline whose one plugin says what
//! the script of the call wants.

use std::sync::Arc;

use policy::{
    Conclusion, ConsultId, DialogState, Effect, Grants, MediaRequirement, MethodSet, OnFailure,
    Outcome, OutcomeLimits, Pipeline, PolicyFailure, Rejection, RequestFacts, Stage, Verdict,
};

use super::script::Judgement;

/// The pipeline.
#[must_use]
pub(super) fn pipeline() -> Pipeline {
    Pipeline {
        name: Arc::from("simulated"),
        generation: 1,
        stages: vec![Stage {
            name: Arc::from("script"),
            on_failure: OnFailure::Deny,
            grants: Grants::default(),
            methods: MethodSet::ALL,
            limits: OutcomeLimits::default(),
        }],
    }
}

/// Judge a request; nothing if the answer never comes.
#[must_use]
pub(super) fn judge(
    pipeline: &Pipeline,
    judgement: Judgement,
    encrypted: bool,
    id: ConsultId,
    facts: RequestFacts,
) -> Option<Conclusion> {
    let in_dialog = facts.dialog != DialogState::None;
    let mut run = pipeline.begin(id, facts);
    run.next_stage()?;
    let outcome = |verdict, effects| {
        Ok(Outcome {
            verdict,
            effects,
            reason: "scripted".to_owned(),
        })
    };
    let answer = match judgement {
        _ if in_dialog => outcome(Verdict::Next, Vec::new()),
        Judgement::Admit(limit) => {
            let mut effects: Vec<Effect> = limit.map(Effect::LimitDuration).into_iter().collect();
            if encrypted {
                effects.push(Effect::RequireMedia(MediaRequirement::Encrypted));
            }
            outcome(Verdict::Next, effects)
        }
        Judgement::Reject(status) => outcome(
            Verdict::Reject(Rejection {
                status,
                phrase: String::new(),
                retry_after: 0,
            }),
            Vec::new(),
        ),
        Judgement::Drop => outcome(Verdict::Drop, Vec::new()),
        Judgement::Fail => Err(PolicyFailure::Deadline { limit_ms: 1 }),
        Judgement::Never => return None,
    };
    run.apply(answer, 1);
    Some(run.conclude())
}
