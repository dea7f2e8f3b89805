//! Facts, outcomes, the pipeline as a fold, and the Permit.
//!
//! A policy is a function from [`RequestFacts`] to an [`Outcome`]. This crate
//! knows what goes in, what may come out, and how the outcomes of several
//! plugins become one [`Decision`]; it does not know how a plugin is run.
//!
//! ```text
//! RequestFacts -> Pipeline::begin -> Run { next_stage, apply }* -> conclude -> Decision
//!                                                                  `-> Permit -> CallPass
//! ```
//!
//! Nothing but [`Run::conclude`] makes a [`Permit`], and nothing but a permit
//! makes a [`CallPass`]:
//!
//! ```compile_fail,E0451
//! fn forge(genuine: policy::Permit) -> policy::Permit {
//!     policy::Permit { limit_duration: None, ..genuine }
//! }
//! ```
//!
//! ```compile_fail,E0599
//! let forged: policy::Permit = policy::Permit::new();
//! ```
//!
//! ```compile_fail,E0277
//! let forged: policy::Permit = Default::default();
//! ```
//!
//! ```compile_fail,E0599
//! fn twice(permit: policy::Permit) -> (policy::Permit, policy::Permit) {
//!     (permit.clone(), permit)
//! }
//! ```

mod breaker;
mod call;
mod capability;
mod check;
mod compare;
mod decision;
mod facts;
mod failure;
mod holdings;
mod limits;
mod methods;
mod outcome;
mod permit;
mod pipeline;
mod response;
mod run;
mod share;
mod text;
mod watch;

pub use breaker::{Breaker, BreakerTerms, Leave, TakenOut};
pub use call::{CallConclusion, CallFacts, CallHappening, CallRun, CallVeto, PartyMedia};
pub use capability::{Capability, Grants, UnknownCapability};
pub use check::{check_outcome, is_editable_header};
pub use compare::{Divergence, divergence};
pub use decision::{
    ChallengeSpec, Conclusion, Decision, RaisedAlert, Redirection, Refusal, ScoredPoints, Silence,
    StageReport,
};
pub use facts::{
    AddressKind, Certificate, ConsultId, DialogState, MediaStream, Peer, RequestFacts,
    ResponseFacts, TlsSession, Zone,
};
pub use failure::PolicyFailure;
pub use holdings::{Holding, Holdings, LeaseError, LeaseWish};
pub use limits::OutcomeLimits;
pub use methods::MethodSet;
pub use outcome::{
    Alert, Challenge, DigestAlgorithm, Effect, HeaderEdit, MediaRequirement, Outcome, Rejection,
    Severity, Verdict,
};
pub use permit::{CallAccount, CallPass, Permit, Rewrites, TickWish};
pub use pipeline::{OnFailure, Pipeline, Stage, Version};
pub use response::{ResponseConclusion, ResponseRun};
pub use run::Run;
pub use share::Share;
pub use text::one_line;
pub use watch::{Judged, RollbackCause, RollbackTerms, Watch};
