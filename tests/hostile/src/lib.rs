//! Guests that misbehave on purpose.
//!
//! One component; its settings choose what it does wrong, so that a test can
//! show that the host survives it, says why, and serves everybody else.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::{Anomalies, clock, info, prelude::*, random};

/// What it shall do wrong, and how much of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it does wrong.
    pub behaviour: Behaviour,
    /// The hook it does it in.
    #[serde(default)]
    pub hook: Hook,
    /// Lines, calls, effects, KiB or thousands of rounds, where that matters.
    #[serde(default = "amount")]
    pub amount: u32,
    /// What `demand-media` demands.
    #[serde(default)]
    pub media: Media,
}

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Nothing: it lets everything pass.
    None,
    /// Never returns.
    EndlessLoop,
    /// Takes memory until there is none.
    MemoryGrowth,
    /// Calls itself until the stack ends.
    DeepRecursion,
    /// Panics while it is configured.
    TrapInConfigure,
    /// Panics when it is asked.
    TrapOnCall,
    /// Refuses its settings.
    RefuseSettings,
    /// Returns an annotation of `amount` KiB.
    OversizedOutcome,
    /// Puts a line end and a Via into a header value.
    CrlfEffect,
    /// Sets a header that belongs to the proxy.
    ViaEffect,
    /// Rejects with a status that is no refusal.
    WrongStatus,
    /// Writes `amount` log lines.
    LogFlood,
    /// Calls the host `amount` times.
    HostCallFlood,
    /// Asks for the message `amount` times and gives none back.
    HoardMessages,
    /// Returns `amount` effects.
    TooManyEffects,
    /// Counts to `amount` thousand, then lets the request pass.
    Slow,
    /// Remembers callers and how often it was asked, and tells the next caller of them.
    KeepState,
    /// Counts to `amount` many times until the clock moves, and tells how far it came.
    CountTime,
    /// Draws a random number.
    DrawRandom,
    /// Nothing: it demands `media`, which may be laxer than what others demand.
    DemandMedia,
    /// Nothing: it shows the callee other addresses, marks responses and sends 480 in
    /// place of every refusal.
    Masquerade,
    /// Nothing: it writes what it sees of the offer into its reason.
    TellOffer,
}

/// A demand on the media of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Media {
    /// None.
    #[default]
    Any,
    /// Encrypted on the sender's leg.
    Encrypted,
    /// Encrypted on both legs.
    EncryptedBoth,
}

/// A hook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// `on-request`.
    #[default]
    Request,
    /// `on-response`.
    Response,
    /// `configure`.
    Configure,
}

/// Beyond every default limit of the host.
const fn amount() -> u32 {
    100_000
}

/// The configured guest.
pub struct Hostile {
    settings: Settings,
}

#[policy]
impl Policy for Hostile {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::EditHeaders];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        match settings.behaviour {
            Behaviour::TrapInConfigure => trap("in configure"),
            Behaviour::RefuseSettings => Err(SettingsError::new(
                "behaviour",
                "refuses itself; anything else would do",
            )),
            _ => {
                ASKED.store(0, Ordering::Relaxed);
                let hostile = Self { settings };
                let _outcome = hostile.behave(Hook::Configure);
                Ok(hostile)
            }
        }
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        match self.settings.behaviour {
            Behaviour::TellOffer => return Outcome::next().because(told(request)),
            Behaviour::Masquerade => return masquerade(),
            Behaviour::KeepState => return remember(request),
            _ => {}
        }
        self.behave(Hook::Request)
    }

    fn on_response(&self, response: &Response<'_>) -> Outcome {
        match (self.settings.behaviour, response.status()) {
            (Behaviour::Masquerade, 300..) => Outcome::reject(480).because("hidden"),
            (Behaviour::Masquerade, status) => {
                Outcome::next().set_header("X-Judged", status.to_string())
            }
            _ => self.behave(Hook::Response),
        }
    }
}

impl Hostile {
    fn behave(&self, hook: Hook) -> Outcome {
        let amount = self.settings.amount;
        if hook != self.settings.hook {
            return Outcome::next();
        }
        match self.settings.behaviour {
            Behaviour::None
            | Behaviour::TrapInConfigure
            | Behaviour::RefuseSettings
            | Behaviour::Masquerade
            | Behaviour::KeepState
            | Behaviour::TellOffer => Outcome::next().because("behaves"),
            Behaviour::DemandMedia => Outcome::next().require_media(match self.settings.media {
                Media::Any => MediaRequirement::Any,
                Media::Encrypted => MediaRequirement::Encrypted,
                Media::EncryptedBoth => MediaRequirement::EncryptedBoth,
            }),
            Behaviour::EndlessLoop => loop {
                black_box(amount);
            },
            Behaviour::MemoryGrowth => grow(),
            Behaviour::DeepRecursion => {
                Outcome::next().because(format!("{} frames deep", descend(1)))
            }
            Behaviour::TrapOnCall => trap("on call"),
            Behaviour::OversizedOutcome => {
                Outcome::next().annotate("oversized", "x".repeat(amount as usize * 1024))
            }
            Behaviour::CrlfEffect => {
                Outcome::next().set_header("X-Evil", "1\r\nVia: SIP/2.0/UDP evil.example")
            }
            Behaviour::ViaEffect => Outcome::next().set_header("v", "SIP/2.0/UDP evil.example"),
            Behaviour::WrongStatus => Outcome::reject(200),
            Behaviour::LogFlood => {
                (0..amount).for_each(|line| info!("line {line} of {amount}"));
                Outcome::next()
            }
            Behaviour::HostCallFlood => {
                (0..amount).for_each(|_| _ = black_box(clock::now_ms()));
                Outcome::next()
            }
            Behaviour::HoardMessages => {
                (0..amount).for_each(|_| _ = black_box(current_message()));
                Outcome::next()
            }
            Behaviour::TooManyEffects => (0..amount).fold(Outcome::next(), |outcome, n| {
                outcome.annotate(format!("n{n}"), "x")
            }),
            Behaviour::CountTime => count_time(amount),
            Behaviour::DrawRandom => Outcome::next().because(random::next_u64().to_string()),
            Behaviour::Slow => {
                (0..u64::from(amount) * 1_000).for_each(|round| _ = black_box(round));
                Outcome::next().because("slowly")
            }
        }
    }
}

/// A handle of the message, which nobody gives back.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the SDK asks once and gives back what it got")]
fn current_message() -> u32 {
    #[link(wasm_import_module = "sipward:policy/messages@0.1.0")]
    unsafe extern "C" {
        #[link_name = "current"]
        fn current() -> u32;
    }
    // SAFETY: the import takes nothing and returns a number.
    unsafe { current() }
}

/// Elsewhere there is no table to fill.
#[cfg(not(target_arch = "wasm32"))]
const fn current_message() -> u32 {
    0
}

/// How often it was asked: what a guest should not know.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// Whom it was asked about: what the next caller should not learn.
static CALLERS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Tells of those who called before.
fn remember(request: &Request<'_>) -> Outcome {
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    let Ok(mut callers) = CALLERS.lock() else {
        return Outcome::reject(500);
    };
    let reason = format!("asked {asked} times, by {callers:?}");
    let from = request.peer().address().to_string();
    callers.push(from);
    Outcome::next().because(reason)
}

/// A clock of its own, made of a loop and the only clock there is.
fn count_time(amount: u32) -> Outcome {
    let began = clock::now_ms();
    for round in 0..900 {
        for count in 0..amount {
            black_box(count);
        }
        if clock::now_ms() != began {
            return Outcome::next().because(format!("a tick after {round} rounds"));
        }
    }
    Outcome::next().because("time stands still")
}

fn masquerade() -> Outcome {
    Outcome::next()
        .set_from("<sip:nobody@shown.example>")
        .set_to("<sip:somebody@shown.example>")
        .set_request_uri("sip:77@shown.example")
}

/// The offer on one line.
fn told(request: &Request<'_>) -> String {
    let unreadable = request.anomalies().contains(Anomalies::UNREADABLE_OFFER);
    let streams: Vec<String> = request
        .offer()
        .map(|stream| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            format!(
                "{} {} encrypted={} {:?} {}:{}",
                text(stream.kind),
                text(stream.protocol),
                stream.encrypted,
                stream.address_kind,
                text(stream.address),
                stream.port
            )
        })
        .collect();
    format!("unreadable={unreadable} [{}]", streams.join("; "))
}

#[expect(clippy::panic, reason = "this guest is here to trap")]
fn trap<T>(place: &str) -> T {
    panic!("hostile plugin traps {place}")
}

/// Takes without touching, so that the memory ends before the deadline does.
fn grow() -> Outcome {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
    }
}

#[expect(
    unconditional_recursion,
    reason = "this guest is here to exhaust the stack"
)]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(depth + 1) + black_box(frame).iter().sum::<u64>()
}
