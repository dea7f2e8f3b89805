//! What a policy answers, as `wit/policy.wit` has it in `outcomes`.

/// Refuse the request with a final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Status code, 400 to 699.
    pub status: u16,
    /// Reason phrase sent to the peer; empty for the standard one.
    pub phrase: String,
    /// Seconds for a Retry-After header; 0 for none.
    pub retry_after: u32,
}

/// Digest algorithms: RFC 7616 and RFC 8760.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// MD5, for peers that know nothing else.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512-256.
    Sha512_256,
}

/// Ask for digest credentials. The host makes the nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm to authenticate in.
    pub realm: String,
    /// Algorithms offered, best first.
    pub algorithms: Vec<DigestAlgorithm>,
    /// 401 with WWW-Authenticate instead of 407 with Proxy-Authenticate.
    pub as_registrar: bool,
    /// The credentials were right but the nonce too old.
    pub stale: bool,
}

/// What becomes of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No objection; the next plugin decides.
    Next,
    /// Refuse with a status.
    Reject(Rejection),
    /// Ask for credentials.
    Challenge(Challenge),
    /// Answer 302 with these Contact URIs.
    Redirect(Vec<String>),
    /// Say nothing at all.
    Drop,
}

impl Verdict {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Reject(_) => "reject",
            Self::Challenge(_) => "challenge",
            Self::Redirect(_) => "redirect",
            Self::Drop => "drop",
        }
    }
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For the record.
    Info,
    /// Should be looked at.
    Warning,
    /// Needs somebody now.
    Critical,
}

impl Severity {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A message to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// How loud.
    pub severity: Severity,
    /// What it is about; alerts with the same key are not repeated for a while.
    /// Empty: the text is the key.
    pub key: String,
    /// What happened.
    pub text: String,
}

/// A change to the headers of the request that is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Replace a header, or add it.
    Set {
        /// Header name, a token.
        name: String,
        /// Value, without CR, LF and NUL.
        value: Vec<u8>,
    },
    /// Add a header line.
    Add {
        /// Header name, a token.
        name: String,
        /// Value, without CR, LF and NUL.
        value: Vec<u8>,
    },
    /// Remove every line of a header.
    Remove {
        /// Header name, a token.
        name: String,
    },
}

impl HeaderEdit {
    /// The header that is edited.
    pub fn name(&self) -> &str {
        match self {
            Self::Set { name, .. } | Self::Add { name, .. } | Self::Remove { name } => name,
        }
    }

    /// The value written, if one is.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set { value, .. } | Self::Add { value, .. } => Some(value),
            Self::Remove { .. } => None,
        }
    }
}

/// What the media of a call must be; a later case is stricter than an earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaRequirement {
    /// Whatever the configuration lets both parties agree on.
    #[default]
    Any,
    /// Every stream is encrypted on the leg of the peer that was judged.
    Encrypted,
    /// Every stream is encrypted on both legs.
    EncryptedBoth,
}

impl MediaRequirement {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Encrypted => "encrypted",
            Self::EncryptedBoth => "encrypted-both",
        }
    }
}

/// Something that shall happen if the whole pipeline admits the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Change headers. Needs [`Capability::EditHeaders`](crate::Capability).
    Header(HeaderEdit),
    /// Leave a note for later plugins and the log.
    Annotate {
        /// Letters, digits, `-`, `_` and `.`.
        key: String,
        /// One line of text.
        value: String,
    },
    /// Add to the score.
    Score {
        /// How many points; negative ones take away.
        amount: i32,
        /// Why.
        reason: String,
    },
    /// Say who the caller is.
    Identify(String),
    /// End the call after this many seconds.
    LimitDuration(u32),
    /// Route to this `[[trunk]]` or `[[pbx]]`. Needs
    /// [`Capability::Route`](crate::Capability).
    Route(String),
    /// Tell the operator; kept even when the request is refused.
    Alert(Alert),
    /// What the media of the call must be. Of several, the strictest holds.
    RequireMedia(MediaRequirement),
    /// Tell the plugin when this many seconds have passed since the answer.
    TickAfter(u32),
    /// Forward to this URI instead. Needs
    /// [`Capability::EditHeaders`](crate::Capability::EditHeaders).
    SetRequestUri(String),
    /// Show the callee this name-addr in From, likewise.
    SetFrom(String),
    /// Show the callee this name-addr in To, likewise.
    SetTo(String),
    /// A secret that nothing the host writes may show; kept even when the request
    /// is refused.
    Conceal(String),
    /// For growth: an effect by name. None is known in 0.1, so it is refused.
    Other {
        /// The effect's name.
        name: String,
        /// Its argument.
        argument: String,
    },
}

impl Effect {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Header(HeaderEdit::Set { .. }) => "set-header",
            Self::Header(HeaderEdit::Add { .. }) => "add-header",
            Self::Header(HeaderEdit::Remove { .. }) => "remove-header",
            Self::Annotate { .. } => "annotate",
            Self::Score { .. } => "score",
            Self::Identify(_) => "identify",
            Self::LimitDuration(_) => "limit-duration",
            Self::Route(_) => "route",
            Self::Alert(_) => "alert",
            Self::RequireMedia(_) => "require-media",
            Self::TickAfter(_) => "tick-after",
            Self::SetRequestUri(_) => "set-request-uri",
            Self::SetFrom(_) => "set-from",
            Self::SetTo(_) => "set-to",
            Self::Conceal(_) => "conceal",
            Self::Other { .. } => "other",
        }
    }

    /// Bytes of the texts it carries.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Header(edit) => edit.name().len() + edit.value().map_or(0, <[u8]>::len),
            Self::Annotate { key, value } => key.len() + value.len(),
            Self::Score { reason, .. } => reason.len(),
            Self::Identify(text)
            | Self::Route(text)
            | Self::SetRequestUri(text)
            | Self::SetFrom(text)
            | Self::SetTo(text)
            | Self::Conceal(text) => text.len(),
            Self::LimitDuration(_) | Self::RequireMedia(_) | Self::TickAfter(_) => 0,
            Self::Alert(alert) => alert.key.len() + alert.text.len(),
            Self::Other { name, argument } => name.len() + argument.len(),
        }
    }
}

/// The answer of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// What shall happen besides.
    pub effects: Vec<Effect>,
    /// For the operator's log; never sent to a peer.
    pub reason: String,
}

impl Outcome {
    /// No objection and nothing else. The reason may be empty.
    pub fn next(reason: impl Into<String>) -> Self {
        Self::of(Verdict::Next, reason)
    }

    /// Refuse with this status and the standard phrase.
    pub fn reject(status: u16, reason: impl Into<String>) -> Self {
        let rejection = Rejection {
            status,
            phrase: String::new(),
            retry_after: 0,
        };
        Self::of(Verdict::Reject(rejection), reason)
    }

    /// A verdict without effects.
    pub fn of(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self {
            verdict,
            effects: Vec::new(),
            reason: reason.into(),
        }
    }

    /// The same with one more effect.
    #[must_use]
    pub fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}
