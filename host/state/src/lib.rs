//! What must outlast a call: counters, key-value, nonces and credentials.
