//! SIP bytes to message and back: framing, header index, typed values, edits (RFC 3261
//! sections 7, 18.3, 19, 20 and 25).
//!
//! A [`Message`] is the received bytes and an index of spans over them. The fields that routing
//! and matching need are checked once, when the message is parsed; their accessors cannot fail.
//! [`Edits`] splices: what nobody changed leaves as it came, byte for byte and in order.
//!
//! # What two readers could read differently
//!
//! is refused, or normalised and reported as one of [`Anomalies`]; it is never forwarded as it
//! came. Normalising makes one copy of the message; clean messages are not copied.
//!
//! | seen | done | reported |
//! |---|---|---|
//! | CR without LF in the headers | refused, 400 | |
//! | LF without CR in the headers | becomes CRLF | `BARE_LINE_FEED` |
//! | NUL or control character in a quoted string | becomes `?` | `CONTROL_CHARACTER` |
//! | NUL or control character elsewhere in the headers | refused, 400 | |
//! | folded header | joined by one space | `FOLDED_HEADER` |
//! | white space before the colon | removed | `SPACE_BEFORE_COLON` |
//! | CRLFs before the start-line | removed | `OTHER` |
//! | no empty line after the last header (datagram) | added | `OTHER` |
//! | `sip/2.0` in the start-line, no space after the status code | corrected | `OTHER` |
//! | any other white space in the request-line | refused, 400 | |
//! | From, To, Call-ID, CSeq or Max-Forwards twice | refused, 400 | |
//! | another single-valued header twice, same value | the second removed | `DUPLICATE_HEADER` |
//! | another single-valued header twice, other value | refused, 400 | |
//! | Content-Length missing (datagram) | added | `MISSING_CONTENT_LENGTH` |
//! | bytes after the body (datagram) | removed | `TRAILING_BYTES` |
//! | body shorter than Content-Length | refused, 400 | |
//! | two `@` in a URI, host that a resolver may read as another address | refused, 400 | |
//! | `?` or `,` in an address without angle brackets | refused, 400 | |
//! | two tags, branches, `received`, `rport`, `maddr`, routing parameters | refused, 400 | |
//! | compact header name | kept | `COMPACT_FORM` |
//! | neither ASCII nor UTF-8 in a header | kept | `INVALID_UTF8` |
//! | branch without magic cookie | kept | `RFC2543_BRANCH` |
//! | Max-Forwards missing | kept; the proxy adds it | `MISSING_MAX_FORWARDS` |
//! | escapes of unreserved characters in the Request-URI's user | kept | `NEEDLESS_ESCAPE` |
//! | unreadable Expires | kept; [`Message::expires`] is `None` | `OTHER` |

mod anomaly;
pub mod build;
mod edits;
mod error;
mod framer;
mod grammar;
mod header;
mod index;
mod limits;
mod message;
mod method;
mod name_addr;
mod normalise;
mod parse;
mod salvage;
mod splice;
mod status;
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub mod typed;
mod uri;
mod via;

pub use anomaly::Anomalies;
pub use edits::Edits;
pub use error::{ParseError, ParseErrorKind};
pub use framer::{Frame, FrameError, StreamFramer};
pub use header::{Header, HeaderKind};
pub use limits::Limits;
pub use message::{CSeq, Message};
pub use method::Method;
pub use name_addr::{NameAddr, NameAddrError};
pub use splice::EditError;
pub use status::{REGISTERED, reason_phrase};
pub use uri::{Host, Scheme, Uri, UriError};
pub use via::{MAGIC_COOKIE, Via, ViaError};
