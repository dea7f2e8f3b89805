//! SIP bytes to message and back: framing, header index, typed values, edits.
