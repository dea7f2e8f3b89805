//! The synchronization sources under one master key: RFC 3711 section 3.2.3, with a ceiling.

use smallvec::SmallVec;

use crate::error::SrtpError;

/// Places within the context itself, so that they are in the cache with it: a source of RTP and
/// one that only reports, as a phone call has.
const FIRST_PLACES: usize = 2;

/// State of each source, found by its SSRC.
///
/// Sources are never forgotten while the key lives: a forgotten one could be replayed, or could
/// send two packets under one index.
#[derive(Debug)]
pub(crate) struct Sources<T> {
    entries: SmallVec<[(u32, T); FIRST_PLACES]>,
    ceiling: usize,
    /// Where the last packet's source was, because the next one is mostly the same.
    last: usize,
}

/// Where a source is, or that it is new.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Known(usize),
    New,
}

impl<T: Copy + Default> Sources<T> {
    pub(crate) fn new(ceiling: usize) -> Self {
        Self {
            entries: SmallVec::new(),
            ceiling,
            last: 0,
        }
    }

    /// A copy of what is known of `ssrc`, to be put back with [`Self::put`].
    ///
    /// # Errors
    /// `TooManySources` when it is new and no place is left.
    pub(crate) fn take(&mut self, ssrc: u32) -> Result<(Place, T), SrtpError> {
        if let Some((found, state)) = self.entries.get(self.last)
            && *found == ssrc
        {
            return Ok((Place::Known(self.last), *state));
        }
        let known = self
            .entries
            .iter()
            .enumerate()
            .find(|(_, (found, _))| *found == ssrc);
        if let Some((at, (_, state))) = known {
            return Ok((Place::Known(at), *state));
        }
        if self.entries.len() >= self.ceiling {
            return Err(SrtpError::TooManySources);
        }
        Ok((Place::New, T::default()))
    }

    /// Keeps `state`; only now a new source takes a place.
    pub(crate) fn put(&mut self, ssrc: u32, place: Place, state: T) {
        match place {
            Place::Known(at) => {
                if let Some((_, kept)) = self.entries.get_mut(at) {
                    *kept = state;
                    self.last = at;
                }
            }
            Place::New => {
                self.last = self.entries.len();
                self.entries.push((ssrc, state));
            }
        }
    }

    /// What is known of `ssrc`.
    pub(crate) fn find(&self, ssrc: u32) -> Option<&T> {
        self.entries
            .iter()
            .find(|(found, _)| *found == ssrc)
            .map(|(_, state)| state)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_holds_and_known_sources_stay() {
        let mut sources = Sources::<u8>::new(3);
        for ssrc in [10, 20, 30] {
            let (place, state) = sources.take(ssrc).unwrap();
            assert!(matches!(place, Place::New));
            sources.put(ssrc, place, state + 1);
        }
        assert_eq!(sources.take(40).unwrap_err(), SrtpError::TooManySources);
        assert_eq!(sources.len(), 3);
        for ssrc in [10, 30, 20] {
            let (place, state) = sources.take(ssrc).unwrap();
            assert_eq!(state, 1);
            sources.put(ssrc, place, 2);
            assert_eq!(sources.find(ssrc), Some(&2));
        }
    }

    #[test]
    fn taking_keeps_nothing() {
        let mut sources = Sources::<u8>::new(1);
        assert!(sources.take(1).is_ok());
        assert!(sources.take(2).is_ok());
        assert_eq!(sources.len(), 0);
        assert_eq!(sources.find(1), None);
    }
}
