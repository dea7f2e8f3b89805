//! Digest access authentication: RFC 7616, with RFC 8760 for SIP and the
//! algorithms that it adds.
//!
//! [`Nonces`] makes nonces that need no memory until somebody has answered one
//! rightly, and [`verify`](Nonces::verify)s answers. [`Accounts`] holds the hashes
//! of the passwords. Neither shows a secret to anybody.
//!
//! - `credentials`: the Authorization and Proxy-Authorization grammar;
//! - `request_uri`: whether the digest-uri is the Request-URI;
//! - `hash`: H(), HA1, HA2 and the response;
//! - `nonce`: making and reading nonces; `replay`: which counts were seen;
//! - `verify`: the order of checks.

mod accounts;
mod credentials;
mod hash;
mod nonce;
mod replay;
mod request_uri;
mod verify;

pub use accounts::{AccountError, Accounts, AccountsBuilder, Lapse};
pub use credentials::claimed;
pub use hash::Algorithm;
pub use nonce::{Nonces, challenge_value};
pub use verify::Verification;
