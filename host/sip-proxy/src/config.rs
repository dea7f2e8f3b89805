//! What the operator decides about routing: listeners, peers, targets, timers.
//! The driver builds a [`Routing`] from its config file, checks it, and swaps it
//! in one step; calls that run keep what they have already chosen.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use media::{AnchorConfig, Mode};
use policy::Zone;
use sip_message::Limits as MessageLimits;
use sip_transaction::{Destination, ListenerId, TableLimits, Timers, Transport};
use smallvec::{SmallVec, smallvec};

use crate::limits::ProxyLimits;

/// What a [`ProxyCore`](crate::ProxyCore) is made from.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Entropy. Tags, branches and the marks in our Record-Route are derived
    /// from it, so it must be secret and different for each core of a process.
    pub seed: [u8; 32],
    /// Timers of RFC 3261 table 4. Timer C and, after a CANCEL, 64 times T1 are run
    /// by the proxy core, the rest by the transaction layer.
    pub transaction_timers: Timers,
    /// Ceilings of the transaction layer.
    pub transaction_limits: TableLimits,
    /// Bounds for the messages that the core itself builds and parses again.
    pub message_limits: MessageLimits,
    /// Listeners, peers and the rest.
    pub routing: Arc<Routing>,
    /// The media room. Without it session descriptions pass untouched.
    pub media: Option<MediaConfig>,
}

/// What the media room of a core is made from.
#[derive(Clone)]
pub struct MediaConfig {
    /// Interfaces, limits and timeouts.
    pub anchor: AnchorConfig,
    /// Entropy. SRTP keys are derived from it, so it must be secret, drawn for this
    /// alone, and different for each core of a process.
    pub seed: [u8; 32],
}

impl fmt::Debug for MediaConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MediaConfig")
            .field("anchor", &self.anchor)
            .finish_non_exhaustive()
    }
}

impl ProxyConfig {
    /// Defaults around a seed and a routing.
    pub fn new(seed: [u8; 32], routing: Arc<Routing>) -> Self {
        Self {
            seed,
            transaction_timers: Timers::default(),
            transaction_limits: TableLimits::default(),
            message_limits: MessageLimits::default(),
            routing,
            media: None,
        }
    }
}

/// Everything that may be swapped while calls run.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// Where we listen, and under which name peers know it.
    pub listeners: Vec<ListenerAddress>,
    /// The `[[trunk]]`s and `[[pbx]]`s, in the order of the config.
    pub peers: Vec<PeerConfig>,
    /// Domains we answer for besides the hosts of the listeners. Lower case.
    pub own_domains: Vec<String>,
    /// Whoever comes by UDP and is no peer gets no answer to what no policy is asked about:
    /// a source that can be forged, or a scanner that looks who is there.
    pub silent_to_strangers: bool,
    /// Pipelines of which a plugin wants to see responses.
    pub response_pipelines: Vec<Arc<str>>,
    /// Timers of the proxy core.
    pub timers: ProxyTimers,
    /// Ceilings of the proxy core's tables.
    pub limits: ProxyLimits,
}

/// One listener as its peers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerAddress {
    /// The transport layer's name for it.
    pub id: ListenerId,
    /// Its transport.
    pub transport: Transport,
    /// Host written into Via and Record-Route: a name, an IPv4 address, or an
    /// IPv6 reference with brackets. Lower case.
    pub host: String,
    /// Port written into Via and Record-Route.
    pub port: u16,
    /// The side it faces. With a zone, only peers of that zone are recognised
    /// on it, so that an inside source address cannot be forged from outside.
    /// Without one the peer's own zone counts, and strangers are outside.
    pub zone: Option<Zone>,
    /// Place of its media interface in [`AnchorConfig::interfaces`]. A call is anchored,
    /// that is its media relayed, if the listener it comes in by and the one it leaves by
    /// both have one; the media of any other call flows past us.
    pub media: Option<u16>,
}

/// What the media of one peer may be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTerms {
    /// Modes that may be offered to it and accepted from it, in order of preference.
    pub modes: SmallVec<[Mode; 4]>,
    /// It is behind a NAT: the first fitting source counts, not the address it names.
    pub nat: bool,
    /// Networks its media may come from and go to besides its signalling address's kind.
    pub networks: Arc<[IpNet]>,
}

impl Default for MediaTerms {
    fn default() -> Self {
        Self {
            modes: smallvec![Mode::Sdes, Mode::Plain],
            nat: false,
            networks: Arc::from([]),
        }
    }
}

/// Which kind of peer, and thereby which requests go to it by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// A SIP trunk: takes what comes from inside.
    Trunk,
    /// A PBX: takes what comes from outside.
    Pbx,
}

/// How several targets of a peer are tried: RFC 3261 section 16.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ForkMode {
    /// One after another, by priority and then by q.
    #[default]
    Serial,
    /// All targets of the same priority at once, then those of the next.
    Parallel,
}

/// Which final responses let the next target be tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailoverOn {
    /// 408, 503, 504, a timeout or a transport failure: the target is down.
    #[default]
    Unavailable,
    /// Those and every other 5xx: the target is broken.
    ServerErrors,
    /// Every final response but 2xx, 3xx and 6xx: a hunt group.
    AnyFailure,
}

/// One address that a peer can be reached at.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to send. `listener` names the listener to send from; without it the
    /// first one with the same transport and the peer's zone is taken.
    pub destination: Destination,
    /// Host, with port if not the default, written into the Request-URI. Without
    /// it the destination's address is written.
    pub uri_host: Option<Arc<str>>,
    /// Lower priorities are tried first (RFC 2782 has the same order).
    pub priority: u16,
    /// Among equal priorities the higher q is first: thousandths, 0 to 1000.
    pub q: u16,
}

impl Target {
    /// A target at an address, with priority 0 and q 1.
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Self {
            destination: Destination::new(transport, address),
            uri_host: None,
            priority: 0,
            q: 1000,
        }
    }
}

/// One `[[trunk]]` or `[[pbx]]`.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its name in the config, unique over trunks and PBXs.
    pub name: Arc<str>,
    /// The side it is on.
    pub zone: Zone,
    /// What it is.
    pub kind: PeerKind,
    /// Source networks it is recognised by. The longest match over all peers
    /// wins.
    pub sources: Vec<IpNet>,
    /// Names of a verified client certificate it is recognised by. A peer with
    /// both must show both.
    pub certificate_names: Vec<String>,
    /// Where to send what is routed to it.
    pub targets: Vec<Target>,
    /// How several targets are tried.
    pub fork: ForkMode,
    /// What lets the next target be tried.
    pub failover: FailoverOn,
    /// Domains it is responsible for; a Request-URI that names one is routed to
    /// it and keeps its host. Lower case.
    pub domains: Vec<String>,
    /// Requests that come from this peer go to the peer of this name. Without it
    /// they go to the first peer of the other kind.
    pub route_to: Option<Arc<str>>,
    /// Requests that are too large for UDP go to its UDP targets by TCP, and by UDP if no
    /// connection comes about: RFC 3261 section 18.1.1.
    pub large_by_tcp: bool,
    /// What its media may be like; without it the default of [`MediaTerms`].
    pub media: Option<MediaTerms>,
}

impl PeerConfig {
    /// A peer with these targets that is recognised by nothing yet.
    pub fn new(name: &str, zone: Zone, kind: PeerKind, targets: Vec<Target>) -> Self {
        Self {
            name: Arc::from(name),
            zone,
            kind,
            sources: Vec::new(),
            certificate_names: Vec::new(),
            targets,
            fork: ForkMode::default(),
            failover: FailoverOn::default(),
            domains: Vec::new(),
            route_to: None,
            large_by_tcp: false,
            media: None,
        }
    }

    /// The same, recognised by these networks.
    #[must_use]
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = IpNet>) -> Self {
        self.sources.extend(sources);
        self
    }

    /// Length of the longest source network that holds the address.
    pub(crate) fn source_prefix(&self, address: IpAddr) -> Option<u8> {
        self.sources
            .iter()
            .filter(|network| network.contains(&address))
            .map(IpNet::prefix_len)
            .max()
    }
}

/// Timers that this proxy adds to those of RFC 3261, among them Timer C, which are in
/// [`ProxyConfig::transaction_timers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyTimers {
    /// How long a policy may take. 2 s: inline plugins need microseconds, a
    /// remote store milliseconds, and the caller retransmits after 500 ms only
    /// where no 100 reaches him.
    pub consult_deadline: Duration,
    /// How long retransmissions of a dropped request stay without an answer.
    /// 32 s: the longest time that a client transaction retransmits.
    pub silence: Duration,
}

impl Default for ProxyTimers {
    fn default() -> Self {
        Self {
            consult_deadline: Duration::from_secs(2),
            silence: Duration::from_secs(32),
        }
    }
}

impl Routing {
    /// The listener of this name.
    pub fn listener(&self, id: ListenerId) -> Option<&ListenerAddress> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// The peer of this name.
    pub fn peer(&self, name: &str) -> Option<&PeerConfig> {
        self.peers.iter().find(|peer| &*peer.name == name)
    }

    /// The peer that has a target at this address.
    pub(crate) fn peer_with_target(&self, address: SocketAddr) -> Option<&PeerConfig> {
        self.peers.iter().find(|peer| {
            peer.targets
                .iter()
                .any(|target| target.destination.address == address)
        })
    }
}
