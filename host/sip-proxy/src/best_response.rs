//! Choosing among final responses: RFC 3261 section 16.7 steps 6 and 7.

use std::sync::Arc;

use sip_message::{HeaderKind, Message};
use smallvec::SmallVec;

use crate::judging::Answerer;

/// A final response of one branch, or what stands for it.
#[derive(Clone, Debug)]
pub(crate) enum Final {
    /// As it came, and from whom.
    Received(Arc<Message>, Answerer),
    /// A timeout (408), a transport failure (503), or a cancelled branch that never
    /// answered (487).
    Made(u16),
    /// Its session description, or that of the request, was not let through.
    Refused {
        /// 400 and above.
        status: u16,
        /// Code for Warning.
        warning: Option<u16>,
    },
}

impl Final {
    /// Its status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Received(message, _) => message.status().unwrap_or_default(),
            Self::Made(status) | Self::Refused { status, .. } => *status,
        }
    }
}

/// The best response so far, and all challenges.
#[derive(Debug, Default)]
pub(crate) struct BestResponse {
    best: Option<(u16, Final)>,
    challenges: SmallVec<[Arc<Message>; 1]>,
}

impl BestResponse {
    pub(crate) fn offer(&mut self, status: u16, response: Final, challenges_limit: usize) {
        if let (401 | 407, Final::Received(message, _)) = (status, &response)
            && self.challenges.len() < challenges_limit
        {
            self.challenges.push(Arc::clone(message));
        }
        let better = self
            .best
            .as_ref()
            .is_none_or(|(best, _)| rank(status) < rank(*best));
        if better {
            self.best = Some((status, response));
        }
    }

    pub(crate) fn take(&mut self) -> Option<(u16, Final)> {
        self.best.take()
    }

    /// Challenges of the other branches, to be added to the best response if that is a
    /// challenge itself (step 7).
    pub(crate) fn further_challenges(&self, best: &Arc<Message>) -> Vec<(&'static str, Vec<u8>)> {
        let mut further = Vec::new();
        for message in self
            .challenges
            .iter()
            .filter(|message| !Arc::ptr_eq(message, best))
        {
            for (kind, name) in [
                (HeaderKind::WwwAuthenticate, "WWW-Authenticate"),
                (HeaderKind::ProxyAuthenticate, "Proxy-Authenticate"),
            ] {
                let values = message.values(kind);
                further.extend(values.map(|value| (name, value.to_vec())));
            }
        }
        further
    }
}

/// Lower is better: 6xx, then the lowest class; within 4xx first what tells the caller
/// how to do better, last what says only that nobody spoke; 503 last of all.
fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        300..=399 => 10,
        401 | 407 | 415 | 420 | 484 => 20,
        408 => 23,
        487 => 22,
        400..=499 => 21,
        503 => 31,
        500..=599 => 30,
        _ => u16::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(statuses: &[u16]) -> Option<u16> {
        let mut best = BestResponse::default();
        for status in statuses {
            best.offer(*status, Final::Made(*status), 16);
        }
        best.take().map(|(status, _)| status)
    }

    #[test]
    fn the_best_response_is_chosen_as_section_16_7_has_it() {
        for (statuses, expected) in [
            (&[486, 603, 404][..], 603),
            (&[503, 500][..], 500),
            (&[503, 408][..], 408),
            (&[408, 486][..], 486),
            (&[404, 407][..], 407),
            (&[404, 302, 500][..], 302),
            (&[404, 486][..], 404),
            (&[487, 408][..], 487),
            (&[503][..], 503),
        ] {
            assert_eq!(best(statuses), Some(expected), "{statuses:?}");
        }
        assert_eq!(best(&[]), None);
    }
}
