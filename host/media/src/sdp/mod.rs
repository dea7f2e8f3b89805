//! Session descriptions: RFC 8866 read and written.

pub(crate) mod address;
pub(crate) mod crypto;
pub(crate) mod description;
pub(crate) mod dtls;
pub(crate) mod formats;
pub(crate) mod grammar;
pub(crate) mod multipart;
pub(crate) mod protocol;
pub(crate) mod write;
