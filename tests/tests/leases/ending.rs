//! The ways in which a call can end. The number that is called says which one is meant,
//! so that the callee knows.

/// How a call shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// The caller's BYE.
    CallerHangsUp,
    /// The callee's BYE.
    CalleeHangsUp,
    /// Both at once.
    BothHangUp,
    /// CANCEL while it rings.
    Cancelled,
    /// 486.
    Busy,
    /// 404.
    NotFound,
    /// 500.
    ServerError,
    /// 603.
    Declined,
    /// 302, which is for the caller to follow.
    Redirected,
    /// Nothing is answered at all.
    Silence,
    /// It rings and rings.
    RingsForever,
    /// The answer is never acknowledged.
    NoAck,
    /// The caller is gone: nobody answers the callee's BYE.
    CallerGone,
    /// Neither hangs up, and neither answers a BYE.
    TooLong,
    /// Neither hangs up or says a word.
    NoMedia,
    /// A plugin refuses it after others have held something.
    Refused,
    /// A plugin ends it while both talk: the caller's money is spent.
    Spent,
}

impl Ending {
    /// All of them.
    pub(crate) const ALL: [Self; 17] = [
        Self::CallerHangsUp,
        Self::CalleeHangsUp,
        Self::BothHangUp,
        Self::Cancelled,
        Self::Busy,
        Self::NotFound,
        Self::ServerError,
        Self::Declined,
        Self::Redirected,
        Self::Silence,
        Self::RingsForever,
        Self::NoAck,
        Self::CallerGone,
        Self::TooLong,
        Self::NoMedia,
        Self::Refused,
        Self::Spent,
    ];

    /// The beginning of the numbers that end so.
    pub(crate) fn prefix(self) -> String {
        let place = Self::ALL.iter().position(|it| *it == self);
        format!("+4930{:02}", place.expect("one of them") + 10)
    }

    /// The number of the call with this place in line.
    pub(crate) fn number(self, serial: usize) -> String {
        format!("{}{serial:05}", self.prefix())
    }

    /// What a called number means.
    pub(crate) fn of(number: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|ending| number.starts_with(&ending.prefix()))
    }

    /// The callee's final answer; `None` for none.
    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Busy => Some(486),
            Self::NotFound => Some(404),
            Self::ServerError => Some(500),
            Self::Declined => Some(603),
            Self::Redirected => Some(302),
            Self::Silence | Self::RingsForever | Self::Cancelled => None,
            _ => Some(200),
        }
    }

    /// Whether the callee hangs up.
    pub(crate) fn is_callees(self) -> bool {
        matches!(
            self,
            Self::CalleeHangsUp | Self::BothHangUp | Self::CallerGone | Self::NoAck
        )
    }

    /// Whether the caller hangs up.
    pub(crate) fn is_callers(self) -> bool {
        matches!(self, Self::CallerHangsUp | Self::BothHangUp)
    }

    /// Whether a session description goes with it, so that the relay watches it.
    pub(crate) fn has_media(self) -> bool {
        self == Self::NoMedia
    }

    /// Whether a party has vanished once both talk: it answers no BYE.
    pub(crate) fn has_vanished(self, is_caller: bool) -> bool {
        match self {
            Self::CallerGone => is_caller,
            Self::TooLong => true,
            _ => false,
        }
    }
}
