//! `sipward explain` and `sipward replay`: what a configuration decides, and why, without
//! a network and without any effect on what is running.

mod explain;
mod recorded;
mod replay;
mod report;
mod scratch;

pub(crate) use explain::{ExplainArguments, explain};
pub(crate) use replay::{ReplayArguments, replay};
