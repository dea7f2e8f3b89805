//! What the threads that give orders know of sessions: which ports are open, and the
//! board on which the worker writes its figures.

use std::sync::Arc;

use hashbrown::HashMap;
use media::gate::Component;
use media::{EndPlan, LocalPorts, MediaTimeouts, SessionFigures, SessionId, Side, StreamKind};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::config::RelayLimits;
use crate::socket::Opened;

/// Figures of a session, written by its worker every second.
pub(crate) type Board = Arc<Mutex<SessionFigures>>;

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    Open {
        session: SessionId,
        timeouts: MediaTimeouts,
        board: Board,
    },
    Stream {
        session: SessionId,
        stream: u8,
        generation: u32,
        ends: Box<[EndPlan; 2]>,
        sockets: SmallVec<[Opened; 4]>,
    },
    RemoveStream {
        session: SessionId,
        stream: u8,
    },
    OnHold {
        session: SessionId,
        held: bool,
    },
    Close {
        session: SessionId,
    },
    Stop,
}

/// Ports of one end that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenEnd {
    stream: u8,
    side: Side,
    local: LocalPorts,
    rtcp: bool,
}

#[derive(Debug)]
struct Entry {
    board: Board,
    open: SmallVec<[OpenEnd; 2]>,
}

/// A socket that a new plan needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) local: LocalPorts,
    pub(crate) component: Component,
}

/// The sessions of one worker. Locked for a moment by orders and by status, never by
/// the worker.
#[derive(Debug)]
pub(crate) struct Directory {
    sessions: HashMap<SessionId, Entry>,
    limit: usize,
    streams: usize,
}

impl Directory {
    pub(crate) fn new(limits: &RelayLimits) -> Self {
        Directory {
            sessions: HashMap::new(),
            limit: limits.sessions,
            streams: limits.streams,
        }
    }

    /// Takes a session in; `None` if it is known already or there are too many.
    pub(crate) fn open(&mut self, session: SessionId) -> Option<Board> {
        if self.sessions.len() >= self.limit || self.sessions.contains_key(&session) {
            return None;
        }
        let board = Board::default();
        let entry = Entry {
            board: Arc::clone(&board),
            open: SmallVec::new(),
        };
        self.sessions.insert(session, entry);
        Some(board)
    }

    /// Forgets a session; whether it was known.
    pub(crate) fn close(&mut self, session: SessionId) -> bool {
        self.sessions.remove(&session).is_some()
    }

    /// The sockets that a plan needs beyond those that are open; `None` if the session
    /// is unknown or has too many streams.
    pub(crate) fn needs(
        &self,
        session: SessionId,
        stream: u8,
        ends: &[EndPlan; 2],
    ) -> Option<SmallVec<[Need; 4]>> {
        let entry = self.sessions.get(&session)?;
        if usize::from(stream) >= self.streams {
            return None;
        }
        let mut needs = SmallVec::new();
        for (side, plan) in [Side::Caller, Side::Callee].into_iter().zip(ends) {
            let open = entry.find(stream, side, plan.local);
            if open.is_none() {
                needs.push(Need {
                    local: plan.local,
                    component: Component::Rtp,
                });
            }
            if needs_rtcp(plan) && !open.is_some_and(|open| open.rtcp) {
                needs.push(Need {
                    local: plan.local,
                    component: Component::Rtcp,
                });
            }
        }
        Some(needs)
    }

    /// Remembers what a plan has opened.
    pub(crate) fn opened(&mut self, session: SessionId, stream: u8, ends: &[EndPlan; 2]) {
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        for (side, plan) in [Side::Caller, Side::Callee].into_iter().zip(ends) {
            // A socket for RTCP stays although the parties agreed to do without: the
            // next offer may want it back, and its port might then be gone.
            let before = entry.find(stream, side, plan.local);
            let rtcp = needs_rtcp(plan) || before.is_some_and(|open| open.rtcp);
            entry
                .open
                .retain(|open| open.stream != stream || open.side != side);
            entry.open.push(OpenEnd {
                stream,
                side,
                local: plan.local,
                rtcp,
            });
        }
    }

    /// Forgets what a stream had open.
    pub(crate) fn remove_stream(&mut self, session: SessionId, stream: u8) {
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.open.retain(|open| open.stream != stream);
        }
    }

    /// Where the figures of a session are.
    pub(crate) fn board(&self, session: SessionId) -> Option<Board> {
        self.sessions.get(&session).map(|entry| entry.board.clone())
    }

    /// All sessions, in no order.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl Entry {
    fn find(&self, stream: u8, side: Side, local: LocalPorts) -> Option<&OpenEnd> {
        self.open
            .iter()
            .find(|open| open.stream == stream && open.side == side && open.local == local)
    }
}

/// Fax over UDPTL has no RTCP; RTP has, unless it shares the port from the start.
fn needs_rtcp(plan: &EndPlan) -> bool {
    plan.kind == StreamKind::Rtp && !plan.rtcp_mux
}
