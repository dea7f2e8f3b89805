//! DTLS 1.2 with every kind of certificate that phones have: OpenSSL's machine.
//!
//! OpenSSL reads and writes a stream; here that is a datagram in and some datagrams
//! out, so it sees neither socket nor peer. Its timer is its own, of RFC 6347 section
//! 4.2.4.1: a second, then twice as long each time. So each flight is sent once more
//! between, octet for octet, which a party that has it already ignores as a replay.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use dimpl::DtlsCertificate;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use srtp::{EXPORTER_LABEL, exporter_len, profile_suite};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::datagram::has_keys;
use super::machine::{Agreed, Fault, Machine, Outcome, Party};
use super::{DATAGRAM_BYTES, RETRANSMIT_FIRST};

/// Ephemeral keys and authenticated encryption first; then what older phones have.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!PSK:!SRP:@SECLEVEL=1";

/// As [`srtp::PROFILES`] has them.
const PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:\
                        SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32";

/// How often the machine may look at its timer: every 50 ms, like the engine's sweep.
const TICK: Duration = Duration::from_millis(50);

/// Datagrams of one turn: 32. A flight with a chain of 16 KiB has 16; what is more
/// is lost and sent again.
const FLIGHT_DATAGRAMS: usize = 32;

/// Datagrams under keys that OpenSSL may hold before it has these keys: 16 of some
/// 17 KiB each. A flight that was reordered has one or two.
const EARLY_DATAGRAMS: u32 = 16;

/// Records read in one turn after the handshake: 16, more than a datagram of a flight has.
const RECORDS: u32 = 16;

const COOKIE_BYTES: usize = 32;

/// What proves that a client receives where it says it is (RFC 6347 section 4.2.1): a
/// random number for each machine, which has only one client.
#[derive(Clone)]
struct Cookie([u8; COOKIE_BYTES]);

/// What all machines of this kind share.
pub(super) struct Widest {
    context: SslContext,
    cookie: Index<Ssl, Cookie>,
}

impl Widest {
    pub(super) fn configure(certificate: &DtlsCertificate) -> Result<Self, ErrorStack> {
        let mut context = SslContext::builder(SslMethod::dtls())?;
        context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        context.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
        context.set_options(
            SslOptions::NO_QUERY_MTU
                | SslOptions::COOKIE_EXCHANGE
                | SslOptions::NO_TICKET
                | SslOptions::NO_COMPRESSION
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::CIPHER_SERVER_PREFERENCE,
        );
        context.set_mode(SslMode::RELEASE_BUFFERS);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        // Not what the system's openssl.cnf says: whom to trust, fingerprints decide.
        context.set_cipher_list(CIPHERS)?;
        context.set_groups_list("X25519:P-256:P-384")?;
        context.set_tlsext_use_srtp(PROFILES)?;
        let own = X509::from_der(&certificate.certificate)?;
        let key = PKey::private_key_from_der(&certificate.private_key)?;
        context.set_certificate(&own)?;
        context.set_private_key(&key)?;
        context.check_private_key()?;
        context.set_verify_callback(
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            // Self-signed ones are the rule; the fingerprint is compared afterwards.
            |_chain_is_good, _store| true,
        );
        let cookie = Ssl::new_ex_index::<Cookie>()?;
        context.set_cookie_generate_cb(move |ssl, out| {
            let Some(Cookie(octets)) = ssl.ex_data(cookie) else {
                return Err(ErrorStack::get());
            };
            for (to, from) in out.iter_mut().zip(octets) {
                *to = *from;
            }
            Ok(octets.len())
        });
        context.set_cookie_verify_cb(move |ssl, shown| {
            ssl.ex_data(cookie)
                .is_some_and(|Cookie(octets)| octets.ct_eq(shown).into())
        });
        Ok(Widest {
            context: context.build(),
            cookie,
        })
    }

    /// A machine; the active one speaks first.
    pub(super) fn machine(&self, active: bool, now: Instant) -> Result<Wide, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let mut cookie = Cookie([0; COOKIE_BYTES]);
        openssl::rand::rand_bytes(&mut cookie.0)?;
        ssl.set_ex_data(self.cookie, cookie);
        ssl.set_mtu(DATAGRAM_BYTES as u32)?;
        if active {
            ssl.set_connect_state();
        } else {
            ssl.set_accept_state();
        }
        Ok(Wide {
            stream: SslStream::new(ssl, Wire::default())?,
            flight: VecDeque::new(),
            repeat: None,
            due: Some(now),
            early: 0,
            trusted: false,
            agreed: false,
        })
    }
}

/// See the module.
pub(super) struct Wide {
    stream: SslStream<Wire>,
    /// What was sent last, and when it is sent once more.
    flight: VecDeque<Vec<u8>>,
    repeat: Option<Instant>,
    due: Option<Instant>,
    early: u32,
    trusted: bool,
    agreed: bool,
}

impl Wide {
    fn step(&mut self, now: Instant, party: &mut Party<'_>) -> Outcome {
        self.due = Some(now + TICK);
        let outcome = self.stream.do_handshake();
        // Before anything of ours goes out: a wrong party hears no more.
        if !self.trusted
            && let Some(certificate) = self.stream.ssl().peer_certificate()
        {
            let octets = certificate
                .to_der()
                .map_err(|error| Fault::broken(&error))?;
            party.check(&octets)?;
            self.trusted = true;
        }
        match outcome {
            Ok(()) => {
                let agreed = self.agree()?;
                self.agreed = true;
                self.send(now, party);
                self.due = None;
                self.repeat = None;
                self.flight.clear();
                Ok(Some(agreed))
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => {
                self.send(now, party);
                Ok(None)
            }
            // What it would say to the party is an alert that ends the call.
            Err(error) => Err(Fault::broken(&error)),
        }
    }

    fn agree(&self) -> Result<Agreed, Fault> {
        let ssl = self.stream.ssl();
        if !self.trusted {
            return Err(Fault::Refused("the party showed no certificate".to_owned()));
        }
        let suite = ssl
            .selected_srtp_profile()
            .and_then(|profile| u16::try_from(profile.id().as_raw()).ok())
            .and_then(profile_suite)
            .ok_or_else(|| Fault::Refused("no SRTP profile was agreed on".to_owned()))?;
        let mut material = Zeroizing::new(vec![0; exporter_len(suite)]);
        ssl.export_keying_material(&mut material, EXPORTER_LABEL, None)
            .map_err(|error| Fault::Refused(error.to_string()))?;
        Ok(Agreed { suite, material })
    }

    fn send(&mut self, now: Instant, party: &mut Party<'_>) {
        let outgoing = &mut self.stream.get_mut().outgoing;
        if outgoing.is_empty() {
            return;
        }
        self.flight = std::mem::take(outgoing);
        for datagram in &self.flight {
            (party.transmit)(datagram);
        }
        self.repeat = Some(now + RETRANSMIT_FIRST);
    }

    /// After the handshake: a party that begins its last flight again has missed ours.
    fn answer(&mut self, party: &mut Party<'_>) {
        let mut record = [0; 256];
        for _ in 0..RECORDS {
            match self.stream.ssl_read(&mut record) {
                Ok(1..) => {}
                _ => break,
            }
        }
        let wire = self.stream.get_mut();
        wire.incoming.clear();
        for datagram in wire.outgoing.drain(..) {
            (party.transmit)(&datagram);
        }
    }
}

impl Machine for Wide {
    fn receive(&mut self, now: Instant, datagram: &[u8], party: &mut Party<'_>) -> Outcome {
        if !self.agreed && has_keys(datagram) {
            self.early += 1;
            if self.early > EARLY_DATAGRAMS {
                return Ok(None);
            }
        }
        let wire = self.stream.get_mut();
        wire.incoming.clear();
        wire.incoming.extend_from_slice(datagram);
        if self.agreed {
            self.answer(party);
            return Ok(None);
        }
        self.step(now, party)
    }

    fn advance(&mut self, now: Instant, party: &mut Party<'_>) -> Outcome {
        if self.agreed {
            return Ok(None);
        }
        if self.repeat.is_some_and(|at| now >= at) {
            self.repeat = None;
            for datagram in &self.flight {
                (party.transmit)(datagram);
            }
        }
        self.step(now, party)
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// What OpenSSL reads from and writes to: datagrams in memory.
#[derive(Debug, Default)]
struct Wire {
    /// One datagram; empty when it has been read.
    incoming: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // What does not fit is lost, as with a socket.
        let length = self.incoming.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(&self.incoming) {
            *to = *from;
        }
        self.incoming.clear();
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < FLIGHT_DATAGRAMS {
            self.outgoing.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
