//! Who may authenticate, and the hashes of their passwords (HA1).

use std::{collections::HashMap, fmt};

use thiserror::Error;

use super::{Algorithm, hash::Hash};

/// Bytes of a user name. Longer ones have no account.
const USER_BYTES: usize = 256;

/// Bytes of a realm.
const REALM_BYTES: usize = 256;

/// Why an account cannot be made. For the operator; names no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// The account has such a hash already.
    #[error("user `{user}` in realm `{realm}` has two passwords for {}", .algorithm.token())]
    Twice {
        /// The user.
        user: String,
        /// The realm.
        realm: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The given HA1 is none.
    #[error(
        "the HA1 of user `{user}` in realm `{realm}` for {} must be {} hexadecimal digits",
        .algorithm.token(), .algorithm.hash_bytes() * 2
    )]
    NotHexadecimal {
        /// The user.
        user: String,
        /// The realm.
        realm: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// A hash of another length than the algorithm's.
    #[error(
        "the HA1 of user `{user}` in realm `{realm}` for {} must have {} bytes",
        .algorithm.token(), .algorithm.hash_bytes()
    )]
    WrongLength {
        /// The user.
        user: String,
        /// The realm.
        realm: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// An empty or too long name, or a user name with a colon, which would make
    /// HA1 ambiguous, or with a control character.
    #[error(
        "user `{user}` in realm `{realm}`: names must have 1 to 256 bytes, no control characters, \
         and the user name no colon"
    )]
    BadName {
        /// The user.
        user: String,
        /// The realm.
        realm: String,
    },
}

/// Users with their hashes. Immutable; build a new one and swap it in.
pub struct Accounts {
    // Keys are as `key` makes them.
    hashes: HashMap<Box<[u8]>, Hashes>,
    /// What an unknown user is measured against, so that it takes as long.
    nobody: Hashes,
}

/// Why the right password of an account is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The operator has disabled the account.
    Disabled,
    /// The password has expired.
    Expired,
}

/// What is known of a user, or of nobody.
pub(crate) struct Found<'a> {
    pub(crate) hash: &'a Hash,
    /// The hash is the user's and no stand-in.
    pub(crate) known: bool,
    closes: Option<(u64, Lapse)>,
}

impl Found<'_> {
    /// Why it is not taken at this time, if it is not.
    pub(crate) fn lapse(&self, now_ms: u64) -> Option<Lapse> {
        self.closes
            .and_then(|(from_ms, lapse)| (now_ms >= from_ms).then_some(lapse))
    }
}

/// HA1 for each algorithm that it is known for, and from when on they are not taken.
#[derive(Default)]
struct Hashes {
    of: [Option<Hash>; Algorithm::ALL.len()],
    closes: Option<(u64, Lapse)>,
}

impl Hashes {
    fn place(&mut self, algorithm: Algorithm) -> &mut Option<Hash> {
        let [md5, sha256, sha512_256] = &mut self.of;
        match algorithm {
            Algorithm::Md5 => md5,
            Algorithm::Sha256 => sha256,
            Algorithm::Sha512_256 => sha512_256,
        }
    }

    fn of(&self, algorithm: Algorithm) -> Option<&Hash> {
        let [md5, sha256, sha512_256] = &self.of;
        match algorithm {
            Algorithm::Md5 => md5.as_ref(),
            Algorithm::Sha256 => sha256.as_ref(),
            Algorithm::Sha512_256 => sha512_256.as_ref(),
        }
    }
}

impl Accounts {
    /// Begins without anybody.
    pub fn builder() -> AccountsBuilder {
        let mut nobody = Hashes::default();
        for algorithm in Algorithm::ALL {
            // Never matched: `lookup` says that it is nobody's.
            *nobody.place(algorithm) = Some(algorithm.hash(&[b"", b"", b""]));
        }
        AccountsBuilder {
            accounts: Self {
                hashes: HashMap::new(),
                nobody,
            },
        }
    }

    /// Accounts without anybody.
    pub fn empty() -> Self {
        Self::builder().build()
    }

    /// Number of users, counted once for each realm.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// HA1 of a user, or a stand-in.
    pub(crate) fn lookup(&self, user: &[u8], realm: &[u8], algorithm: Algorithm) -> Found<'_> {
        let account = self.hashes.get(key(user, realm).as_slice());
        let hash = account.and_then(|hashes| hashes.of(algorithm));
        let stand_in = self.nobody.of(algorithm);
        Found {
            // The stand-ins are all there; any hash will do for a refusal.
            hash: hash.or(stand_in).unwrap_or(Hash::NONE),
            known: hash.is_some(),
            closes: account.and_then(|hashes| hashes.closes),
        }
    }
}

/// Length of the realm, realm, user: a colon in one of them, which a peer may
/// well send, is not taken for the end of the other.
fn key(user: &[u8], realm: &[u8]) -> Vec<u8> {
    [realm.len().to_be_bytes().as_slice(), realm, user].concat()
}

impl fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Accounts")
            .field("users", &self.hashes.len())
            .finish_non_exhaustive()
    }
}

/// Collects [`Accounts`].
#[derive(Debug)]
pub struct AccountsBuilder {
    accounts: Accounts,
}

impl AccountsBuilder {
    /// A user by password: HA1 is computed for every algorithm, and the password
    /// forgotten.
    ///
    /// # Errors
    /// A bad name, or a user who is there already.
    pub fn password(
        &mut self,
        user: &str,
        realm: &str,
        password: &[u8],
    ) -> Result<&mut Self, AccountError> {
        for algorithm in Algorithm::ALL {
            let hash = algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password]);
            self.insert(user, realm, algorithm, hash)?;
        }
        Ok(self)
    }

    /// A user by HA1, in hexadecimal digits, for one algorithm.
    ///
    /// # Errors
    /// A bad name, no HA1, or one that is there already.
    pub fn ha1(
        &mut self,
        user: &str,
        realm: &str,
        algorithm: Algorithm,
        digits: &[u8],
    ) -> Result<&mut Self, AccountError> {
        let hash =
            Hash::from_hex(algorithm, digits).ok_or_else(|| AccountError::NotHexadecimal {
                user: user.to_owned(),
                realm: realm.to_owned(),
                algorithm,
            })?;
        self.insert(user, realm, algorithm, hash)?;
        Ok(self)
    }

    /// A user by HA1, as bytes, for one algorithm.
    ///
    /// # Errors
    /// A bad name, a hash of another length, or one that is there already.
    pub fn hash(
        &mut self,
        user: &str,
        realm: &str,
        algorithm: Algorithm,
        hash: &[u8],
    ) -> Result<&mut Self, AccountError> {
        let hash = Hash::from_whole(algorithm, hash).ok_or_else(|| AccountError::WrongLength {
            user: user.to_owned(),
            realm: realm.to_owned(),
            algorithm,
        })?;
        self.insert(user, realm, algorithm, hash)?;
        Ok(self)
    }

    /// From this time on a user's right password is not taken. Has no effect on a
    /// user who is not there.
    pub fn closes(&mut self, user: &str, realm: &str, lapse: Lapse, from_ms: u64) -> &mut Self {
        let key = key(user.as_bytes(), realm.as_bytes());
        if let Some(hashes) = self.accounts.hashes.get_mut(key.as_slice()) {
            hashes.closes = Some((from_ms, lapse));
        }
        self
    }

    /// The accounts.
    pub fn build(self) -> Accounts {
        self.accounts
    }

    fn insert(
        &mut self,
        user: &str,
        realm: &str,
        algorithm: Algorithm,
        hash: Hash,
    ) -> Result<(), AccountError> {
        let good = (1..=USER_BYTES).contains(&user.len())
            && (1..=REALM_BYTES).contains(&realm.len())
            && !user.contains(':')
            && !user.chars().chain(realm.chars()).any(char::is_control);
        if !good {
            return Err(AccountError::BadName {
                user: user.escape_debug().to_string(),
                realm: realm.escape_debug().to_string(),
            });
        }
        let key = key(user.as_bytes(), realm.as_bytes());
        let place = self
            .accounts
            .hashes
            .entry(key.into_boxed_slice())
            .or_default()
            .place(algorithm);
        if place.is_some() {
            return Err(AccountError::Twice {
                user: user.to_owned(),
                realm: realm.to_owned(),
                algorithm,
            });
        }
        *place = Some(hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_an_ha1_for_every_algorithm() {
        let mut builder = Accounts::builder();
        builder.password("bob", "pbx", b"zanzibar").unwrap();
        let accounts = builder.build();
        for algorithm in Algorithm::ALL {
            let found = accounts.lookup(b"bob", b"pbx", algorithm);
            assert!(found.known);
            let expected = algorithm.hash(&[b"bob", b"pbx", b"zanzibar"]);
            assert_eq!(found.hash.as_bytes(), expected.as_bytes());
            assert_eq!(
                *algorithm.ha1("bob", "pbx", b"zanzibar"),
                expected.as_bytes()
            );
        }
        for (user, realm) in [("bob", "trunk"), ("Bob", "pbx"), ("", ""), ("x:bob", "pbx")] {
            assert!(
                !accounts
                    .lookup(user.as_bytes(), realm.as_bytes(), Algorithm::Md5)
                    .known
            );
        }
    }

    #[test]
    fn a_user_of_a_realm_with_a_colon_is_nobody_else() {
        let mut builder = Accounts::builder();
        builder.password("bob", "a:b", b"x").unwrap();
        let accounts = builder.build();
        assert!(!accounts.lookup(b"b:bob", b"a", Algorithm::Md5).known);
    }

    #[test]
    fn an_account_closes_at_its_time_and_others_stay_open() {
        let mut builder = Accounts::builder();
        for user in ["bob", "eve", "tom"] {
            builder.password(user, "pbx", b"zanzibar").unwrap();
        }
        builder
            .closes("bob", "pbx", Lapse::Expired, 1_000)
            .closes("eve", "pbx", Lapse::Disabled, 0)
            .closes("nobody", "pbx", Lapse::Disabled, 0);
        let accounts = builder.build();
        for (user, now_ms, lapse) in [
            ("bob", 999, None),
            ("bob", 1_000, Some(Lapse::Expired)),
            ("eve", 0, Some(Lapse::Disabled)),
            ("tom", u64::MAX, None),
            ("nobody", u64::MAX, None),
        ] {
            let found = accounts.lookup(user.as_bytes(), b"pbx", Algorithm::Sha256);
            assert_eq!(found.lapse(now_ms), lapse, "{user} {now_ms}");
        }
    }

    #[test]
    fn a_hash_has_the_algorithms_length() {
        let mut builder = Accounts::builder();
        for length in [0, 15, 17, 32] {
            let refused = builder.hash("bob", "pbx", Algorithm::Md5, &vec![7; length]);
            assert!(matches!(refused, Err(AccountError::WrongLength { .. })));
        }
        assert!(builder.hash("bob", "pbx", Algorithm::Md5, &[7; 16]).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        let mut builder = Accounts::builder();
        builder.password("bob", "pbx", b"x").unwrap();
        let twice = builder.password("bob", "pbx", b"y").unwrap_err();
        assert_eq!(
            twice.to_string(),
            "user `bob` in realm `pbx` has two passwords for MD5"
        );
        let short = builder
            .ha1("eve", "pbx", Algorithm::Sha256, b"c0ffee")
            .unwrap_err();
        assert_eq!(
            short.to_string(),
            "the HA1 of user `eve` in realm `pbx` for SHA-256 must be 64 hexadecimal digits"
        );
        for user in ["", "a:b", "a\nb", &"x".repeat(USER_BYTES + 1)] {
            assert!(matches!(
                builder.password(user, "pbx", b"x"),
                Err(AccountError::BadName { .. })
            ));
        }
        assert!(
            builder
                .password(&"x".repeat(USER_BYTES), "pbx", b"x")
                .is_ok()
        );
    }

    #[test]
    fn debug_shows_no_hash() {
        let mut builder = Accounts::builder();
        builder.password("bob", "pbx", b"zanzibar").unwrap();
        assert_eq!(
            format!("{:?}", builder.build()),
            "Accounts { users: 1, .. }"
        );
    }
}
