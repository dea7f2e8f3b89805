//! DTLS 1.3, and 1.2 beside it: dimpl's machine. It knows no RSA certificates.

use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, SrtpProfile, UnexpectedMessageError};
use media::Suite;
use zeroize::Zeroizing;

use super::datagram::MESSAGE_BYTES;
use super::machine::{Agreed, Fault, Machine, Outcome, Party};
use super::{DATAGRAM_BYTES, RETRANSMIT_FIRST};
use crate::config::RelayError;

/// Times that a flight is sent again: 6, within the 20 s that a handshake may take.
const RETRANSMITS: usize = 6;

/// What all machines of this kind share.
pub(super) fn configure() -> Result<Arc<Config>, RelayError> {
    Config::builder()
        .mtu(DATAGRAM_BYTES)
        .flight_start_rto(RETRANSMIT_FIRST)
        .flight_retries(RETRANSMITS)
        .build()
        .map(Arc::new)
        .map_err(|error| RelayError::Certificate(error.to_string()))
}

/// See the module.
pub(super) struct Newest {
    machine: Dtls,
    due: Option<Instant>,
    trusted: bool,
    keys: Option<(Zeroizing<Vec<u8>>, SrtpProfile)>,
}

impl Newest {
    /// The active one speaks first.
    pub(super) fn new(
        config: &Arc<Config>,
        certificate: DtlsCertificate,
        active: bool,
        now: Instant,
    ) -> Self {
        let mut machine = Dtls::new_auto(Arc::clone(config), certificate, now);
        machine.set_active(active);
        Newest {
            machine,
            due: Some(now),
            trusted: false,
            keys: None,
        }
    }

    /// Everything that the machine has to say.
    fn drain(&mut self, party: &mut Party<'_>) -> Outcome {
        let mut buffer = vec![0; MESSAGE_BYTES];
        let mut connected = false;
        loop {
            match self.machine.poll_output(&mut buffer) {
                Output::Packet(datagram) => (party.transmit)(datagram),
                Output::BufferTooSmall { .. } => {
                    return Err(Fault::Refused(
                        "a certificate of more than 16 KiB".to_owned(),
                    ));
                }
                Output::PeerCert(certificate) => {
                    party.check(certificate)?;
                    self.trusted = true;
                }
                Output::KeyingMaterial(material, profile) => {
                    self.keys = Some((Zeroizing::new(material.to_vec()), profile));
                }
                Output::Connected => connected = true,
                Output::Timeout(at) => {
                    self.due = Some(at);
                    break;
                }
                _ => {}
            }
        }
        if !connected {
            return Ok(None);
        }
        self.agree().map(Some)
    }

    fn agree(&mut self) -> Result<Agreed, Fault> {
        if !self.trusted {
            return Err(Fault::Refused("the party showed no certificate".to_owned()));
        }
        let (material, profile) = self
            .keys
            .take()
            .ok_or_else(|| Fault::Refused("no SRTP profile was agreed on".to_owned()))?;
        let suite = suite(profile)
            .ok_or_else(|| Fault::Refused(format!("SRTP profile {profile} is not known")))?;
        Ok(Agreed { suite, material })
    }
}

impl Machine for Newest {
    fn receive(&mut self, now: Instant, datagram: &[u8], party: &mut Party<'_>) -> Outcome {
        self.machine
            .handle_timeout(now)
            .map_err(|error| Fault::broken(&error))?;
        match self.machine.handle_packet(datagram) {
            // The machine that has yet to hear a server is as it was.
            Ok(())
            | Err(Error::UnexpectedMessage(
                UnexpectedMessageError::UnrecognizedAutoServerResponse,
            )) => self.drain(party),
            Err(error) => Err(Fault::broken(&error)),
        }
    }

    fn advance(&mut self, now: Instant, party: &mut Party<'_>) -> Outcome {
        self.machine
            .handle_timeout(now)
            .map_err(|error| Fault::broken(&error))?;
        self.drain(party)
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}

fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        _ => None,
    }
}
