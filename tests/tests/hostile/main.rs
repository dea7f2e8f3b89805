//! Plugins that misbehave on purpose, through the real engine: the call is refused,
//! the reason says why, everybody else is served, and the next call finds a host as
//! good as new.

mod isolation;
mod loading;
mod requests;
mod responses;
mod stage;
