//! Phones, wires and sounds for calls with audio.

pub mod agent;
pub mod baresip;
pub mod capture;
pub mod linphone;
pub mod scene;
pub mod secure;
pub mod sound;
pub mod talk;

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{PBX, Stage, TRUNK};

/// Where the relay's ports are, so that every packet tells which leg it is on.
pub const RELAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Ports of one stage's relay.
pub const PORTS: u16 = 200;

/// Ports of one party's media.
pub const PARTY_PORTS: u16 = 8;

/// What a leg carries, as configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// RTP.
    Plain,
    /// SRTP with keys in SDP.
    Sdes,
    /// SRTP with keys from DTLS.
    Dtls,
}

impl Leg {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sdes => "sdes",
            Self::Dtls => "dtls",
        }
    }
}

/// The first of the relay's ports of a new stage. Programs of tests run one after
/// another, and within one nobody gets the ports of another, on whatever address: what
/// a port is tells whose it is. The ports that the system gives away are above.
#[must_use]
pub fn relay_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(PORTS, Ordering::Relaxed)
}

/// The first of the ports of a new party, an even one.
#[must_use]
pub fn party_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(28_000);
    NEXT.fetch_add(PARTY_PORTS, Ordering::Relaxed)
}

impl Stage {
    /// Write the configuration of a media relay between `caller`, a PBX, and
    /// `callee`, a trunk: address lists judge, nothing else. The trunk's media may
    /// also come from `networks`. Returns the first of the relay's ports.
    ///
    /// # Panics
    /// The file cannot be written.
    #[must_use]
    pub fn configure_media(&self, caller: Leg, callee: Leg, networks: &[&str]) -> u16 {
        let first = relay_ports();
        self.configure_relay(caller, callee, networks, first..=first + PORTS - 1);
        first
    }

    /// The same with other ports.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn configure_relay(
        &self,
        caller: Leg,
        callee: Leg,
        networks: &[&str],
        ports: RangeInclusive<u16>,
    ) {
        let networks: Vec<String> = networks.iter().map(|it| format!("{it:?}")).collect();
        let text = self
            .filled(include_str!("media.toml"), &[])
            .replace("@PBX@", &PBX.to_string())
            .replace("@TRUNK_ADDRESS@", &TRUNK.to_string())
            .replace("@RELAY@", &RELAY.to_string())
            .replace("@PORTS@", &format!("{}-{}", ports.start(), ports.end()))
            .replace("@CALLER@", caller.name())
            .replace("@CALLEE@", callee.name())
            // Phones say where they are, and some are somewhere else.
            .replace("@NAT@", if networks.is_empty() { "false" } else { "true" })
            .replace("@NETWORKS@", &networks.join(", "));
        self.write(&text);
    }
}
