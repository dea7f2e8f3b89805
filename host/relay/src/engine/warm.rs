//! What packets need, brought into the caches before they are looked at.

use std::hint::black_box;

use arrayvec::ArrayVec;

use super::{Engine, Place};
use crate::backend::TOGETHER;
use crate::slots::Key;

impl Engine {
    /// Brings into the caches what packets on these sockets are about to need. A call
    /// was last heard 20 ms ago, so for each packet alone nearly every step from socket
    /// to key waits for memory; here each step is taken for all of them at once.
    pub(crate) fn warm(&self, sockets: impl Iterator<Item = Key>) {
        let places: ArrayVec<Place, TOGETHER> = sockets
            .take(TOGETHER)
            .filter_map(|key| self.sockets.get(key).map(|entry| entry.place))
            .collect();
        let streams = || {
            places.iter().filter_map(|place| {
                let session = self.sessions.get(place.session)?;
                Some((place, session.stream(place.stream)?))
            })
        };
        for place in &places {
            black_box(self.sessions.get(place.session).map(|it| it.closing));
        }
        for (place, stream) in streams() {
            stream.warm(place.side);
        }
        for (place, stream) in streams() {
            stream.warm_keys(place.side, place.component);
        }
    }
}
