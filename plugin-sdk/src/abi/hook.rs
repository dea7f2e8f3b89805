//! How a hook is entered and left.

use alloc::boxed::Box;

use super::answer::Answer;
use super::facts::Parameters;
use crate::bindings::messages::Message;
use crate::bindings::outcomes::Outcome;

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
    ask: impl FnOnce(&F, &Message) -> Outcome,
) -> *const Answer {
    // SAFETY: the caller promises it.
    let parameters = unsafe { Box::from_raw(parameters) };
    // SAFETY: the host states a handle of this resource.
    let message = unsafe { Message::from_handle(parameters.message) };
    let outcome = ask(&parameters.facts, &message);
    super::memory::keep(outcome)
}
