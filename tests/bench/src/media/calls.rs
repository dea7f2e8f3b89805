//! What a subject is asked to relay, and what it says about it.

use std::net::SocketAddrV4;

use anyhow::Result;

use serde::{Deserialize, Serialize};

use crate::seal::{Sealer, Suite};
use crate::traffic::Stream;

/// Calls to set up: the callers' legs are plain.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How many.
    pub(crate) calls: usize,
    /// Threads of a subject that lets one choose.
    pub(crate) workers: usize,
    /// What the callees' legs are sealed with; plain without.
    pub(crate) suite: Option<Suite>,
    /// Where all callers send from and receive.
    pub(crate) caller: SocketAddrV4,
    /// Where all callees send from and receive.
    pub(crate) callee: SocketAddrV4,
}

impl Plan {
    /// Master key and salt that the callee of a call sends with. They guard nothing.
    pub(crate) fn key(&self, call: usize, suite: Suite) -> Vec<u8> {
        (0..suite.key_salt())
            .map(|place| (call * 31 + place * 167).to_le_bytes()[0])
            .collect()
    }
}

/// One call as the subject has set it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Port of the subject for the caller.
    pub(crate) caller_sends_to: SocketAddrV4,
    /// Port of the subject for the callee.
    pub(crate) callee_sends_to: SocketAddrV4,
    /// Master keys and salts of the callee's leg.
    pub(crate) keys: Option<Keys>,
}

/// Master keys and salts of one leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// What the party seals with.
    pub(crate) to_subject: Vec<u8>,
    /// What the subject seals with.
    pub(crate) from_subject: Vec<u8>,
}

impl Call {
    /// The calls of a path without a subject.
    pub(crate) fn direct(plan: &Plan) -> Vec<Self> {
        let call = Self {
            caller_sends_to: plan.callee,
            callee_sends_to: plan.caller,
            keys: None,
        };
        vec![call; plan.calls]
    }

    /// Both directions of a call.
    pub(crate) fn streams(&self, suite: Option<Suite>) -> Result<[Stream; 2]> {
        let sealers = match (suite, &self.keys) {
            (Some(suite), Some(keys)) => Some((
                Sealer::new(suite, &keys.to_subject)?,
                Sealer::new(suite, &keys.from_subject)?,
            )),
            _ => None,
        };
        let (sealer, opener) = sealers.unzip();
        Ok([
            Stream {
                to: self.caller_sends_to,
                from_caller: true,
                sealer: None,
                opener,
            },
            Stream {
                to: self.callee_sends_to,
                from_caller: false,
                sealer,
                opener: None,
            },
        ])
    }
}
