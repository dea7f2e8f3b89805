//! A stream of bytes: however it is cut, the same frames, and never more memory
//! than the limits say.

use sip_message::{Frame, Limits, Message, StreamFramer};

use super::Trail;

/// Bytes that may wait beside one whole message: what one read of a socket brings.
const READ: usize = 65_536;

/// Longer streams are not cut byte by byte, which takes a call for each.
const BYTEWISE: usize = 2_048;

/// Reads the input as a stream, in several cuts and under two sets of limits.
pub fn framing(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    let tight = Limits {
        message_bytes: 400,
        header_count: 12,
        ..Limits::default()
    };
    for limits in [Limits::default(), tight] {
        let whole = read(bytes, &limits, |_| READ);
        let mut kinds: Vec<&str> = whole
            .frames
            .iter()
            .filter_map(|frame| frame.split(' ').next())
            .collect();
        trail.size(kinds.len());
        kinds.sort_unstable();
        kinds.dedup();
        kinds.iter().for_each(|kind| trail.text(kind));
        if bytes.len() <= BYTEWISE {
            let bytewise = read(bytes, &limits, |_| 1);
            assert_eq!(bytewise.frames, whole.frames, "cut after each byte");
        }
        // The cuts follow from the input, so that it alone repeats a failure.
        let mut noise = seed(bytes);
        let cut = read(bytes, &limits, |left| {
            noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let short = (noise >> 33) as usize;
            if noise >> 63 == 0 {
                short % 7 + 1
            } else {
                short % left + 1
            }
        });
        assert_eq!(cut.frames, whole.frames, "cut by chance");
    }
    trail.0
}

fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(*byte))
    })
}

struct Reading {
    frames: Vec<String>,
}

/// Pushes the stream in pieces and takes all frames after each.
fn read(bytes: &[u8], limits: &Limits, mut piece: impl FnMut(usize) -> usize) -> Reading {
    let mut framer = StreamFramer::new(*limits);
    let mut frames = Vec::new();
    let mut follower = Follower {
        rest: bytes,
        sure: true,
    };
    let mut rest = bytes;
    'stream: while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len()).min(rest.len()));
        rest = later;
        framer
            .push(now)
            .expect("no more waits than one message and one read");
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    follower.follow(&frame);
                    frames.push(describe(&frame, limits));
                }
                Err(error) => {
                    frames.push(format!("{error:?}"));
                    assert_eq!(
                        framer.push(b"x"),
                        Err(error),
                        "a failed stream stays failed"
                    );
                    break 'stream;
                }
            }
        }
        assert!(
            framer.buffered() <= limits.message_bytes,
            "what waits is less than a message"
        );
    }
    Reading { frames }
}

fn describe(frame: &Frame, limits: &Limits) -> String {
    match frame {
        Frame::Message(message) => {
            assert!(message.received().len() <= limits.message_bytes);
            let alone = Message::parse_datagram(message.received().clone(), limits);
            let alone = alone.expect("what is accepted on a stream is accepted alone");
            assert_eq!(alone.bytes(), message.bytes());
            format!("message {:?}", message.received())
        }
        Frame::Invalid(error) => format!("{:?}", error.reason()),
        Frame::Ping => "ping".to_owned(),
        Frame::Pong => "pong".to_owned(),
    }
}

/// Finds each frame in the stream, in order and without a gap, up to the first that
/// was refused, whose length nobody tells.
struct Follower<'a> {
    rest: &'a [u8],
    sure: bool,
}

impl Follower<'_> {
    fn follow(&mut self, frame: &Frame) {
        match frame {
            _ if !self.sure => {}
            Frame::Message(message) => {
                let after = loop {
                    if let Some(after) = self.rest.strip_prefix(&message.received()[..]) {
                        break after;
                    }
                    let crlf = self.rest.strip_prefix(b"\r\n");
                    self.rest = crlf.expect("only line ends stand between messages");
                };
                self.rest = after;
            }
            Frame::Ping => {
                self.rest = self
                    .rest
                    .strip_prefix(b"\r\n\r\n")
                    .expect("a ping is a double CRLF");
            }
            Frame::Pong => panic!("no ping was sent"),
            Frame::Invalid(_) => self.sure = false,
        }
    }
}
