//! Requests that a policy dropped: their retransmissions stay without an answer, and
//! without being judged again, for as long as a client would repeat them.

use std::collections::VecDeque;
use std::hash::Hasher;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use sip_message::Message;
use sip_transaction::{Flow, Moment};

use crate::entropy::Entropy;

/// Fingerprints of dropped requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Silenced {
    known: HashSet<u64, FixedState>,
    order: VecDeque<(Moment, u64)>,
}

impl Silenced {
    /// What a retransmission has in common with its request.
    pub(crate) fn fingerprint(entropy: &Entropy, request: &Message, flow: &Flow) -> u64 {
        let mut hash = entropy.hash_fields();
        hash.write_u8(b'S');
        let via = request.top_via();
        hash.field(via.raw)
            .field(request.method_name())
            .field(request.call_id());
        hash.write_u32(request.cseq().number);
        hash.field(request.request_uri().raw);
        // Somebody else who repeats it is judged on his own.
        hash.field(flow.peer.ip().to_string().as_bytes());
        hash.finish()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn contains(&self, fingerprint: u64) -> bool {
        self.known.contains(&fingerprint)
    }

    /// Remembers one, and forgets the oldest beyond `limit`.
    pub(crate) fn insert(&mut self, until: Moment, fingerprint: u64, limit: usize) {
        if limit == 0 || !self.known.insert(fingerprint) {
            return;
        }
        self.order.push_back((until, fingerprint));
        while self.order.len() > limit {
            if let Some((_, oldest)) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Forgets what is old enough; says when the next one will be.
    pub(crate) fn forget(&mut self, now: Moment) -> Option<Moment> {
        while let Some((until, fingerprint)) = self.order.front() {
            if *until > now {
                return Some(*until);
            }
            self.known.remove(fingerprint);
            self.order.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_at_the_limit_and_all_go_in_time() {
        let mut silenced = Silenced::default();
        let at = Moment::from_millis;
        silenced.insert(at(10), 1, 2);
        silenced.insert(at(20), 2, 2);
        assert!(silenced.contains(1));
        silenced.insert(at(30), 3, 2);
        assert!(!silenced.contains(1) && silenced.contains(2) && silenced.contains(3));
        assert_eq!(silenced.forget(at(20)), Some(at(30)));
        assert!(!silenced.contains(2));
        assert_eq!(silenced.forget(at(30)), None);
        assert!(silenced.is_empty());
    }
}
