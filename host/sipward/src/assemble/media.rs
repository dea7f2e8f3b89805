//! From `[media]` to the relay and to each shard's anchor.

use std::sync::Arc;
use std::time::Duration;

use media::{AnchorConfig, ConfigFault, Fingerprint, Interface, MediaLimits, MediaTimeouts, Mode};
use relay::{BackendChoice, RelayConfig, RelayLimits};
use sip_proxy::{MediaTerms, OfferReader};

use super::AssembleError;
use crate::config::{self, Backend, Listener, Media, PeerMedia};

/// The interfaces and ceilings that the running relay was started with. They stay
/// as they are until it ends, whatever a reload brings.
#[derive(Debug, Clone)]
pub(crate) struct MediaBook {
    names: Vec<String>,
    interfaces: Vec<Interface>,
    limits: MediaLimits,
    shards: usize,
    fingerprint: Option<Fingerprint>,
}

impl MediaBook {
    /// What a configuration asks for, on this many shards.
    ///
    /// # Errors
    /// It cannot work.
    pub(crate) fn new(media: &Media, shards: usize) -> Result<Self, AssembleError> {
        let book = Self {
            names: media.interfaces.iter().map(|it| it.name.clone()).collect(),
            interfaces: media.interfaces.iter().map(interface).collect(),
            limits: limits(&media.limits),
            shards,
            fingerprint: None,
        };
        match book.anchor(media, 0).check() {
            Ok(()) => Ok(book),
            Err(fault) => Err(book.explain(&fault)),
        }
    }

    /// The same, with the certificate that a running relay shows.
    pub(crate) fn with_fingerprint(self, fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            ..self
        }
    }

    /// What one shard's anchor works with; times are those of `media`.
    pub(crate) fn anchor(&self, media: &Media, shard: usize) -> AnchorConfig {
        AnchorConfig {
            interfaces: self.interfaces.clone(),
            limits: self.limits,
            shard,
            shards: self.shards,
            timeouts: timeouts(&media.timeouts),
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// What the relay is started with.
    pub(crate) fn relay(&self, media: &Media) -> RelayConfig {
        let defaults = RelayLimits::default();
        let limits = &self.limits;
        RelayConfig {
            workers: match media.workers {
                0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                workers => workers,
            },
            interfaces: self.interfaces.clone(),
            limits: RelayLimits {
                // Sessions are refused with a status by the shards, so that the relay
                // need not; they may all come to one worker.
                sessions: limits.sessions.saturating_mul(self.shards),
                streams: limits.offer.sdp_streams,
                handshakes: media.limits.handshakes.unwrap_or(defaults.handshakes),
                ..defaults
            },
            backend: match media.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::IoUring => BackendChoice::IoUring,
                Backend::Epoll => BackendChoice::Epoll,
            },
        }
    }

    /// What reads offers for policies, by the same limits.
    pub(crate) fn offers(&self) -> OfferReader {
        OfferReader::new(&self.limits, &self.interfaces)
    }

    /// Sockets that all ports together need.
    pub(crate) fn sockets(&self) -> u64 {
        self.interfaces
            .iter()
            .map(|interface| {
                let families = [interface.bind4.is_some(), interface.bind6.is_some()];
                let families = families.into_iter().filter(|bound| *bound).count() as u64;
                families * interface.ports.len() as u64
            })
            .sum()
    }

    /// Place of a listener's interface: the one that it names, or the only one.
    ///
    /// # Errors
    /// The relay was started without it.
    pub(crate) fn place(
        &self,
        media: &Media,
        listener: &Listener,
    ) -> Result<Option<u16>, AssembleError> {
        let only = media.interfaces.first().map(|it| it.name.as_str());
        let Some(wanted) = listener.media.as_deref().or(only) else {
            return Ok(None);
        };
        let place = self.names.iter().position(|name| name == wanted);
        match place.and_then(|place| u16::try_from(place).ok()) {
            Some(place) => Ok(Some(place)),
            None => Err(AssembleError::value(
                format!("listener `{}`: media", listener.name),
                format!("interface `{wanted}` is new, and interfaces change at a restart only"),
            )),
        }
    }

    fn explain(&self, fault: &ConfigFault) -> AssembleError {
        let at = match fault {
            ConfigFault::NoAddress(place)
            | ConfigFault::Unspecified(place)
            | ConfigFault::TooFewPorts(place)
            | ConfigFault::Overlap(_, place)
            | ConfigFault::PortZero(place) => self.names.get(*place),
        };
        let name = at.map_or("", String::as_str);
        AssembleError::value(format!("media.interface `{name}`"), fault.to_string())
    }
}

/// What a peer's media can be.
pub(crate) fn terms(written: Option<&PeerMedia>) -> MediaTerms {
    let unsaid = PeerMedia::default();
    let written = written.unwrap_or(&unsaid);
    MediaTerms {
        modes: written.modes.iter().copied().map(Mode::from).collect(),
        nat: written.nat,
        networks: Arc::from(written.networks.as_slice()),
    }
}

fn interface(written: &config::MediaInterface) -> Interface {
    Interface {
        bind4: written.bind.v4,
        bind6: written.bind.v6,
        advertised4: written.advertised.v4,
        advertised6: written.advertised.v6,
        ports: written.ports.range(),
    }
}

fn limits(written: &config::MediaLimits) -> MediaLimits {
    let mut limits = MediaLimits::default();
    limits.sessions = written.sessions.unwrap_or(limits.sessions);
    if let Some(streams) = written.streams {
        limits.offer.sdp_streams = streams;
        limits.session_ports = streams.saturating_mul(2);
    }
    limits.offer.sdp_bytes = written.sdp_bytes.unwrap_or(limits.offer.sdp_bytes);
    limits.audio_packets_per_second = written
        .audio_packets_per_second
        .unwrap_or(limits.audio_packets_per_second);
    limits.video_packets_per_second = written
        .video_packets_per_second
        .unwrap_or(limits.video_packets_per_second);
    limits.packet_bytes = written.packet_bytes.unwrap_or(limits.packet_bytes);
    limits
}

fn timeouts(written: &config::MediaTimeouts) -> MediaTimeouts {
    let mut timeouts = MediaTimeouts::default();
    for (timeout, seconds) in [
        (&mut timeouts.silence, written.silence_seconds),
        (&mut timeouts.one_way, written.one_way_seconds),
        (&mut timeouts.hold, written.hold_seconds),
        (&mut timeouts.setup, written.setup_seconds),
    ] {
        if let Some(seconds) = seconds {
            *timeout = Duration::from_secs(seconds);
        }
    }
    timeouts
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::{Addresses, MediaInterface, MediaMode, Ports};

    fn written(name: &str, first: u16) -> MediaInterface {
        MediaInterface {
            name: name.to_owned(),
            bind: Addresses {
                v4: Some(Ipv4Addr::new(10, 0, 0, 1)),
                v6: Some("fd00::1".parse().unwrap()),
            },
            advertised: Addresses {
                v4: Some(Ipv4Addr::new(203, 0, 113, 1)),
                v6: None,
            },
            ports: Ports {
                first,
                last: first + 99,
            },
        }
    }

    fn media() -> Media {
        let mut media = Media {
            interfaces: vec![written("lan", 20_000), written("wan", 30_000)],
            ..Media::default()
        };
        media.timeouts.one_way_seconds = Some(7);
        media.limits.streams = Some(3);
        media.limits.packet_bytes = Some(1_000);
        media.limits.handshakes = Some(9);
        media
    }

    fn listener(media: Option<&str>) -> Listener {
        Listener {
            name: "outside".to_owned(),
            transport: config::Transport::Udp,
            bind: ([10, 0, 0, 1], 5060).into(),
            advertised: None,
            zone: None,
            tls: None,
            media: media.map(str::to_owned),
        }
    }

    #[test]
    fn an_anchor_has_its_shard_and_what_was_written() {
        let media = media();
        let book = MediaBook::new(&media, 4).unwrap();
        let print = Fingerprint::sha256([7; 32]);
        let anchor = book.with_fingerprint(print.clone()).anchor(&media, 3);
        assert_eq!((anchor.shard, anchor.shards), (3, 4));
        assert_eq!(anchor.fingerprint, Some(print));
        assert_eq!(anchor.timeouts.one_way, Duration::from_secs(7));
        assert_eq!(anchor.timeouts.silence, MediaTimeouts::default().silence);
        assert_eq!(anchor.limits.offer.sdp_streams, 3);
        assert_eq!(anchor.limits.session_ports, 6);
        assert_eq!(anchor.limits.packet_bytes, 1_000);
        let [lan, _] = &anchor.interfaces[..] else {
            panic!("{anchor:?}")
        };
        assert_eq!(lan.advertised(false), Some([203, 0, 113, 1].into()));
        assert_eq!(lan.advertised(true), Some("fd00::1".parse().unwrap()));
        assert_eq!(lan.ports, 20_000..=20_099);
    }

    #[test]
    fn the_relay_takes_what_the_shards_may_send_it() {
        let mut media = media();
        let book = MediaBook::new(&media, 2).unwrap();
        let relay = book.relay(&media);
        assert_eq!((relay.workers, relay.limits.streams), (2, 3));
        assert_eq!(relay.limits.handshakes, 9);
        assert_eq!(relay.limits.sessions, 2 * MediaLimits::default().sessions);
        assert_eq!(relay.interfaces.len(), 2);
        media.workers = 0;
        assert!(book.relay(&media).workers > 0);
        // Two interfaces of a hundred ports in two families.
        assert_eq!(book.sockets(), 400);
    }

    #[test]
    fn a_listener_uses_the_interface_it_names_or_the_only_one() {
        let mut media = media();
        let book = MediaBook::new(&media, 1).unwrap();
        let place = |media: &Media, name| book.place(media, &listener(name)).unwrap();
        assert_eq!(place(&media, Some("wan")), Some(1));
        media.interfaces.remove(0);
        assert_eq!(place(&media, None), Some(1), "as the running relay counts");
        media.interfaces[0].name = "dmz".to_owned();
        let refused = book.place(&media, &listener(None)).unwrap_err().to_string();
        assert!(refused.contains("`dmz` is new"), "{refused}");
    }

    #[test]
    fn what_cannot_work_is_told_by_name() {
        let mut media = media();
        media.interfaces[1].ports = Ports {
            first: 30_000,
            last: 30_001,
        };
        let fault = MediaBook::new(&media, 2).unwrap_err().to_string();
        assert!(
            fault.contains("`wan`") && fault.contains("fewer port pairs"),
            "{fault}"
        );
        assert!(MediaBook::new(&media, 1).is_ok());
    }

    #[test]
    fn a_peer_without_media_has_the_default_terms() {
        assert_eq!(terms(None), MediaTerms::default());
        let written = PeerMedia {
            modes: vec![MediaMode::Dtls, MediaMode::Passthrough, MediaMode::Plain],
            nat: true,
            networks: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let terms = terms(Some(&written));
        assert_eq!(
            terms.modes[..],
            [Mode::Dtls, Mode::Passthrough, Mode::Plain]
        );
        assert!(terms.nat && terms.networks.len() == 1);
    }
}
