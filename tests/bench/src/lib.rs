//! Benchmarks: parse, policy, signalling.
