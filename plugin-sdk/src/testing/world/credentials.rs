//! The interface `credentials`.

use super::with;
use crate::bindings::credentials::{CodeVerification, Verification};
use crate::bindings::identity::DigestUser;
use crate::testing::{Message, Nonce};
use crate::{Capability, DigestAlgorithm};

pub(crate) fn verify(
    message: &Message,
    realm: &str,
    algorithms: &[DigestAlgorithm],
) -> Verification {
    with(|world| {
        world.demand_state(Capability::Credentials);
        let Some(given) = message
            .credentials
            .as_ref()
            .filter(|given| given.realm == realm)
        else {
            return Verification::Missing;
        };
        if !algorithms.contains(&given.algorithm) {
            return Verification::AlgorithmRefused;
        }
        let user = given.user.clone();
        match given.nonce {
            Nonce::Forged => Verification::Malformed,
            _ if world.users.get(&user) != Some(&given.password) => Verification::Wrong(user),
            Nonce::Fresh => {
                world.request.verified.push(DigestUser {
                    user: user.clone(),
                    realm: realm.to_owned(),
                });
                Verification::Ok(user)
            }
            Nonce::Stale => Verification::Stale(user),
            Nonce::Replayed => Verification::Replayed(user),
        }
    })
}

/// A code of an account, as a test set it.
pub(crate) struct Code {
    pub(crate) code: String,
    /// A one-time code is good once.
    pub(crate) once: bool,
    pub(crate) used: bool,
}

pub(crate) fn check_code(account: &str, code: &str) -> CodeVerification {
    with(|world| {
        world.demand_state(Capability::Credentials);
        let known = world.codes.get_mut(account).into_iter().flatten();
        match known.into_iter().find(|known| known.code == code) {
            None => CodeVerification::Wrong,
            Some(known) if known.once && known.used => CodeVerification::Replayed,
            Some(known) => {
                known.used = true;
                CodeVerification::Ok
            }
        }
    })
}
