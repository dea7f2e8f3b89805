//! A stream of bytes, see `fuzz::framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::framing(input);
});
