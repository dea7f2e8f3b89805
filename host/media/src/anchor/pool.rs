//! Ports as data: which pairs are free, taken, or resting.
//!
//! Each shard has every n-th pair of each interface and family. Pairs are given
//! out in an order that nobody can guess, and one that comes back is used last, so
//! that late packets of an ended call meet nobody.

use std::collections::VecDeque;

use hashbrown::HashSet;

use super::entropy::Entropy;
use crate::{AnchorConfig, Interface, LocalPorts, Refused, Unacceptable};

/// All pairs of one shard.
#[derive(Debug, Default)]
pub(super) struct PortPool {
    /// By interface, IPv4 then IPv6.
    pools: Vec<[Pool; 2]>,
    attempts: u64,
    quarantine_attempts: u64,
}

/// Pairs of one interface and family.
#[derive(Debug, Default)]
struct Pool {
    /// Pairs that the configuration gives; `None` without an address.
    wanted: Option<Slice>,
    free: VecDeque<u16>,
    taken: HashSet<u16>,
    /// With the attempt at which each may be tried again.
    resting: VecDeque<(u64, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    first: u16,
    last: u16,
    shard: usize,
    shards: usize,
}

impl Slice {
    fn new(interface: &Interface, config: &AnchorConfig) -> Self {
        Self {
            first: *interface.ports.start(),
            last: *interface.ports.end(),
            shard: config.shard,
            shards: config.shards.max(1),
        }
    }

    fn contains(self, rtp: u16) -> bool {
        rtp.is_multiple_of(2)
            && rtp != 0
            && rtp >= self.first
            && rtp < self.last
            && usize::from(rtp / 2) % self.shards == self.shard
    }

    fn ports(self) -> impl Iterator<Item = u16> {
        (self.first..=self.last).filter(move |port| self.contains(*port))
    }
}

impl PortPool {
    /// Follow a configuration. Pairs that are taken stay so until they come back.
    pub(super) fn configure(&mut self, config: &AnchorConfig, entropy: &mut Entropy) {
        self.quarantine_attempts = config.limits.quarantine_attempts;
        let count = self.pools.len().max(config.interfaces.len());
        self.pools.resize_with(count, Default::default);
        for (index, pools) in self.pools.iter_mut().enumerate() {
            for (ipv6, pool) in [false, true].into_iter().zip(pools) {
                let interface = config.interfaces.get(index);
                let bound = interface.filter(|interface| interface.bind(ipv6).is_some());
                pool.configure(bound.map(|bound| Slice::new(bound, config)), entropy);
            }
        }
    }

    /// A pair for a call.
    pub(super) fn take(&mut self, interface: u16, ipv6: bool) -> Result<LocalPorts, Refused> {
        self.attempts += 1;
        let attempts = self.attempts;
        let pool = self.pool(interface, ipv6).ok_or(Unacceptable::Interface)?;
        if pool.wanted.is_none() {
            return Err(Unacceptable::AddressFamily.into());
        }
        while pool
            .resting
            .front()
            .is_some_and(|(until, _)| *until <= attempts)
        {
            pool.free
                .extend(pool.resting.pop_front().map(|(_, rtp)| rtp));
        }
        let rtp = pool.free.pop_front().ok_or(Refused::PortsExhausted)?;
        pool.taken.insert(rtp);
        Ok(LocalPorts {
            interface,
            ipv6,
            rtp,
        })
    }

    /// A pair comes back; `unbound` if the relay could not open it.
    pub(super) fn give_back(&mut self, local: LocalPorts, unbound: bool) {
        let until = self.attempts + self.quarantine_attempts;
        let Some(pool) = self.pool(local.interface, local.ipv6) else {
            return;
        };
        if !pool.taken.remove(&local.rtp) || !pool.wants(local.rtp) {
            return;
        }
        if unbound {
            pool.resting.push_back((until, local.rtp));
        } else {
            pool.free.push_back(local.rtp);
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.pools
            .iter()
            .flatten()
            .map(|pool| pool.taken.len())
            .sum()
    }

    pub(super) fn free(&self) -> usize {
        self.pools
            .iter()
            .flatten()
            .map(|pool| pool.free.len())
            .sum()
    }

    pub(super) fn resting(&self) -> usize {
        self.pools
            .iter()
            .flatten()
            .map(|pool| pool.resting.len())
            .sum()
    }

    fn pool(&mut self, interface: u16, ipv6: bool) -> Option<&mut Pool> {
        let [v4, v6] = self.pools.get_mut(usize::from(interface))?;
        Some(if ipv6 { v6 } else { v4 })
    }
}

impl Pool {
    fn wants(&self, rtp: u16) -> bool {
        self.wanted.is_some_and(|slice| slice.contains(rtp))
    }

    fn configure(&mut self, wanted: Option<Slice>, entropy: &mut Entropy) {
        if self.wanted == wanted {
            return;
        }
        self.wanted = wanted;
        let Some(slice) = wanted else {
            self.free.clear();
            self.resting.clear();
            return;
        };
        self.free.retain(|rtp| slice.contains(*rtp));
        self.resting.retain(|(_, rtp)| slice.contains(*rtp));
        let known: HashSet<u16> = self
            .free
            .iter()
            .copied()
            .chain(self.resting.iter().map(|(_, rtp)| *rtp))
            .collect();
        let mut fresh: Vec<u16> = slice
            .ports()
            .filter(|rtp| !known.contains(rtp) && !self.taken.contains(rtp))
            .collect();
        for last in (1..fresh.len()).rev() {
            fresh.swap(last, entropy.below(last + 1));
        }
        self.free.extend(fresh);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;
    use crate::MediaLimits;

    fn config(ports: RangeInclusive<u16>, shard: usize, shards: usize) -> AnchorConfig {
        let interface = Interface::at([192, 0, 2, 1].into(), ports);
        AnchorConfig {
            limits: MediaLimits {
                quarantine_attempts: 10,
                ..MediaLimits::default()
            },
            shard,
            shards,
            ..AnchorConfig::new(vec![interface])
        }
    }

    fn pool(ports: RangeInclusive<u16>, shard: usize, shards: usize) -> PortPool {
        let mut pool = PortPool::default();
        pool.configure(&config(ports, shard, shards), &mut Entropy::new([1; 32]));
        pool
    }

    fn drain(pool: &mut PortPool) -> Vec<u16> {
        std::iter::from_fn(|| pool.take(0, false).ok().map(|local| local.rtp)).collect()
    }

    #[test]
    fn pairs_lie_within_the_range_and_shards_share_none() {
        for (ports, expected) in [
            (
                20_000..=20_009,
                vec![20_000, 20_002, 20_004, 20_006, 20_008],
            ),
            (20_001..=20_008, vec![20_002, 20_004, 20_006]),
            (65_530..=65_535, vec![65_530, 65_532, 65_534]),
            (0..=3, vec![2]),
            (9..=9, vec![]),
        ] {
            let mut all = drain(&mut pool(ports.clone(), 0, 1));
            all.sort_unstable();
            assert_eq!(all, expected, "{ports:?}");
            let mut shared: Vec<u16> = (0..3)
                .flat_map(|shard| drain(&mut pool(ports.clone(), shard, 3)))
                .collect();
            shared.sort_unstable();
            assert_eq!(shared, expected);
        }
    }

    #[test]
    fn a_pair_that_comes_back_is_used_last() {
        let mut pool = pool(20_000..=20_199, 0, 1);
        let first = pool.take(0, false).unwrap();
        pool.give_back(first, false);
        let order = drain(&mut pool);
        assert_eq!((order.len(), order.last()), (100, Some(&first.rtp)));
        assert!(!order.is_sorted(), "the order cannot be guessed");
    }

    #[test]
    fn an_empty_pool_refuses_and_recovers() {
        let mut pool = pool(20_000..=20_003, 0, 1);
        let (one, _two) = (pool.take(0, false).unwrap(), pool.take(0, false).unwrap());
        assert_eq!(pool.take(0, false), Err(Refused::PortsExhausted));
        pool.give_back(one, false);
        pool.give_back(one, false);
        assert_eq!((pool.free(), pool.taken()), (1, 1));
        assert_eq!(pool.take(0, false), Ok(one));
        assert_eq!(pool.take(0, true), Err(Unacceptable::AddressFamily.into()));
        assert_eq!(pool.take(1, false), Err(Unacceptable::Interface.into()));
    }

    #[test]
    fn an_unbound_pair_rests_and_returns_even_to_an_empty_pool() {
        let mut pool = pool(20_000..=20_001, 0, 1);
        let only = pool.take(0, false).unwrap();
        pool.give_back(only, true);
        assert_eq!((pool.free(), pool.resting(), pool.taken()), (0, 1, 0));
        let refused = (0..20).take_while(|_| pool.take(0, false).is_err()).count();
        assert_eq!(refused, 9, "the tenth attempt gets it");
    }

    #[test]
    fn another_configuration_keeps_what_is_taken() {
        let mut pool = pool(20_000..=20_007, 0, 1);
        let taken = pool.take(0, false).unwrap();
        let mut entropy = Entropy::new([2; 32]);
        pool.configure(&config(20_000..=20_011, 0, 1), &mut entropy);
        assert_eq!((pool.free(), pool.taken()), (5, 1));
        pool.configure(&config(30_000..=30_003, 0, 1), &mut entropy);
        assert_eq!((pool.free(), pool.taken()), (2, 1));
        pool.give_back(taken, false);
        assert_eq!(
            (pool.free(), pool.taken()),
            (2, 0),
            "it is not ours any more"
        );
    }
}
