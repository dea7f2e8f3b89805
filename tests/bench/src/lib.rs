//! Benchmarks: parse, policy, signalling. What they share: messages, timing, the shape of
//! the figures, and the example of all policies.

pub mod measure;
pub mod messages;
pub mod report;
pub mod secure_trunk;
