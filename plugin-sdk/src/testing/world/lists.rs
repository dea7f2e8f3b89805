//! The interface `lists`.

use super::with;
use crate::Capability;
use crate::bindings::lists::{Entry, ListError};

pub(crate) fn find(name: &str, key: &str) -> Result<Option<String>, ListError> {
    with(|world| {
        world.demand(Capability::Lists);
        let list = world.lists.get(name).ok_or(ListError::NoSuchList)?;
        Ok(list.get(key).cloned())
    })
}

pub(crate) fn longest_prefix(name: &str, text: &str) -> Result<Option<Entry>, ListError> {
    with(|world| {
        world.demand(Capability::Lists);
        let list = world.lists.get(name).ok_or(ListError::NoSuchList)?;
        let ends = (0..=text.len()).rev();
        let prefixes = ends.filter_map(|end| text.get(..end));
        let found = prefixes
            .into_iter()
            .find_map(|prefix| list.get_key_value(prefix));
        Ok(found.map(|(key, value)| Entry {
            key: key.clone(),
            value: value.clone(),
        }))
    })
}
