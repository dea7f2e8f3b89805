//! The interface `counters`.

use super::{World, with};
use crate::Capability;
use crate::bindings::counters::{CounterError, Durability, Grant};

/// Two counts, as the host keeps them: the estimate is the current span plus
/// the share of the previous one that is still within the window.
pub(super) struct Window {
    window_ms: u64,
    start_ms: u64,
    previous: u64,
    current: u64,
    pub(super) durable: bool,
}

impl Window {
    fn estimate(&mut self, now_ms: u64) -> u64 {
        let elapsed = now_ms.saturating_sub(self.start_ms);
        match elapsed / self.window_ms {
            0 => {}
            1 => {
                (self.previous, self.current) = (self.current, 0);
                self.start_ms += self.window_ms;
            }
            _ => (self.previous, self.current, self.start_ms) = (0, 0, now_ms),
        }
        let left = self.window_ms - now_ms.saturating_sub(self.start_ms).min(self.window_ms);
        self.current + (self.previous * left).div_ceil(self.window_ms)
    }
}

/// Level in millionths of a token.
pub(super) struct Bucket {
    level: u64,
    touched_ms: u64,
}

fn check(world: &World, name: &str, key: &[u8]) -> Result<(), CounterError> {
    world.demand_state(Capability::Counters);
    if !(1..=64).contains(&name.len()) || key.len() > 256 {
        return Err(CounterError::Invalid);
    }
    if world.counters_full {
        Err(CounterError::Full)
    } else {
        Ok(())
    }
}

pub(crate) fn add(
    name: &str,
    key: &[u8],
    amount: u32,
    window_ms: u64,
    durability: Durability,
) -> Result<u64, CounterError> {
    with(|world| {
        check(world, name, key)?;
        if window_ms == 0 {
            return Err(CounterError::Invalid);
        }
        let entry = (name.to_owned(), key.to_owned());
        if amount == 0 && !world.windows.contains_key(&entry) {
            return Ok(0);
        }
        let fresh = Window {
            window_ms,
            start_ms: world.now_ms,
            previous: 0,
            current: 0,
            durable: false,
        };
        let window = world.windows.entry(entry).or_insert(fresh);
        let before = window.estimate(world.now_ms);
        if window.window_ms != window_ms {
            let durable = window.durable;
            *window = Window {
                window_ms,
                start_ms: world.now_ms,
                previous: 0,
                current: before,
                durable,
            };
        }
        window.durable |= durability == Durability::Durable;
        window.current += u64::from(amount);
        Ok(window.estimate(world.now_ms))
    })
}

pub(crate) fn reset(name: &str, key: &[u8]) -> Result<(), CounterError> {
    with(|world| {
        world.demand_state(Capability::Counters);
        world.windows.remove(&(name.to_owned(), key.to_owned()));
        Ok(())
    })
}

pub(crate) fn take(
    name: &str,
    key: &[u8],
    tokens: u32,
    capacity: u32,
    refill_per_second: u32,
) -> Result<Grant, CounterError> {
    with(|world| {
        check(world, name, key)?;
        let (now_ms, rate) = (world.now_ms, u64::from(refill_per_second));
        let full = u64::from(capacity) * 1_000_000;
        let bucket = world
            .buckets
            .entry((name.to_owned(), key.to_owned()))
            .or_insert(Bucket {
                level: full,
                touched_ms: now_ms,
            });
        let gained = now_ms
            .saturating_sub(bucket.touched_ms)
            .saturating_mul(rate);
        bucket.level = bucket.level.saturating_add(gained).min(full);
        bucket.touched_ms = now_ms;
        let wanted = u64::from(tokens) * 1_000_000;
        let missing = wanted.saturating_sub(bucket.level);
        if missing == 0 {
            bucket.level -= wanted;
        }
        let wait = if missing == 0 {
            0
        } else {
            missing
                .checked_div(rate)
                .map_or(u64::MAX, |_| missing.div_ceil(rate))
        };
        Ok(Grant {
            taken: missing == 0,
            remaining: u32::try_from(bucket.level / 1_000_000).unwrap_or(u32::MAX),
            retry_after_ms: u32::try_from(wait).unwrap_or(u32::MAX),
        })
    })
}
