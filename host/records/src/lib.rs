//! What is kept of calls, and who is told: call records and alerts.
//!
//! - [`record`]: one [`CallRecord`] for each call attempt; [`mod@conceal`]: what a record,
//!   an alert or a log line must not show;
//! - [`recorder`]: the way in, a bounded queue that never blocks; [`service`] and
//!   `writer`: one thread that writes what waits as one transaction;
//! - [`sqlite`], [`lines`], [`spool`]: where records go; [`post`]: HTTP;
//! - [`alert`]: alerts to log, webhooks and commands, without repetition.
//!
//! Nothing here knows SIP, and nothing here decides. A record is *committed* when the
//! file that holds it has been synchronised; whoever asked for a receipt gets it then.

pub mod alert;
pub mod conceal;
pub mod lines;
pub mod post;
pub mod record;
pub mod recorder;
pub mod service;
pub mod spool;
pub mod sqlite;
mod stages;
mod writer;

pub use conceal::conceal;
pub use record::{CallRecord, PluginVersion, Points, StageRecord, StreamRecord};
pub use recorder::{Full, Receipt, Recorder};
pub use service::{RecordConfig, RecordFigures, RecordService};
