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

/// HA1 for each algorithm that it is known for.
#[derive(Default)]
struct Hashes([Option<Hash>; Algorithm::ALL.len()]);

impl Hashes {
    fn place(&mut self, algorithm: Algorithm) -> &mut Option<Hash> {
        let [md5, sha256, sha512_256] = &mut self.0;
        match algorithm {
            Algorithm::Md5 => md5,
            Algorithm::Sha256 => sha256,
            Algorithm::Sha512_256 => sha512_256,
        }
    }

    fn of(&self, algorithm: Algorithm) -> Option<&Hash> {
        let [md5, sha256, sha512_256] = &self.0;
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

    /// HA1 of a user, or a stand-in and false.
    pub(crate) fn lookup(&self, user: &[u8], realm: &[u8], algorithm: Algorithm) -> (&Hash, bool) {
        let known = self
            .hashes
            .get(key(user, realm).as_slice())
            .and_then(|hashes| hashes.of(algorithm));
        match (known, self.nobody.of(algorithm)) {
            (Some(hash), _) => (hash, true),
            (None, Some(hash)) => (hash, false),
            // The stand-ins are all there; any hash will do for a refusal.
            (None, None) => (Hash::NONE, false),
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
            let (hash, known) = accounts.lookup(b"bob", b"pbx", algorithm);
            assert!(known);
            let expected = algorithm.hash(&[b"bob", b"pbx", b"zanzibar"]);
            assert_eq!(hash.as_bytes(), expected.as_bytes());
        }
        for (user, realm) in [("bob", "trunk"), ("Bob", "pbx"), ("", ""), ("x:bob", "pbx")] {
            assert!(
                !accounts
                    .lookup(user.as_bytes(), realm.as_bytes(), Algorithm::Md5)
                    .1
            );
        }
    }

    #[test]
    fn a_user_of_a_realm_with_a_colon_is_nobody_else() {
        let mut builder = Accounts::builder();
        builder.password("bob", "a:b", b"x").unwrap();
        let accounts = builder.build();
        assert!(!accounts.lookup(b"b:bob", b"a", Algorithm::Md5).1);
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
