//! Payload types and what they mean: RFC 3551 section 6, RFC 8866 section 6.6.

use smallvec::SmallVec;

use super::grammar::{is_token, number};
use crate::{Codec, Format};

/// `a=rtpmap` of one payload type, or its static meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) name: SmallVec<[u8; 16]>,
    pub(crate) clock_rate: u32,
    /// 1 unless it is said.
    pub(crate) channels: u8,
}

/// One payload type of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    /// 0 to 127.
    pub(crate) payload_type: u8,
    pub(crate) encoding: Option<Encoding>,
    /// It was said by `a=rtpmap`, so it is said again.
    pub(crate) mapped: bool,
}

impl Payload {
    pub(crate) fn new(payload_type: u8) -> Self {
        Self {
            payload_type,
            encoding: Encoding::of_static(payload_type),
            mapped: false,
        }
    }

    /// The same codec, whatever its number: RFC 3264 section 6.1 lets an answer
    /// number dynamic types its own way. Without a mapping the number decides.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        match (&self.encoding, &other.encoding) {
            (Some(own), Some(others)) => own.matches(others),
            _ => self.payload_type == other.payload_type,
        }
    }

    /// As the relay sees it.
    pub(crate) fn format(&self) -> Format {
        let (clock_rate, codec) = self
            .encoding
            .as_ref()
            .map_or((0, Codec::Other), |encoding| {
                (encoding.clock_rate, encoding.codec())
            });
        Format {
            payload_type: self.payload_type,
            clock_rate,
            codec,
        }
    }
}

impl Encoding {
    /// The value of `a=rtpmap` behind the payload type.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|&byte| byte == b'/');
        let name = parts.next().filter(|name| is_token(name))?;
        let clock_rate = number(parts.next()?).filter(|rate| *rate > 0)?;
        let channels = parts.next().map_or(Some(1), number)?;
        parts.next().is_none().then(|| Self {
            name: SmallVec::from_slice(name),
            clock_rate,
            channels,
        })
    }

    /// Write it as it is read; one channel is not mentioned.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name);
        out.extend_from_slice(format!("/{}", self.clock_rate).as_bytes());
        if self.channels != 1 {
            out.extend_from_slice(format!("/{}", self.channels).as_bytes());
        }
    }

    fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }

    fn codec(&self) -> Codec {
        let is = |name: &[u8]| self.name.eq_ignore_ascii_case(name);
        if is(b"PCMU") || is(b"PCMA") {
            Codec::G711
        } else if is(b"G722") {
            Codec::G722
        } else if is(b"G729") {
            Codec::G729
        } else if is(b"opus") {
            Codec::Opus
        } else if is(b"telephone-event") {
            Codec::TelephoneEvent
        } else if is(b"CN") {
            Codec::ComfortNoise
        } else {
            Codec::Other
        }
    }

    /// RFC 3551 tables 4 and 5.
    fn of_static(payload_type: u8) -> Option<Self> {
        let (name, clock_rate, channels): (&[u8], _, _) = match payload_type {
            0 => (b"PCMU", 8_000, 1),
            3 => (b"GSM", 8_000, 1),
            4 => (b"G723", 8_000, 1),
            5 => (b"DVI4", 8_000, 1),
            6 => (b"DVI4", 16_000, 1),
            7 => (b"LPC", 8_000, 1),
            8 => (b"PCMA", 8_000, 1),
            9 => (b"G722", 8_000, 1),
            10 => (b"L16", 44_100, 2),
            11 => (b"L16", 44_100, 1),
            12 => (b"QCELP", 8_000, 1),
            13 => (b"CN", 8_000, 1),
            14 => (b"MPA", 90_000, 1),
            15 => (b"G728", 8_000, 1),
            16 => (b"DVI4", 11_025, 1),
            17 => (b"DVI4", 22_050, 1),
            18 => (b"G729", 8_000, 1),
            25 => (b"CelB", 90_000, 1),
            26 => (b"JPEG", 90_000, 1),
            28 => (b"nv", 90_000, 1),
            31 => (b"H261", 90_000, 1),
            32 => (b"MPV", 90_000, 1),
            33 => (b"MP2T", 90_000, 1),
            34 => (b"H263", 90_000, 1),
            _ => return None,
        };
        Some(Self {
            name: SmallVec::from_slice(name),
            clock_rate,
            channels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(payload_type: u8, map: &str) -> Payload {
        let encoding = Encoding::read(map.as_bytes());
        Payload {
            encoding,
            mapped: true,
            ..Payload::new(payload_type)
        }
    }

    #[test]
    fn codecs_match_by_name_and_clock() {
        assert!(Payload::new(0).matches(&payload(0, "pcmu/8000")));
        assert!(payload(96, "opus/48000/2").matches(&payload(111, "OPUS/48000/2")));
        assert!(!payload(96, "opus/48000/2").matches(&payload(96, "opus/48000")));
        assert!(
            !payload(101, "telephone-event/8000").matches(&payload(101, "telephone-event/16000"))
        );
        assert!(
            Payload::new(99).matches(&payload(99, "x/8000")),
            "the offer did not say"
        );
        assert!(!Payload::new(98).matches(&payload(99, "x/8000")));
        assert_eq!(payload(9, "G722/8000").format().codec, Codec::G722);
        assert_eq!(Payload::new(99).format().clock_rate, 0);
    }

    #[test]
    fn maps_that_do_not_follow_the_grammar() {
        for text in [
            "",
            "PCMU",
            "PCMU/",
            "PCMU/0",
            "PCMU/x",
            "P U/8000",
            "PCMU/8000/1/1",
            "/8000",
        ] {
            assert_eq!(Encoding::read(text.as_bytes()), None, "{text}");
        }
    }
}
