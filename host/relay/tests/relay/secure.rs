//! DTLS-SRTP with a party that has its own machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output, ProtocolVersion, SrtpProfile};
use media::{Fingerprint, KeyMaterial, Latch, MediaTimeouts, Protection, RelayEvent, Side, Suite};
use relay::DtlsClient;
use srtp::{ContextLimits, DtlsKeys, ReceiveContext, SendContext};

use crate::harness::{Call, Party, of, report, rtp};
use crate::on_each_backend;
use crate::openssl_party::{Kind, OpensslParty, Papers};

/// Which versions the party speaks.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    V12,
    V13,
    Auto,
}

impl Version {
    fn machine(self, certificate: &DtlsCertificate, active: bool) -> Dtls {
        let config = Arc::new(Config::default());
        let certificate = certificate.clone();
        let now = Instant::now();
        let mut machine = match self {
            Version::V12 => Dtls::new_12(config, certificate, now),
            Version::V13 => Dtls::new_13(config, certificate, now),
            Version::Auto => Dtls::new_auto(config, certificate, now),
        };
        machine.set_active(active);
        machine
    }
}

/// A fatal alert of a server that does not speak what it is offered (RFC 8446 6.2).
const PROTOCOL_VERSION: [u8; 15] = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 70];

/// The party's DTLS.
struct Peer {
    machine: Dtls,
    certificate: DtlsCertificate,
    version: Version,
    active: bool,
    relay_certificate: Option<Vec<u8>>,
    keys: Option<(KeyMaterial, KeyMaterial)>,
    out: VecDeque<Vec<u8>>,
    due: Option<Instant>,
}

fn certificate() -> DtlsCertificate {
    dimpl::certificate::generate_self_signed_certificate().unwrap()
}

fn fingerprint(certificate: &DtlsCertificate) -> Fingerprint {
    Fingerprint::sha256(certificate.fingerprint().try_into().unwrap())
}

fn suite(profile: SrtpProfile) -> Suite {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        _ => Suite::AesCm128HmacSha1_80,
    }
}

impl Peer {
    fn new(certificate: &DtlsCertificate, active: bool, version: Version) -> Self {
        let mut peer = Peer {
            machine: version.machine(certificate, active),
            certificate: certificate.clone(),
            version,
            active,
            relay_certificate: None,
            keys: None,
            out: VecDeque::new(),
            due: Some(Instant::now()),
        };
        peer.poll();
        peer
    }

    fn speaks_newest(&self) -> bool {
        self.machine.protocol_version() == Some(ProtocolVersion::DTLS1_3)
    }

    /// Reads a datagram. One that it cannot understand it answers with an alert, and
    /// waits for another hello.
    fn receive(&mut self, datagram: &[u8]) {
        self.machine.handle_timeout(Instant::now()).unwrap();
        if self.machine.handle_packet(datagram).is_err() {
            assert!(self.version == Version::V13 && !self.active);
            self.machine = self.version.machine(&self.certificate, self.active);
            self.out.push_back(PROTOCOL_VERSION.to_vec());
        }
        self.poll();
    }

    fn poll(&mut self) {
        let mut buffer = vec![0; 16_384];
        loop {
            match self.machine.poll_output(&mut buffer) {
                Output::Packet(packet) => self.out.push_back(packet.to_vec()),
                Output::PeerCert(certificate) => {
                    self.relay_certificate = Some(certificate.to_vec())
                }
                Output::KeyingMaterial(material, profile) => {
                    let keys = DtlsKeys::split(suite(profile), &material).unwrap();
                    self.keys = Some(keys.into_directions(self.active));
                }
                Output::Timeout(at) => {
                    self.due = Some(at);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Shakes hands until there are keys, over the party's socket.
    fn handshake(&mut self, party: &Party) -> (SendContext, ReceiveContext) {
        party
            .rtp
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let end = Instant::now() + crate::harness::SOON;
        let mut buffer = [0; 2_048];
        loop {
            let now = Instant::now();
            assert!(now < end, "no handshake");
            if self.due.is_some_and(|due| now >= due) {
                self.machine.handle_timeout(now).unwrap();
                self.poll();
            }
            while let Some(packet) = self.out.pop_front() {
                party.send(&packet);
            }
            if let Some((send, receive)) = &self.keys {
                party
                    .rtp
                    .set_read_timeout(Some(crate::harness::SOON))
                    .unwrap();
                let limits = ContextLimits::default();
                return (
                    SendContext::new(send, limits).unwrap(),
                    ReceiveContext::new(receive, limits).unwrap(),
                );
            }
            if let Ok((length, _)) = party.rtp.recv_from(&mut buffer) {
                self.receive(&buffer[..length]);
            }
        }
    }
}

fn talk(call: &Call, send: &mut SendContext, receive: &mut ReceiveContext) {
    for sequence in 0..10 {
        let packet = rtp(1, sequence);
        let mut buffer = packet.clone();
        buffer.resize(256, 0);
        let length = send.protect_rtp(&mut buffer, packet.len()).unwrap();
        call.caller.send(&buffer[..length]);
        if sequence == 0 {
            // The relay may still be reading our last flight.
            call.callee
                .rtp
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
        }
        assert_eq!(call.callee.receive(), packet);
        call.callee.send(&rtp(2, sequence));
        let mut heard = call.caller.receive();
        while (20..64).contains(&heard[0]) {
            heard = call.caller.receive();
        }
        let length = heard.len();
        let length = receive.unprotect_rtp(&mut heard, length).unwrap();
        assert_eq!(heard[..length], rtp(2, sequence));
    }
}

/// The same for a party with OpenSSL.
fn shake_hands(peer: &mut OpensslParty, party: &Party) -> (SendContext, ReceiveContext) {
    let pause = Duration::from_millis(20);
    party.rtp.set_read_timeout(Some(pause)).unwrap();
    let end = Instant::now() + crate::harness::SOON;
    let mut buffer = [0; 2_048];
    while peer.keys.is_none() {
        assert!(Instant::now() < end, "no handshake");
        let heard = party.rtp.recv_from(&mut buffer).ok();
        let said = peer.step(heard.map(|(length, _)| &buffer[..length]));
        assert!(!peer.refused);
        for packet in said {
            party.send(&packet);
        }
    }
    party
        .rtp
        .set_read_timeout(Some(crate::harness::SOON))
        .unwrap();
    let (send, receive) = peer.keys.as_ref().unwrap();
    let limits = ContextLimits::default();
    (
        SendContext::new(send, limits).unwrap(),
        ReceiveContext::new(receive, limits).unwrap(),
    )
}

fn dtls(active: bool, certificate: &DtlsCertificate) -> Protection {
    Protection::Dtls {
        active,
        fingerprints: vec![fingerprint(certificate)],
    }
}

on_each_backend! {
    fn both_roles_and_both_versions(backend) {
        use DtlsClient::{Newest, Widest};
        for version in [Version::V12, Version::V13, Version::Auto] {
            // As the server we follow the party. As the client we begin with one kind, and
            // take the other where the party has no answer to it.
            for (active, client) in [(true, Widest), (true, Newest), (false, Widest)] {
                let certificate = certificate();
                let mut call = Call::with_client(backend, client);
                let mut plans = call.plans(dtls(active, &certificate), Protection::Plain);
                plans[0].rtcp_mux = true;
                call.agree(plans);
                let mut peer = Peer::new(&certificate, !active, version);
                let (mut send, mut receive) = peer.handshake(&call.caller);
                // The relay showed the certificate that its SDP names.
                let shown = dimpl::certificate::calculate_fingerprint(&peer.relay_certificate.clone().unwrap());
                assert_eq!(shown, call.handle.fingerprint().value());
                let suite = send.key().suite();
                assert!(matches!(suite, Suite::AeadAes256Gcm | Suite::AeadAes128Gcm), "GCM first");
                let newest = version == Version::V13
                    || version == Version::Auto && !(active && client == Widest);
                assert_eq!(peer.speaks_newest(), newest);
                talk(&call, &mut send, &mut receive);
                let mut buffer = report(1);
                buffer.resize(128, 0);
                let length = send.protect_rtcp(&mut buffer, 8).unwrap();
                call.caller.send(&buffer[..length]);
                assert_eq!(call.callee.receive_rtcp(), report(1));
                // A re-INVITE that changes nothing makes no new handshake.
                let mut plans = call.plans(dtls(active, &certificate), Protection::Plain);
                plans[0].rtcp_mux = true;
                call.agree(plans);
                call.settle();
                let packet = rtp(1, 10);
                let mut buffer = packet.clone();
                buffer.resize(256, 0);
                let length = send.protect_rtp(&mut buffer, packet.len()).unwrap();
                call.caller.send(&buffer[..length]);
                assert_eq!(call.callee.receive(), packet);
                assert_eq!(of(&call.close(), Side::Caller).cipher, suite.name());
            }
        }
    }

    fn phones_with_openssl_and_either_kind_of_certificate(backend) {
        for kind in [Kind::Rsa, Kind::Ecdsa] {
            let papers = Papers::new(kind);
            for active in [true, false] {
                let protection = Protection::Dtls { active, fingerprints: vec![papers.fingerprint()] };
                let call = Call::answered(backend, protection, Protection::Plain);
                let mut peer = OpensslParty::new(&papers, !active);
                let (mut send, mut receive) = shake_hands(&mut peer, &call.caller);
                assert_eq!(peer.shown(), call.handle.fingerprint());
                talk(&call, &mut send, &mut receive);
                assert_eq!(of(&call.close(), Side::Caller).cipher, "AES_CM_128_HMAC_SHA1_80");
            }
        }
    }

    fn a_certificate_that_was_not_signalled_is_refused(backend) {
        for active in [true, false] {
            let (real, other) = (certificate(), certificate());
            let call = Call::answered(backend, dtls(active, &real), Protection::Plain);
            let mut peer = Peer::new(&other, !active, Version::V12);
            let failed = loop {
                if let Some(due) = peer.due && Instant::now() >= due {
                    peer.machine.handle_timeout(Instant::now()).unwrap();
                    peer.poll();
                }
                while let Some(packet) = peer.out.pop_front() {
                    call.caller.send(&packet);
                }
                call.caller.rtp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                let mut buffer = [0; 2_048];
                if let Ok((length, _)) = call.caller.rtp.recv_from(&mut buffer) {
                    peer.receive(&buffer[..length]);
                }
                if let Ok(event) = call.events.try_recv() {
                    break event;
                }
            };
            let RelayEvent::HandshakeFailed { session, stream, side, reason } = failed else {
                panic!("{failed:?}");
            };
            assert_eq!((session, stream, side), (call.session, 0, Side::Caller));
            assert!(reason.contains("fingerprint"), "{reason}");
            call.callee.send(&rtp(2, 1));
            call.caller.rtp.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
            let mut buffer = [0; 2_048];
            while let Ok((_, _)) = call.caller.rtp.recv_from(&mut buffer) {
                assert!((20..64).contains(&buffer[0]), "media without keys");
            }
        }
    }

    fn a_handshake_that_never_ends_fails_in_time(backend) {
        for active in [true, false] {
            let timeouts = MediaTimeouts { setup: Duration::from_millis(500), ..MediaTimeouts::default() };
            let mut call = Call::with(backend, timeouts);
            let plans = call.plans(dtls(active, &certificate()), Protection::Plain);
            let begun = Instant::now();
            call.agree(plans);
            assert!(matches!(call.event(), RelayEvent::HandshakeFailed { .. }));
            assert!(begun.elapsed() >= Duration::from_millis(500));
            call.no_event();
        }
    }

    fn noise_and_strangers_do_not_break_a_handshake(backend) {
        for active in [true, false] {
            let certificate = certificate();
            let mut call = Call::new(backend);
            let mut plans = call.plans(dtls(active, &certificate), Protection::Plain);
            plans[0].rtcp_mux = true;
            call.agree(plans);
            call.settle();
            let stranger = Party::at([127, 0, 0, 2]);
            let noise: [&[u8]; 4] = [
                &[22; 60],
                &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40],
                &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 2, 0, 0, 9],
                &[63, 254, 253],
            ];
            for packet in noise {
                call.caller.send(packet);
                stranger.rtp.send_to(packet, crate::harness::address(call.caller.ours.rtp)).unwrap();
            }
            call.settle();
            let mut peer = Peer::new(&certificate, !active, Version::V12);
            let (mut send, mut receive) = peer.handshake(&call.caller);
            talk(&call, &mut send, &mut receive);
            assert_eq!(of(&call.close(), Side::Caller).rejected.source, 4);
        }
    }

    fn a_handshake_finds_the_source_behind_nat(backend) {
        let certificate = certificate();
        let mut call = Call::new(backend);
        let mut plans = call.plans(dtls(false, &certificate), Protection::Plain);
        plans[0].rtcp_mux = true;
        if let Some(remote) = &mut plans[0].remote {
            remote.rtp = Some("127.0.0.1:9".parse().unwrap());
            remote.rtcp = remote.rtp;
            remote.latch = Latch::FirstFitting;
        }
        call.agree(plans);
        let mut peer = Peer::new(&certificate, true, Version::V13);
        let (mut send, mut receive) = peer.handshake(&call.caller);
        talk(&call, &mut send, &mut receive);
    }
}
