//! What gives leave to forward: a permit for the request itself, or the pass of the
//! call that it belongs to. Nothing is forwarded without one, and neither can be made
//! outside the policy crate.

use std::sync::Arc;
use std::time::Duration;

use policy::{CallPass, ConsultId, HeaderEdit, Permit};

/// Leave to forward one request, to one target after another.
#[derive(Debug)]
pub(crate) enum Authority {
    /// A pipeline judged this request.
    Permit(Permit),
    /// It belongs to a call that a pipeline admitted, and calls must be able to end.
    Pass(CallPass),
}

impl Authority {
    /// The consult that gave it.
    pub(crate) fn consult(&self) -> ConsultId {
        match self {
            Self::Permit(permit) => permit.consult(),
            Self::Pass(pass) => pass.consult(),
        }
    }

    /// The pipeline that judged the request, or admitted its call.
    pub(crate) fn pipeline(&self) -> &Arc<str> {
        match self {
            Self::Permit(permit) => permit.pipeline(),
            Self::Pass(pass) => pass.pipeline(),
        }
    }

    /// What lets the rest of the call through, responses to this request among it.
    pub(crate) fn pass(&self) -> CallPass {
        match self {
            Self::Permit(permit) => permit.call_pass(),
            Self::Pass(pass) => pass.clone(),
        }
    }

    pub(crate) fn header_edits(&self) -> &[HeaderEdit] {
        match self {
            Self::Permit(permit) => permit.header_edits(),
            Self::Pass(_) => &[],
        }
    }

    pub(crate) fn strip_credentials_realm(&self) -> Option<&str> {
        match self {
            Self::Permit(permit) => permit.strip_credentials_realm(),
            Self::Pass(_) => None,
        }
    }

    /// The longest that the call may last from now on, if the policy said so.
    pub(crate) fn limit_duration(&self) -> Option<Duration> {
        match self {
            Self::Permit(permit) => permit
                .limit_duration()
                .map(|seconds| Duration::from_secs(seconds.into())),
            Self::Pass(_) => None,
        }
    }
}
