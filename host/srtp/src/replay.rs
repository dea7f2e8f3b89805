//! The replay window and the estimate of a packet's index: RFC 3711 sections 3.3.1 and 3.3.2 and
//! appendix A.

use crate::error::SrtpError;

/// Indices behind the highest accepted one that are still told apart. RFC 3711 asks for 64 at
/// least; 128 packets are 2.5 seconds of G.711 and one machine word pair.
pub const REPLAY_WINDOW: u64 = 128;

/// An SRTP index has 48 bits: rollover counter and sequence number.
const INDEX_LIMIT: u64 = 1 << 48;

/// Which indices were accepted: the highest one and those shortly before it.
///
/// ```text
///   mask   bit 127 ........ bit 2   bit 1   bit 0
///   index  highest-127 ... highest-2, -1, highest
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReplayWindow {
    highest: u64,
    /// Bit 0 stands for `highest` and is set as soon as one index was accepted.
    mask: u128,
}

impl ReplayWindow {
    /// The highest index accepted so far.
    pub(crate) fn highest(&self) -> Option<u64> {
        (self.mask != 0).then_some(self.highest)
    }

    /// May `index` still be accepted?
    pub(crate) fn check(&self, index: u64) -> Result<(), SrtpError> {
        if self.mask == 0 || index > self.highest {
            return Ok(());
        }
        let age = self.highest - index;
        if age >= REPLAY_WINDOW || self.mask >> age & 1 == 1 {
            return Err(SrtpError::Replay);
        }
        Ok(())
    }

    /// Remembers `index`, which [`Self::check`] allowed.
    pub(crate) fn accept(&mut self, index: u64) {
        if self.mask == 0 {
            self.highest = index;
            self.mask = 1;
        } else if index > self.highest {
            let step = index - self.highest;
            self.highest = index;
            self.mask = if step < REPLAY_WINDOW {
                self.mask << step | 1
            } else {
                1
            };
        } else if self.highest - index < REPLAY_WINDOW {
            self.mask |= 1 << (self.highest - index);
        }
    }
}

/// The 48-bit index of the packet with `sequence`, as appendix A estimates it from the highest
/// index so far; `start` is the rollover counter of a source that has sent nothing yet.
///
/// # Errors
/// `Replay` for a packet from before index 0, `KeyExhausted` for one after the last index.
pub(crate) fn estimate_index(
    highest: Option<u64>,
    start: u32,
    sequence: u16,
) -> Result<u64, SrtpError> {
    const HALF: u64 = 1 << 15;
    const CYCLE: u64 = 1 << 16;
    let sequence = u64::from(sequence);
    let Some(highest) = highest else {
        return Ok(u64::from(start) * CYCLE + sequence);
    };
    let last = highest % CYCLE;
    let cycle = highest - last;
    if last < HALF && sequence > last + HALF {
        return cycle
            .checked_sub(CYCLE)
            .map(|v| v + sequence)
            .ok_or(SrtpError::Replay);
    }
    let index = if last >= HALF && sequence < last - HALF {
        cycle + CYCLE
    } else {
        cycle
    } + sequence;
    if index >= INDEX_LIMIT {
        return Err(SrtpError::KeyExhausted);
    }
    Ok(index)
}

/// The rollover counter of an index.
#[expect(clippy::cast_possible_truncation, reason = "an index has 48 bits")]
pub(crate) fn rollover_counter(index: u64) -> u32 {
    (index >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_edges_of_the_window() {
        let mut window = ReplayWindow::default();
        window.accept(1000);
        assert_eq!(window.check(1000), Err(SrtpError::Replay));
        assert_eq!(window.check(1000 - 127), Ok(()));
        assert_eq!(window.check(1000 - 128), Err(SrtpError::Replay));
        window.accept(1000 - 127);
        assert_eq!(window.check(1000 - 127), Err(SrtpError::Replay));
        window.accept(1127);
        assert_eq!(window.check(1000), Err(SrtpError::Replay));
        assert_eq!(window.check(1001), Ok(()));
        window.accept(1128);
        assert_eq!(window.check(1001), Ok(()));
        assert_eq!(window.check(1000), Err(SrtpError::Replay));
    }

    #[test]
    fn a_jump_past_the_window_forgets_the_old() {
        for step in [127, 128, 129, 1 << 40] {
            let mut window = ReplayWindow::default();
            window.accept(5);
            window.accept(5 + step);
            assert_eq!(window.check(5), Err(SrtpError::Replay));
            assert_eq!(window.check(5 + step - 1), Ok(()));
            assert_eq!(window.highest(), Some(5 + step));
        }
    }

    #[test]
    fn index_zero_counts() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.highest(), None);
        window.accept(0);
        assert_eq!(window.highest(), Some(0));
        assert_eq!(window.check(0), Err(SrtpError::Replay));
    }

    #[test]
    fn estimate_follows_appendix_a() {
        let at = |roc: u64, sequence: u64| Some(roc << 16 | sequence);
        assert_eq!(estimate_index(None, 0, 7), Ok(7));
        assert_eq!(estimate_index(None, 3, 7), Ok(3 << 16 | 7));
        // Below the half: back over the edge only when more than a half ahead.
        assert_eq!(estimate_index(at(2, 100), 0, 32_868), Ok(2 << 16 | 32_868));
        assert_eq!(estimate_index(at(2, 100), 0, 32_869), Ok(1 << 16 | 32_869));
        assert_eq!(
            estimate_index(at(0, 100), 0, 32_869),
            Err(SrtpError::Replay)
        );
        // Above the half: over the edge only when more than a half behind.
        assert_eq!(estimate_index(at(2, 32_868), 0, 100), Ok(2 << 16 | 100));
        assert_eq!(estimate_index(at(2, 32_868), 0, 99), Ok(3 << 16 | 99));
        assert_eq!(estimate_index(at(0, 65_535), 0, 0), Ok(1 << 16));
    }

    #[test]
    fn the_last_index_is_the_last() {
        let last = Some(INDEX_LIMIT - 1);
        assert_eq!(estimate_index(last, 0, 65_535), Ok(INDEX_LIMIT - 1));
        assert_eq!(estimate_index(last, 0, 0), Err(SrtpError::KeyExhausted));
        assert_eq!(rollover_counter(INDEX_LIMIT - 1), u32::MAX);
    }
}
