//! Ceilings on connections: all of them, those of one peer, those we opened.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::config::ConnectionLimits;

/// Counts of open connections, shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    inbound: usize,
    outbound: usize,
    /// As long as `inbound` at most; an entry leaves with its last connection.
    per_peer: HashMap<PeerKey, usize>,
}

/// Who counts as one peer: an IPv4 address, or the /64 that one IPv6
/// subscriber is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PeerKey {
    V4(u32),
    V6Prefix(u64),
}

impl PeerKey {
    fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => PeerKey::V4(address.to_bits()),
            IpAddr::V6(address) => PeerKey::V6Prefix((address.to_bits() >> 64) as u64),
        }
    }
}

/// Which ceiling refused a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Inbound,
    PerPeer,
    Outbound,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    /// The peer of an accepted connection, none for one that we opened.
    peer: Option<PeerKey>,
}

impl Admission {
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        limits: &ConnectionLimits,
    ) -> Result<Slot, Refusal> {
        let key = PeerKey::new(peer);
        let mut counts = self.counts.lock();
        if counts.inbound >= limits.inbound {
            return Err(Refusal::Inbound);
        }
        let of_peer = counts.per_peer.get(&key).copied().unwrap_or(0);
        if of_peer >= limits.per_peer {
            return Err(Refusal::PerPeer);
        }
        counts.per_peer.insert(key, of_peer + 1);
        counts.inbound += 1;
        Ok(Slot {
            admission: Arc::clone(self),
            peer: Some(key),
        })
    }

    pub(crate) fn admit_outbound(
        self: &Arc<Self>,
        limits: &ConnectionLimits,
    ) -> Result<Slot, Refusal> {
        let mut counts = self.counts.lock();
        if counts.outbound >= limits.outbound {
            return Err(Refusal::Outbound);
        }
        counts.outbound += 1;
        Ok(Slot {
            admission: Arc::clone(self),
            peer: None,
        })
    }

    /// Open connections: accepted, and opened by us.
    pub(crate) fn open(&self) -> (usize, usize) {
        let counts = self.counts.lock();
        (counts.inbound, counts.outbound)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        let Some(key) = self.peer else {
            counts.outbound = counts.outbound.saturating_sub(1);
            return;
        };
        counts.inbound = counts.inbound.saturating_sub(1);
        match counts.per_peer.get_mut(&key) {
            Some(of_peer) if *of_peer > 1 => *of_peer -= 1,
            _ => {
                counts.per_peer.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(inbound: usize, per_peer: usize, outbound: usize) -> ConnectionLimits {
        ConnectionLimits {
            inbound,
            per_peer,
            outbound,
            ..ConnectionLimits::default()
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_sides_of_the_ceiling_for_one_peer() {
        let admission = Arc::new(Admission::default());
        let limits = limits(10, 2, 1);
        let first = admission.admit(address("192.0.2.1"), &limits).unwrap();
        let _second = admission
            .admit(address("::ffff:192.0.2.1"), &limits)
            .unwrap();
        let third = admission.admit(address("192.0.2.1"), &limits);
        assert_eq!(third.unwrap_err(), Refusal::PerPeer);
        let _other = admission.admit(address("192.0.2.2"), &limits).unwrap();
        drop(first);
        assert!(admission.admit(address("192.0.2.1"), &limits).is_ok());
    }

    #[test]
    fn one_ipv6_prefix_is_one_peer() {
        let admission = Arc::new(Admission::default());
        let limits = limits(10, 1, 1);
        let _first = admission.admit(address("2001:db8::1"), &limits).unwrap();
        let same = admission.admit(address("2001:db8::ffff:1"), &limits);
        assert_eq!(same.unwrap_err(), Refusal::PerPeer);
        assert!(admission.admit(address("2001:db8:0:1::1"), &limits).is_ok());
    }

    #[test]
    fn outbound_is_counted_apart() {
        let admission = Arc::new(Admission::default());
        let limits = limits(1, 1, 1);
        let inbound = admission.admit(address("192.0.2.1"), &limits).unwrap();
        assert_eq!(
            admission.admit(address("192.0.2.2"), &limits).unwrap_err(),
            Refusal::Inbound
        );
        let outbound = admission.admit_outbound(&limits).unwrap();
        assert_eq!(
            admission.admit_outbound(&limits).unwrap_err(),
            Refusal::Outbound
        );
        assert_eq!(admission.open(), (1, 1));
        drop((inbound, outbound));
        assert_eq!(admission.open(), (0, 0));
        assert!(admission.counts.lock().per_peer.is_empty());
    }
}
