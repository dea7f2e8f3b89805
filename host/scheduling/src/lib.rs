//! Which of Sipward's threads the system runs first.
//!
//! A thread that reloads or compiles keeps its core for milliseconds, and the system lets a
//! message that comes meanwhile wait for the end of that turn. So threads that carry
//! messages and media ask for turns as short as their work is, which the system begins the
//! sooner, and threads that nobody on a call waits for step back. Neither needs a privilege.

use std::io;
use std::mem::size_of;

/// Nanoseconds of a turn of a thread that somebody waits for: a message takes less.
/// Linux 6.12 and later heed it, the least they take is 100 microseconds.
const SHORT_TURN: u64 = 100_000;
/// The nice value of others, 19 being the last. With 10 a thread still gets a tenth of a
/// core that calls keep busy, so that a flood does not keep a reload from its end.
const BEHIND: i32 = 10;

/// This thread carries messages or media.
pub fn prompt() {
    told(change(|attributes| {
        attributes.sched_runtime = SHORT_TURN;
    }));
}

/// Nobody on a call waits for this thread, nor for those that it starts.
pub fn patient() {
    told(change(|attributes| {
        attributes.sched_nice = attributes.sched_nice.max(BEHIND);
    }));
}

fn told(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "the system does not say or change when this thread runs");
    }
}

/// Changes how this thread is scheduled, if that is in the usual way: what an operator
/// chose for the process, such as a real-time policy, stays.
fn change(edit: impl FnOnce(&mut libc::sched_attr)) -> io::Result<()> {
    let mut attributes = read()?;
    let usual = [libc::SCHED_OTHER, libc::SCHED_BATCH];
    if usual
        .iter()
        .any(|it| i64::from(*it) == i64::from(attributes.sched_policy))
    {
        edit(&mut attributes);
        write(&attributes)?;
    }
    Ok(())
}

/// What the first argument calls the thread that asks.
const THIS_THREAD: libc::pid_t = 0;
/// Neither call knows one.
const NO_FLAGS: libc::c_uint = 0;

#[expect(
    unsafe_code,
    reason = "libc has the number of this system call and no function"
)]
fn read() -> io::Result<libc::sched_attr> {
    let size = size_of::<libc::sched_attr>();
    // SAFETY: every field is an integer, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes no more bytes than the size says, and those are ours.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            THIS_THREAD,
            &raw mut attributes,
            size,
            NO_FLAGS,
        )
    };
    succeeded(outcome)?;
    Ok(attributes)
}

#[expect(unsafe_code, reason = "as above")]
fn write(attributes: &libc::sched_attr) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as `size` within says, and it said so itself.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            std::ptr::from_ref(attributes),
            NO_FLAGS,
        )
    };
    succeeded(outcome)
}

fn succeeded(outcome: libc::c_long) -> io::Result<()> {
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: what is changed stays changed.
    fn after(act: fn()) -> (libc::sched_attr, libc::sched_attr) {
        let thread = std::thread::spawn(move || {
            let before = read().unwrap();
            act();
            (before, read().unwrap())
        });
        thread.join().unwrap()
    }

    #[test]
    fn patient_threads_step_back_once() {
        let (before, now) = after(patient);
        assert_eq!(now.sched_nice, before.sched_nice.max(10));
        let (_, twice) = after(|| {
            patient();
            patient();
        });
        assert_eq!(twice.sched_nice, now.sched_nice);
    }

    #[test]
    fn prompt_threads_keep_their_place() {
        let (before, now) = after(prompt);
        assert_eq!(now.sched_nice, before.sched_nice);
        assert_eq!(now.sched_policy, before.sched_policy);
        // Older systems have one length for all turns and say zero.
        assert!([0, SHORT_TURN].contains(&now.sched_runtime));
    }

    #[test]
    fn threads_start_as_patient_as_who_starts_them() {
        let (_, started) = after(|| {
            patient();
            let nice = read().unwrap().sched_nice;
            let of_its_thread = std::thread::spawn(|| read().unwrap().sched_nice);
            assert_eq!(of_its_thread.join().unwrap(), nice);
        });
        assert_eq!(started.sched_nice, after(patient).1.sched_nice);
    }

    #[test]
    fn what_was_chosen_for_the_process_stays() {
        let (before, now) = after(|| {
            let mut chosen = read().unwrap();
            chosen.sched_policy = 5; // SCHED_IDLE, which needs no privilege.
            write(&chosen).unwrap();
            prompt();
            patient();
        });
        assert_eq!((now.sched_policy, now.sched_nice), (5, before.sched_nice));
        assert_ne!(now.sched_runtime, SHORT_TURN);
    }
}
