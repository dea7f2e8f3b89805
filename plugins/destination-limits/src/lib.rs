//! Sipward policy: destination-limits.
