//! A deterministic simulator: the real pure rooms, scripted user agents, a
//! virtual clock and a network that delays, loses, repeats and reorders.
//!
//! One seed decides everything. `cargo xtask sim --seed N` shows what happened.

mod agent;
mod judge;
mod network;
mod random;
mod relay;
mod script;
mod sound;
mod text;
mod watch;
mod world;

pub use random::Random;
pub use world::{Report, World};
