//! Whole-program tests: conformance, simulation, interop, abuse, fuzz.

pub mod sim;
