//! Header names: RFC 3261 section 7.3.1, the compact forms of section 7.3.3 and later RFCs.

macro_rules! header_kinds {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $compact:expr, $rule:ident;)*) => {
        /// Which header a line is. Compact and long form are the same kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum HeaderKind {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $kind,)*
            /// Not one of these.
            Other,
        }

        const KINDS: &[Entry] = &[$(Entry {
            kind: HeaderKind::$kind,
            name: $name,
            compact: $compact,
            rule: Rule::$rule,
        },)*];
    };
}

/// How often a header may stand and whether commas join its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Once; any second one is refused: it decides what the message is.
    Once,
    /// Once; a second one with the same value is dropped, with another value refused.
    Single,
    /// Any number of lines, each with one value.
    Lines,
    /// Any number of lines, each with values joined by commas.
    List,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: HeaderKind,
    name: &'static str,
    compact: Option<u8>,
    rule: Rule,
}

header_kinds! {
    Accept, "Accept", None, List;
    AcceptContact, "Accept-Contact", Some(b'a'), List;
    AcceptEncoding, "Accept-Encoding", None, List;
    AcceptLanguage, "Accept-Language", None, List;
    AlertInfo, "Alert-Info", None, List;
    Allow, "Allow", None, List;
    AllowEvents, "Allow-Events", Some(b'u'), List;
    AuthenticationInfo, "Authentication-Info", None, Lines;
    Authorization, "Authorization", None, Lines;
    CallId, "Call-ID", Some(b'i'), Once;
    CallInfo, "Call-Info", None, List;
    Contact, "Contact", Some(b'm'), List;
    ContentDisposition, "Content-Disposition", None, Single;
    ContentEncoding, "Content-Encoding", Some(b'e'), List;
    ContentLanguage, "Content-Language", None, List;
    ContentLength, "Content-Length", Some(b'l'), Single;
    ContentType, "Content-Type", Some(b'c'), Single;
    CSeq, "CSeq", None, Once;
    Date, "Date", None, Lines;
    Diversion, "Diversion", None, List;
    ErrorInfo, "Error-Info", None, List;
    Event, "Event", Some(b'o'), Single;
    Expires, "Expires", None, Single;
    From, "From", Some(b'f'), Once;
    Geolocation, "Geolocation", None, List;
    HistoryInfo, "History-Info", None, List;
    Identity, "Identity", Some(b'y'), Lines;
    IdentityInfo, "Identity-Info", Some(b'n'), Lines;
    InfoPackage, "Info-Package", None, Single;
    InReplyTo, "In-Reply-To", None, List;
    Join, "Join", None, Single;
    MaxBreadth, "Max-Breadth", None, Single;
    MaxForwards, "Max-Forwards", None, Once;
    MimeVersion, "MIME-Version", None, Single;
    MinExpires, "Min-Expires", None, Single;
    MinSe, "Min-SE", None, Single;
    Organization, "Organization", None, Lines;
    PAccessNetworkInfo, "P-Access-Network-Info", None, List;
    PAssertedIdentity, "P-Asserted-Identity", None, List;
    PAssociatedUri, "P-Associated-URI", None, List;
    Path, "Path", None, List;
    PChargingVector, "P-Charging-Vector", None, Lines;
    PPreferredIdentity, "P-Preferred-Identity", None, List;
    Priority, "Priority", None, Lines;
    Privacy, "Privacy", None, Lines;
    ProxyAuthenticate, "Proxy-Authenticate", None, Lines;
    ProxyAuthorization, "Proxy-Authorization", None, Lines;
    ProxyRequire, "Proxy-Require", None, List;
    RAck, "RAck", None, Single;
    Reason, "Reason", None, List;
    RecordRoute, "Record-Route", None, List;
    RecvInfo, "Recv-Info", None, List;
    ReferTo, "Refer-To", Some(b'r'), Single;
    ReferredBy, "Referred-By", Some(b'b'), Single;
    RejectContact, "Reject-Contact", Some(b'j'), List;
    RemotePartyId, "Remote-Party-ID", None, List;
    Replaces, "Replaces", None, Single;
    ReplyTo, "Reply-To", None, Single;
    RequestDisposition, "Request-Disposition", Some(b'd'), List;
    Require, "Require", None, List;
    ResourcePriority, "Resource-Priority", None, List;
    RetryAfter, "Retry-After", None, Lines;
    Route, "Route", None, List;
    RSeq, "RSeq", None, Single;
    SecurityClient, "Security-Client", None, List;
    SecurityServer, "Security-Server", None, List;
    SecurityVerify, "Security-Verify", None, List;
    Server, "Server", None, Lines;
    ServiceRoute, "Service-Route", None, List;
    SessionExpires, "Session-Expires", Some(b'x'), Single;
    SipEtag, "SIP-ETag", None, Single;
    SipIfMatch, "SIP-If-Match", None, Single;
    Subject, "Subject", Some(b's'), Lines;
    SubscriptionState, "Subscription-State", None, Single;
    Supported, "Supported", Some(b'k'), List;
    TargetDialog, "Target-Dialog", None, Single;
    Timestamp, "Timestamp", None, Single;
    To, "To", Some(b't'), Once;
    Unsupported, "Unsupported", None, List;
    UserAgent, "User-Agent", None, Lines;
    Via, "Via", Some(b'v'), List;
    Warning, "Warning", None, List;
    WwwAuthenticate, "WWW-Authenticate", None, Lines;
}

/// Slots of the hash table over names: so many that a factor without collisions is soon found.
const SLOTS: usize = 1024;

const VACANT: u8 = u8::MAX;

/// The first odd factor that gives every name a slot of its own.
const FACTOR: u32 = factor();

static BY_HASH: [u8; SLOTS] = match by_hash(FACTOR) {
    Some(table) => table,
    None => [VACANT; SLOTS],
};

static BY_LETTER: [u8; 26] = by_letter();

const fn hash(factor: u32, len: usize, first: u8, middle: u8, last: u8) -> usize {
    // Bit 5 is the case of a letter.
    let mixed = (len as u32) << 24
        | ((first | 32) as u32) << 16
        | ((middle | 32) as u32) << 8
        | (last | 32) as u32;
    (mixed.wrapping_mul(factor) >> 22) as usize
}

const fn factor() -> u32 {
    let mut factor = 0x9e37_79b1u32;
    while by_hash(factor).is_none() {
        factor = factor.wrapping_add(2);
    }
    factor
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn by_hash(factor: u32) -> Option<[u8; SLOTS]> {
    let mut table = [VACANT; SLOTS];
    let mut at = 0;
    while at < KINDS.len() {
        let name = KINDS[at].name.as_bytes();
        let slot = hash(
            factor,
            name.len(),
            name[0],
            name[name.len() / 2],
            name[name.len() - 1],
        );
        if table[slot] != VACANT {
            return None;
        }
        table[slot] = at as u8;
        at += 1;
    }
    Some(table)
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn by_letter() -> [u8; 26] {
    let mut table = [VACANT; 26];
    let mut at = 0;
    while at < KINDS.len() {
        if let Some(letter) = KINDS[at].compact {
            table[(letter - b'a') as usize] = at as u8;
        }
        at += 1;
    }
    table
}

impl HeaderKind {
    /// The kind of this name, long or compact, without regard to case.
    pub fn from_name(name: &[u8]) -> Self {
        if let [letter] = name {
            let at = usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
            return BY_LETTER
                .get(at)
                .and_then(|at| KINDS.get(usize::from(*at)))
                .map_or(Self::Other, |entry| entry.kind);
        }
        let (Some(first), Some(middle), Some(last)) =
            (name.first(), name.get(name.len() / 2), name.last())
        else {
            return Self::Other;
        };
        let slot = hash(FACTOR, name.len(), *first, *middle, *last);
        match BY_HASH.get(slot).and_then(|at| KINDS.get(usize::from(*at))) {
            // Most peers write names as the RFCs do.
            Some(entry)
                if entry.name.as_bytes() == name
                    || entry.name.as_bytes().eq_ignore_ascii_case(name) =>
            {
                entry.kind
            }
            _ => Self::Other,
        }
    }

    fn entry(self) -> Option<&'static Entry> {
        KINDS.get(self as usize)
    }

    /// Its long name; `None` for [`HeaderKind::Other`].
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// Its compact form, a lower-case letter.
    pub fn compact(self) -> Option<u8> {
        self.entry().and_then(|entry| entry.compact)
    }

    /// True when commas join values of this header (RFC 3261 section 7.3.1). Authorization and
    /// challenges are no such headers: their commas join parameters.
    pub fn is_list(self) -> bool {
        self.entry().is_some_and(|entry| entry.rule == Rule::List)
    }

    /// True when a second line is refused whatever it says.
    pub(crate) fn is_once(self) -> bool {
        self.entry().is_some_and(|entry| entry.rule == Rule::Once)
    }

    /// True when a message holds one line of this kind at most: a second one with another value
    /// is refused.
    pub fn is_single(self) -> bool {
        self.entry()
            .is_some_and(|entry| matches!(entry.rule, Rule::Once | Rule::Single))
    }

    /// A bit of its own, for sets of kinds.
    pub(crate) fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Its kind.
    pub kind: HeaderKind,
    /// The name as written.
    pub name: &'a [u8],
    /// The value, unfolded, without white space at its ends.
    pub value: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for entry in KINDS {
            assert_eq!(HeaderKind::from_name(entry.name.as_bytes()), entry.kind);
            assert_eq!(
                HeaderKind::from_name(entry.name.to_uppercase().as_bytes()),
                entry.kind
            );
            assert_eq!(entry.kind.name(), Some(entry.name));
            if let Some(letter) = entry.compact {
                assert_eq!(
                    HeaderKind::from_name(&[letter.to_ascii_uppercase()]),
                    entry.kind
                );
            }
        }
    }

    #[test]
    fn names_that_are_none_of_ours_are_other() {
        for name in [
            &b""[..],
            b"z",
            b"@",
            b"Call-IDs",
            b"Vio",
            b"X-Custom",
            b"C%6Fntact",
            &[0xff; 40],
        ] {
            assert_eq!(HeaderKind::from_name(name), HeaderKind::Other);
        }
        assert_eq!(HeaderKind::Other.name(), None);
        assert!(
            KINDS.len() < 127,
            "a kind must have a bit of its own and leave one for Other"
        );
    }
}
