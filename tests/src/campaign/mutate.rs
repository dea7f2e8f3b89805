//! Small and large changes to an input, of the kinds that break parsers.

use super::INPUT_BYTES;
use crate::sim::Random;

/// Pieces that mean something to SIP.
pub const DICTIONARY: [&[u8]; 64] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\"",
    b"\\",
    b"<",
    b">",
    b"@",
    b"?",
    b"=",
    b"%",
    b"%00",
    b"%0d%0a",
    b"[",
    b"]",
    b"/",
    b"*",
    b"\r\n ",
    b"\r\n\t",
    b"\r\n\r\n",
    b"\xff",
    b"\xc3\xa9",
    b"\x7f",
    b"\xe2\x80\xa8",
    b"Content-Length: 1\r\n",
    b"l:0\r\n",
    b"Content-Length: 4294967296\r\n",
    b"SIP/2.0",
    b"sip/2.0 ",
    b"SIP/2.0/UDP h",
    b"Via: SIP/2.0/UDP z;branch=z9hG4bKz\r\n",
    b"v:",
    b";branch=z9hG4bK",
    b";rport",
    b";received=::1",
    b";tag=",
    b";lr",
    b"<sip:a;lr>,<sip:b;lr>",
    b"Route: ",
    b"Record-Route: <sip:r;lr>\r\n",
    b"From: ",
    b"To: ",
    b"Call-ID: ",
    b"CSeq: 1 ",
    b"CSeq: 2147483647 INVITE\r\n",
    b"Max-Forwards: 0\r\n",
    b"INVITE",
    b"ACK",
    b"CANCEL",
    b"sip:",
    b"sips:",
    b"tel:+1",
    b"[2001:db8::1]",
    b"m=audio 1 RTP/SAVP 0\r\n",
    b"c=IN IP4 0\r\n",
    b"a=crypto:1 x\r\n",
    b"a=fingerprint:x\r\n",
    b"v=0\r\n",
];

/// Makes inputs from others.
pub struct Mutator {
    random: Random,
}

impl Mutator {
    /// With its own randomness.
    #[must_use]
    pub fn new(random: Random) -> Self {
        Self { random }
    }

    /// One of the seeds, changed in one to eight places.
    ///
    /// # Panics
    /// There are no seeds.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.random.pick(seeds).clone();
        for _ in 0..1 + self.random.below(8) {
            let other = self.random.pick(seeds);
            self.change(&mut input, other);
        }
        input.truncate(INPUT_BYTES);
        input
    }

    fn place(&mut self, input: &[u8]) -> usize {
        self.random.below(input.len() as u64 + 1) as usize
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        match self.random.below(12) {
            0 => self.flip_bit(input),
            1 => {
                let at = self.place(input);
                let byte = self.random.bits() as u8;
                match input.get_mut(at) {
                    Some(slot) => *slot = byte,
                    None => input.push(byte),
                }
            }
            2..=4 => {
                let at = self.place(input);
                let piece = *self.random.pick(&DICTIONARY);
                input.splice(at..at, piece.iter().copied());
            }
            5 => {
                let (from, to) = self.span(input, 32);
                input.drain(from..to);
            }
            6 => self.repeat_line(input),
            7 => self.remove_line(input),
            8 => {
                let (from, to) = self.span(input, 64);
                let piece = input[from..to].to_vec();
                let at = self.place(input);
                input.splice(at..at, piece);
            }
            9 => self.splice(input, other),
            10 => {
                let end = self.place(input);
                // Seldom: a cut input rarely says much.
                if self.random.percent(25) {
                    input.truncate(end);
                }
            }
            _ => self.repeat_much(input),
        }
    }

    fn flip_bit(&mut self, input: &mut [u8]) {
        let at = self.place(input);
        let bit = self.random.below(8);
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    fn span(&mut self, input: &[u8], most: u64) -> (usize, usize) {
        let from = self.place(input);
        let length = 1 + self.random.below(most) as usize;
        (from, (from + length).min(input.len()))
    }

    /// The line around a place, with its line end.
    fn line(&mut self, input: &[u8]) -> (usize, usize) {
        let at = self.place(input);
        let from = input[..at]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |feed| feed + 1);
        let to = input[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(input.len(), |feed| at + feed + 1);
        (from, to)
    }

    fn repeat_line(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.line(input);
        let line = input[from..to].to_vec();
        let (_, at) = self.line(input);
        input.splice(at..at, line);
    }

    fn remove_line(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.line(input);
        input.drain(from..to);
    }

    /// The beginning of one and the end of another.
    fn splice(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.place(input);
        let from = self.place(other);
        input.truncate(at);
        input.extend_from_slice(&other[from..]);
    }

    /// One piece so often that it meets a limit.
    fn repeat_much(&mut self, input: &mut Vec<u8>) {
        if !self.random.percent(10) {
            return;
        }
        let (from, to) = self.span(input, 40);
        let piece = input[from..to].to_vec();
        let times = 1 << self.random.below(10);
        let room = INPUT_BYTES.saturating_sub(input.len());
        let many = piece.repeat(times.min(room / piece.len().max(1)));
        input.splice(to..to, many);
    }
}
