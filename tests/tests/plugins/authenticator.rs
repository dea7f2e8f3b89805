//! An authenticator app, which knows of an account what its QR code says: RFC 6238.

use aws_lc_rs::hmac;

/// Milliseconds for which a code is shown.
pub(crate) const STEP_MS: u64 = 30_000;

pub(crate) struct Authenticator {
    secret: Vec<u8>,
    digits: usize,
}

impl Authenticator {
    /// From an `otpauth:` URI.
    pub(crate) fn scan(uri: &str) -> Self {
        let part = |name: &str| {
            let (_, rest) = uri.split_once(&format!("{name}=")).expect(name);
            rest.split('&').next().expect(name).to_owned()
        };
        // RFC 4648 section 6.
        let (mut bits, mut count, mut secret) = (0_u64, 0, Vec::new());
        for letter in part("secret").bytes() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                _ => letter - b'2' + 26,
            };
            bits = (bits << 5) | u64::from(value);
            count += 5;
            if count >= 8 {
                count -= 8;
                secret.push((bits >> count) as u8);
            }
        }
        Self {
            secret,
            digits: part("digits").parse().expect("a number"),
        }
    }

    pub(crate) fn shows(&self, now_ms: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = hmac::sign(&key, &(now_ms / STEP_MS).to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 15);
        let four = tag.as_ref()[offset..offset + 4].try_into();
        let number = u32::from_be_bytes(four.expect("four bytes")) & 0x7fff_ffff;
        let digits = self.digits;
        let code = u64::from(number) % 10_u64.pow(digits as u32);
        format!("{code:0digits$}")
    }
}
