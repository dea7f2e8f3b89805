//! Who watches plugins at work: explanations and replays do, a proxy does not.

use std::sync::Arc;

use policy::{Outcome, PolicyFailure, TlsSession};
use sip_message::Message;

/// What a plugin has read that no other service was asked for.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// The first value of a header, by its name.
    Header(&'a Message, &'a str),
    /// All values of a header, by its name.
    Headers(&'a Message, &'a str),
    /// Whether a header is there, by its name.
    Present(&'a Message, &'a str),
    /// The names of all headers.
    HeaderNames(&'a Message),
    /// The body.
    Body(&'a Message),
    /// The whole message.
    Raw(&'a Message),
    /// The TLS session that the request came by.
    Tls(Option<TlsSession>),
    /// How many users the host has verified for the request.
    Verified(usize),
}

/// What one call of a hook took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// What the guest executed: about one for each instruction, the same on every machine.
    /// None if the engine does not count; see
    /// [`EngineConfig::count_fuel`](crate::EngineConfig::count_fuel).
    pub fuel: Option<u64>,
    /// Bytes of the instance's memories after it.
    pub memory_bytes: usize,
}

/// Is told what plugins are asked, what they read and what they answer.
///
/// What they ask of the other services is seen by whoever puts something of his own in
/// the place of those.
pub trait Observer: Send + Sync {
    /// `describe` or `configure` is about to be called; what is read from now on is not
    /// about a message.
    fn starting(&self, plugin: &Arc<str>);
    /// A hook is about to be called.
    fn asked(&self, plugin: &Arc<str>);
    /// The plugin reads something.
    fn read(&self, reading: Reading<'_>);
    /// The hook has answered, or has failed.
    fn answered(&self, plugin: &Arc<str>, answer: Result<&Outcome, &PolicyFailure>);
    /// What that took, told before the answer.
    fn spent(&self, _plugin: &Arc<str>, _spending: Spending) {}
}
