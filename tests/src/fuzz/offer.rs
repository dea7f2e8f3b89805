//! A session description: bounded, and never encryption that is not there.

use media::{OfferError, OfferLimits, Stream, read_offer};

use super::Trail;

/// Reads the input as an offer; one that does not begin like one, behind `v=0`.
pub fn offer(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    let begun;
    let sdp = if bytes.starts_with(b"v=0") {
        bytes
    } else {
        begun = [b"v=0\r\n", bytes].concat();
        &begun
    };
    let limits = OfferLimits::default();
    let read = read_offer(sdp, &limits);
    match &read {
        Ok(streams) => {
            assert!(sdp.len() <= limits.sdp_bytes && streams.len() <= limits.sdp_streams);
            assert!(!sdp.contains(&0), "no reader stops in the middle");
            let bare = sdp.iter().filter(|byte| **byte == b'\r').count();
            let ends = sdp.windows(2).filter(|window| window == b"\r\n").count();
            assert_eq!(bare, ends, "no reader finds a line in a line");
            trail.size(streams.len());
            let mut seen = 0;
            for stream in streams {
                check(stream, sdp);
                let bits = u64::from(stream.encrypted)
                    | u64::from(stream.port == 0) << 1
                    | u64::from(stream.address.is_empty()) << 2;
                seen |= 1 << bits;
            }
            trail.mark(seen);
            endure(sdp, streams, &limits);
        }
        Err(error) => trail.text(&format!("{error:?}")),
    }
    // A limit that an offer meets exactly lets it through; one less does not.
    if let Ok(streams) = &read {
        let exact = OfferLimits {
            sdp_bytes: sdp.len(),
            sdp_streams: streams.len(),
            ..limits
        };
        assert_eq!(read_offer(sdp, &exact).as_ref(), Ok(streams));
        let short = OfferLimits {
            sdp_bytes: sdp.len() - 1,
            ..limits
        };
        assert_eq!(
            read_offer(sdp, &short),
            Err(OfferError::TooLarge("sdp_bytes"))
        );
        if let Some(fewer) = streams.len().checked_sub(1) {
            let short = OfferLimits {
                sdp_streams: fewer,
                ..limits
            };
            assert_eq!(
                read_offer(sdp, &short),
                Err(OfferError::TooLarge("sdp_streams"))
            );
        }
    }
    trail.0
}

fn check(stream: &Stream<'_>, sdp: &[u8]) {
    let range = sdp.as_ptr_range();
    for text in [stream.kind, stream.protocol, stream.address] {
        let within = text.is_empty() || range.contains(&text.as_ptr());
        assert!(within && !text.contains(&b'\n') && !text.contains(&b' '));
    }
    assert!(!stream.kind.is_empty() && !stream.protocol.is_empty());
    let protocol = stream.protocol.to_ascii_uppercase();
    let secure = protocol.windows(4).any(|part| part == b"SAVP")
        || protocol.windows(3).any(|part| part == b"TLS");
    assert!(
        secure || !stream.encrypted,
        "a plain profile is never encrypted"
    );
}

/// What is not about media changes nothing.
fn endure(sdp: &[u8], streams: &[Stream<'_>], limits: &OfferLimits) {
    let room = OfferLimits {
        sdp_bytes: limits.sdp_bytes + 64,
        sdp_lines: limits.sdp_lines + 2,
        ..*limits
    };
    // One empty line may stand at the end, none before it.
    let cut = sdp.strip_suffix(b"\n").unwrap_or(sdp);
    let cut = cut.strip_suffix(b"\r").unwrap_or(cut);
    let ended: &[u8] = if cut.ends_with(b"\n") { b"" } else { b"\r\n" };
    let longer = [cut, ended, b"a=x-unknown:1\r\nb=AS:64\r\n"].concat();
    assert_eq!(read_offer(&longer, &room).as_deref(), Ok(streams));
}
