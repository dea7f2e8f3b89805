//! How a hook is entered and left.

use alloc::boxed::Box;
use core::cell::OnceCell;
use core::ops::Deref;

use super::answer::Answer;
use super::facts::{Parameters, RequestFacts};
use crate::bindings::messages::{self, Message};
use crate::bindings::outcomes::Outcome;

/// The message that a hook is asked about, fetched once somebody looks into it.
pub(crate) struct Lent(OnceCell<Message>);

impl Deref for Lent {
    type Target = Message;

    #[inline]
    fn deref(&self) -> &Message {
        self.0.get_or_init(messages::current)
    }
}

/// Asks about a request whose facts are in one piece.
///
/// # Safety
///
/// `facts` are so many words that the host wrote into memory of the guest's allocator, and
/// nobody else uses them.
#[expect(unsafe_code, reason = "the host hands over a place in memory")]
#[inline]
pub(crate) unsafe fn answer_packed(
    facts: *mut u64,
    words: usize,
    ask: impl FnOnce(&RequestFacts, &Lent) -> Outcome,
) -> *const Answer {
    let facts = core::ptr::slice_from_raw_parts_mut(facts, words);
    // SAFETY: the caller promises it.
    let mut facts = unsafe { Box::from_raw(facts) };
    // SAFETY: the host wrote the record.
    let outcome = match unsafe { unpacked(&mut facts) } {
        Some(facts) => ask(facts, &Lent(OnceCell::new())),
        None => crate::glue::trap(),
    };
    super::memory::keep(outcome)
}

/// The record that words begin with, whose lists lie behind it. None if they are too few.
///
/// # Safety
///
/// The discriminants in the record are those of a host.
#[expect(unsafe_code, reason = "a record is read where the host wrote it")]
#[inline]
unsafe fn unpacked(words: &mut [u64]) -> Option<&RequestFacts> {
    let bytes = size_of_val(words);
    if bytes < size_of::<RequestFacts>() {
        return None;
    }
    let base = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the words are long enough for the record and aligned as it is. Its lists lie
    // behind it, as `settle` sees to, and are not freed, because the record is not.
    unsafe {
        let facts = &mut *base.cast::<RequestFacts>();
        facts.text.settle(base, bytes)?;
        facts.offer.settle(base, bytes)?;
        Some(facts)
    }
}

/// Asks about a message what the host wants to know.
///
/// # Safety
///
/// `parameters` are what the host wrote into memory of the guest's allocator, and nobody
/// else uses them.
#[expect(unsafe_code, reason = "the host hands over a place in memory")]
#[inline]
pub(crate) unsafe fn answer<F>(
    parameters: *mut Parameters<F>,
    ask: impl FnOnce(&F, &Lent) -> Outcome,
) -> *const Answer {
    // SAFETY: the caller promises it.
    let parameters = unsafe { Box::from_raw(parameters) };
    // SAFETY: the host states a handle of this resource.
    let message = unsafe { Message::from_handle(parameters.message) };
    let outcome = ask(&parameters.facts, &Lent(OnceCell::from(message)));
    super::memory::keep(outcome)
}
