//! What is allowed of the media relay but hardly meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::media::interface_path;
use super::{Checks, path};
use crate::config::media::{Media, MediaInterface, MediaMode, PeerMedia};
use crate::config::model::{Listener, Peer, Zone};
use crate::config::place::Part;
use crate::config::read::Findings;

impl Checks<'_, '_, '_> {
    pub(super) fn media_warnings(&self, peers: &[(&str, usize, &Peer)], notes: &mut Findings<'_>) {
        let Some(media) = &self.config.media else {
            return;
        };
        for (index, (&number, interface)) in self
            .numbers
            .interfaces
            .iter()
            .zip(&media.interfaces)
            .enumerate()
        {
            self.interface_warnings(media, index, number, notes);
            let listeners: Vec<&Listener> = self.listeners_of(media, interface).collect();
            if listeners.is_empty() {
                notes.note(
                    &interface_path(number, "name"),
                    Part::Value,
                    format!("no listener uses `{}`", interface.name),
                    "name it as `media` of a listener, or remove it",
                );
            }
            let faces_outside = listeners
                .iter()
                .any(|listener| listener.zone == Some(Zone::Outside));
            if let Some(address) = told(interface).find(|address| is_private(*address))
                && faces_outside
            {
                let key = if interface.advertised.all().next().is_some() {
                    "advertised"
                } else {
                    "bind"
                };
                let problem = format!(
                    "{address} is private, and listeners for zone outside tell it to their peers"
                );
                notes.note(
                    &interface_path(number, key),
                    Part::Value,
                    problem,
                    "set `advertised` to the address that peers outside reach",
                );
            }
        }
        self.port_warnings(media, notes);
        for &(list, number, peer) in peers {
            self.peer_media_warnings(list, number, peer, peers, notes);
        }
    }

    fn interface_warnings(
        &self,
        media: &Media,
        index: usize,
        number: usize,
        notes: &mut Findings<'_>,
    ) {
        let Some(interface) = media.interfaces.get(index) else {
            return;
        };
        let ports = interface.ports;
        let key = interface_path(number, "ports");
        if ports.first % 2 == 1 || ports.last % 2 == 0 {
            notes.note(
                &key,
                Part::Value,
                format!(
                    "{} cannot be used: RTP takes an even port and RTCP the next",
                    if ports.first % 2 == 1 {
                        ports.first
                    } else {
                        ports.last
                    }
                ),
                "begin with an even port and end with an odd one",
            );
        }
        if ports.first < 1024 {
            notes.note(
                &key,
                Part::Value,
                "begin below 1024, where sockets need a privilege",
                "use ports above, such as \"20000-29999\"",
            );
        }
        let earlier = media.interfaces.iter().take(index);
        for other in earlier.filter(|it| it.ports.overlap(ports)) {
            if told(other).any(|address| told(interface).any(|own| own == address)) {
                notes.note(
                    &key,
                    Part::Value,
                    format!(
                        "peers are told the same address and ports of `{}`",
                        other.name
                    ),
                    "give each interface behind one address its own ports",
                );
            }
        }
    }

    /// Whether calls can run out of ports before they meet their own limit.
    fn port_warnings(&self, media: &Media, notes: &mut Findings<'_>) {
        let Some(calls) = self.config.limits.calls else {
            return;
        };
        let workers = self.config.workers();
        for (&number, interface) in self.numbers.interfaces.iter().zip(&media.interfaces) {
            // A call has two legs; both are here if there is nowhere else.
            let legs = if media.interfaces.len() == 1 { 2 } else { 1 };
            let wanted = calls.saturating_mul(workers).saturating_mul(legs);
            let pairs = interface.ports.pairs();
            if pairs < wanted {
                let problem = format!(
                    "{pairs} pairs of ports, and `limits.calls` on {workers} workers can take {wanted}"
                );
                notes.note(
                    &interface_path(number, "ports"),
                    Part::Value,
                    problem,
                    "widen the range, or lower `limits.calls`",
                );
            }
        }
    }

    fn peer_media_warnings(
        &self,
        list: &str,
        number: usize,
        peer: &Peer,
        peers: &[(&str, usize, &Peer)],
        notes: &mut Findings<'_>,
    ) {
        let Some(media) = &peer.media else { return };
        let prefers = |media: &PeerMedia| media.modes.first() == Some(&MediaMode::Passthrough);
        let key = path(list, number, &["media", "modes"]);
        if prefers(media) {
            let has_partner = peers.iter().any(|(_, _, other)| {
                !std::ptr::eq(*other, peer) && other.media.as_ref().is_some_and(prefers)
            });
            if !has_partner {
                notes.note(
                    &key,
                    Part::Value,
                    "begin with passthrough, and those of no other peer do: it never applies",
                    "let those of the peer it talks with begin with it too",
                );
            }
        } else if media.modes.contains(&MediaMode::Passthrough) {
            notes.note(
                &key,
                Part::Value,
                "passthrough applies only where it stands first",
                "put it first, or remove it",
            );
        }
        for (index, network) in media.networks.iter().enumerate() {
            if network.prefix_len() == 0 {
                notes.note(
                    &path(list, number, &["media", "networks", &index.to_string()]),
                    Part::Value,
                    format!("{network} lets this peer direct media to any address"),
                    "write the networks that its media really uses",
                );
            }
        }
    }

    fn listeners_of<'c>(
        &'c self,
        media: &'c Media,
        interface: &'c MediaInterface,
    ) -> impl Iterator<Item = &'c Listener> {
        let alone = media.interfaces.len() == 1;
        self.config
            .listeners
            .iter()
            .filter(move |listener| match &listener.media {
                Some(name) => *name == interface.name,
                None => alone,
            })
    }
}

fn told(interface: &MediaInterface) -> impl Iterator<Item = IpAddr> {
    let v4 = interface.told4().map(IpAddr::V4);
    v4.into_iter().chain(interface.told6().map(IpAddr::V6))
}

/// Private or link-local. Loopback is for trying things out and needs no word.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = Ipv4Addr::new(100, 64, 0, 0).to_bits();
            address.is_private()
                || address.is_link_local()
                || address.to_bits() & 0xffc0_0000 == shared
        }
        IpAddr::V6(address) => {
            Ipv6Addr::is_unique_local(&address) || Ipv6Addr::is_unicast_link_local(&address)
        }
    }
}
