//! Settings of `media-guard`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;

/// What is told, and when a call is ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Causes that raise an alert: `source`, `ssrc`, `authentication`, `replay`,
    /// `size`, `rate`, `malformed`, `closed`. Packets of the last four come from
    /// clumsy parties too.
    #[serde(default = "causes")]
    pub causes: Vec<String>,
    /// Ends the call when foreign media came from so many sources and streams. 0
    /// ends none: the gate drops such packets anyway. At most 1,000.
    #[serde(default)]
    #[schemars(range(max = 1_000))]
    pub end_after: u32,
    /// What counts as bad quality.
    #[serde(default)]
    pub quality: Quality,
}

/// What counts as bad quality at the end of a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// Packets of one party from which on it is judged. 250: five seconds of audio.
    /// At least 1.
    #[schemars(range(min = 1))]
    pub packets: u64,
    /// Percent of packets lost from which on it is bad. 0 to 100; 0 says nothing.
    #[schemars(range(min = 0, max = 100))]
    pub loss_percent: f64,
    /// Estimated MOS below which it is bad. 1 to 4.5; 1 says nothing.
    #[schemars(range(min = 1, max = 5))]
    pub mos: f64,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            packets: 250,
            loss_percent: 5.0,
            mos: 3.0,
        }
    }
}

/// Those that an injected packet meets.
fn causes() -> Vec<String> {
    ["source", "ssrc", "authentication", "replay"]
        .map(str::to_owned)
        .to_vec()
}
