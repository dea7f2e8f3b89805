//! DTLS-SRTP (RFC 5763, RFC 5764): the handshake of one flow, and what comes of it.
//!
//! The machine is dimpl's, DTLS 1.2 and 1.3 in both roles, with the profiles of AES-GCM
//! before the one of SHA-1. It proves only that the party holds the key of a
//! certificate; whose certificate that is, the fingerprints of the signalling say
//! (RFC 8122), and keys are given out only if one of them fits.
//!
//! A datagram that is not part of the party's handshake, whoever sent it, must not end
//! the call. So an error of the machine starts another one, some times; only the wrong
//! certificate and the end of the time are failures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::{
    Config, Dtls, DtlsCertificate, Error, KeyingMaterial, Output, SrtpProfile,
    UnexpectedMessageError,
};
use media::{Fingerprint, FingerprintHash, KeyMaterial, Suite};
use srtp::DtlsKeys;
use subtle::ConstantTimeEq;

use crate::config::RelayError;

/// First pause before a lost flight is sent again: 400 ms, between the 1 s of RFC 6347,
/// which callers notice, and the 50 ms of WebRTC stacks.
const RETRANSMIT_FIRST: Duration = Duration::from_millis(400);

/// Times that a flight is sent again: 6, within the 20 s that a handshake may take.
const RETRANSMITS: usize = 6;

/// Machines that one handshake may use up: 8, as in the module's second paragraph.
const ATTEMPTS: u32 = 8;

/// The longest datagram sent: 1,150 bytes, which passes every tunnel.
const DATAGRAM_BYTES: usize = 1_150;

/// Room for one output of the machine: a certificate of the party may have so much.
const OUTPUT_BYTES: usize = 16_384;

/// The relay's certificate, made when it starts, and how it shakes hands.
pub(crate) struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// A self-signed certificate for an ECDSA key on P-256, good for a year: it is
    /// known by its fingerprint, never by its names.
    pub(crate) fn generate() -> Result<Self, RelayError> {
        let failed = |error: &dyn std::fmt::Display| RelayError::Certificate(error.to_string());
        let certificate =
            dimpl::certificate::generate_self_signed_certificate().map_err(|e| failed(&e))?;
        let config = Config::builder()
            .mtu(DATAGRAM_BYTES)
            .flight_start_rto(RETRANSMIT_FIRST)
            .flight_retries(RETRANSMITS)
            .build()
            .map_err(|e| failed(&e))?;
        Ok(Identity {
            certificate,
            config: Arc::new(config),
        })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let digest = digest::digest(&digest::SHA256, &self.certificate.certificate);
        let mut value = [0; 32];
        value.copy_from_slice(digest.as_ref());
        Fingerprint::sha256(value)
    }
}

/// What a step of the handshake brought.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nothing yet, or nothing new.
    Waiting,
    /// What we protect with and what the party does: from now on media may flow.
    Established(Box<(KeyMaterial, KeyMaterial)>),
    /// This party is not the one that was signalled, or does not answer.
    Failed(String),
}

/// One handshake with one party, and after it the machine that answers what the party
/// repeats because our last flight was lost.
pub(crate) struct Handshake {
    machine: Dtls,
    identity: Arc<Identity>,
    active: bool,
    fingerprints: Vec<Fingerprint>,
    deadline: Instant,
    timeout: Option<Instant>,
    attempts: u32,
    trusted: bool,
    keys: Option<(KeyingMaterial, SrtpProfile)>,
    established: bool,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("active", &self.active)
            .field("established", &self.established)
            .finish_non_exhaustive()
    }
}

impl Handshake {
    /// A handshake that must be done within `limit`. The active one speaks first, at
    /// the first [`Handshake::handle_timeout`].
    pub(crate) fn new(
        identity: &Arc<Identity>,
        active: bool,
        fingerprints: Vec<Fingerprint>,
        now: Instant,
        limit: Duration,
    ) -> Self {
        Handshake {
            machine: machine(identity, active, now),
            identity: Arc::clone(identity),
            active,
            fingerprints,
            deadline: now + limit,
            timeout: Some(now),
            attempts: 1,
            trusted: false,
            keys: None,
            established: false,
        }
    }

    /// When [`Handshake::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.established {
            return None;
        }
        Some(self.timeout.unwrap_or(self.deadline).min(self.deadline))
    }

    /// A datagram of the party, told apart by RFC 7983.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        transmit: &mut dyn FnMut(&[u8]),
    ) -> Progress {
        if is_clear_alert(datagram) {
            return Progress::Waiting;
        }
        let outcome = self.machine.handle_timeout(now);
        let outcome = outcome.and_then(|()| match self.machine.handle_packet(datagram) {
            // The machine that has yet to hear a server is as it was.
            Err(Error::UnexpectedMessage(
                UnexpectedMessageError::UnrecognizedAutoServerResponse,
            )) => Ok(()),
            outcome => outcome,
        });
        self.proceed(now, outcome, transmit)
    }

    /// Sends again what may be lost, and gives up when the time is over.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        transmit: &mut dyn FnMut(&[u8]),
    ) -> Progress {
        if self.established {
            return Progress::Waiting;
        }
        if now >= self.deadline {
            return Progress::Failed("no DTLS handshake within its time".to_owned());
        }
        if self.timeout.is_some_and(|due| now >= due) {
            let outcome = self.machine.handle_timeout(now);
            return self.proceed(now, outcome, transmit);
        }
        Progress::Waiting
    }

    fn proceed(
        &mut self,
        now: Instant,
        outcome: Result<(), Error>,
        transmit: &mut dyn FnMut(&[u8]),
    ) -> Progress {
        if let Err(error) = outcome {
            // Of the established machine nothing more is needed than answers.
            if !self.established {
                self.restart(now, &error);
            }
            return Progress::Waiting;
        }
        self.drain(transmit)
    }

    fn restart(&mut self, now: Instant, error: &Error) {
        tracing::debug!(%error, attempts = self.attempts, "DTLS handshake broken off");
        self.keys = None;
        self.trusted = false;
        if self.attempts >= ATTEMPTS {
            // Waits for its deadline, deaf: the machine is spent.
            self.timeout = None;
            return;
        }
        self.attempts += 1;
        self.machine = machine(&self.identity, self.active, now);
        self.timeout = Some(now + RETRANSMIT_FIRST);
    }

    /// Everything that the machine has to say.
    fn drain(&mut self, transmit: &mut dyn FnMut(&[u8])) -> Progress {
        let mut buffer = vec![0; OUTPUT_BYTES];
        let mut connected = false;
        loop {
            match self.machine.poll_output(&mut buffer) {
                Output::Packet(datagram) => transmit(datagram),
                Output::BufferTooSmall { .. } => {
                    return Progress::Failed("a certificate of more than 16 KiB".to_owned());
                }
                Output::PeerCert(certificate) => {
                    if !fits(&self.fingerprints, certificate) {
                        return Progress::Failed(
                            "the certificate has another fingerprint than was signalled".to_owned(),
                        );
                    }
                    self.trusted = true;
                }
                Output::KeyingMaterial(material, profile) => self.keys = Some((material, profile)),
                Output::Connected => connected = true,
                Output::Timeout(at) => {
                    self.timeout = Some(at);
                    break;
                }
                _ => {}
            }
        }
        if connected && !self.established {
            return self.establish();
        }
        Progress::Waiting
    }

    fn establish(&mut self) -> Progress {
        if !self.trusted {
            return Progress::Failed("the party showed no certificate".to_owned());
        }
        let Some((material, profile)) = self.keys.take() else {
            return Progress::Failed("no SRTP profile was agreed on".to_owned());
        };
        let Some(suite) = suite(profile) else {
            return Progress::Failed(format!("SRTP profile {profile} is not known"));
        };
        match DtlsKeys::split(suite, &material) {
            Ok(keys) => {
                self.established = true;
                Progress::Established(Box::new(keys.into_directions(self.active)))
            }
            Err(error) => Progress::Failed(error.to_string()),
        }
    }
}

/// An alert of the epoch before there are keys: anyone can write it, and a fatal one
/// would end the handshake.
fn is_clear_alert(datagram: &[u8]) -> bool {
    matches!(datagram, [21, _, _, 0, 0, ..])
}

fn machine(identity: &Identity, active: bool, now: Instant) -> Dtls {
    let certificate = identity.certificate.clone();
    let mut machine = Dtls::new_auto(Arc::clone(&identity.config), certificate, now);
    machine.set_active(active);
    machine
}

fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        _ => None,
    }
}

/// Whether a certificate is one that was signalled. Of several hash functions the
/// strongest counts alone (RFC 8122 section 5.1), and any of its fingerprints will do.
/// SHA-1 is not enough to trust anyone.
fn fits(fingerprints: &[Fingerprint], certificate: &[u8]) -> bool {
    let by_strength = [
        (FingerprintHash::Sha512, &digest::SHA512),
        (FingerprintHash::Sha384, &digest::SHA384),
        (FingerprintHash::Sha256, &digest::SHA256),
    ];
    for (hash, algorithm) in by_strength {
        let mut signalled = fingerprints
            .iter()
            .filter(|known| known.hash() == hash)
            .peekable();
        if signalled.peek().is_none() {
            continue;
        }
        let found = digest::digest(algorithm, certificate);
        let fits = signalled.fold(subtle::Choice::from(0), |fits, known| {
            fits | known.value().ct_eq(found.as_ref())
        });
        return fits.into();
    }
    false
}
