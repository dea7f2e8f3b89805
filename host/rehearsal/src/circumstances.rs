//! How a message came, and what a policy is told of it because of that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use media::MediaLimits;
use policy::{DialogState, Peer, RequestFacts, Zone};
use sip_message::{Limits, Message};
use sip_proxy::{ListenerAddress, OfferReader, Proof, Routing, classify, request_facts};
use sip_transaction::{Flow, ListenerId, Transport};

/// Where the policy stands: the operator's listeners and peers.
#[derive(Clone, Debug)]
pub struct Standpoint {
    /// Listeners and peers.
    pub routing: Arc<Routing>,
    /// Reads offers.
    pub offers: OfferReader,
    /// Ceilings of messages.
    pub limits: Limits,
}

/// How a message came.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Address and port that it came from.
    pub source: SocketAddr,
    /// Address and port that it came to, if that is known.
    pub destination: Option<SocketAddr>,
    /// The transport that it came by.
    pub transport: Transport,
    /// What the connection proves.
    pub proof: Option<Proof>,
    /// The dialog that it stands in.
    pub dialog: DialogState,
    /// Who the caller is, if that is known before any plugin is asked.
    pub identity: Option<String>,
    /// The side that it comes from, whatever the configuration says.
    pub zone: Option<Zone>,
    /// The peer that it comes from, whatever the configuration says.
    pub peer: Option<Arc<str>>,
}

impl Default for Standpoint {
    /// Without listeners and peers: everybody is a stranger from outside.
    fn default() -> Self {
        Self {
            routing: Arc::default(),
            offers: OfferReader::new(&MediaLimits::default(), &[]),
            limits: Limits::default(),
        }
    }
}

impl Circumstances {
    /// A message from there, by this transport, outside any dialog.
    pub const fn new(source: SocketAddr, transport: Transport) -> Self {
        Self {
            source,
            destination: None,
            transport,
            proof: None,
            dialog: DialogState::None,
            identity: None,
            zone: None,
            peer: None,
        }
    }
}

impl Standpoint {
    /// What a policy is told of a request that came like this.
    #[must_use]
    pub fn facts(&self, message: &Arc<Message>, how: &Circumstances) -> RequestFacts {
        let flow = self.flow(how);
        let peer = self.peer(how);
        let mut facts = request_facts(message, peer, &flow, how.dialog);
        // That it cannot be read is one of the facts.
        let _unreadable = self.offers.read(&mut facts);
        facts.identity.clone_from(&how.identity);
        facts
    }

    /// Who sends a message that comes like this.
    #[must_use]
    pub fn peer(&self, how: &Circumstances) -> Peer {
        let mut peer = classify(&self.routing, &self.flow(how), how.proof.as_ref());
        if let Some(zone) = how.zone {
            peer.zone = zone;
        }
        if let Some(name) = &how.peer {
            peer.name = Some(Arc::clone(name));
        }
        peer
    }

    fn flow(&self, how: &Circumstances) -> Flow {
        let listener = self.listener(how);
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, how.transport.default_port()));
        Flow {
            transport: how.transport,
            // One that no configuration numbers says nothing of a side.
            listener: listener.map_or(ListenerId(u16::MAX), |listener| listener.id),
            local: how.destination.unwrap_or(anywhere),
            peer: how.source,
            connection: None,
        }
    }

    /// The listener that it came to. Without a destination, the first of its transport on
    /// the side of the peer that its source belongs to.
    fn listener(&self, how: &Circumstances) -> Option<&ListenerAddress> {
        let listeners = &self.routing.listeners;
        let mut fitting = listeners.iter().filter(|it| it.transport == how.transport);
        if let Some(destination) = how.destination {
            let at = |listener: &&ListenerAddress| {
                let address: Option<IpAddr> = listener.host.parse().ok();
                address.is_none_or(|address| address == destination.ip().to_canonical())
                    && listener.port == destination.port()
            };
            return fitting.clone().find(at).or_else(|| fitting.next());
        }
        let known = |listener: &&ListenerAddress| {
            let flow = Flow {
                transport: how.transport,
                listener: listener.id,
                local: how.source,
                peer: how.source,
                connection: None,
            };
            classify(&self.routing, &flow, how.proof.as_ref())
                .name
                .is_some()
        };
        fitting.clone().find(known).or_else(|| fitting.next())
    }
}
