//! Oddities of a message that were seen and made harmless: the cases of `flags anomalies` in
//! `wit/policy.wit`.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of oddities. The bits stand in the order of `wit/policy.wit`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Anomalies(u32);

macro_rules! anomalies {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Anomalies {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every case with its name in `wit/policy.wit`, in order.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

anomalies! {
    /// A compact header name was used (RFC 3261 section 7.3.3).
    COMPACT_FORM = 0, "compact-form";
    /// A header was folded over several lines (RFC 3261 section 7.3.1).
    FOLDED_HEADER = 1, "folded-header";
    /// White space stood before a colon.
    SPACE_BEFORE_COLON = 2, "space-before-colon";
    /// A line ended with a bare LF.
    BARE_LINE_FEED = 3, "bare-line-feed";
    /// A header that may stand once stood more often, with the same value.
    DUPLICATE_HEADER = 4, "duplicate-header";
    /// Bytes that are neither ASCII nor UTF-8 stood in a header.
    INVALID_UTF8 = 5, "invalid-utf8";
    /// Control characters stood in a quoted string; they were replaced by `?`.
    CONTROL_CHARACTER = 6, "control-character";
    /// Bytes followed the body that Content-Length announced; they were cut off.
    TRAILING_BYTES = 7, "trailing-bytes";
    /// The user of the Request-URI held escapes of characters that need none.
    NEEDLESS_ESCAPE = 8, "needless-escape";
    /// The topmost branch has no magic cookie, or nothing after it: an RFC 2543 peer.
    RFC2543_BRANCH = 9, "rfc2543-branch";
    /// Max-Forwards was missing in a request.
    MISSING_MAX_FORWARDS = 10, "missing-max-forwards";
    /// Content-Length was missing; the normalised view has one.
    MISSING_CONTENT_LENGTH = 11, "missing-content-length";
    /// The host part of the topmost Via differs from the packet's source. Set by the proxy,
    /// which knows the source; never by the parser.
    VIA_MISMATCH = 12, "via-mismatch";
    /// Something else: CRLFs before the start-line, no empty line after the headers, a
    /// lower-case SIP-Version, no space after the status code, an unreadable Expires.
    OTHER = 13, "other";
    /// The body claims to be an SDP offer and cannot be read as one. Set by the proxy, which
    /// reads offers; never by the parser.
    UNREADABLE_OFFER = 14, "unreadable-offer";
}

impl Anomalies {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// True when nothing odd was seen.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when every case of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when some case of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds the cases of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The bits, bit 0 being `compact-form`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The names of the cases in this set, as `wit/policy.wit` spells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .iter()
            .filter(move |(case, _)| self.contains(*case))
            .map(|(_, name)| *name)
    }
}

impl BitOr for Anomalies {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Anomalies {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}
