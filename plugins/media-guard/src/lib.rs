//! Sipward policy `media-guard`: what the relay's gate turned away, and how the media
//! of a call was.
//!
//! See the README for threats, settings, examples and limits.

mod settings;

use sipward_plugin_sdk::counters::Window;
use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Call, CallEnd, CallEvent, MediaFigures};

use settings::Quality;
pub use settings::Settings;

/// Foreign sources of a call. A day: longer than any call.
const FOREIGN: Window = Window::new("foreign", 86_400_000);

/// Causes that the host tells apart.
const CAUSES: [&str; 8] = [
    "source",
    "ssrc",
    "authentication",
    "replay",
    "size",
    "rate",
    "malformed",
    "closed",
];

/// The configured policy.
pub struct MediaGuard {
    causes: Vec<String>,
    end_after: u32,
    quality: Quality,
}

#[policy]
impl Policy for MediaGuard {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings)?;
        Ok(Self {
            causes: settings.causes,
            end_after: settings.end_after,
            quality: settings.quality,
        })
    }

    fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
        match event {
            CallEvent::ForeignMedia {
                source,
                stream,
                cause,
            } => self.foreign(call, &source.to_string(), *stream, cause),
            CallEvent::Ended(end) => self.ended(call, end),
            _ => Outcome::next(),
        }
    }
}

impl MediaGuard {
    fn foreign(&self, call: &Call<'_>, source: &str, stream: u8, cause: &str) -> Outcome {
        if !self.causes.iter().any(|known| known == cause) {
            return Outcome::next();
        }
        let text = format!(
            "media of {} on stream {stream} was claimed by {source} ({cause}) and dropped",
            whose(call)
        );
        // A full table is a flood of calls with injected media: the limit is reached.
        let seen = match self.end_after {
            0 => 0,
            limit => FOREIGN
                .add(&call.number().to_be_bytes(), 1)
                .unwrap_or_else(|_| limit.into()),
        };
        let outcome = if self.end_after > 0 && seen >= u64::from(self.end_after) {
            Outcome::reject(403).because(format!("foreign media from {seen} sources"))
        } else {
            Outcome::next()
        };
        let key = format!("foreign-media/{}", whose(call));
        outcome.alert_about(Severity::Warning, cut(key), text)
    }

    fn ended(&self, call: &Call<'_>, end: &CallEnd<'_>) -> Outcome {
        let parties = [
            ("caller", end.caller_media, call.caller()),
            ("callee", end.callee_media, call.callee()),
        ];
        let mut outcome = Outcome::next();
        for (party, figures, name) in parties {
            let Some(fault) = figures.and_then(|figures| self.fault(&figures)) else {
                continue;
            };
            let name = name.unwrap_or("unknown");
            let key = cut(format!("quality/{party}/{name}"));
            let text = format!("media of the {party} ({name}) was bad: {fault}");
            outcome = outcome.alert_about(Severity::Info, key, text);
        }
        outcome
    }

    /// What was bad about one party's media.
    fn fault(&self, media: &MediaFigures) -> Option<String> {
        let Quality {
            packets,
            loss_percent,
            mos,
        } = self.quality;
        let sent = media.packets.saturating_add(media.lost);
        if sent < packets {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of some millions of packets"
        )]
        let lost = media.lost as f64 * 100.0 / sent as f64;
        if loss_percent > 0.0 && lost >= loss_percent {
            return Some(format!("{lost:.1} percent of {sent} packets lost"));
        }
        let score = media.mos_hundredths.map(|score| f64::from(score) / 100.0)?;
        (mos > 1.0 && score < mos).then(|| format!("estimated MOS {score:.2}"))
    }
}

/// The identity of the caller, the peer that calls, or where it calls from.
fn whose(call: &Call<'_>) -> String {
    match call.identity().or(call.caller()) {
        Some(name) => name.to_owned(),
        None => call.source().to_string(),
    }
}

/// A key of an alert has at most 128 bytes.
fn cut(mut key: String) -> String {
    key.truncate(key.floor_char_boundary(128));
    key
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: &str, message: String| Err(SettingsError::new(key, message));
    for (index, cause) in settings.causes.iter().enumerate() {
        if !CAUSES.contains(&cause.as_str()) {
            let known = CAUSES.join(", ");
            return wrong(
                &format!("causes[{index}]"),
                format!("`{cause}` is no cause; known are {known}"),
            );
        }
    }
    if settings.end_after > 1_000 {
        let message = format!("is {}; 0 to 1000 is possible", settings.end_after);
        return wrong("end_after", message);
    }
    let quality = &settings.quality;
    if quality.packets == 0 {
        return wrong("quality.packets", "is 0; at least 1 is needed".to_owned());
    }
    for (key, value, least, most) in [
        ("quality.loss_percent", quality.loss_percent, 0.0, 100.0),
        ("quality.mos", quality.mos, 1.0, 4.5),
    ] {
        if !(least..=most).contains(&value) {
            return wrong(key, format!("is {value}; {least} to {most} is possible"));
        }
    }
    Ok(())
}
