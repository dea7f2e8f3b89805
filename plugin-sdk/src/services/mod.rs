//! What the host offers. Natively every call goes to the test harness instead.

pub mod clock;
pub mod counters;
pub mod credentials;
pub mod geo;
pub mod identity;
pub mod keyvalue;
pub mod leases;
pub mod lists;
pub mod numbers;
pub mod random;
