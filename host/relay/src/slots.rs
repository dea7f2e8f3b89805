//! A table whose keys stay unique: each carries the generation of its slot, so that
//! a late completion for a closed socket can never meet the next one in its place.

/// Key of an entry: the slot in the lower half, its generation in the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

impl Key {
    /// From the number that a backend carried through the kernel.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Key(bits)
    }

    /// The number to carry through the kernel: below 2^56, so that a backend may
    /// use the highest byte.
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    fn new(slot: usize, generation: u32) -> Self {
        Key(u64::from(generation) << 32 | slot as u64 & 0xffff_ffff)
    }

    fn slot(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Generations wrap here: 24 bits. A slot would have to be used 16 million times
/// between a request to the kernel and its completion to be mistaken.
const GENERATIONS: u32 = 1 << 24;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Entries found by [`Key`]. Grows as needed; its user bounds it.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(slot) = self.free.pop()
            && let Some(entry) = self.slots.get_mut(slot)
        {
            entry.value = Some(value);
            return Key::new(slot, entry.generation);
        }
        self.slots.push(Slot {
            generation: 0,
            value: Some(value),
        });
        Key::new(self.slots.len() - 1, 0)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let entry = self.slots.get(key.slot())?;
        if entry.generation != key.generation() {
            return None;
        }
        entry.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.slots.get_mut(key.slot())?;
        if entry.generation != key.generation() {
            return None;
        }
        entry.value.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.slots.get_mut(key.slot())?;
        if entry.generation != key.generation() {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = (entry.generation + 1) % GENERATIONS;
        self.free.push(key.slot());
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, entry)| {
                let key = Key::new(slot, entry.generation);
                entry.value.as_mut().map(|value| (key, value))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_finds_the_next_entry_of_its_slot() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        let other = slots.insert("other");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_ne!(first, second);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.get(Key::from_bits(second.to_bits())), Some(&"second"));
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.iter_mut().count(), 2);
        assert_eq!(slots.remove(other), Some("other"));
        assert_eq!(slots.len(), 1);
    }
}
