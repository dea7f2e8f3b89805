//! What the demo shows: numbered scenes, one line for each thing that happens.

use std::io::Write;

use serde_json::Value;

/// Begin a scene.
pub(crate) fn scene(number: usize, title: &str) {
    println!("\n{number}. {title}");
    flush();
}

/// Somebody did something.
pub(crate) fn says(who: &str, what: &str) {
    for (index, line) in what.lines().enumerate() {
        println!("   {:<10} {line}", if index == 0 { who } else { "" });
    }
    flush();
}

/// A decision, as the proxy wrote it down.
pub(crate) fn decision(decision: &Value) {
    let text = |key: &str| decision[key].as_str().unwrap_or_default();
    let status = match decision["status"].as_u64() {
        None | Some(0) => String::new(),
        Some(status) => format!(" {status}"),
    };
    let (method, verdict) = (text("method"), text("verdict"));
    let why = if verdict == "admit" {
        format!("by all plugins, identity {}", text("identity"))
    } else {
        format!("by {}: {}", text("plugin"), text("reason"))
    };
    let micros = &decision["micros"];
    says(
        "sipward",
        &format!("{method} {verdict}{status} {why} ({micros} us)"),
    );
}

fn flush() {
    // Nobody is left to tell if the screen is gone.
    let _shown = std::io::stdout().flush();
}
