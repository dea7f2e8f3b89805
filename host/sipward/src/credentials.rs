//! The accounts in use, replaced as a whole by a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use accounts::{Ages, Codes, Dialled, NoRandomness, Standing, Summary};
use arc_swap::ArcSwap;
use policy_wasm::{CodeVerification, DigestCredentials};
use state::State;
use state::digest::{Accounts, Nonces};

use crate::assemble::Roster;

/// Accounts that one warning names; the rest is a number.
const NAMED: usize = 20;

/// Milliseconds between two warnings about passwords that expire: a day.
const WARNED_AGAIN_MS: u64 = 86_400_000;

/// Who may authenticate now. Clones share it.
#[derive(Clone)]
pub(crate) struct AccountsInUse {
    digest: Arc<ArcSwap<Accounts>>,
    codes: Arc<Codes>,
    known: Arc<ArcSwap<Known>>,
    warned_ms: Arc<AtomicU64>,
}

/// What is known of them besides their secrets.
struct Known {
    summaries: Vec<Summary>,
    ages: Ages,
}

impl AccountsInUse {
    /// A `forgetful` state does not outlast the process.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn new(
        roster: Roster,
        state: &State,
        forgetful: bool,
        now_ms: u64,
    ) -> Result<Self, NoRandomness> {
        let codes = Codes::new(state.clone(), forgetful, now_ms)?;
        codes.replace(roster.codes);
        Ok(Self {
            digest: Arc::new(ArcSwap::from_pointee(roster.digest)),
            codes: Arc::new(codes),
            known: Arc::new(ArcSwap::from_pointee(Known {
                summaries: roster.summaries,
                ages: roster.ages,
            })),
            warned_ms: Arc::default(),
        })
    }

    /// For verification, which always looks at the newest accounts.
    pub(crate) fn digest(&self) -> Arc<ArcSwap<Accounts>> {
        Arc::clone(&self.digest)
    }

    /// Digest verification and dialled codes.
    pub(crate) fn credentials(&self, nonces: &Arc<Nonces>) -> DigestCredentials {
        let codes = Arc::new(Dialling(Arc::clone(&self.codes)));
        DigestCredentials::new(self.digest(), Arc::clone(nonces)).with_codes(codes)
    }

    pub(crate) fn replace(&self, roster: Roster) {
        self.digest.store(Arc::new(roster.digest));
        self.codes.replace(roster.codes);
        self.known.store(Arc::new(Known {
            summaries: roster.summaries,
            ages: roster.ages,
        }));
    }

    /// Tell the operator which passwords have expired or will soon, once a day.
    pub(crate) fn warn_daily(&self, now_ms: u64) {
        let warned_ms = self.warned_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(warned_ms) >= WARNED_AGAIN_MS {
            self.warn(now_ms);
        }
    }

    /// As [`warn_daily`](Self::warn_daily), now.
    pub(crate) fn warn(&self, now_ms: u64) {
        self.warned_ms.store(now_ms, Ordering::Relaxed);
        let known = self.known.load();
        let due = |wanted: fn(&Standing) -> bool| {
            let open = known
                .summaries
                .iter()
                .filter(|one| one.standing != Standing::Disabled);
            let due = open.filter(|one| wanted(&known.ages.standing(one.expires_ms, now_ms)));
            due.map(|one| one.user.as_str()).collect::<Vec<_>>()
        };
        let expired = due(|standing| matches!(standing, Standing::Expired(_)));
        if !expired.is_empty() {
            tracing::warn!(target: "sipward::credentials", accounts = expired.len(), users = %named(&expired), "passwords have expired and are refused; `sipward credential rotate` makes new ones");
        }
        let expiring = due(|standing| matches!(standing, Standing::Expiring(_)));
        if !expiring.is_empty() {
            tracing::warn!(target: "sipward::credentials", accounts = expiring.len(), users = %named(&expiring), days = known.ages.warn_days, "passwords expire soon; see `sipward credential check`");
        }
    }

    /// What `sipward status --json` shows of them.
    pub(crate) fn figures(&self, now_ms: u64) -> serde_json::Value {
        let known = self.known.load();
        let count = |wanted: fn(Standing) -> bool| {
            let standing = |one: &Summary| match one.standing {
                Standing::Disabled => Standing::Disabled,
                _ => known.ages.standing(one.expires_ms, now_ms),
            };
            known
                .summaries
                .iter()
                .filter(|one| wanted(standing(one)))
                .count()
        };
        serde_json::json!({
            "authenticating": self.digest.load().len(),
            "in_store": known.summaries.len(),
            "disabled": count(|standing| standing == Standing::Disabled),
            "expiring": count(|standing| matches!(standing, Standing::Expiring(_))),
            "expired": count(|standing| matches!(standing, Standing::Expired(_))),
        })
    }
}

fn named(users: &[&str]) -> String {
    let mut text = users
        .iter()
        .take(NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if users.len() > NAMED {
        text.push_str(&format!(" and {} more", users.len() - NAMED));
    }
    text
}

/// Codes as policies ask for them.
struct Dialling(Arc<Codes>);

impl policy_wasm::Codes for Dialling {
    fn check(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        match self.0.check(account, code, now_ms) {
            Dialled::Ok => CodeVerification::Ok,
            Dialled::Wrong => CodeVerification::Wrong,
            Dialled::Replayed => CodeVerification::Replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use accounts::{Ages, Book, Enrolment, NewPassword};
    use policy_wasm::{CodeVerification, Credentials};
    use state::State;
    use state::digest::{Accounts, Nonces};

    use super::{AccountsInUse, named};
    use crate::assemble::Roster;

    const NOW: u64 = 1_700_000_000_000;

    /// Alice, with this PIN.
    fn roster(pin: &str) -> Roster {
        let mut book = Book::new().unwrap();
        let alice = Enrolment {
            user: "alice",
            realms: &["pbx"],
            groups: &[],
            max_age_days: None,
        };
        book.add(alice, NewPassword::Generated, NOW).unwrap();
        book.set_pin("alice", Some(pin)).unwrap();
        let ages = Ages::default();
        let mut digest = Accounts::builder();
        book.enrol(&ages, &mut digest).unwrap();
        Roster {
            digest: digest.build(),
            codes: book.codes(&ages),
            summaries: book.summaries(&ages, NOW),
            members: book.members(),
            ages,
        }
    }

    #[test]
    fn codes_of_the_store_reach_policies_and_a_reload_replaces_them() {
        let state = State::open(None, state::Limits::default(), NOW).unwrap();
        let accounts = AccountsInUse::new(roster("492817"), &state, true, NOW).unwrap();
        let nonces = Arc::new(Nonces::new([7; 32], Duration::from_secs(60)));
        let credentials = accounts.credentials(&nonces);
        let check = |account: &str, code: &str| credentials.check_code(account, code, NOW);
        assert_eq!(check("alice", "492817"), CodeVerification::Ok);
        assert_eq!(check("alice", "703918"), CodeVerification::Wrong);
        assert_eq!(check("bob", "492817"), CodeVerification::Wrong);
        accounts.replace(roster("703918"));
        assert_eq!(check("alice", "492817"), CodeVerification::Wrong);
        assert_eq!(check("alice", "703918"), CodeVerification::Ok);
    }

    #[test]
    fn the_status_counts_who_is_expired_and_who_will_be() {
        let state = State::open(None, state::Limits::default(), NOW).unwrap();
        let accounts = AccountsInUse::new(roster("492817"), &state, true, NOW).unwrap();
        let day = 86_400_000;
        for (days, expiring, expired) in [(0, 0, 0), (80, 1, 0), (90, 0, 1)] {
            let figures = accounts.figures(NOW + days * day);
            assert_eq!(figures["in_store"], 1);
            assert_eq!(figures["expiring"], expiring, "{days}");
            assert_eq!(figures["expired"], expired, "{days}");
        }
    }

    #[test]
    fn a_warning_names_twenty() {
        let users: Vec<String> = (0..22).map(|number| format!("u{number}")).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        assert!(named(&users[..20]).ends_with(", u19"));
        assert!(named(&users).ends_with(", u19 and 2 more"));
    }
}
