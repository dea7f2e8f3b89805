//! Plugins and pipelines.

use policy::Capability;
use policy_wasm::READY_INSTANCES_MAX;

use super::{Checks, named, path};
use crate::config::hint;
use crate::config::model::Pipeline;
use crate::config::plugin::Plugin;

/// Methods that have a name; others are written as the peer writes them.
pub(super) const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];

impl Checks<'_, '_, '_> {
    pub(super) fn plugins(&mut self) {
        let (plugins, numbers) = (&self.config.plugins, &self.numbers.plugins);
        self.unique(named(numbers, plugins, "plugin", |plugin| &plugin.name));
        for (&number, plugin) in numbers.iter().zip(plugins) {
            self.plugin(number, plugin);
        }
    }

    fn plugin(&mut self, number: usize, plugin: &Plugin) {
        self.readable(&path("plugin", number, &["path"]), &plugin.path);
        self.capabilities(
            &path("plugin", number, &["capabilities"]),
            &plugin.capabilities,
        );
        self.breaker(number, plugin);
        self.candidate(number, plugin);
        let limits = &plugin.limits;
        let zeros = [
            ("wasm_mib", limits.wasm_mib == Some(0)),
            ("deadline_ms", limits.deadline_ms == Some(0)),
            (
                "configure_deadline_ms",
                limits.configure_deadline_ms == Some(0),
            ),
            ("memory_mib", limits.memory_mib == Some(0)),
            ("instances", limits.instances == Some(0)),
        ];
        for (name, _) in zeros.into_iter().filter(|(_, is_zero)| *is_zero) {
            self.wrong(
                &path("plugin", number, &["limits", name]),
                "is 0, so that every call would fail",
                "write at least 1",
            );
        }
        let range = 1..=READY_INSTANCES_MAX;
        if let Some(ready) = limits.ready_instances.filter(|it| !range.contains(it)) {
            self.wrong(
                &path("plugin", number, &["limits", "ready_instances"]),
                format!("{ready} is out of range"),
                format!("write 1 to {READY_INSTANCES_MAX}"),
            );
        }
    }

    pub(super) fn capabilities(&mut self, at: &[String], names: &[String]) {
        let known = Capability::ALL.map(Capability::name);
        for (index, name) in names.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let path = [at, &[index.to_string()]].concat();
                self.wrong(
                    &path,
                    format!("there is no capability `{name}`"),
                    hint::among(name, known),
                );
            }
        }
    }

    pub(super) fn pipeline(&mut self, number: usize, pipeline: &Pipeline, peers: &[&str]) {
        self.candidates_of(number, pipeline);
        let plugins: Vec<&str> = self
            .config
            .plugins
            .iter()
            .map(|plugin| plugin.name.as_str())
            .collect();
        for (index, name) in pipeline.plugins.iter().enumerate() {
            if !plugins.contains(&name.as_str()) && self.is_whole("plugin") {
                let path = path("pipeline", number, &["plugins", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no plugin `{name}`"),
                    hint::among(name, plugins.iter().copied()),
                );
            }
        }
        for (index, name) in pipeline.peers.iter().enumerate() {
            if !peers.contains(&name.as_str()) && self.is_whole("pbx") && self.is_whole("trunk") {
                let path = path("pipeline", number, &["peers", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no peer `{name}`"),
                    hint::among(name, peers.iter().copied()),
                );
            }
        }
        for (index, method) in pipeline.methods.iter().enumerate() {
            // Methods are compared with regard to case: RFC 3261 section 7.1.
            if !METHODS.contains(&method.as_str())
                && METHODS.contains(&method.to_ascii_uppercase().as_str())
            {
                let path = path("pipeline", number, &["methods", &index.to_string()]);
                let remedy = format!("write `{}`", method.to_ascii_uppercase());
                self.wrong(
                    &path,
                    format!("`{method}` is no method, as case counts in them"),
                    remedy,
                );
            } else if !METHODS.contains(&method.as_str())
                && hint::nearest(method, METHODS).is_some()
            {
                let path = path("pipeline", number, &["methods", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("`{method}` is no known method"),
                    hint::among(method, METHODS),
                );
            }
        }
    }
}
