//! Certificates and the fingerprints that were signalled for them (RFC 8122 section 5).

use aws_lc_rs::digest;
use media::{Fingerprint, FingerprintHash};
use subtle::ConstantTimeEq;

/// Whether a certificate is one that was signalled. Of several hash functions the
/// strongest counts alone (RFC 8122 section 5.1), and any of its fingerprints will do.
/// SHA-1 is not enough to trust anyone.
pub(super) fn fits(fingerprints: &[Fingerprint], certificate: &[u8]) -> bool {
    let by_strength = [
        (FingerprintHash::Sha512, &digest::SHA512),
        (FingerprintHash::Sha384, &digest::SHA384),
        (FingerprintHash::Sha256, &digest::SHA256),
    ];
    for (hash, algorithm) in by_strength {
        let mut signalled = fingerprints
            .iter()
            .filter(|known| known.hash() == hash)
            .peekable();
        if signalled.peek().is_none() {
            continue;
        }
        let found = digest::digest(algorithm, certificate);
        let fits = signalled.fold(subtle::Choice::from(0), |fits, known| {
            fits | known.value().ct_eq(found.as_ref())
        });
        return fits.into();
    }
    false
}

/// The SHA-256 fingerprint of a certificate.
pub(super) fn of(certificate: &[u8]) -> Fingerprint {
    let digest = digest::digest(&digest::SHA256, certificate);
    let mut value = [0; 32];
    value.copy_from_slice(digest.as_ref());
    Fingerprint::sha256(value)
}
