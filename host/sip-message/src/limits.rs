//! Ceilings on what a peer may make us hold or look at.

/// Bounds of one message. Reaching one is a [`ParseError`](crate::ParseError), never growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message with its body, on any transport. Default 65,535: what a UDP
    /// datagram can carry, and no stream peer needs more.
    pub message_bytes: usize,
    /// Header lines. Default 256: real calls carry under 60, a long Via or Record-Route path 140.
    pub header_count: usize,
    /// Bytes of one header line with its folds. Default 8,192: an Identity header with a
    /// certificate chain URL fits. Values above 65,535 count as 65,535.
    pub header_bytes: usize,
    /// Via values. Default 70: Max-Forwards starts at 70, so no honest path is longer.
    pub via_count: usize,
    /// Bytes of one URI. Default 2,048: beyond this RFC 3261 section 21.4.12 has 414.
    pub uri_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 65_535,
            header_count: 256,
            header_bytes: 8_192,
            via_count: 70,
            uri_bytes: 2_048,
        }
    }
}
