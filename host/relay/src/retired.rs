//! Keys that are not in use and may return: a fork that rings again after another one, a
//! stream that was off or in the clear for a while, one that has moved to other ports.
//!
//! Under a key that began anew, rollover counter 0 would be true no longer, what was
//! accepted could be replayed, and what is sent could use an index twice, which tells
//! an eavesdropper the XOR of two packets (RFC 3711 sections 3.3 and 9.1). So the
//! contexts of an end live as long as it does, whatever its plans say in between.

use media::{KeyMaterial, Protection};
use srtp::{ContextLimits, KeyError, ReceiveContext, SendContext};

use crate::shield::{Flow, Keys, Shield};

/// Keys of one kind that are kept for each end: 32, of some 2 KiB each. A call has at
/// most 16 forks, and more keys than one for each come only from a party that changes
/// its own at every offer; of those the one that was retired first goes.
const RETIRED: usize = 32;

/// What is kept by what it is known by; the earliest first.
#[derive(Debug)]
struct Kept<K, V>(Vec<(K, V)>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Kept(Vec::new())
    }
}

impl<K, V> Kept<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.0.len() >= RETIRED {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }

    fn take(&mut self, is_it: impl Fn(&K) -> bool) -> Option<V> {
        let place = self.0.iter().position(|(key, _)| is_it(key))?;
        Some(self.0.remove(place).1)
    }
}

/// The two flows of an end: for RTP and for RTCP.
pub(crate) type Flows = Box<[Option<Flow>; 2]>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    send: Kept<KeyMaterial, SendContext>,
    receive: Kept<KeyMaterial, ReceiveContext>,
    flows: Kept<Protection, Flows>,
}

impl Retired {
    /// Takes in what `shield` had under `protection`.
    pub(crate) fn retire(&mut self, shield: Shield, protection: &Protection) {
        match (shield, protection) {
            (Shield::Sdes(keys), Protection::Sdes { send, receive }) => {
                self.send.put(send.clone(), keys.send);
                self.receive.put(receive.clone(), keys.receive);
            }
            (Shield::Dtls(mut flows), Protection::Dtls { .. }) => {
                // A handshake that is not over by now has to begin again.
                for flow in flows.iter_mut() {
                    flow.take_if(|flow| !flow.has_keys());
                }
                if flows.iter().any(Option::is_some) {
                    self.flows.put(protection.clone(), flows);
                }
            }
            _ => {}
        }
    }

    /// Contexts for these keys: those that there were, or new ones.
    pub(crate) fn keys(
        &mut self,
        send: &KeyMaterial,
        receive: &KeyMaterial,
    ) -> Result<Keys, KeyError> {
        let limits = ContextLimits::default();
        Ok(Keys {
            send: match self.send.take(|known| known.is_same_key(send)) {
                Some(mut context) => {
                    context.follow(send);
                    context
                }
                None => SendContext::new(send, limits)?,
            },
            receive: match self.receive.take(|known| known.is_same_key(receive)) {
                Some(mut context) => {
                    context.follow(receive);
                    context
                }
                None => ReceiveContext::new(receive, limits)?,
            },
        })
    }

    /// The flows that there were with this party.
    pub(crate) fn flows(&mut self, protection: &Protection) -> Option<Flows> {
        self.flows.take(|known| known == protection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_makes_room() {
        let mut kept = Kept::default();
        for number in 0..=RETIRED {
            kept.put(number, number);
        }
        assert_eq!(kept.take(|known| *known == 0), None);
        assert_eq!(kept.take(|known| *known == 1), Some(1));
        assert_eq!(kept.take(|known| *known == 1), None);
        assert_eq!(kept.take(|known| *known == RETIRED), Some(RETIRED));
    }
}
