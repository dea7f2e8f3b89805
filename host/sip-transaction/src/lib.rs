//! RFC 3261 section 17: the transaction layer as pure state machines.
