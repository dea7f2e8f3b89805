//! What a sending and a receiving context have in common: RFC 3711 section 3.2.

use std::fmt;

use media::{KeyMaterial, Suite};
use zeroize::Zeroizing;

use crate::derivation::Protocol;
use crate::error::{KeyError, SrtpError};
use crate::lifetime::KeyUsage;
use crate::transform::{INDEX_WORD, Transform};

/// Default of [`ContextLimits::sources`]: a phone call has one source at a time, and each
/// transfer, announcement and hold music may bring another; sources are never forgotten while
/// their key lives, at 80 octets each.
pub const MAX_SOURCES_DEFAULT: usize = 64;

/// Largest packet in octets that is worked on: what UDP can carry, and far under the 2^16 blocks
/// that counter mode has for one packet (RFC 3711 section 4.1.1).
pub const MAX_PACKET: usize = 65_535;

/// The ceilings of one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextLimits {
    /// Synchronization sources under one master key, 1 or more. Default [`MAX_SOURCES_DEFAULT`].
    pub sources: usize,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self {
            sources: MAX_SOURCES_DEFAULT,
        }
    }
}

/// One master key in use.
pub struct MasterKey {
    suite: Suite,
    pub(crate) rtp: Transform,
    pub(crate) rtcp: Transform,
    /// Empty without a master key identifier. No secret, but one less thing to leave behind.
    pub(crate) mki: Zeroizing<Vec<u8>>,
    pub(crate) usage: KeyUsage,
    agreed: Option<u64>,
}

impl MasterKey {
    pub(crate) fn new(material: &KeyMaterial) -> Result<Box<Self>, KeyError> {
        let suite = material.suite;
        let master = material.key_salt.as_slice();
        Ok(Box::new(Self {
            suite,
            rtp: Transform::derive(suite, master, Protocol::Rtp)?,
            rtcp: Transform::derive(suite, master, Protocol::Rtcp)?,
            mki: identifier(material),
            usage: KeyUsage::default(),
            agreed: material.lifetime,
        }))
    }

    /// Takes what `material` says of the same key: its identifier and its lifetime.
    pub(crate) fn follow(&mut self, material: &KeyMaterial) {
        self.mki = identifier(material);
        self.agreed = material.lifetime;
    }

    /// The suite that it is for.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What it has protected.
    #[must_use]
    pub fn usage(&self) -> KeyUsage {
        self.usage
    }

    /// Octets that SRTP adds to a packet.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        self.rtp.cipher().tag_len() + self.mki.len()
    }

    /// Octets that SRTCP adds to a packet.
    #[must_use]
    pub fn rtcp_overhead(&self) -> usize {
        self.rtcp.cipher().tag_len() + INDEX_WORD + self.mki.len()
    }

    /// Has the lifetime that the key came with been used up? Packets still pass: the session
    /// needs a new key or an end. At the limits of RFC 3711 they do not.
    #[must_use]
    pub fn lifetime_reached(&self) -> bool {
        self.usage.reached(self.agreed)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite.name())
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

fn identifier(material: &KeyMaterial) -> Zeroizing<Vec<u8>> {
    let mki = material.mki.as_ref();
    Zeroizing::new(mki.map(|mki| mki.as_bytes().to_vec()).unwrap_or_default())
}

/// The packet in `buffer`, which has room for `overhead` more.
pub(crate) fn packet_with_room(
    buffer: &[u8],
    len: usize,
    overhead: usize,
) -> Result<&[u8], SrtpError> {
    if len + overhead > MAX_PACKET {
        return Err(SrtpError::Malformed("longer than UDP carries"));
    }
    if buffer.len() < len + overhead {
        return Err(SrtpError::Capacity);
    }
    buffer.get(..len).ok_or(SrtpError::Capacity)
}

/// The protected packet in `buffer`.
pub(crate) fn protected_packet(buffer: &mut [u8], len: usize) -> Result<&mut [u8], SrtpError> {
    if len > MAX_PACKET {
        return Err(SrtpError::Malformed("longer than UDP carries"));
    }
    buffer.get_mut(..len).ok_or(SrtpError::Capacity)
}
