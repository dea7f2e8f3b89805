//! The interface `keyvalue`.

use super::{World, with};
use crate::Capability;
use crate::bindings::keyvalue::KvError;

fn check(world: &World, key: &str) -> Result<(), KvError> {
    world.demand_state(Capability::KeyValue);
    match (world.keyvalue_fails, (1..=512).contains(&key.len())) {
        (true, _) => Err(KvError::Failed),
        (false, false) => Err(KvError::Invalid),
        (false, true) => Ok(()),
    }
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    with(|world| {
        check(world, key)?;
        let value = world
            .values
            .get(key)
            .filter(|(_, until)| *until > world.now_ms);
        Ok(value.map(|(value, _)| value.clone()))
    })
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
    with(|world| {
        check(world, key)?;
        if value.len() > 65_536 {
            return Err(KvError::Invalid);
        }
        let until = if ttl_ms == 0 {
            u64::MAX
        } else {
            world.now_ms.saturating_add(ttl_ms)
        };
        world
            .values
            .insert(key.to_owned(), (value.to_owned(), until));
        Ok(())
    })
}

pub(crate) fn delete(key: &str) -> Result<bool, KvError> {
    with(|world| {
        check(world, key)?;
        let now_ms = world.now_ms;
        Ok(world
            .values
            .remove(key)
            .is_some_and(|(_, until)| until > now_ms))
    })
}
