//! A session description, see `fuzz::offer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::offer(input);
});
