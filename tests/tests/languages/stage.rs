//! The same policy as three components, in the real host.

use std::sync::Arc;

use policy::{PolicyFailure, RequestFacts};
use policy_wasm::{Isolation, LoadError, Plugin, PluginSource};
use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host};

/// A component and what its language needs beyond the defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Language {
    /// The name of its file.
    pub(crate) guest: &'static str,
    /// `limits.wasm_mib`.
    pub(crate) wasm_mib: usize,
    /// `limits.memory_mib`.
    pub(crate) memory_mib: usize,
    /// `limits.instances`.
    pub(crate) instances: usize,
}

/// Needs nothing.
pub(crate) const RUST: Language = Language {
    guest: "night-guard",
    wasm_mib: 16,
    memory_mib: 16,
    instances: 8,
};

/// Needs memory for its heap.
pub(crate) const JAVASCRIPT: Language = Language {
    guest: "night-guard-js",
    wasm_mib: 16,
    memory_mib: 32,
    instances: 8,
};

/// Is large, and made of the libraries of its interpreter.
pub(crate) const PYTHON: Language = Language {
    guest: "night-guard-python",
    wasm_mib: 32,
    memory_mib: 32,
    instances: 64,
};

pub(crate) const ALL: [Language; 3] = [RUST, JAVASCRIPT, PYTHON];

/// Monday, 2026-01-12 at midnight in Berlin.
pub(crate) const MONDAY_MS: u64 = 1_768_172_400_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// An office in Berlin in winter.
pub(crate) fn settings() -> Value {
    json!({ "region": "DE", "open": 8, "close": 18, "utc_offset_minutes": 60 })
}

pub(crate) fn with(key: &str, value: Value) -> Value {
    let mut changed = settings();
    changed[key] = value;
    changed
}

impl Language {
    /// The component as an operator would configure it.
    pub(crate) fn source(self, host: &Host, settings: Value) -> PluginSource {
        let mut source = host.source(self.guest, settings);
        source.limits.wasm_bytes = self.wasm_mib << 20;
        source.limits.memory_bytes = self.memory_mib << 20;
        source.limits.instances = self.instances;
        source
    }

    /// The component whose one instance is kept, so that what it costs and leaves is its
    /// own.
    pub(crate) fn kept(self, host: &Host, settings: Value) -> PluginSource {
        let mut source = self.source(host, settings);
        source.isolation = Isolation::Reuse {
            min_calls: u32::MAX,
            max_calls: u32::MAX,
        };
        source
    }

    pub(crate) fn load(self, host: &Host, settings: Value) -> Arc<Plugin> {
        let loaded = host.load(self.source(host, settings));
        loaded.unwrap_or_else(|error| panic!("{}: {error}", self.guest))
    }

    /// Why the component is refused with this change.
    pub(crate) fn refusal(self, host: &Host, change: impl FnOnce(&mut PluginSource)) -> LoadError {
        let mut source = self.source(host, settings());
        change(&mut source);
        match host.load(source) {
            Err(error) => error,
            Ok(_) => panic!("{}: it loads", self.guest),
        }
    }
}

/// A colleague in the office.
pub(crate) fn desk() -> Caller {
    Caller::at("192.0.2.7").inside().named("desk")
}

/// A call abroad by the colleague.
pub(crate) fn abroad() -> RequestFacts {
    desk().invite("sip:+442079460018@pbx.example")
}

/// What made an instance or a call fail.
pub(crate) fn failure(error: LoadError) -> PolicyFailure {
    match error {
        LoadError::Failed { failure, .. } => failure,
        other => panic!("another error: {other}"),
    }
}
