//! Plugins and pipelines.

use policy::Capability;

use super::{Checks, named, path};
use crate::config::hint;
use crate::config::model::{Pipeline, Plugin};

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
        for (index, name) in plugin.capabilities.iter().enumerate() {
            let known = Capability::ALL.map(Capability::name);
            if !known.contains(&name.as_str()) {
                let path = path("plugin", number, &["capabilities", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no capability `{name}`"),
                    hint::among(name, known),
                );
            }
        }
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
    }

    pub(super) fn pipeline(&mut self, number: usize, pipeline: &Pipeline, peers: &[&str]) {
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
