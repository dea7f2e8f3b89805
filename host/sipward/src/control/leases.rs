//! What calls hold, as `sipward status` shows it, and whether any of it was lost.

use serde_json::{Value, json};
use state::{LeaseFigures, Leases};

/// How often the figures are read until they are of one moment: calls come and go while
/// they are.
const READINGS: usize = 8;

/// Kinds that are shown. A plugin chooses the names of its leases; the plugins that ship
/// have a dozen.
const KINDS: usize = 256;

/// The figures; a sum that is wrong is wrong each time that it is read.
pub(super) fn figures(leases: &Leases) -> LeaseFigures {
    let mut figures = leases.figures();
    for _ in 1..READINGS {
        if figures.conserved() {
            break;
        }
        std::thread::yield_now();
        figures = leases.figures();
    }
    figures
}

/// One line for people.
pub(super) fn text(leases: &Leases) -> String {
    let figures = figures(leases);
    let mut text = format!(
        "\nleases: {} calls hold {} of {} keys; {} granted, {} given back, {} refused",
        figures.lessees,
        figures.units,
        figures.keys,
        figures.granted,
        figures.given_back,
        figures.refused
    );
    if !figures.conserved() {
        text.push_str("; THE SUM IS WRONG: report this");
    }
    text
}

/// Everything, for machines.
pub(super) fn json(leases: &Leases) -> Value {
    let figures = figures(leases);
    let kinds = leases.kinds();
    let shown = kinds.iter().take(KINDS).map(|kind| {
        json!({
            "plugin": kind.scope,
            "name": kind.name,
            "keys": kind.keys,
            "held": kind.units,
        })
    });
    json!({
        "calls": figures.lessees,
        "keys": figures.keys,
        "held": figures.units,
        "granted": figures.granted,
        "given_back": figures.given_back,
        "refused": figures.refused,
        "conserved": figures.conserved(),
        "kinds": shown.collect::<Vec<_>>(),
        "kinds_left_out": kinds.len().saturating_sub(KINDS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_shown_by_kind() {
        let leases = Leases::new(&state::Limits::default());
        let call = leases.lessee();
        for (name, amount) in [("calls", 1), ("money", 40)] {
            let held = call.hold("call-limits", name, b"alice", amount, 100);
            assert!(held.unwrap().granted);
        }
        let shown = json(&leases);
        assert_eq!((&shown["calls"], &shown["held"]), (&1.into(), &41.into()));
        assert_eq!(shown["conserved"], true);
        assert_eq!(
            shown["kinds"][1],
            json!({ "plugin": "call-limits", "name": "money", "keys": 1, "held": 40 })
        );
        assert_eq!(
            text(&leases),
            "\nleases: 1 calls hold 41 of 2 keys; 41 granted, 0 given back, 0 refused"
        );
        drop(call);
        let shown = json(&leases);
        assert_eq!(
            (&shown["held"], &shown["given_back"]),
            (&0.into(), &41.into())
        );
        assert_eq!(shown["kinds"], json!([]));
    }

    #[test]
    fn kinds_beyond_the_ceiling_are_counted() {
        let leases = Leases::new(&state::Limits::default());
        let calls: Vec<_> = (0..=KINDS)
            .map(|index| {
                let call = leases.lessee();
                let held = call.hold("p", &format!("n{index}"), b"", 1, 1);
                assert!(held.unwrap().granted);
                call
            })
            .collect();
        let shown = json(&leases);
        assert_eq!(shown["kinds"].as_array().map(Vec::len), Some(KINDS));
        assert_eq!(shown["kinds_left_out"], 1);
        assert_eq!(calls.len(), KINDS + 1);
    }
}
