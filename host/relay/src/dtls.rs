//! DTLS-SRTP (RFC 5763, RFC 5764): the handshake of one flow, and what comes of it.
//!
//! There are two machines, because neither library has all that parties bring: dimpl
//! speaks DTLS 1.3 and knows no RSA certificates, OpenSSL 3 knows them and ends at 1.2.
//!
//! | our role | the party | machine |
//! |---|---|---|
//! | passive | offers 1.3 in its ClientHello | dimpl ([`newest`]) |
//! | passive | does not | OpenSSL ([`widest`]) |
//! | active | to begin with | OpenSSL: nearly every party understands 1.2 |
//! | active | does not answer, or with an alert | dimpl, which offers 1.3 and 1.2 |
//!
//! So what neither has is DTLS 1.3 with a party whose certificate is RSA. No hello of
//! ours can offer everything at once, and many a party gives a call up for a hello that
//! it cannot answer. So the active role begins with what most of them understand.
//! An alert in the clear may be anyone's: it only shortens the wait for an answer.
//!
//! A handshake proves only that the party holds the key of a certificate; whose
//! certificate that is, the fingerprints of the signalling say (RFC 8122), and keys are
//! given out only if one of them fits.
//!
//! A datagram that is not part of the party's handshake, whoever sent it, must not end
//! the call. So an error of the machine starts another one, some times; only the wrong
//! certificate and the end of the time are failures.

mod datagram;
mod fingerprint;
mod machine;
mod newest;
#[cfg(test)]
mod tests;
mod widest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::DtlsCertificate;
use media::{Fingerprint, KeyMaterial};
use srtp::DtlsKeys;

use self::datagram::Hello;
use self::machine::{Agreed, Fault, Machine, Outcome, Party};
use self::newest::Newest;
use self::widest::Widest;
use crate::config::{DtlsClient, RelayError};

/// First pause before a lost flight is sent again: 400 ms, between the 1 s of RFC 6347,
/// which callers notice, and the 50 ms of WebRTC stacks.
const RETRANSMIT_FIRST: Duration = Duration::from_millis(400);

/// Machines that one handshake may use up: 8, as in the module's last paragraph.
const ATTEMPTS: u32 = 8;

/// How long an active machine may hear no answer before one of the other kind begins:
/// 3 s, three times sent and lost.
const UNANSWERED: Duration = Duration::from_secs(3);

/// The same after an alert: 1 s, in which who did not write it has answered again.
const ALERTED: Duration = Duration::from_secs(1);

/// The longest datagram sent: 1,150 bytes, which passes every tunnel.
const DATAGRAM_BYTES: usize = 1_150;

/// The relay's certificate, made when it starts, and how it shakes hands.
pub(crate) struct Identity {
    certificate: DtlsCertificate,
    newest: Arc<dimpl::Config>,
    widest: Widest,
    client: DtlsClient,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// A self-signed certificate for an ECDSA key on P-256, good for a year: it is
    /// known by its fingerprint, never by its names.
    pub(crate) fn generate(client: DtlsClient) -> Result<Self, RelayError> {
        let failed = |error: &dyn std::fmt::Display| RelayError::Certificate(error.to_string());
        let certificate =
            dimpl::certificate::generate_self_signed_certificate().map_err(|e| failed(&e))?;
        Ok(Identity {
            newest: newest::configure()?,
            widest: Widest::configure(&certificate).map_err(|e| failed(&e))?,
            certificate,
            client,
        })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        fingerprint::of(&self.certificate.certificate)
    }

    fn newest(&self, active: bool, now: Instant) -> Box<dyn Machine> {
        let certificate = self.certificate.clone();
        Box::new(Newest::new(&self.newest, certificate, active, now))
    }

    /// `None` when memory is short.
    fn widest(&self, active: bool, now: Instant) -> Option<Box<dyn Machine>> {
        match self.widest.machine(active, now) {
            Ok(machine) => Some(Box::new(machine)),
            Err(error) => {
                tracing::error!(%error, "OpenSSL makes no machine for DTLS");
                None
            }
        }
    }

    fn machine(&self, kind: DtlsClient, active: bool, now: Instant) -> Option<Box<dyn Machine>> {
        match kind {
            DtlsClient::Widest => self.widest(active, now),
            DtlsClient::Newest => Some(self.newest(active, now)),
        }
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
    /// None before the first flight, or when all attempts are used up.
    machine: Option<Box<dyn Machine>>,
    /// Of which kind it is, or the next one for a party that may speak 1.3.
    kind: DtlsClient,
    /// When the active machine is given up, unless the party has answered it.
    doubt: Option<Instant>,
    identity: Arc<Identity>,
    active: bool,
    fingerprints: Vec<Fingerprint>,
    deadline: Instant,
    /// When an active handshake without a machine gets one.
    begin: Option<Instant>,
    attempts: u32,
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
            machine: None,
            kind: if active {
                identity.client
            } else {
                DtlsClient::Newest
            },
            doubt: None,
            identity: Arc::clone(identity),
            active,
            fingerprints,
            deadline: now + limit,
            begin: active.then_some(now),
            attempts: 0,
            established: false,
        }
    }

    /// When [`Handshake::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.established {
            return None;
        }
        let machine = self.machine.as_ref().and_then(|machine| machine.due());
        let due = [machine, self.begin, self.doubt];
        let due = due.into_iter().flatten().min();
        Some(due.map_or(self.deadline, |due| due.min(self.deadline)))
    }

    /// A datagram of the party, told apart by RFC 7983.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        transmit: &mut dyn FnMut(&[u8]),
    ) -> Progress {
        if datagram::is_clear_alert(datagram) {
            self.doubt = self.doubt.map(|doubt| doubt.min(now + ALERTED));
            return Progress::Waiting;
        }
        if !datagram::is_sound(datagram) {
            return Progress::Waiting;
        }
        if datagram::answers_hello(datagram) {
            self.doubt = None;
        }
        if self.machine.is_none()
            && !self.active
            && self.attempts < ATTEMPTS
            && let Some(hello) = datagram::client_hello(datagram)
        {
            self.kind = match hello {
                Hello::Newest => self.kind,
                Hello::Older => DtlsClient::Widest,
            };
            self.machine = self.identity.machine(self.kind, false, now);
            self.attempts += u32::from(self.machine.is_some());
        }
        self.step(now, transmit, |machine, party| {
            machine.receive(now, datagram, party)
        })
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
        if self.doubt.take_if(|doubt| now >= *doubt).is_some() && self.attempts < ATTEMPTS {
            tracing::debug!(kind = ?self.kind, "no answer to our DTLS, so the other kind begins");
            self.kind = self.kind.other();
            self.machine = None;
            self.begin = Some(now);
        }
        if self.machine.is_none() && self.begin.is_some_and(|begin| now >= begin) {
            self.begin = None;
            self.doubt = Some(now + UNANSWERED);
            self.attempts += 1;
            self.machine = self.identity.machine(self.kind, true, now);
        }
        let due = self.machine.as_ref().and_then(|machine| machine.due());
        if due.is_some_and(|due| now >= due) {
            return self.step(now, transmit, |machine, party| machine.advance(now, party));
        }
        Progress::Waiting
    }

    fn step(
        &mut self,
        now: Instant,
        transmit: &mut dyn FnMut(&[u8]),
        step: impl FnOnce(&mut dyn Machine, &mut Party<'_>) -> Outcome,
    ) -> Progress {
        let Some(machine) = &mut self.machine else {
            return Progress::Waiting;
        };
        let mut party = Party {
            transmit,
            fingerprints: &self.fingerprints,
        };
        match step(machine.as_mut(), &mut party) {
            // Of the established machine nothing more is needed than answers.
            _ if self.established => Progress::Waiting,
            Ok(None) => Progress::Waiting,
            Ok(Some(agreed)) => self.establish(&agreed),
            Err(Fault::Refused(reason)) => Progress::Failed(reason),
            Err(Fault::Broken(error)) => {
                self.restart(now, &error);
                Progress::Waiting
            }
        }
    }

    /// The next machine begins: by itself, or with the party's next ClientHello.
    fn restart(&mut self, now: Instant, error: &str) {
        tracing::debug!(error, attempts = self.attempts, "DTLS handshake broken off");
        self.machine = None;
        self.doubt = None;
        // One that speaks 1.3 and has an RSA certificate may get on with 1.2. But what
        // broke OpenSSL's machine, as the client, was hardly the version.
        if !self.active || self.kind == DtlsClient::Newest {
            self.kind = self.kind.other();
        }
        if self.active && self.attempts < ATTEMPTS {
            self.begin = Some(now + RETRANSMIT_FIRST);
        }
    }

    fn establish(&mut self, agreed: &Agreed) -> Progress {
        match DtlsKeys::split(agreed.suite, &agreed.material) {
            Ok(keys) => {
                self.established = true;
                Progress::Established(Box::new(keys.into_directions(self.active)))
            }
            Err(error) => Progress::Failed(error.to_string()),
        }
    }
}
