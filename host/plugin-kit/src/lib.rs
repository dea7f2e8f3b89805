//! What authors of plugins do, from an empty folder to a signed component. The command
//! line on top of it is `sipward plugin`.
//!
//! ```text
//! scaffold  -> a crate with a policy, tests and golden messages
//! build     -> NAME.wasm, and what it imports
//! golden    -> messages and what has to become of them, judged in the real host
//! bench     -> time, fuel and memory of each golden message
//! inspect   -> what a plugin is, asks for, and who signed it
//! compare   -> what changes between two versions
//! signing   -> keys and signatures as files
//! ```

pub mod bench;
pub mod build;
pub mod compare;
mod error;
pub mod golden;
pub mod inspect;
mod project;
pub mod scaffold;
mod schema;
pub mod signing;
mod stage;

pub use error::KitError;
pub use project::{Language, Project};
