//! Plugins in OCI registries. An artifact has the layout that the CNCF describes for
//! WebAssembly, with the signature as an annotation of its manifest, so that component
//! and signature come and go together.
//!
//! ```text
//! Reference::from_str  HOST[:PORT]/NAME:TAG or HOST[:PORT]/NAME@sha256:...
//! Registry::open       who is asked, by what right, and how long
//! Registry::push       component and signature -> the digest of the artifact
//! Registry::fetch      every byte held against a digest -> Fetched
//! Fetched::accept      the signature held against keys -> Accepted
//! Accepted::keep       the files, each in one step
//! ```
//!
//! A registry is somebody else's program: each of its answers has a bound, all of them
//! together a time, and what it says about itself is not believed.

mod address;
mod artifact;
mod challenge;
mod client;
mod credentials;
mod digest;
mod error;
mod keep;
mod reference;
mod registry;

pub use artifact::{CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, SIGNATURE_ANNOTATION, Source};
pub use credentials::{Credentials, PASSWORD_VARIABLE, USER_VARIABLE};
pub use digest::Digest;
pub use error::RegistryError;
pub use keep::{Accepted, Kept};
pub use reference::Reference;
pub use registry::{Fetched, Options, Registry};

/// Bytes of a manifest. 64 KiB: half a kilobyte, and the signature with its escapes.
pub const MANIFEST_BYTES: u64 = 64 << 10;
/// Bytes of an artifact's configuration. 64 KiB: the names of imports and exports.
pub const CONFIG_BYTES: u64 = 64 << 10;
/// Bytes of what a registry says about a failure, and of a token that it gives. 64 KiB:
/// tokens with many claims have some kilobytes.
pub const ANSWER_BYTES: u64 = 64 << 10;
/// Redirects of one request. 5: registries send clients to their storage once or twice.
pub const REDIRECTS: usize = 5;
/// Bytes of a reference. 1024: the name has 255 at most, and a digest 71.
pub const REFERENCE_BYTES: usize = 1024;
/// Bytes of a file with credentials. 1 MiB: thousands of registries.
pub const CREDENTIALS_BYTES: u64 = 1 << 20;
/// Characters of a registry's own words that are shown. 200: one or two lines.
pub const TOLD_CHARACTERS: usize = 200;
