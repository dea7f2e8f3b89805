//! RFC 3261 section 16: the proxy core, dialogs and routing, without a socket.
//!
//! # The life of a request
//!
//! ```text
//! handle_message ─ layer ─ validation ─┬─ rejected: 400 416 420 440 481 482 483 503
//!                                      ├─ BYE, PRACK of an admitted call ─────────┐
//!                                      └─ Output::Consult ─ handle_conclusion     │
//!                                            refuse · redirect · drop ─┤          │
//!                                                        admit(Permit) │ CallPass │
//!                                                      target set ─ branches ─────┘
//!                                             responses ─ best response ─ upstream
//! ```
//!
//! Time, entropy and decisions come in as arguments; bytes, questions and events go out of
//! [`ProxyCore::poll_output`]. What a policy has not judged is not forwarded: the functions
//! that forward take a [`policy::Permit`] by value, or the [`policy::CallPass`] of an admitted
//! call, and only the policy crate can make those.
//!
//! # What is where
//!
//! | section of RFC 3261 | file |
//! |---|---|
//! | 8.2.6 responses of our own | `answers` |
//! | 12 dialogs, 15 BYE | `dialog`, `calls`, `endings` |
//! | 16.3 validation, loops (RFC 5393) | `validation`, `loop_detection` |
//! | 16.4 route information, 16.5 targets | `routing`, `targets`, `request_uri` |
//! | 16.6 forwarding, Record-Route (RFC 5658) | `forwarding`, `record_route`, `branches` |
//! | 16.7 responses | `responses`, `best_response`, `response_context` |
//! | 9, 16.8, 16.10 CANCEL and Timer C | `cancel` |
//! | 16.11 ACK without a transaction | `endings` |
//! | 12.2 other addresses for the callee | `guise` |
//! | facts for policies | `classify`, `offers` |
//! | response hooks of policies | `judging` |
//! | session descriptions (RFC 3264, RFC 5853) | `anchoring`, `described`, `refusals`, `media_events` |
//! | 13.2.2.4, 15.1.1 ACK and BYE of our own | `dismissal` |

mod admission;
mod anchoring;
mod answers;
mod authority;
mod best_response;
mod branches;
mod calls;
mod cancel;
mod classify;
mod conclusions;
mod config;
mod consults;
mod core;
mod described;
mod dialog;
mod dismissal;
mod endings;
mod entropy;
mod forwarding;
mod guise;
mod judging;
mod limits;
mod loop_detection;
mod media_events;
mod offers;
mod output;
mod own;
mod record_route;
mod refusals;
mod request_uri;
mod requests;
mod response_context;
mod responses;
mod routing;
mod silence;
mod targets;
mod ticks;
mod timers;
mod validation;

pub use crate::classify::{Proof, classify, request_facts};
pub use crate::config::{
    FailoverOn, ForkMode, ListenerAddress, MediaConfig, MediaTerms, PeerConfig, PeerKind,
    ProxyConfig, ProxyTimers, Routing, Target,
};
pub use crate::core::ProxyCore;
pub use crate::limits::ProxyLimits;
pub use crate::offers::{OfferReader, UnreadableOffer};
pub use crate::output::{
    CallEvent, CallId, Carried, EndReason, Figures, FullTable, LogEvent, MediaRecord, Output,
};
