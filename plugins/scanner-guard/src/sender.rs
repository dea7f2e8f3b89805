//! Who sent a request, and how sure that is.

use std::borrow::Cow;

use sipward_plugin_sdk::{Network, Request, identity};

/// Bytes of a user name that become part of a key. Counter keys have at most 256
/// bytes; names that share so many bytes share a count.
const NAME_BYTES: usize = 200;

/// A class byte, a source, what is counted, a name.
const KEY_BYTES: usize = 1 + 18 + 1 + NAME_BYTES;

/// How sure it is that the sender is who it seems to be. Each has counts of its own:
/// what somebody forges counts against nobody who proved himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// UDP: anybody could have written that source.
    None = 0,
    /// A connection: somebody at that address sent it.
    Address = 1,
    /// Digest credentials, whose nonce is good for that source only.
    User = 2,
}

/// Who sent a request.
pub(crate) struct Sender {
    proof: Proof,
    source: Network,
    user: Option<String>,
}

impl Sender {
    pub(crate) fn new(request: &Request<'_>, ipv6_prefix: u8) -> Self {
        let peer = request.peer();
        let address = peer.address();
        let prefix = if address.is_ipv4() { 32 } else { ipv6_prefix };
        // Whoever was verified was identified too: others need not be asked about.
        let user = request
            .identity()
            .and_then(|_| identity::verified().into_iter().next())
            .map(|verified| verified.user);
        let proof = match (&user, peer.address_is_proved()) {
            (Some(_), _) => Proof::User,
            (None, true) => Proof::Address,
            (None, false) => Proof::None,
        };
        Self {
            proof,
            source: Network::around(address, prefix),
            user,
        }
    }

    /// Whether nobody else could have sent it.
    pub(crate) fn is_proved(&self) -> bool {
        self.proof != Proof::None
    }

    /// Whether it has a password.
    pub(crate) fn is_verified(&self) -> bool {
        self.proof == Proof::User
    }

    /// For operators.
    pub(crate) fn describe(&self) -> Cow<'_, str> {
        match (&self.user, self.proof) {
            (Some(user), _) => format!("{user} at {}", self.source).into(),
            (None, Proof::None) => format!("{} (unproved)", self.source).into(),
            (None, _) => self.source.to_string().into(),
        }
    }

    /// The key that what it does is counted under.
    pub(crate) fn key(&self) -> Key {
        let user = self.user.as_deref().unwrap_or_default();
        Key::new(self, b'-', user.as_bytes())
    }

    /// The key of a name that it used, as caller or target.
    pub(crate) fn key_with(&self, kind: u8, name: &[u8]) -> Key {
        Key::new(self, kind, name)
    }
}

/// A key without a heap.
pub(crate) struct Key {
    bytes: [u8; KEY_BYTES],
    length: usize,
}

impl Key {
    fn new(sender: &Sender, kind: u8, name: &[u8]) -> Self {
        let mut key = Self {
            bytes: [0; KEY_BYTES],
            length: 0,
        };
        key.put(&[sender.proof as u8]);
        key.put(&sender.source.key());
        key.put(&[kind]);
        key.put(name.get(..NAME_BYTES).unwrap_or(name));
        key
    }

    fn put(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
