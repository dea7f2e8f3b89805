//! A party's SRTP with a key from SDP.

use media::{KeyMaterial, Suite};
use srtp::{ContextLimits, ReceiveContext, SendContext};
use zeroize::Zeroizing;

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

/// Seals what a party says and opens what it hears.
#[derive(Debug)]
pub struct Secured {
    key_salt: [u8; 30],
    send: SendContext,
    receive: Option<ReceiveContext>,
}

fn material(key_salt: &[u8]) -> KeyMaterial {
    KeyMaterial::new(SUITE, Zeroizing::new(key_salt.to_vec())).expect("a key of 30 octets")
}

impl Secured {
    /// With the party's own key.
    ///
    /// # Panics
    /// The key is refused.
    #[must_use]
    pub fn new(key_salt: [u8; 30]) -> Self {
        let send = SendContext::new(&material(&key_salt), ContextLimits::default());
        Self {
            key_salt,
            send: send.expect("a good key"),
            receive: None,
        }
    }

    /// Its line for an offer.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "a=crypto:1 {} inline:{}\r\n",
            SUITE.name(),
            base64(&self.key_salt)
        )
    }

    /// Take the other side's key from an answer.
    ///
    /// # Panics
    /// There is none of the suite.
    pub fn agree(&mut self, answer: &str) {
        let prefix = format!("a=crypto:1 {} inline:", SUITE.name());
        let line = answer
            .lines()
            .find_map(|it| it.strip_prefix(prefix.as_str()));
        let text = line
            .expect("a crypto line")
            .split('|')
            .next()
            .expect("a key");
        let receive = ReceiveContext::new(&material(&unbase64(text)), ContextLimits::default());
        self.receive = Some(receive.expect("a good key"));
    }

    /// An RTP packet as SRTP.
    ///
    /// # Panics
    /// It cannot be sealed.
    #[must_use]
    pub fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 32, 0);
        let length = self.send.protect_rtp(&mut buffer, packet.len());
        buffer.truncate(length.expect("a sealed packet"));
        buffer
    }

    /// The RTP packet in an SRTP packet; `None` if it is not authentic.
    ///
    /// # Panics
    /// No key was agreed.
    #[must_use]
    pub fn open(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let receive = self.receive.as_mut().expect("a key");
        let mut buffer = packet.to_vec();
        let length = receive.unprotect_rtp(&mut buffer, packet.len()).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 4, of octets in threes.
fn base64(octets: &[u8]) -> String {
    let group = |it: &[u8]| {
        let bits = it
            .iter()
            .fold(0_usize, |bits, it| bits << 8 | usize::from(*it));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[bits >> shift & 63]))
    };
    octets.chunks(3).flat_map(group).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |it: &u8| ALPHABET.iter().position(|known| known == it);
    let values: Vec<usize> = text.trim().as_bytes().iter().filter_map(value).collect();
    let group = |it: &[usize]| {
        let bits = it.iter().fold(0, |bits, it| bits << 6 | it);
        [16, 8, 0].map(|shift| (bits >> shift & 255) as u8)
    };
    values.chunks(4).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_read() {
        assert_eq!(base64(b"Man"), "TWFu");
        let key: Vec<u8> = (1..=30).collect();
        assert_eq!(unbase64(&base64(&key)), key);
    }
}
