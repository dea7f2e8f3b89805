//! One datagram, see `fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = sipward_fuzz::fuzz::message(input);
});
