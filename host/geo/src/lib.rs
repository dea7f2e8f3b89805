//! Where addresses are, by databases in the MaxMind DB format 2.0.
//!
//! ```text
//! Database::read(path)                      a file: checked from end to end, or refused
//! Places { country, asn, city }.locate(ip)  what they know, together
//! ```
//!
//! A database is a file from elsewhere that is replaced while calls go on, so each is
//! verified when it is read: every node of the search tree and every value that it
//! leads to. It lies in memory afterwards, and a file that is cut short later takes
//! nothing with it. What a lookup still cannot read is as if it were not there.

mod database;
mod figure;
mod place;
mod special;

pub use database::{Database, DatabaseError, DatabaseLimits};
pub use place::{Coordinates, ORGANISATION_BYTES, Place, Places};
pub use special::is_public;
