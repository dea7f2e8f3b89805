//! Guests that misbehave on purpose.
