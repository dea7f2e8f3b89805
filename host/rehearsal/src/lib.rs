//! What a policy would decide, and why: a message or a capture is judged by real plugins
//! in the real host, without a network.
//!
//! ```text
//! text        -> paste::read    -> Message
//! Message     -> Standpoint::facts(Circumstances) -> RequestFacts
//! RequestFacts -> Rehearsal::judge -> Judged { conclusion, stages, what they asked }
//! ```
//!
//! Facts are made as the proxy makes them, by `sip-proxy`. Time is what the caller says
//! it is, randomness comes from a seed, and state is in memory, so the same input gives
//! the same decisions. [`Trace`] writes down what each plugin read and what the host
//! answered it; secrets do not get into it.

mod circumstances;
mod clock;
mod credentials;
mod host_call;
pub mod paste;
mod randomness;
mod run;
mod services;
mod stage;
mod trace;
mod traced;

pub use circumstances::{Circumstances, Standpoint};
pub use clock::VirtualClock;
pub use credentials::AsIf;
pub use host_call::{Argument, HostCall};
pub use randomness::SeededRandomness;
pub use run::{Judged, Rehearsal};
pub use services::{in_memory, scratch_state};
pub use stage::{EffectAccount, StageAccount};
pub use trace::{StageTrace, Trace};
pub use traced::traced;
