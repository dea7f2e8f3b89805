//! The interface `leases`: what each call holds, so that its end gives all of it back.

use std::collections::HashMap;

use super::{World, with};
use crate::Capability;
use crate::bindings::leases::{Holding, LeaseError};

/// Different keys that one call may hold, as in the host.
const KEYS_PER_CALL: usize = 64;

/// Who holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Nobody can: no call is in hand.
    #[default]
    Nobody,
    /// The request in hand, which is not admitted yet.
    Request,
    /// A call by its number.
    Call(u64),
}

/// All holdings, by name and key.
#[derive(Default)]
pub(crate) struct Leases {
    pub(crate) holder: Holder,
    pub(crate) full: bool,
    held: HashMap<(String, Vec<u8>), HashMap<Holder, u64>>,
}

impl Leases {
    /// What all calls hold together.
    pub(crate) fn held(&self, name: &str, key: &[u8]) -> u64 {
        let holders = self.held.get(&(name.to_owned(), key.to_owned()));
        holders.map_or(0, |holders| {
            holders
                .values()
                .fold(0, |total, held| total.saturating_add(*held))
        })
    }

    /// Whether the holder may hold this key besides what it holds.
    fn has_room(&self, name: &str, key: &[u8]) -> bool {
        let own = |holders: &HashMap<Holder, u64>| holders.contains_key(&self.holder);
        let known = self.held.get(&(name.to_owned(), key.to_owned()));
        known.is_some_and(own)
            || self.held.values().filter(|holders| own(holders)).count() < KEYS_PER_CALL
    }

    /// The names and keys of which anything is held.
    pub(crate) fn names(&self) -> Vec<(String, Vec<u8>)> {
        let mut names: Vec<_> = self.held.keys().cloned().collect();
        names.sort();
        names
    }

    /// Keeps for a call what its request held: the pipeline admitted it.
    pub(crate) fn keep(&mut self, call: u64) {
        for holders in self.held.values_mut() {
            if let Some(held) = holders.remove(&Holder::Request) {
                holders.insert(Holder::Call(call), held);
            }
        }
    }

    /// Gives back all that somebody holds.
    pub(crate) fn release(&mut self, holder: Holder) {
        self.retain(|other| other != holder);
    }

    /// The host restarts: no call is left.
    pub(crate) fn forget_calls(&mut self) {
        self.retain(|_| false);
    }

    fn retain(&mut self, keeps: impl Fn(Holder) -> bool) {
        self.held.retain(|_, holders| {
            holders.retain(|holder, _| keeps(*holder));
            !holders.is_empty()
        });
    }
}

fn check(world: &World, name: &str, key: &[u8]) -> Result<(), LeaseError> {
    world.demand_state(Capability::Leases);
    match (1..=64).contains(&name.len()) && key.len() <= 256 {
        true => Ok(()),
        false => Err(LeaseError::Invalid),
    }
}

pub(crate) fn hold(name: &str, key: &[u8], amount: u64, limit: u64) -> Result<Holding, LeaseError> {
    with(|world| {
        check(world, name, key)?;
        let leases = &mut world.leases;
        if leases.holder == Holder::Nobody {
            return Err(LeaseError::NoCall);
        }
        if amount == 0 {
            return Err(LeaseError::Invalid);
        }
        if leases.full || !leases.has_room(name, key) {
            return Err(LeaseError::Full);
        }
        let before = leases.held(name, key);
        let after = before.checked_add(amount).filter(|after| *after <= limit);
        let Some(after) = after else {
            return Ok(Holding {
                granted: false,
                held: before,
            });
        };
        let holders = leases.held.entry((name.to_owned(), key.to_owned()));
        *holders.or_default().entry(leases.holder).or_default() += amount;
        Ok(Holding {
            granted: true,
            held: after,
        })
    })
}

pub(crate) fn held(name: &str, key: &[u8]) -> Result<u64, LeaseError> {
    with(|world| {
        check(world, name, key)?;
        Ok(world.leases.held(name, key))
    })
}
