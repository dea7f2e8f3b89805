//! The answers of plugins, see `fuzz::effects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::effects(input);
});
