//! What must outlast a call: counters, key-value, nonces and credentials.
//!
//! Everything lives in memory, in tables sharded by key, each with a ceiling
//! ([`Limits`]). What is `durable` is also appended to a journal before the
//! call returns, with one `write(2)` per record, so it survives `kill -9`; at
//! a bound, or on [`State::checkpoint`], the live state goes into one redb file
//! and the journal starts anew. The order of those steps is in `durable`.
//!
//! Time is an argument: milliseconds since 1970-01-01T00:00:00Z.
//!
//! - `window`, `bucket`: the arithmetic of sliding windows and token buckets;
//! - `table`, `quota`, `key`: sharded storage, ceilings and composite keys;
//! - `journal`, `record`, `snapshot`, `durable`: what is on disk;
//! - `tables`, `inner`, `store`: [`State`], which puts them together;
//! - [`Leases`]: what calls hold, in memory only;
//! - [`digest`]: RFC 7616 and RFC 8760 verification.

mod bucket;
pub mod digest;
mod durable;
mod error;
mod inner;
mod journal;
mod key;
mod leases;
mod limits;
mod quota;
mod record;
mod snapshot;
mod store;
mod table;
mod tables;
mod window;

pub use bucket::Grant;
pub use error::{CounterError, KvError, LeaseError, StateError};
pub use leases::{Holding, LeaseFigures, LeaseKind, Leases, Lessee};
pub use limits::{COUNTER_KEY_BYTES, Durability, Limits, NAME_BYTES, SCOPE_BYTES, VALUE_KEY_BYTES};
pub use store::{Figures, State};
