//! The media relay: interfaces that clash, addresses nobody can send to, peers
//! that nothing could be agreed with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ::media::Mode;

use super::{Checks, path};
use crate::config::hint;
use crate::config::media::{Addresses, Media, MediaInterface};
use crate::config::model::{Listener, Peer, Transport};
use crate::config::place::{KeyPath, Part};

/// What `packet_bytes` may be: 20 ms of G.711 fit, and no packet is cut into
/// fragments.
const PACKET_BYTES: std::ops::RangeInclusive<u16> = 200..=1500;

/// Streams have one octet in orders to the relay.
const STREAMS_MAX: usize = 255;

/// `media.interface[number].rest`.
pub(super) fn interface_path(number: usize, key: &str) -> KeyPath {
    let number = number.to_string();
    ["media", "interface", number.as_str(), key]
        .map(str::to_owned)
        .to_vec()
}

/// `media.section.key`.
fn section_path(section: &str, key: &str) -> KeyPath {
    ["media", section, key].map(str::to_owned).to_vec()
}

impl Checks<'_, '_, '_> {
    pub(super) fn media(&mut self) {
        let Some(media) = &self.config.media else {
            self.media_is_missing();
            return;
        };
        let numbers = &self.numbers.interfaces;
        self.unique(
            numbers
                .iter()
                .zip(&media.interfaces)
                .map(|(&number, it)| (interface_path(number, "name"), it.name.clone())),
        );
        if media.interfaces.is_empty() && self.is_whole("media") {
            self.wrong_at(
                &["media".to_owned()],
                Part::Key,
                "has no interface",
                "add a `[[media.interface]]` with name, bind and ports",
            );
        }
        for (index, (&number, interface)) in numbers.iter().zip(&media.interfaces).enumerate() {
            self.interface_addresses(number, interface);
            self.interface_ports(number, interface);
            let before = media.interfaces.iter().take(index);
            for earlier in before.filter(|it| it.ports.overlap(interface.ports)) {
                if share_address(&earlier.bind, &interface.bind) {
                    let problem = format!("overlap with those of `{}`", earlier.name);
                    self.wrong(
                        &interface_path(number, "ports"),
                        problem,
                        "give each interface of an address its own ports",
                    );
                }
            }
        }
        for (&number, listener) in self.numbers.listeners.iter().zip(&self.config.listeners) {
            self.listener_media(number, listener, media);
        }
        self.media_figures(media);
        let workers = self.config.workers();
        for (&number, interface) in numbers.iter().zip(&media.interfaces) {
            let pairs = interface.ports.pairs();
            if (1..workers).contains(&pairs) {
                self.wrong(
                    &interface_path(number, "ports"),
                    format!("have {pairs} pairs for {workers} workers, and each has its own"),
                    "widen the range, or lower `server.workers`",
                );
            }
        }
    }

    /// Without `[media]` nothing may refer to it.
    fn media_is_missing(&mut self) {
        let remedy = "add `[media]` with a `[[media.interface]]`, or remove it";
        for (&number, listener) in self.numbers.listeners.iter().zip(&self.config.listeners) {
            if listener.media.is_some() {
                let path = path("listener", number, &["media"]);
                self.wrong_at(&path, Part::Key, "there is no media relay", remedy);
            }
        }
    }

    fn interface_addresses(&mut self, number: usize, interface: &MediaInterface) {
        let (bind, advertised) = (&interface.bind, &interface.advertised);
        if bind.all().next().is_none() {
            let remedy = format!("write {}", hint::ADDRESSES);
            self.wrong(&interface_path(number, "bind"), "has no address", remedy);
        }
        for address in bind.all() {
            let is_told = match address {
                IpAddr::V4(_) => advertised.v4.is_some(),
                IpAddr::V6(_) => advertised.v6.is_some(),
            };
            if address.is_multicast() {
                self.wrong(
                    &interface_path(number, "bind"),
                    format!("{address} is a multicast address"),
                    "write an address of this machine",
                );
            } else if address.is_unspecified() && !is_told {
                self.wrong(
                    &interface_path(number, "bind"),
                    format!("peers cannot send to {address}"),
                    "add `advertised` with the address that they reach",
                );
            }
        }
        for address in advertised.all() {
            let is_bound = match address {
                IpAddr::V4(_) => bind.v4.is_some(),
                IpAddr::V6(_) => bind.v6.is_some(),
            };
            if address.is_unspecified() || address.is_multicast() {
                self.wrong(
                    &interface_path(number, "advertised"),
                    format!("peers cannot send to {address}"),
                    "write the address that they reach",
                );
            } else if !is_bound {
                self.wrong(
                    &interface_path(number, "advertised"),
                    format!("{address} has no address of its family in `bind`"),
                    "bind an address of each family that is advertised",
                );
            }
        }
    }

    fn interface_ports(&mut self, number: usize, interface: &MediaInterface) {
        let ports = interface.ports;
        if ports.pairs() == 0 {
            self.wrong(
                &interface_path(number, "ports"),
                "have no even port with the next one",
                "write a range such as \"20000-29999\"",
            );
        }
        let inside = self.config.listeners.iter().find(|listener| {
            let address = Addresses::from(listener.bind.ip());
            listener.transport == Transport::Udp
                && ports.range().contains(&listener.bind.port())
                && share_address(&address, &interface.bind)
        });
        if let Some(listener) = inside {
            let problem = format!("hold the port of listener `{}`", listener.name);
            self.wrong(
                &interface_path(number, "ports"),
                problem,
                "keep signalling out of the range",
            );
        }
    }

    fn listener_media(&mut self, number: usize, listener: &Listener, media: &Media) {
        let key = path("listener", number, &["media"]);
        let names = media.interfaces.iter().map(|it| it.name.as_str());
        let chosen = match &listener.media {
            Some(wanted) => {
                let found = media.interfaces.iter().find(|it| it.name == *wanted);
                if found.is_none() && !media.interfaces.is_empty() && self.is_whole("media") {
                    let names: Vec<&str> = names.collect();
                    self.wrong(
                        &key,
                        format!("there is no media interface `{wanted}`"),
                        hint::among(wanted, names),
                    );
                }
                found
            }
            None if media.interfaces.len() > 1 => {
                let remedy = format!("add `media = \"...\"` with one of {}", hint::list(names));
                let key = path("listener", number, &["name"]);
                self.wrong(&key, "has several media interfaces to choose from", remedy);
                None
            }
            None => media.interfaces.first(),
        };
        let Some(interface) = chosen else { return };
        let bound = listener.bind.ip();
        // `::` takes both families, so either will do.
        let (family, has_family) = match bound {
            IpAddr::V4(_) => ("IPv4", interface.bind.v4.is_some()),
            IpAddr::V6(address) if address.is_unspecified() => ("IPv6", true),
            IpAddr::V6(_) => ("IPv6", interface.bind.v6.is_some()),
        };
        if !has_family {
            let problem = format!(
                "media interface `{}` of listener `{}` has no {family} address",
                interface.name, listener.name
            );
            let remedy = format!("add an {family} address to its `bind`");
            self.wrong(&path("listener", number, &["bind"]), problem, remedy);
        }
    }

    fn media_figures(&mut self, media: &Media) {
        let (timeouts, limits) = (&media.timeouts, &media.limits);
        let zeros = [
            (
                "timeouts",
                "silence_seconds",
                timeouts.silence_seconds == Some(0),
            ),
            (
                "timeouts",
                "one_way_seconds",
                timeouts.one_way_seconds == Some(0),
            ),
            ("timeouts", "hold_seconds", timeouts.hold_seconds == Some(0)),
            (
                "timeouts",
                "setup_seconds",
                timeouts.setup_seconds == Some(0),
            ),
            ("limits", "sessions", limits.sessions == Some(0)),
            ("limits", "streams", limits.streams == Some(0)),
            ("limits", "sdp_bytes", limits.sdp_bytes == Some(0)),
            (
                "limits",
                "audio_packets_per_second",
                limits.audio_packets_per_second == Some(0),
            ),
            (
                "limits",
                "video_packets_per_second",
                limits.video_packets_per_second == Some(0),
            ),
            ("limits", "handshakes", limits.handshakes == Some(0)),
        ];
        for (section, key, _) in zeros.into_iter().filter(|(_, _, is_zero)| *is_zero) {
            self.wrong(
                &section_path(section, key),
                "is 0",
                "write at least 1, or remove it for the default",
            );
        }
        if let Some(bytes) = limits.packet_bytes
            && !PACKET_BYTES.contains(&bytes)
        {
            let (least, most) = (PACKET_BYTES.start(), PACKET_BYTES.end());
            self.wrong(
                &section_path("limits", "packet_bytes"),
                format!("is {bytes}"),
                format!("write {least} to {most}: a packet of G.711 to one of Ethernet"),
            );
        }
        if let Some(streams) = limits.streams.filter(|streams| *streams > STREAMS_MAX) {
            self.wrong(
                &section_path("limits", "streams"),
                format!("is {streams}"),
                format!("write at most {STREAMS_MAX}"),
            );
        }
    }

    /// The `media` of one peer.
    pub(super) fn peer_media(&mut self, list: &str, number: usize, peer: &Peer) {
        let Some(media) = &peer.media else { return };
        let at = |key: &str| path(list, number, &["media", key]);
        if self.config.media.is_none() && self.is_whole("media") {
            let path = path(list, number, &["media"]);
            let remedy = "add `[media]` with a `[[media.interface]]`, or remove it";
            self.wrong_at(&path, Part::Key, "there is no media relay", remedy);
        }
        if media.modes.is_empty() {
            self.wrong(
                &at("modes"),
                "is empty, so that no media could be agreed on",
                format!("write {}", hint::MODES),
            );
        }
        let mut seen = BTreeSet::new();
        for name in media.modes.iter().map(|mode| Mode::from(*mode).name()) {
            if !seen.insert(name) {
                self.wrong(
                    &at("modes"),
                    format!("`{name}` stands there twice"),
                    "write each mode once, most wanted first",
                );
            }
        }
    }
}

impl From<IpAddr> for Addresses {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                v4: Some(address),
                v6: None,
            },
            IpAddr::V6(address) => Self {
                v4: None,
                v6: Some(address),
            },
        }
    }
}

/// Whether sockets on the same port of both would clash.
fn share_address(one: &Addresses, two: &Addresses) -> bool {
    let v4 = one.v4.zip(two.v4);
    let v6 = one.v6.zip(two.v6);
    v4.is_some_and(|(one, two)| one == two || one.is_unspecified() || two.is_unspecified())
        || v6.is_some_and(|(one, two)| one == two || one.is_unspecified() || two.is_unspecified())
}
