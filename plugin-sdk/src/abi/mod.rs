//! Records as they lie in memory.
//!
//! The canonical ABI of the component model says where a host writes the parts of a
//! record. wit-bindgen reads each part from there into types of its own, and writes an
//! answer back part by part; a policy that does nothing then spends more on that than on
//! all the rest. The records here have that layout themselves: facts are read where the
//! host wrote them, and an answer refers to what the policy made.
//!
//! The tests hold every record against `wit/policy.wit`.

pub(crate) mod answer;
pub(crate) mod facts;
#[cfg(target_arch = "wasm32")]
pub(crate) mod hook;
#[cfg(test)]
mod layout;
#[cfg(target_arch = "wasm32")]
mod memory;
#[cfg(test)]
mod reading;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::{self, NonNull};

/// A `list` that is owned, as a boxed slice is.
#[repr(C)]
pub(crate) struct List<T> {
    /// Of an empty list a host may have written anything.
    start: *mut T,
    len: usize,
    items: PhantomData<Box<[T]>>,
}

#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
// SAFETY: the list owns its items, as a boxed slice does.
unsafe impl<T: Send> Send for List<T> {}

#[expect(unsafe_code, reason = "a pointer is not Sync by itself")]
// SAFETY: as above; nothing is changed through a shared list.
unsafe impl<T: Sync> Sync for List<T> {}

#[cfg(target_arch = "wasm32")]
impl<T> List<T> {
    /// Makes an address of a distance from the beginning of a piece of memory; `None` if
    /// the items are not within it, behind what precedes them by `T`'s alignment.
    ///
    /// # Safety
    ///
    /// The piece has so many bytes, and nobody frees the items.
    #[expect(unsafe_code, reason = "the host says where a list is")]
    #[inline]
    unsafe fn settle(&mut self, base: *mut u8, bytes: usize) -> Option<()> {
        let start = self.start.addr();
        let end = self.len.checked_mul(size_of::<T>())?.checked_add(start)?;
        if end > bytes || !start.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: it is within the piece.
        self.start = unsafe { base.add(start) }.cast();
        Some(())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        let len = items.len();
        Self {
            start: Box::into_raw(items.into_boxed_slice()).cast(),
            len,
            items: PhantomData,
        }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let start = match self.len {
            0 => NonNull::dangling().as_ptr(),
            _ => self.start,
        };
        #[expect(unsafe_code, reason = "the host says where a list is")]
        // SAFETY: a list that is not empty is a boxed slice's, made by `from` or written by a
        // host into memory that it got from the allocator.
        unsafe {
            core::slice::from_raw_parts(start, self.len)
        }
    }
}

impl<T> Drop for List<T> {
    #[inline]
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        #[expect(unsafe_code, reason = "what the host put there is given back")]
        // SAFETY: as in `deref`, and nobody owns the items but this list.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(self.start, self.len)) });
    }
}

/// An `option`.
#[derive(Clone, Copy)]
#[repr(C, u8)]
pub(crate) enum Maybe<T> {
    None,
    Some(T),
}

impl<T: Copy> Maybe<T> {
    #[inline]
    pub(crate) const fn get(&self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Some(value) => Some(*value),
        }
    }
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Self::Some)
    }
}
