//! The ways out of one worker: what its [`crate::Sender`]s share, whichever thread
//! they are used on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::RwLock;
use sip_transaction::{ListenerId, Transport};
use tokio::sync::mpsc;

use crate::connect::Dial;
use crate::figures::Counters;
use crate::outgoing::FailureQueue;
use crate::shared::SharedTransport;
use crate::udp::DatagramSocket;

/// Listeners to send from, and the worker's thread to open connections on.
pub(crate) struct Outlet {
    pub(crate) shared: Arc<SharedTransport>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) failures: Arc<FailureQueue>,
    /// Changes only when the configuration does.
    ways: RwLock<Vec<WayOut>>,
    /// Bounded by the ceiling of outbound connections: each carries its slot.
    pub(crate) dials: mpsc::UnboundedSender<Dial>,
}

/// A listener, as far as sending is concerned.
pub(crate) struct WayOut {
    pub(crate) id: ListenerId,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) datagrams: Option<Arc<DatagramSocket>>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl Outlet {
    pub(crate) fn new(shared: &Arc<SharedTransport>) -> (Arc<Self>, mpsc::UnboundedReceiver<Dial>) {
        let (dials, receiver) = mpsc::unbounded_channel();
        let outlet = Outlet {
            shared: Arc::clone(shared),
            counters: shared.new_counters(),
            failures: Arc::new(FailureQueue::default()),
            ways: RwLock::new(Vec::new()),
            dials,
        };
        (Arc::new(outlet), receiver)
    }

    pub(crate) fn add(&self, way: WayOut) {
        self.ways.write().push(way);
    }

    pub(crate) fn remove(&self, id: ListenerId) {
        self.ways.write().retain(|way| way.id != id);
    }

    pub(crate) fn local_addr(&self, id: ListenerId) -> Option<SocketAddr> {
        let ways = self.ways.read();
        ways.iter().find(|way| way.id == id).map(|way| way.local)
    }

    /// The socket of the listener that is asked for, or the first that fits.
    pub(crate) fn datagram_socket(
        &self,
        id: Option<ListenerId>,
        to: SocketAddr,
    ) -> Option<Arc<DatagramSocket>> {
        let ways = self.ways.read();
        ways.iter()
            .filter(|way| id.is_none_or(|id| id == way.id))
            .filter(|way| way.local.is_ipv4() == to.is_ipv4())
            .find_map(|way| way.datagrams.clone())
    }

    /// The listener and the address from which to open a connection: the one that
    /// is asked for; else one of the same transport; else any of the same family.
    pub(crate) fn source(
        &self,
        transport: Transport,
        id: Option<ListenerId>,
        to: SocketAddr,
    ) -> Option<(ListenerId, IpAddr)> {
        let ways = self.ways.read();
        let fits =
            |way: &&WayOut| id.is_none_or(|id| id == way.id) && way.local.is_ipv4() == to.is_ipv4();
        ways.iter()
            .filter(fits)
            .find(|way| way.transport == transport)
            .or_else(|| ways.iter().find(fits))
            .map(|way| (way.id, way.local.ip()))
    }
}
