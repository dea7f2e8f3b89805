//! Sipward: a SIP policy proxy.

fn main() {}
