//! Memory of a guest for the length of a call.
//!
//! What a hook is given and what it makes lives until its answer has been read, a
//! few kilobytes in all. Handing that out piece by piece and taking it back costs more
//! than many a policy's own work. So while a hook runs, memory is cut from one
//! stretch, and when nothing of it is alive the stretch begins anew. What does not fit,
//! and all that `configure` keeps, comes from the allocator of the standard library.
//!
//! A policy that keeps something beyond a call, in a `RefCell` say, may: the stretch
//! then does not begin anew, and once it is used up all comes from the other allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// Bytes of the stretch. 32 KiB: facts with 8 KiB of text three times over, and half a
/// page of the memory that every guest has.
#[cfg(not(test))]
const BYTES: usize = 32 << 10;

/// The allocator of every guest.
#[cfg(not(test))]
#[global_allocator]
static ARENA: Arena<BYTES> = Arena::new();

#[cfg(not(test))]
#[expect(
    unsafe_code,
    reason = "a static has to be Sync, and there is no second thread to share it with"
)]
// SAFETY: without the feature `atomics`, which this crate refuses, WebAssembly has no
// threads.
unsafe impl Sync for Arena<BYTES> {}

/// From now on the stretch is used. What is kept for good has been made.
#[cfg(not(test))]
pub(crate) fn open() {
    ARENA.open.set(true);
}

/// Memory that the host asks for, without the detour that allocators are called by.
///
/// # Safety
///
/// As of [`GlobalAlloc::alloc`].
#[cfg(not(test))]
#[expect(unsafe_code, reason = "an allocator hands out raw memory")]
#[inline]
pub(crate) unsafe fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: the caller keeps the promises.
    unsafe { ARENA.alloc(layout) }
}

/// A stretch of memory from which pieces are cut, one behind the other.
///
/// What says how much is used lies where the stretch begins: an instance for one call pays
/// for each page that it is the first to write to.
#[repr(C)]
struct Arena<const BYTES: usize> {
    open: Cell<bool>,
    /// Bytes from the beginning that may be in use.
    used: Cell<usize>,
    /// Pieces that were not given back.
    alive: Cell<usize>,
    stretch: Stretch<BYTES>,
}

/// Alignment of the stretch: more is not asked for by anything in Rust's library.
const ALIGNMENT: usize = align_of::<Stretch<0>>();

#[repr(align(16))]
struct Stretch<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

impl<const BYTES: usize> Arena<BYTES> {
    const fn new() -> Self {
        Self {
            open: Cell::new(false),
            used: Cell::new(0),
            alive: Cell::new(0),
            stretch: Stretch(UnsafeCell::new([0; BYTES])),
        }
    }

    /// The offset of a new piece, if there is room.
    #[inline]
    fn cut(&self, layout: Layout) -> Option<usize> {
        if !self.open.get() || layout.align() > ALIGNMENT {
            return None;
        }
        // Without the division of `next_multiple_of`: alignments are powers of two.
        let start = (self.used.get() + layout.align() - 1) & !(layout.align() - 1);
        let end = start.checked_add(layout.size())?;
        if end > BYTES {
            return None;
        }
        self.used.set(end);
        self.alive.set(self.alive.get() + 1);
        Some(start)
    }

    /// Takes a piece back.
    #[inline]
    fn give_back(&self, offset: usize, size: usize) {
        let alive = self.alive.get() - 1;
        self.alive.set(alive);
        if alive == 0 {
            self.used.set(0);
        } else if offset + size == self.used.get() {
            self.used.set(offset);
        }
    }

    /// Makes a piece longer or shorter where it is. Not if others are behind it.
    #[inline]
    fn stretch_last(&self, offset: usize, size: usize, new_size: usize) -> bool {
        let Some(end) = offset.checked_add(new_size) else {
            return false;
        };
        let fits = offset + size == self.used.get() && end <= BYTES;
        if fits {
            self.used.set(end);
        }
        fits
    }

    fn base(&self) -> *mut u8 {
        self.stretch.0.get().cast()
    }

    /// Where in the stretch something is; none if it is elsewhere.
    #[inline]
    fn offset(&self, piece: *mut u8) -> Option<usize> {
        let offset = piece.addr().wrapping_sub(self.base().addr());
        (offset < BYTES).then_some(offset)
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator hands out raw memory; the safe part of it is above"
)]
// SAFETY: `cut` never hands out a byte twice before `give_back`: pieces lie behind one
// another, and the end goes back only over pieces that were given back.
unsafe impl<const BYTES: usize> GlobalAlloc for Arena<BYTES> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.cut(layout) {
            // SAFETY: the piece is within the stretch.
            Some(offset) => unsafe { self.base().add(offset) },
            // SAFETY: the caller keeps the same promises.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.offset(piece) {
            Some(offset) => self.give_back(offset, layout.size()),
            // SAFETY: all that is outside the stretch is of the other allocator.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.cut(layout) {
            Some(offset) => {
                // SAFETY: the piece is within the stretch and as long as the layout says.
                unsafe {
                    let piece = self.base().add(offset);
                    piece.write_bytes(0, layout.size());
                    piece
                }
            }
            // SAFETY: the caller keeps the same promises.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(offset) = self.offset(piece) else {
            // SAFETY: all that is outside the stretch is of the other allocator.
            return unsafe { System.realloc(piece, layout, new_size) };
        };
        if self.stretch_last(offset, layout.size(), new_size) {
            return piece;
        }
        // SAFETY: the caller promises a size that makes a layout; the new piece is
        // another one, and as long as what is copied.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(piece, layout.size().min(new_size));
                self.dealloc(piece, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "an allocator is asked for raw memory")]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn opened() -> Arena<256> {
        let arena = Arena::new();
        arena.open.set(true);
        arena
    }

    #[test]
    fn pieces_lie_behind_one_another_and_are_aligned() {
        let arena = opened();
        assert_eq!(arena.cut(layout(3, 1)), Some(0));
        assert_eq!(arena.cut(layout(8, 8)), Some(8));
        assert_eq!(arena.cut(layout(1, 1)), Some(16));
        assert_eq!(arena.cut(layout(16, 16)), Some(32));
        assert_eq!(arena.base().addr() % ALIGNMENT, 0);
        assert_eq!(arena.cut(layout(1, 32)), None, "more than it promises");
    }

    #[test]
    fn the_end_goes_back_over_the_last_piece_and_over_all_of_them() {
        let arena = opened();
        let first = arena.cut(layout(10, 1)).unwrap();
        let second = arena.cut(layout(10, 1)).unwrap();
        arena.give_back(second, 10);
        assert_eq!(arena.cut(layout(20, 1)), Some(10), "the last piece's place");
        arena.give_back(first, 10);
        assert_eq!(arena.cut(layout(1, 1)), Some(30), "one behind is alive");
        arena.give_back(30, 1);
        arena.give_back(10, 20);
        assert_eq!(arena.cut(layout(1, 1)), Some(0), "none is alive");
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let arena = opened();
        assert_eq!(arena.cut(layout(257, 1)), None);
        assert_eq!(arena.cut(layout(256, 1)), Some(0));
        assert_eq!(arena.cut(layout(1, 1)), None);
        assert_eq!(arena.cut(layout(isize::MAX as usize, 1)), None);
        let closed = Arena::<256>::new();
        assert_eq!(closed.cut(layout(1, 1)), None, "before a hook runs");
    }

    #[test]
    fn only_the_last_piece_changes_its_length_where_it_is() {
        let arena = opened();
        arena.cut(layout(10, 1)).unwrap();
        assert!(arena.stretch_last(0, 10, 200) && arena.stretch_last(0, 200, 20));
        arena.cut(layout(10, 1)).unwrap();
        assert!(!arena.stretch_last(0, 20, 30), "another is behind it");
        assert!(arena.stretch_last(20, 10, 236) && !arena.stretch_last(20, 236, 237));
        assert!(!arena.stretch_last(20, 236, usize::MAX));
    }

    #[test]
    fn bytes_stay_what_they_are_wherever_a_piece_goes() {
        let arena = opened();
        // SAFETY: every piece is used within its layout and given back once.
        unsafe {
            let one = arena.alloc(layout(100, 1));
            one.write_bytes(7, 100);
            let two = arena.alloc(layout(8, 8));
            two.write_bytes(9, 8);
            assert!(arena.offset(one).is_some() && arena.offset(two).is_some());
            // Behind the second piece there is room for it.
            let one = arena.realloc(one, layout(100, 1), 120);
            assert_eq!(arena.offset(one), Some(112));
            // And here there is none, so it goes elsewhere.
            let one = arena.realloc(one, layout(120, 1), 1000);
            assert_eq!(arena.offset(one), None);
            assert!((0..100).all(|at| *one.add(at) == 7));
            let one = arena.realloc(one, layout(1000, 1), 50);
            assert!((0..50).all(|at| *one.add(at) == 7));
            assert!((0..8).all(|at| *two.add(at) == 9));
            let zeroes = arena.alloc_zeroed(layout(100, 4));
            assert!(arena.offset(zeroes).is_some());
            assert!(
                (0..100).all(|at| *zeroes.add(at) == 0),
                "it was used before"
            );
            arena.dealloc(zeroes, layout(100, 4));
            arena.dealloc(one, layout(50, 1));
            arena.dealloc(two, layout(8, 8));
            assert_eq!((arena.alive.get(), arena.used.get()), (0, 0));
        }
    }
}
