//! Sipward policy `encryption-required`: TLS for signalling, SRTP for media.
//!
//! See the README for threats, settings, examples and limits.

mod floor;
mod memory;
mod settings;

use std::collections::BTreeMap;

use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Scheme, identity};

use floor::Floor;
use memory::{Kind, Memory, Subject};
pub use settings::Settings;
use settings::{Answer, Demand, Downgrade, Media, Signalling};

/// Exceptions for peers. 1,024: more than a configuration has peers.
const PEERS: usize = 1_024;

/// Names in `ciphers`. 64: IANA recommends fewer.
const CIPHERS: usize = 64;

/// Days of memory. 365: longer than any phone stays switched off.
const REMEMBER_DAYS: u16 = 365;

/// The configured policy.
pub struct EncryptionRequired {
    inside: Demand,
    outside: Demand,
    peers: BTreeMap<String, settings::Exception>,
    floor: Floor,
    answer: Answer,
    memory: Option<Memory>,
    downgrade: Downgrade,
}

#[policy]
impl Policy for EncryptionRequired {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings)?;
        let days = settings.remember_days;
        Ok(Self {
            floor: Floor::new(&settings),
            inside: settings.inside,
            outside: settings.outside,
            peers: settings.peers,
            answer: settings.answer,
            memory: (days > 0).then(|| Memory::new(days, settings.remember_sources)),
            downgrade: settings.downgrade,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let demand = self.demand(request);
        let objection = self.objection(request, demand);
        let downgrade = self.downgrade(request);
        let alert = downgrade.as_ref().map(|it| it.alert(request));
        let refused = self.downgrade == Downgrade::Refuse;
        let outcome = match (objection, &downgrade) {
            (Some(reason), _) => self.refuse(reason),
            (None, Some(downgrade)) if refused => self.refuse(downgrade.reason()),
            (None, _) => accept(request, demand),
        };
        match alert {
            Some((key, text)) => outcome.alert_about(Severity::Warning, key, text),
            None => outcome,
        }
    }
}

/// Somebody comes in clear who did not before.
enum Fallen<'a> {
    /// From what they are known to use.
    Known(Subject<'a>, Kind),
    /// Nobody can tell, because the counters cannot be asked.
    Unknown(Subject<'a>, Kind),
}

impl Fallen<'_> {
    fn reason(&self) -> String {
        match self {
            Self::Known(subject, kind) => {
                format!("{subject} used {} before and comes without", kind.name())
            }
            Self::Unknown(subject, kind) => format!(
                "{subject} comes without {}, and counters cannot tell whether that is new",
                kind.name()
            ),
        }
    }

    /// Key and text.
    fn alert(&self, request: &Request<'_>) -> (String, String) {
        let (Self::Known(subject, _) | Self::Unknown(subject, _)) = self;
        let peer = request.peer();
        let doubt = match (subject, peer.address_is_proved()) {
            (Subject::Identity(_), _) | (_, true) => "",
            (_, false) => ", an address that can be forged",
        };
        let text = format!("{}, from {}{doubt}", self.reason(), peer.address());
        (format!("downgrade/{subject}"), text)
    }
}

impl EncryptionRequired {
    /// What holds for the sender.
    fn demand(&self, request: &Request<'_>) -> Demand {
        let peer = request.peer();
        let zone = match peer.zone() {
            Zone::Inside => self.inside,
            Zone::Outside => self.outside,
        };
        let exception = peer.name().and_then(|name| self.peers.get(name));
        exception.map_or(zone, |exception| Demand {
            signalling: exception.signalling.unwrap_or(zone.signalling),
            media: exception.media.unwrap_or(zone.media),
        })
    }

    /// Why the signalling is not good enough; `None` if it is.
    fn objection(&self, request: &Request<'_>, demand: Demand) -> Option<String> {
        let peer = request.peer();
        let who = || peer.name().unwrap_or("an unknown peer");
        if !peer.is_encrypted() {
            // RFC 3261 section 26.2.2: every hop of a sips URI is TLS.
            let promised = request.request_uri().scheme() == Scheme::Sips;
            return match demand.signalling {
                Signalling::Tls => Some(format!("{} at {} has to use TLS", who(), peer.address())),
                Signalling::Any if promised => Some(format!(
                    "{} at {} sends a sips URI without TLS",
                    who(),
                    peer.address()
                )),
                Signalling::Any => None,
            };
        }
        if demand.signalling == Signalling::Any {
            return None;
        }
        let problem = match identity::tls() {
            Some(session) => self.floor.objection(&session)?,
            None => "the TLS session is unknown".to_owned(),
        };
        Some(format!("{} at {}: {problem}", who(), peer.address()))
    }

    /// Remembers what is encrypted and says what no longer is.
    fn downgrade<'a>(&self, request: &Request<'a>) -> Option<Fallen<'a>> {
        let memory = self.memory.as_ref()?;
        let subject = memory.subject(request)?;
        let signalling = Some(request.peer().is_encrypted());
        for (kind, encrypted) in [
            (Kind::Signalling, signalling),
            (Kind::Media, offers_srtp(request)),
        ] {
            match encrypted {
                None => {}
                // Whoever can forge an address must not make others remembered.
                Some(true) if is_proved(request) => memory.remember(&subject, kind),
                Some(true) => {}
                Some(false) => match memory.knows(&subject, kind) {
                    Ok(false) => {}
                    Ok(true) => return Some(Fallen::Known(subject, kind)),
                    Err(_) if self.downgrade == Downgrade::Refuse => {
                        return Some(Fallen::Unknown(subject, kind));
                    }
                    Err(_) => {}
                },
            }
        }
        None
    }

    fn refuse(&self, reason: String) -> Outcome {
        match self.answer {
            Answer::Reject => Outcome::reject(403).because(reason),
            Answer::Silence => Outcome::silence().because(reason),
        }
    }
}

/// Lets a request pass and says what its media must be.
fn accept(request: &Request<'_>, demand: Demand) -> Outcome {
    // Inside a dialog the demand of the call holds already.
    if request.method() != Method::Invite || request.dialog() != Dialog::None {
        return Outcome::next();
    }
    match demand.media {
        Media::Any => Outcome::next(),
        Media::Encrypted => Outcome::next().require_media(MediaRequirement::Encrypted),
        Media::EncryptedBoth => Outcome::next().require_media(MediaRequirement::EncryptedBoth),
    }
}

fn is_proved(request: &Request<'_>) -> bool {
    request.identity().is_some() || request.peer().address_is_proved()
}

/// Whether an offer has keys for any stream of RTP; `None` without such a stream.
/// Fax (RFC 7345) is left alone: T.38 has no encryption that trunks know.
fn offers_srtp(request: &Request<'_>) -> Option<bool> {
    let rtp = request.offer().filter(|stream| {
        stream.port != 0
            && stream
                .protocol
                .windows(3)
                .any(|part| part.eq_ignore_ascii_case(b"RTP"))
    });
    rtp.map(|stream| stream.encrypted)
        .reduce(|one, other| one | other)
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: String, message: String| Err(SettingsError::new(key, message));
    if settings.peers.len() > PEERS {
        let count = settings.peers.len();
        return wrong(
            "peers".to_owned(),
            format!("has {count} entries; at most {PEERS} are possible"),
        );
    }
    for (name, exception) in &settings.peers {
        if name.is_empty() || (exception.signalling.is_none() && exception.media.is_none()) {
            return wrong(
                format!("peers.{name}"),
                "says nothing; write `signalling`, `media` or both".to_owned(),
            );
        }
    }
    if ![128, 256].contains(&settings.cipher_bits) {
        return wrong(
            "cipher_bits".to_owned(),
            format!("is {}; 128 or 256 is possible", settings.cipher_bits),
        );
    }
    if settings.ciphers.len() > CIPHERS {
        let count = settings.ciphers.len();
        return wrong(
            "ciphers".to_owned(),
            format!("has {count} names; at most {CIPHERS} are possible"),
        );
    }
    let floor = Floor::new(settings);
    for (index, cipher) in settings.ciphers.iter().enumerate() {
        // A name that the other demands refuse can never be used: a typing error,
        // or OpenSSL's name for it.
        let session = identity::TlsSession {
            version: "TLSv1.3".to_owned(),
            cipher: cipher.clone(),
        };
        if let Some(problem) = floor.objection(&session) {
            return wrong(
                format!("ciphers[{index}]"),
                format!(
                    "can never be accepted: {problem}; IANA's names are TLS_AES_256_GCM_SHA384 and the like"
                ),
            );
        }
    }
    if settings.remember_days > REMEMBER_DAYS {
        return wrong(
            "remember_days".to_owned(),
            format!(
                "is {}; 0 to {REMEMBER_DAYS} is possible",
                settings.remember_days
            ),
        );
    }
    Ok(())
}
