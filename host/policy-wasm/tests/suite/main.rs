//! Loading and calling plugins, with guests written for these tests.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod calls;
mod guest;
mod isolation;
mod loading;
mod lookups;
mod versions;
