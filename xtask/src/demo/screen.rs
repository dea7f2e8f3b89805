//! What the demo shows: numbered scenes, one line for each thing that happens.

use std::io::Write;

use crate::demo::proxy::Decision;

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
pub(crate) fn decision(decision: &Decision) {
    let Decision {
        method,
        verdict,
        plugin,
        reason,
        identity,
        micros,
        ..
    } = decision;
    let status = if decision.status == 0 {
        String::new()
    } else {
        format!(" {}", decision.status)
    };
    let why = if verdict == "admit" {
        format!("by all plugins, identity {identity}")
    } else {
        format!("by {plugin}: {reason}")
    };
    says(
        "sipward",
        &format!("{method} {verdict}{status} {why} ({micros} us)"),
    );
}

fn flush() {
    // Nobody is left to tell if the screen is gone.
    let _shown = std::io::stdout().flush();
}
