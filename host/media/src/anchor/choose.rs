//! Which mode a leg gets.
//!
//! | terms | offered |
//! |---|---|
//! | `plain` first | `RTP/AVP` |
//! | `sdes` or `dtls` first, no `plain` | `RTP/SAVP` with keys, or `UDP/TLS/RTP/SAVP` |
//! | `sdes` or `dtls` first, `plain` later | `RTP/AVP` with the keys of all modes before `plain` (RFC 8643) |
//! | `passthrough` first on both legs | what was offered to us |
//!
//! A requirement strikes `plain` from the list first, so nothing that must be
//! encrypted is ever offered otherwise. An offer of keys beside `RTP/AVP` from a
//! peer counts as an offer of both.

use smallvec::{SmallVec, smallvec};

use super::session::{Leg, Near};
use crate::sdp::description::Said;
use crate::sdp::dtls::Setup;
use crate::sdp::protocol::{Profile, Security};
use crate::{AnchorConfig, Mode, Requirement, Side, Terms, Unacceptable};

/// What can be offered to a peer.
pub(super) struct FarChoice {
    pub(super) modes: SmallVec<[Mode; 4]>,
    pub(super) security: Security,
}

/// Do the parties keep their keys to themselves?
pub(super) fn passes_through(
    said: &Said,
    profile: Profile,
    terms: &[Terms; 2],
    requirement: Requirement,
) -> bool {
    let both = terms
        .iter()
        .all(|terms| terms.modes.first() == Some(&Mode::Passthrough));
    let keyed = !said.crypto.is_empty() || !said.fingerprints.is_empty();
    // A secure profile without keys is no offer at all; an open one with keys may
    // be answered in the clear.
    both && if profile.is_secure() {
        keyed
    } else {
        requirement == Requirement::Any
    }
}

/// What the offerer says.
pub(super) struct Question<'a> {
    pub(super) said: &'a Said,
    pub(super) profile: Profile,
    /// Our role in the handshake that the leg has already.
    pub(super) was_active: Option<bool>,
}

/// How the offerer's own leg is protected: the first of its terms that it offers.
pub(super) fn near(
    question: &Question<'_>,
    side: Side,
    terms: &Terms,
    requirement: Requirement,
    config: &AnchorConfig,
) -> Result<Near, Unacceptable> {
    let Question { said, profile, .. } = question;
    let mut setup = Ok(());
    for mode in &terms.modes {
        match mode {
            Mode::Sdes if profile.security != Security::Tls && !said.crypto.is_empty() => {
                return Ok(Near::Sdes(0));
            }
            Mode::Dtls if said.has_strong_fingerprint() && config.fingerprint.is_some() => {
                match role(said.setup, question.was_active) {
                    Ok(active) => return Ok(Near::Dtls { active }),
                    Err(error) => setup = Err(error),
                }
            }
            Mode::Plain if !profile.is_secure() && !requirement.binds(side) => {
                return Ok(Near::Plain);
            }
            _ => {}
        }
    }
    setup?;
    // It is encrypted in a way that is not allowed; or it should be and is not.
    let keyed = !said.crypto.is_empty() || !said.fingerprints.is_empty();
    Err(if profile.is_secure() && keyed {
        Unacceptable::Mode
    } else {
        Unacceptable::NotEncrypted
    })
}

/// What the other party is offered. A re-offer keeps to what its leg has.
pub(super) fn far(
    side: Side,
    terms: &Terms,
    requirement: Requirement,
    current: Option<Leg>,
    config: &AnchorConfig,
) -> Result<FarChoice, Unacceptable> {
    let allowed: SmallVec<[Mode; 4]> = terms
        .modes
        .iter()
        .copied()
        .filter(|mode| match mode {
            Mode::Plain => !requirement.binds(side),
            Mode::Dtls => config.fingerprint.is_some(),
            Mode::Sdes => true,
            Mode::Passthrough => false,
        })
        .collect();
    let strict = |mode: Mode| FarChoice {
        modes: smallvec![mode],
        security: match mode {
            Mode::Dtls => Security::Tls,
            Mode::Sdes => Security::Savp,
            Mode::Plain | Mode::Passthrough => Security::Open,
        },
    };
    if let Some(leg) = current
        && allowed.contains(&leg.mode)
        && let Some(profile) = leg.profile.filter(|profile| profile.is_secure())
    {
        return Ok(FarChoice {
            modes: smallvec![leg.mode],
            security: profile.security,
        });
    }
    let Some(first) = allowed.first().copied() else {
        return Err(if requirement.binds(side) {
            Unacceptable::PeerCannotEncrypt
        } else {
            Unacceptable::Mode
        });
    };
    match allowed.iter().position(|mode| *mode == Mode::Plain) {
        None | Some(0) => Ok(strict(first)),
        Some(plain) => Ok(FarChoice {
            modes: allowed.iter().take(plain + 1).copied().collect(),
            security: Security::Open,
        }),
    }
}

/// Whether we begin the handshake with a party that offered.
///
/// RFC 5763 section 5 leaves both roles to the answer, and recommends the active one to
/// save the time until the answer is there. We leave it to the party: its ClientHello
/// shows what it speaks, so that a party with DTLS 1.3 gets that and one that has 1.2
/// and an RSA certificate is understood too, while our own would have to guess. A party
/// behind NAT cannot be reached before it has sent something anyway.
fn role(setup: Option<Setup>, was_active: Option<bool>) -> Result<bool, Unacceptable> {
    match setup {
        Some(Setup::ActPass) => Ok(was_active.unwrap_or(false)),
        Some(Setup::Passive) => Ok(true),
        // RFC 4145 section 4: active is what an offer means without a word.
        Some(Setup::Active) | None => Ok(false),
        Some(Setup::HoldConn) => Err(Unacceptable::Setup),
    }
}

/// Whether we begin the handshake with a party that answered our `actpass`.
pub(super) fn role_by_answer(setup: Option<Setup>) -> Result<bool, Unacceptable> {
    match setup {
        Some(Setup::Active) | None => Ok(false),
        Some(Setup::Passive) => Ok(true),
        Some(Setup::ActPass | Setup::HoldConn) => Err(Unacceptable::Setup),
    }
}
