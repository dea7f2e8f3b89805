//! One call's media: its ports, and what was offered and agreed in each dialog.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use bytes::Bytes;
use smallvec::SmallVec;

use super::Desk;
use crate::sdp::description::Said;
use crate::sdp::protocol::Profile;
use crate::sdp::write::{self, Origin};
use crate::{
    Body, EndPlan, KeyMaterial, LocalPorts, Mode, Refused, Remote, SessionId, Side, Suite,
};

/// Messages whose results are kept for their retransmissions. A call has an offer,
/// an answer, and perhaps both again in 18x and 2xx, under way at one time.
const RECENT: usize = 8;

/// Media of one call.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Identifier in the `o=` line of what each side is sent.
    origin: [u64; 2],
    /// Highest version that each side was sent, over all forks: not every caller
    /// tells early dialogs apart.
    version: [u64; 2],
    /// By place of the `m=` line.
    pub(super) slots: Vec<Slot>,
    pub(super) dialogs: SmallVec<[Dialog; 1]>,
    /// The dialog whose media flows.
    pub(super) selected: Option<u32>,
    pub(super) confirmed: bool,
    /// The relay knows of it.
    pub(super) opened: bool,
    pub(super) held: bool,
    /// Pairs that could not be bound.
    pub(super) unbound: SmallVec<[LocalPorts; 1]>,
    recent: ArrayVec<Recent, RECENT>,
}

/// Ports of one stream, kept until the call ends, and what the relay was told.
#[derive(Debug, Default)]
pub(super) struct Slot {
    ports: [SmallVec<[LocalPorts; 1]>; 2],
    pub(super) plan: Option<Box<[EndPlan; 2]>>,
    pub(super) generation: u32,
}

/// A transaction of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) requester: Side,
    pub(super) transaction: u64,
}

/// One dialog of the call. Number 0 is what forks begin with.
#[derive(Debug, Default)]
pub(super) struct Dialog {
    pub(super) number: u32,
    pub(super) pending: Option<Pending>,
    /// The first INVITE as it went to targets with other terms.
    pub(super) variants: Vec<Pending>,
    pub(super) agreed: Option<Agreed>,
    pub(super) answered: Option<Answered>,
    /// Transactions whose offer has been answered, latest last.
    done: ArrayVec<Key, RECENT>,
    pub(super) sent: [Option<Sent>; 2],
    /// Keys that we send with, by stream and side: one for each suite.
    keys: Vec<[SmallVec<[KeyMaterial; 1]>; 2]>,
}

/// An offer that waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) offerer: Side,
    pub(super) key: Key,
    /// It came in a response, so the answer comes in a request.
    pub(super) in_response: bool,
    pub(super) terms: u64,
    pub(super) output: Bytes,
    pub(super) streams: Vec<Offered>,
}

#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub(super) said: Said,
    /// `None`: refused already, or not wanted.
    pub(super) live: Option<Live>,
}

/// A stream that can come to be.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) near: Near,
    pub(super) far: Far,
    pub(super) locals: [LocalPorts; 2],
    pub(super) remote: Remote,
}

/// How the offerer's leg will be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    Plain,
    /// Index into the offerer's `a=crypto` lines.
    Sdes(usize),
    Dtls {
        active: bool,
    },
    Passthrough,
}

/// What the other party was offered.
#[derive(Debug, Clone)]
pub(super) struct Far {
    /// Most preferred first.
    pub(super) modes: SmallVec<[Mode; 4]>,
    /// `None` for UDPTL.
    pub(super) profile: Option<Profile>,
    pub(super) rtcp_mux: bool,
    /// Tags and keys of our `a=crypto` lines.
    pub(super) keys: Vec<(u32, KeyMaterial)>,
}

/// What both parties agreed on, by place.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    pub(super) streams: Vec<Option<AgreedStream>>,
}

#[derive(Debug, Clone)]
pub(super) struct AgreedStream {
    pub(super) ends: Box<[EndPlan; 2]>,
    pub(super) legs: [Leg; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) mode: Mode,
    pub(super) profile: Option<Profile>,
}

/// The last answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) key: Key,
    pub(super) answerer: Side,
    pub(super) input: u128,
    pub(super) output: Bytes,
    /// Until a reliable answer another one may come: what was offered, and what
    /// was agreed before.
    pub(super) open: Option<(Pending, Option<Agreed>)>,
}

/// The last description that a side was sent in a dialog.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    version: u64,
    address: IpAddr,
    streams: Bytes,
    body: Bytes,
}

#[derive(Debug)]
struct Recent {
    key: Key,
    digest: u128,
    body: Body,
}

impl Session {
    pub(super) fn new(id: SessionId, desk: &mut Desk<'_>) -> Self {
        // RFC 8866 section 5.2: numeric; 62 bits fit any reader's signed integer.
        let mut number = || desk.entropy.number() >> 2;
        Self {
            id,
            origin: [number(), number()],
            version: [0, 0],
            slots: Vec::new(),
            dialogs: SmallVec::new(),
            selected: None,
            confirmed: false,
            opened: false,
            held: false,
            unbound: SmallVec::new(),
            recent: ArrayVec::new(),
        }
    }

    /// Every pair that the call holds.
    pub(super) fn ports(&self) -> impl Iterator<Item = LocalPorts> {
        self.slots
            .iter()
            .flat_map(|slot| slot.ports.iter().flatten().copied())
    }

    /// What the same message gave before.
    pub(super) fn recall(&self, digest: u128) -> Option<Body> {
        self.recent
            .iter()
            .find(|recent| recent.digest == digest)
            .map(|recent| recent.body.clone())
    }

    pub(super) fn remember(&mut self, key: Key, digest: u128, body: &Body) {
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(Recent {
            key,
            digest,
            body: body.clone(),
        });
    }

    pub(super) fn forget(&mut self, key: Key) {
        self.recent.retain(|recent| recent.key != key);
    }

    /// The dialog's index. A new fork begins with what the first INVITE offered; a
    /// dialog that nobody knows begins with nothing if `fresh`.
    pub(super) fn dialog(
        &mut self,
        number: u32,
        terms: u64,
        fresh: bool,
        forks: usize,
    ) -> Option<usize> {
        if let Some(index) = self
            .dialogs
            .iter()
            .position(|dialog| dialog.number == number)
        {
            return Some(index);
        }
        let template = self.dialogs.iter().find(|dialog| dialog.number == 0);
        let dialog = match template {
            Some(template) => template.fork(number, terms),
            None if fresh => Dialog {
                number,
                ..Dialog::default()
            },
            None => return None,
        };
        if self.dialogs.len() > forks {
            // It comes back as a new fork if it still speaks.
            let spare =
                |dialog: &Dialog| dialog.number != 0 && self.selected != Some(dialog.number);
            let place = self.dialogs.iter().position(spare)?;
            self.dialogs.remove(place);
        }
        self.dialogs.push(dialog);
        Some(self.dialogs.len() - 1)
    }

    /// Our pair for a stream and side.
    pub(super) fn local(
        &mut self,
        stream: usize,
        side: Side,
        interface: u16,
        ipv6: bool,
        desk: &mut Desk<'_>,
    ) -> Result<LocalPorts, Refused> {
        if self.slots.len() <= stream {
            self.slots.resize_with(stream + 1, Slot::default);
        }
        let held = self.ports().count();
        let Some(slot) = self.slots.get_mut(stream) else {
            return Err(Refused::Limit("sdp_streams"));
        };
        let ports = side.of_mut(&mut slot.ports);
        let known = ports
            .iter()
            .find(|local| local.interface == interface && local.ipv6 == ipv6);
        if let Some(local) = known {
            return Ok(*local);
        }
        if held >= desk.config.limits.session_ports {
            return Err(Refused::Limit("session_ports"));
        }
        let local = desk.pool.take(interface, ipv6)?;
        ports.push(local);
        Ok(local)
    }

    /// Put the session's lines before the streams. The version grows only with the
    /// content (RFC 3264 section 8).
    pub(super) fn seal(
        &mut self,
        dialog: usize,
        to: Side,
        address: IpAddr,
        streams: Vec<u8>,
    ) -> Bytes {
        let Some(dialog) = self.dialogs.get_mut(dialog) else {
            return Bytes::new();
        };
        let sent = to.of_mut(&mut dialog.sent);
        if let Some(sent) = sent.as_ref()
            && sent.address == address
            && sent.streams == streams
            && sent.version == *to.of(&self.version)
        {
            return sent.body.clone();
        }
        let version = to.of_mut(&mut self.version);
        *version += 1;
        let mut body = Vec::with_capacity(streams.len() + 128);
        let origin = Origin {
            id: *to.of(&self.origin),
            version: *version,
            address,
        };
        write::session(origin, &mut body);
        body.extend_from_slice(&streams);
        let body = Bytes::from(body);
        *sent = Some(Sent {
            version: *version,
            address,
            streams: Bytes::from(streams),
            body: body.clone(),
        });
        body
    }
}

impl Dialog {
    fn fork(&self, number: u32, terms: u64) -> Self {
        let fitting = self
            .pending
            .iter()
            .chain(&self.variants)
            .find(|each| each.terms == terms);
        Self {
            number,
            pending: fitting.or(self.pending.as_ref()).cloned(),
            variants: Vec::new(),
            agreed: None,
            answered: None,
            done: ArrayVec::new(),
            sent: self.sent.clone(),
            keys: self.keys.clone(),
        }
    }

    /// The offer of a transaction has been answered.
    pub(super) fn finish(&mut self, key: Key) {
        if self.is_done(key) {
            return;
        }
        if self.done.is_full() {
            self.done.remove(0);
        }
        self.done.push(key);
    }

    pub(super) fn is_done(&self, key: Key) -> bool {
        self.done.contains(&key)
    }

    /// The body that a side was sent last.
    pub(super) fn last_sent(&self, to: Side) -> Option<Bytes> {
        to.of(&self.sent).as_ref().map(|sent| sent.body.clone())
    }

    /// The key that we send with on a leg, the same for as long as the leg uses
    /// SDES: a context of ours never begins again under an old key.
    pub(super) fn key(
        &mut self,
        stream: usize,
        side: Side,
        suite: Suite,
        desk: &mut Desk<'_>,
    ) -> Option<KeyMaterial> {
        if self.keys.len() <= stream {
            self.keys.resize_with(stream + 1, Default::default);
        }
        let keys = side.of_mut(self.keys.get_mut(stream)?);
        if let Some(key) = keys.iter().find(|key| key.suite == suite) {
            return Some(key.clone());
        }
        let key = desk.entropy.key(suite)?;
        keys.push(key.clone());
        Some(key)
    }

    /// A leg that has left SDES gets new keys if it returns.
    pub(super) fn drop_keys(&mut self) {
        let agreed = self.agreed.as_ref();
        for (stream, keys) in self.keys.iter_mut().enumerate() {
            let legs = agreed
                .and_then(|agreed| agreed.streams.get(stream)?.as_ref())
                .map(|stream| stream.legs);
            for side in Side::BOTH {
                let sdes = legs.is_some_and(|legs| side.of(&legs).mode == Mode::Sdes);
                if !sdes {
                    side.of_mut(keys).clear();
                }
            }
        }
    }

    /// What was agreed of one stream.
    pub(super) fn agreed_stream(&self, stream: usize) -> Option<&AgreedStream> {
        self.agreed.as_ref()?.streams.get(stream)?.as_ref()
    }
}
