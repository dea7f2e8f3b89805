//! Keys from a DTLS handshake: RFC 5764 sections 4.1.2 and 4.2, profiles of RFC 7714 section 14.2.
//!
//! ```text
//!   exporter output   client key | server key | client salt | server salt
//! ```

use media::{KeyMaterial, Suite};
use zeroize::Zeroizing;

use crate::error::KeyError;

/// The label of the TLS exporter (RFC 5764 section 4.2); its context is absent.
pub const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// The protection profiles that the `use_srtp` extension may name, as we prefer them: GCM first,
/// because it costs a third.
pub const PROFILES: [(u16, Suite); 4] = [
    (0x0007, Suite::AeadAes128Gcm),
    (0x0008, Suite::AeadAes256Gcm),
    (0x0001, Suite::AesCm128HmacSha1_80),
    (0x0002, Suite::AesCm128HmacSha1_32),
];

/// The number of the protection profile of `suite`; the AES_256_CM suites have none.
#[must_use]
pub fn profile_number(suite: Suite) -> Option<u16> {
    PROFILES
        .iter()
        .find(|(_, known)| *known == suite)
        .map(|(number, _)| *number)
}

/// The suite of a protection profile, if it is one of ours.
#[must_use]
pub fn profile_suite(number: u16) -> Option<Suite> {
    PROFILES
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, suite)| *suite)
}

/// Octets to ask the TLS exporter for.
#[must_use]
pub fn exporter_len(suite: Suite) -> usize {
    2 * (suite.key_len() + suite.salt_len())
}

/// The two master keys of a DTLS association; `Debug` shows the suite only.
#[derive(Debug)]
pub struct DtlsKeys {
    /// What the DTLS client protects with.
    pub client: KeyMaterial,
    /// What the DTLS server protects with.
    pub server: KeyMaterial,
}

impl DtlsKeys {
    /// Splits what the exporter gave, [`exporter_len`] octets.
    ///
    /// # Errors
    /// When the suite has no profile, or `exported` has another length.
    pub fn split(suite: Suite, exported: &[u8]) -> Result<Self, KeyError> {
        if profile_number(suite).is_none() {
            return Err(KeyError::NoProfile(suite.name()));
        }
        let wrong = || KeyError::Length {
            suite: suite.name(),
            expected: exporter_len(suite),
            found: exported.len(),
        };
        if exported.len() != exporter_len(suite) {
            return Err(wrong());
        }
        let (keys, salts) = exported
            .split_at_checked(2 * suite.key_len())
            .ok_or_else(wrong)?;
        let (client_key, server_key) = keys.split_at_checked(suite.key_len()).ok_or_else(wrong)?;
        let (client_salt, server_salt) =
            salts.split_at_checked(suite.salt_len()).ok_or_else(wrong)?;
        let material = |key: &[u8], salt: &[u8]| {
            let mut key_salt = Zeroizing::new(Vec::with_capacity(key.len() + salt.len()));
            key_salt.extend_from_slice(key);
            key_salt.extend_from_slice(salt);
            KeyMaterial {
                suite,
                key_salt,
                mki: None,
                lifetime: None,
            }
        };
        Ok(Self {
            client: material(client_key, client_salt),
            server: material(server_key, server_salt),
        })
    }

    /// What we send with and what we receive with; `client` when we sent the ClientHello.
    #[must_use]
    pub fn into_directions(self, client: bool) -> (KeyMaterial, KeyMaterial) {
        if client {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_as_the_rfc_has_it() {
        for (_, suite) in PROFILES {
            let exported: Vec<u8> = (0..exporter_len(suite)).map(|at| at as u8).collect();
            let (key, salt) = (suite.key_len(), suite.salt_len());
            let keys = DtlsKeys::split(suite, &exported).unwrap();
            let mut client = exported[..key].to_vec();
            client.extend_from_slice(&exported[2 * key..2 * key + salt]);
            let mut server = exported[key..2 * key].to_vec();
            server.extend_from_slice(&exported[2 * key + salt..]);
            assert_eq!(*keys.client.key_salt, client);
            assert_eq!(*keys.server.key_salt, server);
            let (send, receive) = keys.into_directions(false);
            assert_eq!((&*send.key_salt, &*receive.key_salt), (&server, &client));
        }
    }

    #[test]
    fn lengths_are_those_of_the_profiles() {
        assert_eq!(exporter_len(Suite::AesCm128HmacSha1_80), 60);
        assert_eq!(exporter_len(Suite::AeadAes128Gcm), 56);
        assert_eq!(exporter_len(Suite::AeadAes256Gcm), 88);
        for len in [55, 57, 0] {
            assert!(DtlsKeys::split(Suite::AeadAes128Gcm, &vec![0; len]).is_err());
        }
    }

    #[test]
    fn numbers_go_both_ways() {
        for (number, suite) in PROFILES {
            assert_eq!(profile_number(suite), Some(number));
            assert_eq!(profile_suite(number), Some(suite));
        }
        assert_eq!(profile_suite(5), None);
        assert_eq!(profile_number(Suite::AesCm256HmacSha1_80), None);
        let refused = DtlsKeys::split(Suite::AesCm256HmacSha1_80, &[0; 92]);
        assert!(matches!(refused, Err(KeyError::NoProfile(_))));
    }
}
