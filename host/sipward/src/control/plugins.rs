//! What `sipward check` and `sipward status` say of the plugins that are loaded.

use policy_wasm::Plugin;
use serde_json::{Value, json};

use crate::assemble::PluginShelf;

/// Plugins that the text of `status` shows; more are in the JSON.
const PLUGINS_IN_TEXT: usize = 20;

/// A line for each plugin: what it is, how long its instances live, and why, if that is
/// not what the configuration asks for.
pub(super) fn lines(shelf: &PluginShelf) -> impl Iterator<Item = String> {
    shelf.plugins().into_iter().map(|plugin| line(plugin))
}

/// The same for `status`, not endlessly.
pub(super) fn text(shelf: &PluginShelf) -> String {
    let mut text = String::new();
    for line in lines(shelf).take(PLUGINS_IN_TEXT) {
        text.push('\n');
        text.push_str(&line);
    }
    let more = shelf.plugins().len().saturating_sub(PLUGINS_IN_TEXT);
    if more > 0 {
        text.push_str(&format!(
            "\nand {more} more plugins; see `sipward status --json`"
        ));
    }
    text
}

/// All of it.
pub(super) fn json(shelf: &PluginShelf) -> Value {
    let about = |plugin: &Plugin| {
        json!({
            "name": &**plugin.name(),
            "version": plugin.manifest().version,
            "isolation": plugin.isolation().name(),
            "isolation_fallback": plugin.isolation_fallback(),
        })
    };
    shelf
        .plugins()
        .into_iter()
        .map(|plugin| about(plugin))
        .collect()
}

fn line(plugin: &Plugin) -> String {
    let (name, version) = (plugin.name(), &plugin.manifest().version);
    let isolation = plugin.isolation().name();
    match plugin.isolation_fallback() {
        None => format!("plugin {name} {version}: {isolation}"),
        Some(reason) => {
            format!("plugin {name} {version}: {isolation}, cannot be single-use: {reason}")
        }
    }
}
