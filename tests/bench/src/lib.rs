//! Benchmarks: parse, policy, signalling. What `bench parse` and `bench policy` share:
//! messages, timing and the shape of the figures.

pub mod measure;
pub mod messages;
pub mod report;
