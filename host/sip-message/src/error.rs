//! Why a message was refused, and what may be answered: RFC 3261 sections 8.2 and 21.4.1.

use bytes::Bytes;

use crate::header::HeaderKind;
use crate::name_addr::NameAddrError;
use crate::salvage::Salvage;
use crate::uri::UriError;
use crate::via::{Via, ViaError};

/// What is wrong with a message: always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseErrorKind {
    /// Nothing but CRLFs: a keep-alive.
    #[error("the message is empty")]
    Empty,
    /// The first line belongs to another protocol.
    #[error("the first line is not SIP")]
    NotSip,
    /// Malformed request-line or status-line.
    #[error("the start-line is malformed")]
    StartLine,
    /// Another version than SIP/2.0.
    #[error("the SIP version is not 2.0")]
    Version,
    /// More bytes than [`Limits::message_bytes`](crate::Limits::message_bytes).
    #[error("the message is too large")]
    MessageTooLarge,
    /// More lines than [`Limits::header_count`](crate::Limits::header_count).
    #[error("the message has too many headers")]
    TooManyHeaders,
    /// A line longer than [`Limits::header_bytes`](crate::Limits::header_bytes).
    #[error("a header is too long")]
    HeaderTooLong,
    /// More values than [`Limits::via_count`](crate::Limits::via_count).
    #[error("the message has too many Via values")]
    TooManyVias,
    /// No colon, an empty name, or a name that is no token.
    #[error("a header line is malformed")]
    HeaderLine,
    /// A CR without LF.
    #[error("a carriage return stands alone in the headers")]
    BareCarriageReturn,
    /// A control character outside a quoted string.
    #[error("a control character stands in the headers")]
    ControlCharacter,
    /// The bytes end within the headers.
    #[error("the headers are cut off")]
    Truncated,
    /// The bytes end before the body that was announced does.
    #[error("the body is shorter than Content-Length says")]
    BodyTruncated,
    /// A header that every message needs is not there.
    #[error("the {} header is missing", name(*.0))]
    Missing(HeaderKind),
    /// A header that may stand once stands twice, and may mean two things.
    #[error("the {} header stands more than once", name(*.0))]
    Duplicate(HeaderKind),
    /// The value of a header is malformed or out of range.
    #[error("the {} header is malformed", name(*.0))]
    Value(HeaderKind),
    /// An address is malformed.
    #[error("the {header} header is malformed: {fault}", header = name(*.0), fault = .1)]
    Address(HeaderKind, NameAddrError),
    /// A Via is malformed.
    #[error(transparent)]
    Via(#[from] ViaError),
    /// The Request-URI is malformed.
    #[error("the Request-URI is malformed: {0}")]
    RequestUri(UriError),
    /// CSeq names another method than the request-line.
    #[error("CSeq names another method than the request-line")]
    MethodMismatch,
}

fn name(kind: HeaderKind) -> &'static str {
    kind.name().unwrap_or("extension")
}

impl ParseErrorKind {
    /// The status of RFC 3261 section 21 that a request with this fault deserves; `None` for
    /// what is better met with silence.
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Empty | Self::NotSip | Self::Truncated => return None,
            Self::Version => 505,
            Self::MessageTooLarge | Self::TooManyHeaders | Self::HeaderTooLong => 513,
            Self::TooManyVias => 483,
            Self::RequestUri(UriError::TooLong) => 414,
            Self::StartLine
            | Self::HeaderLine
            | Self::BareCarriageReturn
            | Self::ControlCharacter
            | Self::BodyTruncated
            | Self::Missing(_)
            | Self::Duplicate(_)
            | Self::Value(_)
            | Self::Address(..)
            | Self::Via(_)
            | Self::RequestUri(_)
            | Self::MethodMismatch => 400,
        })
    }
}

/// A refused message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    kind: ParseErrorKind,
    salvage: Option<Box<Salvage>>,
}

impl ParseError {
    /// Looks once more at `received` for what an answer needs.
    pub(crate) fn new(kind: ParseErrorKind, received: &[u8]) -> Self {
        let salvage = kind
            .status()
            .and_then(|_| Salvage::read(received))
            .map(Box::new);
        Self { kind, salvage }
    }

    /// What is wrong.
    pub fn reason(&self) -> &ParseErrorKind {
        &self.kind
    }

    /// The status to answer with. `None` means silence: for responses, for ACK, for what is not
    /// SIP, and where Via, From, To, Call-ID or CSeq do not say whom to answer.
    pub fn status(&self) -> Option<u16> {
        self.salvage.as_ref().and_then(|_| self.kind.status())
    }

    /// The answer, if there is a status. `to_tag` (a token) is added to a To without tag.
    pub fn response(&self, to_tag: &[u8]) -> Option<Bytes> {
        let status = self.kind.status()?;
        self.salvage
            .as_ref()
            .map(|salvage| salvage.response(status, to_tag))
    }

    /// The topmost Via of a request that can be answered: where RFC 3261 section 18.2.2 and
    /// RFC 3581 would send the answer. On a connection the answer goes back on it.
    pub fn top_via(&self) -> Option<Via<'_>> {
        self.salvage.as_ref().and_then(|salvage| salvage.top_via())
    }
}
