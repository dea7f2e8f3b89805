//! Who is scored: the points of an account, and its lock.

use sipward_plugin_sdk::counters::{CounterError, Window, key};
use sipward_plugin_sdk::keyvalue::KvError;
use sipward_plugin_sdk::{Request, Zone, clock, keyvalue, warn};

use crate::settings::Thresholds;

/// Who is scored, as `user/alice`, `peer/office` or `source/192.0.2.1`.
pub(crate) struct Account {
    name: String,
    /// Under which it is counted, some ten times for a call.
    key: Vec<u8>,
}

impl Account {
    /// Who makes a call; `None` for one that comes in, by nobody who is known.
    pub(crate) fn of(request: &Request<'_>) -> Option<Self> {
        let peer = request.peer();
        match (request.identity(), peer.name()) {
            (Some(user), _) => Some(Self::user(user)),
            (None, _) if peer.zone() == Zone::Outside => None,
            (None, Some(name)) => Some(Self::named(["peer/", name].concat())),
            (None, None) => Some(Self::named(format!("source/{}", peer.address()))),
        }
    }

    /// A user.
    pub(crate) fn user(user: &str) -> Self {
        Self::named(["user/", user].concat())
    }

    /// What an annotation of ours says.
    pub(crate) fn noted(name: &str) -> Self {
        Self::named(name.to_owned())
    }

    fn named(name: String) -> Self {
        let key = key(&[name.as_bytes()]);
        Self { name, key }
    }

    /// The name, for operators and keys.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The key of its counters.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    fn lock_place(&self) -> String {
        ["lock/", &self.name].concat()
    }
}

/// Why somebody gets points.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) points: u32,
    pub(crate) why: String,
}

/// Points before and after some findings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Total {
    before: u64,
    pub(crate) after: u64,
}

impl Total {
    /// Whether a threshold is reached.
    pub(crate) fn reaches(self, threshold: u32) -> bool {
        threshold > 0 && self.after >= u64::from(threshold)
    }

    /// Whether it is reached now and was not before.
    pub(crate) fn crosses(self, threshold: u32) -> bool {
        self.reaches(threshold) && self.before < u64::from(threshold)
    }
}

/// The points and locks of all accounts.
pub(crate) struct Ledger {
    pub(crate) thresholds: Thresholds,
    points: Window,
    lock_ms: u64,
}

impl Ledger {
    pub(crate) fn new(thresholds: Thresholds, forget_s: u32, lock_s: u32) -> Self {
        Self {
            thresholds,
            points: Window::new("points", u64::from(forget_s) * 1_000).durable(),
            lock_ms: u64::from(lock_s) * 1_000,
        }
    }

    /// Adds points. What has none is only read.
    pub(crate) fn add(
        &self,
        account: &Account,
        findings: &[Finding],
    ) -> Result<Total, CounterError> {
        let points = findings
            .iter()
            .fold(0u32, |sum, finding| sum.saturating_add(finding.points));
        let after = match points {
            0 => self.points.count(account.key())?,
            points => self.points.add(account.key(), points)?,
        };
        let before = after.saturating_sub(points.into());
        Ok(Total { before, after })
    }

    /// Whether an account is locked.
    pub(crate) fn is_locked(&self, account: &Account) -> Result<bool, KvError> {
        let until = keyvalue::get(&account.lock_place())?;
        Ok(until.is_some_and(|until| {
            let until = until.try_into().map_or(u64::MAX, u64::from_be_bytes);
            clock::now_ms() < until
        }))
    }

    /// Locks an account. Should the store not take it, the points still refuse.
    pub(crate) fn lock(&self, account: &Account) {
        let until = clock::now_ms().saturating_add(self.lock_ms);
        let place = account.lock_place();
        if keyvalue::set(&place, &until.to_be_bytes(), self.lock_ms).is_err() {
            warn!("the key-value store did not take a lock; it lasts as long as the points do");
        }
    }
}
