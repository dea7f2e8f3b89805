//! Sipward policy: digest-auth.
