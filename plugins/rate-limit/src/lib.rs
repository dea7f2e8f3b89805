//! Sipward policy: rate-limit.
