//! The rules, built by their path, so that only the pure rooms are instrumented.

#[path = "../../src/fuzz/mod.rs"]
pub mod fuzz;
