//! `examples/secure-trunk` as `bench policy` and `bench signalling` use it: the settings
//! that ship, but for amounts that thousands of calls of one caller would exceed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared with tests, which may panic; what is written here is sound"
)]
#[path = "../../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;

/// Where somebody at home is. As deep in its tree as in a database of the whole world,
/// but always in the processor's cache.
const PLACES: [(&str, &str); 1] = [("81.0.0.0/24", "DE")];

/// Where the example is.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/secure-trunk")
}

/// Its configuration.
///
/// # Errors
/// It cannot be read, or is no TOML.
pub fn config() -> Result<Value> {
    let path = folder().join("sipward.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let mut config: Value = toml_edit::de::from_str(&text)
        .with_context(|| format!("failed to read {}", path.display()))?;
    for plugin in entries(&mut config, "plugin") {
        if let Some(settings) = plugin.get_mut("settings") {
            out_of_reach(settings);
        }
    }
    Ok(config)
}

/// The elements of a list in a table; none if there is no such list.
pub fn entries<'v>(table: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    let list = table.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// A database of countries.
pub fn countries() -> Vec<u8> {
    mmdb::countries(&PLACES)
}

/// Keys of amounts that thousands of calls a second of one caller exceed, and their
/// highest values. The work is the same below them.
const AMOUNTS: [(&str, u32); 9] = [
    ("per_second", 1_000_000),
    ("burst", 1_000_000),
    ("calls", 1_000_000),
    ("calls_per_second", 10_000),
    ("calls_per_hour", 1_000_000),
    ("minutes_per_day", 100_000_000),
    ("minutes_per_month", 100_000_000),
    ("cost_per_day", 100_000_000),
    ("cost_per_month", 100_000_000),
];

/// Puts what counts calls out of reach; all else stays as it ships.
fn out_of_reach(settings: &mut Value) {
    for list in ["rules", "limits"] {
        for entry in entries(settings, list) {
            for (key, highest) in AMOUNTS {
                if let Some(value) = entry.get_mut(key) {
                    *value = json!(highest);
                }
            }
        }
    }
    if let Some(thresholds) = settings
        .get_mut("thresholds")
        .and_then(Value::as_object_mut)
    {
        for value in thresholds.values_mut() {
            *value = json!(1_000_000);
        }
    }
    if let Some(signs) = settings.get_mut("signs").and_then(Value::as_object_mut) {
        // Of one caller's many short calls to one number all of these have points.
        let many = 100_000;
        for (sign, amount) in [
            ("rate", json!({ "calls_per_minute": many })),
            ("repeated", json!({ "calls": many })),
            ("short", json!({ "calls": many })),
            (
                "concurrency",
                json!({ "at_least": many, "unlearned": many }),
            ),
        ] {
            signs.insert(sign.to_owned(), amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_kept_but_for_amounts() {
        let mut config = config().unwrap();
        let plugins: Vec<Value> = entries(&mut config, "plugin")
            .map(|it| it.clone())
            .collect();
        let settings = |name: &str| {
            let plugin = plugins.iter().find(|plugin| plugin["name"] == name);
            plugin.unwrap()["settings"].clone()
        };
        assert_eq!(settings("rate-limit")["rules"][0]["burst"], 1_000_000);
        assert_eq!(settings("call-limits")["limits"][0]["calls"], 1_000_000);
        let fraud = settings("fraud-score");
        assert_eq!(fraud["signs"]["rate"]["calls_per_minute"], 100_000);
        assert_eq!(fraud["signs"]["high_cost"]["list"], "barred");
        assert_eq!(fraud["thresholds"]["lock"], 1_000_000);
        assert_eq!(fraud["usual"]["from"], "07:00");
        assert_eq!(settings("business-hours")["rules"][0]["when"], "always");
    }
}
