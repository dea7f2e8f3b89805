//! Whole-program tests: conformance, simulation, interop, abuse, fuzz.

pub mod campaign;
pub mod fuzz;
pub mod guests;
pub mod reloads;
pub mod sim;
pub mod stage;
pub mod verdict;
