//! A guest without a standard library: built for wasm32-unknown-unknown with
//! `--no-default-features` it brings its own allocator and handler of panics. If anything
//! under it asked for the standard library, there would be two such handlers and no
//! component.

#![no_std]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{geo, info};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

sipward_plugin_sdk::panic_handler!();

/// What the operator writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Countries that calls may come from, as `DE`.
    countries: Vec<String>,
    /// The middle of the country, in degrees north and east.
    middle: (f64, f64),
    /// How far away a caller may be, in kilometres.
    radius_km: f64,
}

/// The configured policy.
pub struct Lean {
    settings: Settings,
    middle: geo::Coordinates,
}

#[policy]
impl Policy for Lean {
    type Settings = Settings;

    const NAME: &'static str = "lean";
    const CAPABILITIES: &'static [Capability] = &[Capability::Geo];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        if !(1.0..=20_100.0).contains(&settings.radius_km) {
            return Err(SettingsError::new("radius_km", "is 1 to 20,100"));
        }
        let (north, east) = settings.middle;
        let middle = geo::Coordinates {
            latitude: (north * 1e6) as i32,
            longitude: (east * 1e6) as i32,
        };
        Ok(Self { settings, middle })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let Ok(place) = geo::locate(request.peer().address()) else {
            return Outcome::reject(503).because("there is no database of places");
        };
        if !self.settings.countries.contains(&place.country) {
            return Outcome::reject(403).because(format!("calls from `{}`", place.country));
        }
        let away = place.coordinates.map(|it| it.distance_km(self.middle));
        match away {
            Some(km) if km > self.settings.radius_km => {
                info!("{km:.0} km away");
                Outcome::reject(403).because(format!("calls from {km:.0} km away"))
            }
            _ => Outcome::next(),
        }
    }
}
