//! Write SIP policies for Sipward in Rust.
