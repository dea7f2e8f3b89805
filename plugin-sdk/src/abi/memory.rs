//! Memory that the host asks for, and the answer that it reads.

use alloc::alloc::{Layout, realloc};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;

use super::answer::{Answer, Kept};
use crate::bindings::outcomes::Outcome;

/// The answer of the last call, until the host asks for memory for the next one.
static LAST: Last = Last {
    is_kept: Cell::new(false),
    kept: UnsafeCell::new(MaybeUninit::uninit()),
};

/// An `Option` that is emptied in one place only: the code that frees is long.
struct Last {
    is_kept: Cell<bool>,
    kept: UnsafeCell<MaybeUninit<Kept>>,
}

#[expect(
    unsafe_code,
    reason = "a static has to be Sync, and there is no second thread to share it with"
)]
// SAFETY: without the feature `atomics`, which this crate refuses, WebAssembly has no
// threads.
unsafe impl Sync for Last {}

impl Last {
    /// Keeps an outcome for the host to read.
    #[inline]
    fn keep(&self, outcome: Outcome) -> *const Answer {
        self.forget();
        let kept = Kept::new(outcome);
        self.is_kept.set(true);
        #[expect(unsafe_code, reason = "the answer has to be somewhere after the call")]
        // SAFETY: nothing is kept, so nobody refers to the place; there are no threads.
        unsafe {
            (*self.kept.get()).write(kept).answer()
        }
    }

    /// Frees what the host has read.
    #[inline]
    fn forget(&self) {
        if self.is_kept.get() {
            self.is_kept.set(false);
            self.free();
        }
    }

    #[inline(never)]
    fn free(&self) {
        #[expect(unsafe_code, reason = "what was kept is freed")]
        // SAFETY: something was kept, which `forget` has just taken note of; freeing it
        // calls nothing but the allocator.
        unsafe {
            (*self.kept.get()).assume_init_drop();
        }
    }
}

/// Keeps an outcome for the host to read, until it asks for memory again.
#[inline]
pub(super) fn keep(outcome: Outcome) -> *const Answer {
    LAST.keep(outcome)
}

/// Memory for what the host hands over.
///
/// It asks in the course of a call, for what an import answers, and first of all for the
/// facts: by then it has read the last answer.
///
/// # Safety
///
/// The host keeps the canonical ABI: `align` is one of Rust's, and a piece that grows is
/// one that it was given.
#[expect(unsafe_code, reason = "the canonical ABI wants this function")]
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    piece: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    LAST.forget();
    if new_size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host states an alignment of Rust's.
    let layout = |size| unsafe { Layout::from_size_align_unchecked(size, align) };
    let given = match size {
        // SAFETY: the size is not 0.
        0 => unsafe { allocate(layout(new_size)) },
        // SAFETY: the host was given the piece here.
        _ => unsafe { realloc(piece, layout(size), new_size) },
    };
    if given.is_null() {
        crate::glue::trap();
    }
    given
}

/// Without the detour that allocators are called by.
#[cfg(feature = "arena")]
use crate::arena::allocate;
#[cfg(not(feature = "arena"))]
use alloc::alloc::alloc as allocate;
