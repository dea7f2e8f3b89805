//! The media room of a core: which calls are anchored in it, on which terms, and every
//! session description on its way through. Sipward acts as the session border controller
//! of RFC 5853 here: what leaves names our addresses, and was built from what we
//! understood (RFC 3264).
//!
//! Nothing is asked of the [`Anchor`] without an [`Authority`], so no port is opened
//! before a policy has admitted the call.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::{
    Anchor, AnchorConfig, AnchorFigures, Body, Carrier, Passage, Refused, RelayEvent, Requirement,
    SessionId, Terms, Unacceptable,
};
use policy::MediaRequirement;
use sip_message::{Edits, HeaderKind, Message, Method};
use smallvec::SmallVec;

use crate::authority::Authority;
use crate::config::{ListenerAddress, MediaConfig, MediaTerms, PeerConfig};
use crate::dialog::Side;
use crate::output::{CallId, MediaRecord, Output};

/// Terms of both parties, by [`media::Side`].
pub(crate) type BothTerms = Arc<[Terms; 2]>;

/// Bits of a [`SessionId`] that number the call; those above number the shard.
const CALL_NUMBER: u64 = (1 << 48) - 1;

/// What an admitted call knows of its media.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallMedia {
    /// Terms of the caller; none if it came in by a listener without media interface.
    pub(crate) caller: Option<Terms>,
    /// Legs that must be encrypted, the caller's first.
    pub(crate) encrypted: [bool; 2],
    /// CSeq of the first INVITE.
    pub(crate) invite_cseq: u32,
    /// The dialog whose media flows: that of the first 2xx.
    pub(crate) confirmed: Option<u32>,
    /// A BYE has passed, or another dialog than an anchored one was confirmed: no media
    /// flows any more.
    pub(crate) over: bool,
}

impl CallMedia {
    /// Adds what a request's permit demands; it was asked for by `side`.
    pub(crate) fn demand(&mut self, requirement: MediaRequirement, side: Side) {
        let [caller, callee] = &mut self.encrypted;
        match (requirement, side) {
            (MediaRequirement::Any, _) => {}
            (MediaRequirement::Encrypted, Side::Caller) => *caller = true,
            (MediaRequirement::Encrypted, Side::Callee) => *callee = true,
            (MediaRequirement::EncryptedBoth, _) => self.encrypted = [true, true],
        }
    }

    /// Whether some leg must be encrypted.
    pub(crate) fn demands_encryption(&self) -> bool {
        self.encrypted != [false, false]
    }

    /// The same number for a transaction and its retransmissions, its responses and its
    /// ACK, and no other within the call. `dialog` is none for the first INVITE.
    fn transaction(&self, side: Side, dialog: Option<u32>, cseq: u32) -> u64 {
        match (side, dialog) {
            (Side::Caller, None) => cseq.into(),
            (Side::Caller, Some(_)) if cseq == self.invite_cseq => cseq.into(),
            (side, dialog) => {
                let side = u64::from(side == Side::Callee);
                let dialog = u64::from(dialog.unwrap_or_default()) + 1;
                (dialog << 33) | (side << 32) | u64::from(cseq)
            }
        }
    }
}

/// A request as the media room knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requested {
    pub(crate) call: CallId,
    /// The side that sent it.
    pub(crate) side: Side,
    /// Its dialog; none for the first INVITE.
    pub(crate) dialog: Option<u32>,
}

impl Requested {
    /// What carries the body of the request itself.
    pub(crate) fn carrier(&self, media: &CallMedia, request: &Message) -> Carrier {
        let transaction = media.transaction(self.side, self.dialog, request.cseq().number);
        match request.method() {
            Method::Invite => Carrier::Invite { transaction },
            Method::Ack => Carrier::Ack { transaction },
            Method::Prack => Carrier::Prack { transaction },
            Method::Update => Carrier::Update { transaction },
            _ => Carrier::Other,
        }
    }

    /// What carries the body of a response to it that is not a refusal.
    pub(crate) fn response_carrier(&self, media: &CallMedia, response: &Message) -> Carrier {
        let transaction = media.transaction(self.side, self.dialog, response.cseq().number);
        let provisional = response.status().is_some_and(|status| status < 200);
        match response.method() {
            Method::Invite if provisional => Carrier::Provisional {
                transaction,
                reliable: is_reliable(response),
            },
            Method::Invite => Carrier::Success { transaction },
            Method::Prack if !provisional => Carrier::PrackSuccess { transaction },
            Method::Update if !provisional => Carrier::UpdateSuccess { transaction },
            _ => Carrier::Other,
        }
    }
}

/// RFC 3262 section 3: a provisional response that is acknowledged by PRACK.
fn is_reliable(response: &Message) -> bool {
    response.header(HeaderKind::RSeq).is_some()
        && response
            .values(HeaderKind::Require)
            .any(|tag| tag.eq_ignore_ascii_case(b"100rel"))
}

/// One message on its way through the media room.
pub(crate) struct Passing<'a> {
    pub(crate) call: CallId,
    /// The side that it comes from.
    pub(crate) from: Side,
    /// Its dialog; none before there is one.
    pub(crate) dialog: Option<u32>,
    pub(crate) carrier: Carrier,
    pub(crate) terms: &'a [Terms; 2],
}

/// What becomes of a message's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum PassedBody {
    /// It holds no session description.
    #[default]
    AsIs,
    /// It is replaced by this one.
    Replaced(Bytes),
    /// It is left out.
    LeftOut,
}

impl PassedBody {
    /// Writes it into a copy of the message.
    pub(crate) fn write(&self, edits: &mut Edits<'_>) {
        match self {
            Self::AsIs => {}
            Self::Replaced(bytes) => {
                edits.body(None, bytes);
            }
            Self::LeftOut => {
                edits.body(None, b"");
                for about_body in [
                    "Content-Disposition",
                    "Content-Encoding",
                    "Content-Language",
                ] {
                    edits.remove(about_body);
                }
            }
        }
    }
}

/// Why a message's session description does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status for a request; a response that is refused becomes a 488 or a 503.
    pub(crate) status: u16,
    /// Code for Warning: RFC 3261 section 20.43.
    pub(crate) warning: Option<u16>,
    /// For the operator.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn unacceptable(reason: &str) -> Self {
        Self {
            status: 488,
            warning: Some(INCOMPATIBLE_TRANSPORT),
            reason: reason.to_owned(),
        }
    }
}

/// Codes of RFC 3261 section 20.43.
const INCOMPATIBLE_ADDRESS: u16 = 301;
const INCOMPATIBLE_TRANSPORT: u16 = 302;
const MEDIA_TYPE_NOT_AVAILABLE: u16 = 304;
const INCOMPATIBLE_FORMAT: u16 = 305;

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self {
            status: refused.status(),
            warning: warning(&refused),
            reason: refused.to_string(),
        }
    }
}

fn warning(refused: &Refused) -> Option<u16> {
    let Refused::Unacceptable(why) = refused else {
        return None;
    };
    Some(match why {
        Unacceptable::NotEncrypted
        | Unacceptable::PeerCannotEncrypt
        | Unacceptable::AnswerNotEncrypted
        | Unacceptable::Mode
        | Unacceptable::Setup => INCOMPATIBLE_TRANSPORT,
        Unacceptable::Address | Unacceptable::AddressFamily | Unacceptable::Interface => {
            INCOMPATIBLE_ADDRESS
        }
        Unacceptable::NoStream => MEDIA_TYPE_NOT_AVAILABLE,
        Unacceptable::AnswerStreams
        | Unacceptable::AnswerFormats
        | Unacceptable::AnswerMissing
        | Unacceptable::Multipart => INCOMPATIBLE_FORMAT,
    })
}

/// Value of a Warning header with this code: RFC 3261 section 20.43.
pub(crate) fn warning_value(code: u16, agent: &str) -> String {
    let text = match code {
        INCOMPATIBLE_ADDRESS => "Incompatible network address formats",
        INCOMPATIBLE_TRANSPORT => "Incompatible transport protocol",
        MEDIA_TYPE_NOT_AVAILABLE => "Media type not available",
        INCOMPATIBLE_FORMAT => "Incompatible media format",
        _ => "Miscellaneous warning",
    };
    format!("{code} {agent} \"{text}\"")
}

/// The anchor, and what its sessions are called.
pub(crate) struct MediaRoom {
    anchor: Anchor,
    config: Arc<AnchorConfig>,
    default_terms: MediaTerms,
    /// Stands where terms have no meaning.
    no_terms: BothTerms,
    /// Call-IDs of the sessions that were opened and not yet reported closed. Bounded by the
    /// anchor's limits of sessions and ports.
    names: HashMap<SessionId, Arc<[u8]>, FixedState>,
}

impl MediaRoom {
    pub(crate) fn new(config: MediaConfig) -> Self {
        Self {
            config: Arc::new(config.anchor.clone()),
            anchor: Anchor::new(config.anchor, config.seed),
            default_terms: MediaTerms::default(),
            no_terms: Arc::new([no_terms(), no_terms()]),
            names: HashMap::default(),
        }
    }

    pub(crate) fn set_config(&mut self, config: Arc<AnchorConfig>) {
        self.config = Arc::clone(&config);
        self.anchor.set_config(config);
    }

    pub(crate) fn figures(&self) -> AnchorFigures {
        self.anchor.figures()
    }

    /// Terms of what negotiates nothing.
    pub(crate) fn no_terms(&self) -> BothTerms {
        Arc::clone(&self.no_terms)
    }

    fn session(&self, call: CallId) -> SessionId {
        let shard = u16::try_from(self.config.shard).unwrap_or(u16::MAX);
        SessionId::new(shard, call.as_u64())
    }

    /// Terms of a leg: what the listener's interface and the peer's config say. None if
    /// the listener has no media interface.
    pub(crate) fn terms(
        &self,
        listener: &ListenerAddress,
        peer: Option<&PeerConfig>,
        signalling: IpAddr,
    ) -> Option<Terms> {
        let index = listener.media?;
        let interface = self.config.interfaces.get(usize::from(index))?;
        let terms = peer
            .and_then(|peer| peer.media.as_ref())
            .unwrap_or(&self.default_terms);
        let signalling = signalling.to_canonical();
        let ipv6 = if signalling.is_ipv6() {
            interface.bind6.is_some()
        } else {
            interface.bind4.is_none()
        };
        Some(Terms {
            modes: terms.modes.clone(),
            interface: index,
            ipv6,
            nat: terms.nat,
            signalling,
            networks: Arc::clone(&terms.networks),
        })
    }

    /// Passes the body of one message. What the anchor wants done goes to `outputs`, and
    /// so to the relay before the message can leave. `leave` is the proof that a policy
    /// admitted the call.
    pub(crate) fn pass(
        &mut self,
        _leave: &Authority,
        media: &CallMedia,
        call_id: &Arc<[u8]>,
        passing: &Passing<'_>,
        message: &Message,
        outputs: &mut VecDeque<Output>,
    ) -> Result<PassedBody, Refusal> {
        let body = message.body();
        if passing.carrier == Carrier::Other && body.is_empty() {
            return Ok(PassedBody::AsIs);
        }
        let content_type = message.header(HeaderKind::ContentType);
        if media.over {
            return match self.strip(message) {
                PassedBody::LeftOut => {
                    Err(Refusal::unacceptable("the media of the call has ended"))
                }
                stripped => Ok(stripped),
            };
        }
        let session = self.session(passing.call);
        let passed = self.anchor.handle_message(Passage {
            session,
            from: passing.from.into(),
            dialog: passing.dialog.unwrap_or_default(),
            carrier: passing.carrier,
            content_type,
            body,
            terms: passing.terms,
            requirement: requirement(media.encrypted),
        });
        self.collect(call_id, outputs);
        match passed? {
            Body::AsIs => Ok(PassedBody::AsIs),
            Body::Replace(bytes) => Ok(PassedBody::Replaced(bytes)),
            Body::Remove => Ok(PassedBody::LeftOut),
        }
    }

    /// What a request offered, or what was offered in its responses, came to nothing.
    pub(crate) fn refused(
        &mut self,
        requested: Requested,
        media: &CallMedia,
        call_id: &Arc<[u8]>,
        request: &Message,
        outputs: &mut VecDeque<Output>,
    ) {
        let session = self.session(requested.call);
        let Requested { side, dialog, .. } = requested;
        let transaction = media.transaction(side, dialog, request.cseq().number);
        self.anchor
            .handle_refusal(session, side.into(), transaction);
        self.collect(call_id, outputs);
    }

    /// The dialog of the first 2xx is the one whose media flows.
    pub(crate) fn confirm(
        &mut self,
        call: CallId,
        call_id: &Arc<[u8]>,
        dialog: u32,
        outputs: &mut VecDeque<Output>,
    ) {
        let session = self.session(call);
        self.anchor.confirm(session, dialog);
        self.collect(call_id, outputs);
    }

    /// No more media for this call.
    pub(crate) fn end(
        &mut self,
        call: CallId,
        call_id: &Arc<[u8]>,
        outputs: &mut VecDeque<Output>,
    ) {
        let session = self.session(call);
        self.anchor.end(session);
        self.collect(call_id, outputs);
    }

    /// The relay reported something. Returns the call, and the record if its session is
    /// closed now.
    pub(crate) fn handle_event(&mut self, event: &RelayEvent) -> (CallId, Option<MediaRecord>) {
        self.anchor.handle_event(event);
        let call = CallId::from_u64(event.session().0 & CALL_NUMBER);
        let record = match event {
            RelayEvent::Closed { session, figures } => {
                self.names.remove(session).map(|call_id| MediaRecord {
                    call,
                    call_id,
                    figures: figures.clone(),
                })
            }
            _ => None,
        };
        (call, record)
    }

    /// The body of a message that negotiates nothing, without its session description.
    pub(crate) fn strip(&mut self, message: &Message) -> PassedBody {
        let body = message.body();
        if body.is_empty() {
            return PassedBody::AsIs;
        }
        let content_type = message.header(HeaderKind::ContentType);
        let passed = self.anchor.handle_message(Passage {
            session: SessionId(u64::MAX),
            from: media::Side::Caller,
            dialog: 0,
            carrier: Carrier::Other,
            content_type,
            body,
            terms: &self.no_terms,
            requirement: Requirement::Any,
        });
        match passed {
            Ok(Body::AsIs) => PassedBody::AsIs,
            Ok(Body::Replace(bytes)) => PassedBody::Replaced(bytes),
            Ok(Body::Remove) | Err(_) => PassedBody::LeftOut,
        }
    }

    fn collect(&mut self, call_id: &Arc<[u8]>, outputs: &mut VecDeque<Output>) {
        while let Some(command) = self.anchor.poll_command() {
            if let media::RelayCommand::Open { session, .. } = &command {
                self.names.insert(*session, Arc::clone(call_id));
            }
            outputs.push_back(Output::Media(command));
        }
    }
}

fn no_terms() -> Terms {
    Terms {
        modes: SmallVec::new(),
        interface: 0,
        ipv6: false,
        nat: false,
        signalling: IpAddr::from([0, 0, 0, 0]),
        networks: Arc::from([]),
    }
}

fn requirement(encrypted: [bool; 2]) -> Requirement {
    match encrypted {
        [false, false] => Requirement::Any,
        [true, false] => Requirement::Encrypted,
        // There is no word for the callee's leg alone; more is not less.
        [_, true] => Requirement::EncryptedBoth,
    }
}

impl From<Side> for media::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::Caller => Self::Caller,
            Side::Callee => Self::Callee,
        }
    }
}
