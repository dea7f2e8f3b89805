//! What tells transactions apart (RFC 3261 sections 17.1.3, 17.2.3 and 8.2.2.2).
//!
//! A key is written into a buffer that the layer reuses, so that looking a message up
//! allocates nothing. Each part carries its length: no choice of bytes by a peer can
//! make two different lists of parts look the same.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashTable;
use sip_message::{Host, Message, Via};

use crate::{TransactionId, Transport};

/// Hashes keys under a secret seed, since peers choose branches, tags and Call-IDs.
pub(crate) struct KeyHasher {
    shared: SharedSeed,
    seed: u64,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        // Two seeds from one: the second must not be guessed from foldhash's public constants.
        Self {
            shared: SharedSeed::from_u64(seed.rotate_left(32) ^ 0x5bd1_e995_7b7d_159b),
            seed,
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(key);
        hasher.finish()
    }
}

/// Finds transactions by the hash of a key; the keys themselves stay with their owners.
#[derive(Default)]
pub(crate) struct Index {
    entries: HashTable<(u64, TransactionId)>,
}

impl Index {
    pub(crate) fn insert(&mut self, hash: u64, id: TransactionId) {
        self.entries
            .insert_unique(hash, (hash, id), |entry| entry.0);
    }

    pub(crate) fn find(
        &self,
        hash: u64,
        mut matches: impl FnMut(TransactionId) -> bool,
    ) -> Option<TransactionId> {
        self.entries
            .find(hash, |entry| entry.0 == hash && matches(entry.1))
            .map(|entry| entry.1)
    }

    pub(crate) fn remove(&mut self, hash: u64, id: TransactionId) {
        if let Ok(entry) = self.entries.find_entry(hash, |entry| entry.1 == id) {
            entry.remove();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Branch, sent-by and method: how RFC 3261 elements match requests and responses.
///
/// The branch is compared byte by byte, because every element echoes it as it was; the
/// host without regard to case, and the port with its default filled in.
pub(crate) fn write_branch_key(out: &mut Vec<u8>, via: &Via<'_>, method: &[u8]) {
    out.clear();
    out.push(b'3');
    write_part(out, via.branch.unwrap_or_default());
    match via.host {
        Host::Name(name) => {
            write_length(out, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
        }
        Host::V4(address) => write_part(out, &address.octets()),
        Host::V6(address) => write_part(out, &address.octets()),
    }
    out.extend_from_slice(&sent_by_port(via).to_be_bytes());
    out.extend_from_slice(method);
}

/// The fields that RFC 3261 section 17.2.3 compares for elements of RFC 2543, save the To
/// tag, which for an ACK is compared with that of the response instead.
pub(crate) fn write_legacy_key(out: &mut Vec<u8>, message: &Message, method: &[u8]) {
    out.clear();
    out.push(b'2');
    write_part(out, message.call_id());
    write_optional_part(out, message.from_tag());
    out.extend_from_slice(&message.cseq().number.to_be_bytes());
    write_part(out, message.request_uri().raw);
    write_part(out, message.top_via().raw);
    out.extend_from_slice(method);
}

/// Call-ID, From tag and CSeq: what the copies of a request that was forked upstream have
/// in common. Returns whether the request has them: one without From tag has not.
pub(crate) fn write_merge_key(out: &mut Vec<u8>, message: &Message) -> bool {
    out.clear();
    let Some(from_tag) = message.from_tag() else {
        return false;
    };
    write_part(out, message.call_id());
    write_part(out, from_tag);
    out.extend_from_slice(&message.cseq().number.to_be_bytes());
    out.extend_from_slice(message.method_name());
    true
}

/// What stays the same between a request that was refused statelessly and its ACK.
pub(crate) fn write_refusal_key(out: &mut Vec<u8>, message: &Message) {
    out.clear();
    out.push(b's');
    write_part(out, message.call_id());
    write_optional_part(out, message.from_tag());
    out.extend_from_slice(&message.cseq().number.to_be_bytes());
    write_part(out, message.top_via().branch.unwrap_or_default());
}

/// The port of a Via's sent-by, or the default of its transport.
pub(crate) fn sent_by_port(via: &Via<'_>) -> u16 {
    via.port.unwrap_or_else(|| {
        Transport::from_name(via.transport).map_or(5060, Transport::default_port)
    })
}

fn write_part(out: &mut Vec<u8>, part: &[u8]) {
    write_length(out, part.len());
    out.extend_from_slice(part);
}

fn write_optional_part(out: &mut Vec<u8>, part: Option<&[u8]>) {
    out.push(u8::from(part.is_some()));
    write_part(out, part.unwrap_or_default());
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    // Messages are far shorter than 4 GiB; a saturated length would still differ from others.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(via: &str, method: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_branch_key(
            &mut out,
            &Via::parse(via.as_bytes()).unwrap(),
            method.as_bytes(),
        );
        out
    }

    #[test]
    fn sent_by_is_compared_as_rfc_3261_reads_it() {
        let base = key("SIP/2.0/UDP pbx.example:5060;branch=z9hG4bKa", "INVITE");
        assert_eq!(
            base,
            key("SIP/2.0/UDP PBX.Example;branch=z9hG4bKa;rport", "INVITE")
        );
        assert_ne!(
            base,
            key("SIP/2.0/UDP pbx.example:5062;branch=z9hG4bKa", "INVITE")
        );
        assert_ne!(
            base,
            key("SIP/2.0/UDP pbx.example.:5060;branch=z9hG4bKa", "INVITE")
        );
        assert_ne!(
            base,
            key("SIP/2.0/UDP pbx.example;branch=z9hG4bKA", "INVITE")
        );
        assert_ne!(
            base,
            key("SIP/2.0/UDP pbx.example;branch=z9hG4bKa", "CANCEL")
        );
        assert_eq!(
            key("SIP/2.0/TLS pbx.example;branch=z9hG4bKa", "BYE"),
            key("SIP/2.0/TLS pbx.example:5061;branch=z9hG4bKa", "BYE")
        );
        assert_eq!(
            key("SIP/2.0/UDP [2001:DB8::1];branch=z9hG4bKa", "BYE"),
            key("SIP/2.0/UDP [2001:db8:0:0:0:0:0:1];branch=z9hG4bKa", "BYE")
        );
    }

    #[test]
    fn the_seed_changes_every_hash() {
        let key = key("SIP/2.0/UDP pbx.example;branch=z9hG4bKa", "INVITE");
        assert_eq!(KeyHasher::new(1).hash(&key), KeyHasher::new(1).hash(&key));
        assert_ne!(KeyHasher::new(1).hash(&key), KeyHasher::new(2).hash(&key));
    }
}
