//! The layer as its user sees it: messages and time in, bytes and events out.

mod allocations;
mod clients;
mod limits;
mod matching;
mod programs;
mod servers;
mod stage;
