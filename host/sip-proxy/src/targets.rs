//! Target sets: RFC 3261 section 16.5. Targets are tried in the order of their
//! priority, and of q among equals, one at a time or all of a priority at once.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use policy::Zone;
use sip_transaction::{Destination, ListenerId};
use smallvec::SmallVec;

use crate::config::{FailoverOn, ForkMode, PeerConfig};

/// One place to send a request to.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) destination: Destination,
    /// Host for the Request-URI; none leaves it as it is.
    pub(crate) uri_host: Option<Arc<str>>,
    /// The configured peer it belongs to.
    pub(crate) peer: Option<Arc<str>>,
    /// Side it is on, to choose a listener.
    pub(crate) zone: Option<Zone>,
    /// Listener to send from, if the destination names none.
    pub(crate) egress: Option<ListenerId>,
    /// A request too large for UDP may go there by TCP.
    pub(crate) large_by_tcp: bool,
    priority: u16,
}

impl Choice {
    /// A place that the request itself names.
    pub(crate) fn literal(destination: Destination, egress: Option<ListenerId>) -> Self {
        Self {
            destination,
            uri_host: None,
            peer: None,
            zone: None,
            egress,
            large_by_tcp: false,
            priority: 0,
        }
    }
}

/// The targets that have not been tried.
#[derive(Clone, Debug)]
pub(crate) struct TargetSet {
    waiting: VecDeque<Choice>,
    fork: ForkMode,
    failover: FailoverOn,
    /// How many there were at first.
    pub(crate) size: usize,
}

impl TargetSet {
    /// A single place.
    pub(crate) fn one(choice: Choice) -> Self {
        Self {
            waiting: VecDeque::from([choice]),
            fork: ForkMode::Serial,
            failover: FailoverOn::Unavailable,
            size: 1,
        }
    }

    /// The targets of a peer, at most `limit`. `keep_host` leaves the Request-URI's
    /// host as it is; `secure` leaves out what is not encrypted (section 26.2.2).
    pub(crate) fn of_peer(peer: &PeerConfig, keep_host: bool, secure: bool, limit: usize) -> Self {
        let mut targets: SmallVec<[_; 4]> = peer
            .targets
            .iter()
            .filter(|target| !secure || target.destination.transport.secure())
            .collect();
        targets.sort_by_key(|target| (target.priority, Reverse(target.q)));
        targets.truncate(limit);
        let choice = |target: &&crate::config::Target| Choice {
            destination: target.destination.clone(),
            uri_host: (!keep_host).then(|| {
                target
                    .uri_host
                    .clone()
                    .unwrap_or_else(|| Arc::from(target.destination.address.to_string()))
            }),
            peer: Some(Arc::clone(&peer.name)),
            zone: Some(peer.zone),
            egress: None,
            large_by_tcp: peer.large_by_tcp,
            priority: target.priority,
        };
        let waiting: VecDeque<Choice> = targets.iter().map(choice).collect();
        Self {
            size: waiting.len(),
            waiting,
            fork: peer.fork,
            failover: peer.failover,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives up those that wait.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Takes those that are tried next, at most `breadth` (RFC 5393 section 5.3.3).
    pub(crate) fn next_group(&mut self, breadth: u32) -> SmallVec<[Choice; 1]> {
        let mut group: SmallVec<[Choice; 1]> = SmallVec::new();
        let breadth = usize::try_from(breadth).unwrap_or(usize::MAX).max(1);
        while let Some(next) = self.waiting.front() {
            let joins = group.first().is_none_or(|first| {
                self.fork == ForkMode::Parallel && first.priority == next.priority
            });
            if !joins || group.len() == breadth {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
        group
    }

    /// Whether a branch that ended with this status lets further targets be tried.
    pub(crate) fn fails_over(&self, status: u16) -> bool {
        match self.failover {
            FailoverOn::Unavailable => matches!(status, 408 | 503 | 504),
            FailoverOn::ServerErrors => status == 408 || (500..600).contains(&status),
            FailoverOn::AnyFailure => (400..600).contains(&status),
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::Zone;
    use sip_transaction::Transport;

    use super::*;
    use crate::config::{PeerKind, Target};

    fn target(port: u16, priority: u16, q: u16) -> Target {
        let mut target = Target::new(Transport::Udp, ([192, 0, 2, 9], port).into());
        target.priority = priority;
        target.q = q;
        target
    }

    fn peer(fork: ForkMode) -> PeerConfig {
        let targets = vec![target(3, 1, 1000), target(2, 0, 500), target(1, 0, 900)];
        let mut peer = PeerConfig::new("t", Zone::Outside, PeerKind::Trunk, targets);
        peer.fork = fork;
        peer
    }

    fn groups(mut set: TargetSet, breadth: u32) -> Vec<Vec<u16>> {
        let mut groups = Vec::new();
        while !set.is_empty() {
            let group = set.next_group(breadth);
            groups.push(
                group
                    .iter()
                    .map(|choice| choice.destination.address.port())
                    .collect(),
            );
        }
        groups
    }

    #[test]
    fn serial_goes_one_by_one_by_priority_then_q() {
        let set = TargetSet::of_peer(&peer(ForkMode::Serial), false, false, 16);
        assert_eq!(groups(set, 60), [[1], [2], [3]]);
    }

    #[test]
    fn parallel_takes_a_priority_at_once() {
        let set = TargetSet::of_peer(&peer(ForkMode::Parallel), false, false, 16);
        assert_eq!(groups(set, 60), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn breadth_splits_a_group() {
        let set = TargetSet::of_peer(&peer(ForkMode::Parallel), false, false, 16);
        assert_eq!(groups(set.clone(), 2), [vec![1, 2], vec![3]]);
        assert_eq!(groups(set, 1), [[1], [2], [3]]);
    }

    #[test]
    fn the_limit_cuts_and_sips_wants_encryption() {
        assert_eq!(
            TargetSet::of_peer(&peer(ForkMode::Serial), false, false, 3).size,
            3
        );
        assert_eq!(
            TargetSet::of_peer(&peer(ForkMode::Serial), false, false, 2).size,
            2
        );
        assert!(TargetSet::of_peer(&peer(ForkMode::Serial), false, true, 3).is_empty());
    }

    #[test]
    fn what_fails_over_is_the_operators_choice() {
        let mut peer = peer(ForkMode::Serial);
        for (failover, yes, no) in [
            (
                FailoverOn::Unavailable,
                &[408, 503, 504][..],
                &[486, 404, 500, 603][..],
            ),
            (FailoverOn::ServerErrors, &[408, 500, 503], &[486, 302, 603]),
            (FailoverOn::AnyFailure, &[408, 486, 500], &[302, 603]),
        ] {
            peer.failover = failover;
            let set = TargetSet::of_peer(&peer, false, false, 16);
            assert!(
                yes.iter().all(|status| set.fails_over(*status)),
                "{failover:?}"
            );
            assert!(
                !no.iter().any(|status| set.fails_over(*status)),
                "{failover:?}"
            );
        }
    }
}
