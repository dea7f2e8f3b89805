//! A program for the transaction layer, see `fuzz::transactions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::transactions(input);
});
