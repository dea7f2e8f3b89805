//! One limit: two token buckets for each sender.
//!
//! The first bucket is the limit. The second is drawn from for requests beyond
//! it, and decides whether they are answered 503 or not at all. Its rate is
//! `flood_factor - 1` times the first one's, so that a sender hears nothing once
//! it sends more than `flood_factor` times the rate.

use std::borrow::Cow;
use std::net::IpAddr;

use sipward_plugin_sdk::counters::{Bucket, Grant};
use sipward_plugin_sdk::{Network, Request, Transport};

use crate::settings::{self, Per};

/// Methods that complete or end what was admitted: RFC 3261 sections 9, 13, 15
/// and RFC 3262. Limiting them makes calls that nobody can hang up.
const NEVER_BY_DEFAULT: [&[u8]; 4] = [b"ACK", b"BYE", b"CANCEL", b"PRACK"];

/// Bytes of a user or peer name that become part of a key. Counter keys have at
/// most 256 bytes; names that share so many bytes share a bucket.
const NAME_BYTES: usize = 200;

/// Longest Retry-After in seconds. Five minutes: then try anyway.
const RETRY_AFTER_S: u32 = 300;

/// The configured limit.
pub(crate) struct Rule {
    name: String,
    per: Per,
    methods: Vec<Vec<u8>>,
    limit: Bucket,
    excess: Bucket,
}

/// What a rule says.
pub(crate) enum Verdict {
    /// Within the limit, or not concerned.
    Within,
    /// Slightly beyond.
    Excess {
        /// Seconds until it is worth trying again, at least 1.
        retry_after_s: u32,
    },
    /// Far beyond.
    Flood,
}

/// How sure it is that the sender is who it seems to be. Each has buckets of its
/// own, so that a forged datagram draws from no bucket of a proved sender.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// UDP from an address that means nothing to the config.
    None = 0,
    /// UDP from the address of a configured peer.
    Known = 1,
    /// A connection, or an identity.
    Proved = 2,
}

/// Who sent a request, as far as rules care.
pub(crate) struct Sender<'a> {
    proof: Proof,
    address: IpAddr,
    source: Network,
    network: Network,
    peer: Option<&'a str>,
    user: Option<&'a str>,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(request: &Request<'a>, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        let peer = request.peer();
        let address = peer.address();
        let (source, network) = match address {
            IpAddr::V4(_) => (32, ipv4_prefix),
            IpAddr::V6(_) => (ipv6_prefix, ipv6_prefix),
        };
        let proof = match (peer.transport(), request.identity(), peer.name()) {
            (_, Some(_), _) => Proof::Proved,
            (Transport::Udp, None, Some(_)) => Proof::Known,
            (Transport::Udp, None, None) => Proof::None,
            _ => Proof::Proved,
        };
        Self {
            proof,
            address,
            source: Network::around(address, source),
            network: Network::around(address, network),
            peer: peer.name(),
            user: request.identity(),
        }
    }

    /// For operators.
    pub(crate) fn describe(&self) -> Cow<'_, str> {
        match (self.user, self.peer) {
            (Some(user), _) => format!("{user} at {}", self.address).into(),
            (None, Some(peer)) => format!("{peer} at {}", self.address).into(),
            (None, None) => self.address.to_string().into(),
        }
    }

    /// The key of the buckets to draw from; `None` if the rule does not concern
    /// the sender. Written into `space`, so that a call allocates nothing.
    fn key<'s>(&self, per: Per, space: &'s mut [u8; 1 + NAME_BYTES]) -> Option<&'s [u8]> {
        let network;
        let what: &[u8] = match per {
            Per::Source => {
                network = self.source.key();
                &network
            }
            Per::Network => {
                network = self.network.key();
                &network
            }
            Per::Peer => self.peer?.as_bytes(),
            Per::User => self.user?.as_bytes(),
        };
        let what = what.get(..NAME_BYTES).unwrap_or(what);
        let key = space.get_mut(..=what.len())?;
        let (proof, rest) = key.split_first_mut()?;
        *proof = self.proof as u8;
        rest.copy_from_slice(what);
        Some(key)
    }
}

impl Rule {
    pub(crate) fn new(settings: settings::Rule, flood_factor: u32) -> Self {
        // Checked: at least 1 and at most 1,000,000,000 thousandths.
        let refill = (settings.per_second * 1_000.0).round() as u32;
        let times = flood_factor - 1;
        // Leaked once for each rule of an instance, which lives as long as they.
        let bucket = |kind: &str, capacity: u32, refill: u32| {
            let name = format!("{kind}-{}", settings.name);
            Bucket::new(Box::leak(name.into_boxed_str()), capacity, refill)
        };
        Self {
            limit: bucket("limit", settings.burst, refill),
            excess: bucket(
                "excess",
                settings.burst.saturating_mul(times),
                refill.saturating_mul(times),
            ),
            name: settings.name,
            per: settings.per,
            methods: settings
                .methods
                .into_iter()
                .map(String::into_bytes)
                .collect(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the rule limits this method.
    pub(crate) fn concerns(&self, method: &[u8]) -> bool {
        match self.methods.is_empty() {
            true => !NEVER_BY_DEFAULT.contains(&method),
            false => self.methods.iter().any(|name| name == method),
        }
    }

    /// Draws a token for a request.
    pub(crate) fn judge(&self, sender: &Sender<'_>) -> Verdict {
        let mut space = [0; 1 + NAME_BYTES];
        let Some(key) = sender.key(self.per, &mut space) else {
            return Verdict::Within;
        };
        match self.limit.take(key, 1) {
            Ok(Grant { taken: true, .. }) => Verdict::Within,
            Ok(Grant { retry_after_ms, .. }) => match self.excess.take(key, 1) {
                Ok(Grant { taken: true, .. }) => Verdict::Excess {
                    retry_after_s: retry_after_ms.div_ceil(1_000).clamp(1, RETRY_AFTER_S),
                },
                _ => Verdict::Flood,
            },
            // Forged sources can fill the table. Senders that could be forged
            // bear it; those that proved themselves are let through.
            Err(_) if sender.proof == Proof::None => Verdict::Flood,
            Err(_) => Verdict::Within,
        }
    }
}

/// Checks a rule; names the wrong field.
pub(crate) fn check(rule: &settings::Rule) -> Result<(), (&'static str, String)> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=32).contains(&rule.name.len()) || !rule.name.bytes().all(named) {
        let message = "has to be 1 to 32 letters, digits, `-` and `_`".to_owned();
        return Err(("name", message));
    }
    if !(0.001..=1_000_000.0).contains(&rule.per_second) {
        let message = format!("is {}; 0.001 to 1000000 is possible", rule.per_second);
        return Err(("per_second", message));
    }
    if !(1..=1_000_000).contains(&rule.burst) {
        let message = format!("is {}; 1 to 1000000 is possible", rule.burst);
        return Err(("burst", message));
    }
    let wrong = |method: &&String| {
        method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase())
    };
    match rule.methods.iter().find(wrong) {
        Some(method) => Err((
            "methods",
            format!("`{method}` is no method; write upper case, as in INVITE"),
        )),
        None => Ok(()),
    }
}
