//! The interface `identity`.

use super::with;
use crate::bindings::identity::{DigestUser, TlsSession};

pub(crate) fn tls() -> Option<TlsSession> {
    with(|world| world.request.tls.clone())
}

pub(crate) fn verified() -> Vec<DigestUser> {
    with(|world| world.request.verified.clone())
}

pub(crate) fn groups(identity: &str) -> Vec<String> {
    with(|world| {
        let named = world
            .groups
            .iter()
            .filter(|(_, members)| members.contains(identity));
        named.map(|(group, _)| group.clone()).collect()
    })
}
