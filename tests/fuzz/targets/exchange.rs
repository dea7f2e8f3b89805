//! A program of session descriptions, see `fuzz::exchange`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::exchange(input);
});
