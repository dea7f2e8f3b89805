//! The policy of a simulated world: a real pipeline whose one plugin says what
//! the script of the call wants.

use std::sync::Arc;

use policy::{
    Capability, Conclusion, ConsultId, DialogState, Effect, Grants, HeaderEdit, MediaRequirement,
    MethodSet, OnFailure, Outcome, OutcomeLimits, Pipeline, PolicyFailure, Rejection, RequestFacts,
    ResponseConclusion, ResponseFacts, Stage, Verdict, Version,
};

use super::script::{Judgement, ResponseJudgement};

/// Its name.
pub(super) const PIPELINE: &str = "simulated";

/// The pipeline.
#[must_use]
pub(super) fn pipeline() -> Pipeline {
    Pipeline {
        name: Arc::from(PIPELINE),
        generation: 1,
        stages: vec![Stage {
            name: Arc::from("script"),
            version: Version::default(),
            on_failure: OnFailure::Deny,
            grants: Grants::NONE.with(Capability::EditHeaders),
            methods: MethodSet::ALL,
            limits: OutcomeLimits::default(),
        }],
    }
}

/// What an admitted request is admitted with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// Encrypted media.
    pub(super) encrypted: bool,
    /// Other addresses for the callee.
    pub(super) disguised: bool,
}

/// The caller's address as a callee is shown it.
pub(super) const SHOWN_CALLER: &str = "sip:nobody@shown.example";
/// The callee's.
pub(super) const SHOWN_CALLEE: &str = "sip:somebody@shown.example";

/// Judge a response: nothing if the answer never comes. `number` counts up, so that
/// whoever watches can tell the order.
#[must_use]
pub(super) fn judge_response(
    pipeline: &Pipeline,
    judgement: ResponseJudgement,
    number: u64,
    facts: ResponseFacts,
) -> Option<(u64, ResponseConclusion)> {
    let (after, replaces) = match judgement {
        ResponseJudgement::Mark(after) => (after, false),
        ResponseJudgement::Replace(after) => (after, true),
        ResponseJudgement::Never => return None,
    };
    let status = facts.message.status().unwrap_or_default();
    let mark = HeaderEdit::Set {
        name: MARK.to_owned(),
        value: number.to_string().into_bytes(),
    };
    let verdict = if replaces && status >= 300 {
        Verdict::Reject(Rejection {
            status: REPLACEMENT,
            phrase: String::new(),
            retry_after: 0,
        })
    } else {
        Verdict::Next
    };
    let mut run = pipeline.begin_response(facts);
    run.next_stage(|_| true)?;
    run.apply(
        Ok(Outcome {
            verdict,
            effects: vec![Effect::Header(mark)],
            reason: "scripted".to_owned(),
        }),
        1,
    );
    Some((after, run.conclude()))
}

/// Header that a judged response gets, with the number of its question.
pub(super) const MARK: &str = "X-Judged";
/// Status that stands for every refusal.
pub(super) const REPLACEMENT: u16 = 480;

/// Judge a request; nothing if the answer never comes.
#[must_use]
pub(super) fn judge(
    pipeline: &Pipeline,
    judgement: Judgement,
    wishes: Wishes,
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
            if wishes.encrypted {
                effects.push(Effect::RequireMedia(MediaRequirement::Encrypted));
            }
            if wishes.disguised {
                effects.push(Effect::SetFrom(format!("\"Nobody\" <{SHOWN_CALLER}>")));
                effects.push(Effect::SetTo(format!("<{SHOWN_CALLEE}>")));
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
