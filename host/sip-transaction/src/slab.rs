//! A table of transactions whose places are used again, though their names never are.

use crate::TransactionId;

/// Transactions of one side, found by identifier without hashing.
pub(crate) struct Slab<T> {
    places: Vec<Option<(TransactionId, T)>>,
    free: Vec<u32>,
    client: bool,
}

impl<T> Slab<T> {
    pub(crate) const fn new(client: bool) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            client,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts a transaction in. `serial` must be new; the caller keeps the table under
    /// [`TransactionId::MOST_PLACES`].
    pub(crate) fn insert(&mut self, serial: u64, value: T) -> TransactionId {
        self.insert_with(serial, |_| value)
    }

    /// The same for a transaction that must know its name to be made.
    pub(crate) fn insert_with(
        &mut self,
        serial: u64,
        make: impl FnOnce(TransactionId) -> T,
    ) -> TransactionId {
        if let Some(place) = self.free.pop()
            && let Some(slot) = self.places.get_mut(place as usize)
        {
            let id = TransactionId::new(serial, self.client, place);
            *slot = Some((id, make(id)));
            return id;
        }
        debug_assert!(
            self.places.len() < TransactionId::MOST_PLACES,
            "the limits are clamped"
        );
        let id = TransactionId::new(serial, self.client, self.places.len() as u32);
        self.places.push(Some((id, make(id))));
        id
    }

    pub(crate) fn get(&self, id: TransactionId) -> Option<&T> {
        match self.places.get(id.place()) {
            Some(Some((owner, value))) if *owner == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: TransactionId) -> Option<&mut T> {
        match self.places.get_mut(id.place()) {
            Some(Some((owner, value))) if *owner == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> Option<T> {
        self.get(id)?;
        let (_, value) = self.places.get_mut(id.place())?.take()?;
        self.free.push(id.place() as u32);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_reused_under_a_new_name() {
        let mut slab = Slab::new(true);
        let first = slab.insert(1, 'a');
        let second = slab.insert(2, 'b');
        assert!(first.is_client() && first < second);
        assert_eq!(slab.remove(first), Some('a'));
        assert_eq!(slab.remove(first), None);
        let third = slab.insert(3, 'c');
        assert_eq!(third.place(), first.place());
        assert_ne!(third, first);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(third), Some(&'c'));
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(slab.len(), 2);
    }
}
