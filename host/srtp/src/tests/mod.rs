//! Vectors of the RFCs and what only the inside of the crate can show.

mod limits;
mod rfc3711;
mod rfc6188;
mod rfc7714;

use media::{KeyMaterial, Suite};
use zeroize::Zeroizing;

/// Octets of a hexadecimal text that may have spaces.
fn octets(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(digits).unwrap()
}

fn material(suite: Suite, key_salt: &str) -> KeyMaterial {
    KeyMaterial {
        suite,
        key_salt: Zeroizing::new(octets(key_salt)),
        mki: None,
        lifetime: None,
    }
}

/// A key of the right length for `suite`.
fn any_material(suite: Suite) -> KeyMaterial {
    let len = suite.key_len() + suite.salt_len();
    let key_salt = Zeroizing::new((0..len).map(|at| at as u8 ^ 0x5a).collect());
    KeyMaterial {
        suite,
        key_salt,
        mki: None,
        lifetime: None,
    }
}

/// `packet` with `room` octets behind it.
fn with_room(packet: &[u8], room: usize) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + room, 0xee);
    buffer
}
