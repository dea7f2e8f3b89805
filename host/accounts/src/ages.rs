//! When a password expires.

/// Days that a password may be set to last at most: ten years.
pub const MAX_AGE_DAYS: u32 = 3_650;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// How long passwords last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Days after which a password is no longer taken, unless its account has its own
    /// number. Default 90; from 1 to [`MAX_AGE_DAYS`].
    pub max_age_days: u32,
    /// Days before that from which on it is warned about. Default 14.
    pub warn_days: u32,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            max_age_days: 90,
            warn_days: 14,
        }
    }
}

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its password is good for so many whole days.
    Good(u64),
    /// Its password expires within so many days, the last one begun included.
    Expiring(u64),
    /// Its password expired so many whole days ago.
    Expired(u64),
    /// The operator has disabled it.
    Disabled,
}

impl Ages {
    /// The time from which on a password is no longer taken.
    pub(crate) fn expires_ms(&self, changed_ms: u64, own_days: Option<u32>) -> u64 {
        let days = own_days.unwrap_or(self.max_age_days).clamp(1, MAX_AGE_DAYS);
        changed_ms.saturating_add(u64::from(days) * DAY_MS)
    }

    /// How a password that expires then stands now.
    #[must_use]
    pub fn standing(&self, expires_ms: u64, now_ms: u64) -> Standing {
        match expires_ms.checked_sub(now_ms) {
            None | Some(0) => Standing::Expired((now_ms - expires_ms) / DAY_MS),
            Some(left) if left <= u64::from(self.warn_days) * DAY_MS => {
                Standing::Expiring(left.div_ceil(DAY_MS))
            }
            Some(left) => Standing::Good(left / DAY_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_good_warned_about_and_expired_to_the_millisecond() {
        let ages = Ages::default();
        let changed = 1_000 * DAY_MS;
        let expires = ages.expires_ms(changed, None);
        assert_eq!(expires, 1_090 * DAY_MS);
        for (now, standing) in [
            (changed, Standing::Good(90)),
            (expires - 14 * DAY_MS - 1, Standing::Good(14)),
            (expires - 14 * DAY_MS, Standing::Expiring(14)),
            (expires - 1, Standing::Expiring(1)),
            (expires, Standing::Expired(0)),
            (expires + DAY_MS, Standing::Expired(1)),
        ] {
            assert_eq!(ages.standing(expires, now), standing, "{now}");
        }
    }

    #[test]
    fn an_account_may_have_its_own_age_within_bounds() {
        let ages = Ages::default();
        assert_eq!(ages.expires_ms(0, Some(7)), 7 * DAY_MS);
        assert_eq!(ages.expires_ms(0, Some(0)), DAY_MS);
        let longest = u64::from(MAX_AGE_DAYS) * DAY_MS;
        assert_eq!(ages.expires_ms(0, Some(u32::MAX)), longest);
        assert_eq!(ages.expires_ms(u64::MAX, None), u64::MAX);
        let silent = Ages {
            warn_days: 0,
            ..ages
        };
        assert_eq!(silent.standing(10, 9), Standing::Good(0));
    }
}
