//! Replays for people to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use rehearsal::capture::CaptureFigures;
use rehearsal::replay::{Decided, Difference, Differing, Row, compare};

use super::replay::Replayed;
use crate::record_search::printable;

/// Differing decisions that are shown; `--json` has more.
const SHOWN: usize = 20;

/// One configuration.
pub(super) fn alone(
    capture: &CaptureFigures,
    replayed: &Replayed,
    fingerprint: &str,
    decisions: bool,
) -> String {
    let mut out = head(capture, replayed);
    let figures = &replayed.figures;
    let _ = writeln!(
        out,
        "judged: {} requests: {} admit, {} reject, {} challenge, {} redirect, {} drop",
        figures.judged,
        figures.admitted,
        figures.rejected,
        figures.challenged,
        figures.redirected,
        figures.dropped
    );
    reasons(&mut out, &replayed.decided);
    let rows = compare(&replayed.decided, &replayed.decided).rows;
    let mut table = table([
        "peer",
        "destination",
        "attempts",
        "let in",
        "answered",
        "minutes",
    ]);
    for row in &rows {
        table.add_row([
            peer(row),
            row.destination.clone(),
            row.attempts.to_string(),
            row.first.admitted.to_string(),
            row.first.answered.to_string(),
            row.first.minutes().to_string(),
        ]);
    }
    let _ = writeln!(out, "\n{}", trimmed(&table));
    if decisions {
        out.push('\n');
        for decided in &replayed.decided {
            let _ = writeln!(out, "{}", decision(decided));
        }
    }
    let _ = writeln!(out, "\ndecisions {fingerprint}");
    out
}

/// Two of them.
pub(super) fn difference(
    capture: &CaptureFigures,
    first: &Replayed,
    second: &Replayed,
    difference: &Difference,
) -> String {
    let mut out = head(capture, first);
    let _ = writeln!(
        out,
        "decisions: {} alike, {} different",
        difference.alike, difference.differing
    );
    let sums = [first, second].map(|replayed| replayed.figures.admitted);
    let _ = writeln!(out, "requests let in: {} and {}", sums[0], sums[1]);
    let mut table = table([
        "peer",
        "destination",
        "attempts",
        "different",
        "let in",
        "let in",
        "minutes",
        "minutes",
    ]);
    for row in &difference.rows {
        table.add_row([
            peer(row),
            row.destination.clone(),
            row.attempts.to_string(),
            row.differing.to_string(),
            row.first.admitted.to_string(),
            row.second.admitted.to_string(),
            row.first.minutes().to_string(),
            row.second.minutes().to_string(),
        ]);
    }
    let _ = writeln!(out, "\n{}", trimmed(&table));
    if !difference.listed.is_empty() {
        out.push_str("\nfirst differences:\n");
    }
    for differing in difference.listed.iter().take(SHOWN) {
        out.push_str(&pair(differing));
    }
    let more = difference.differing.saturating_sub(SHOWN as u64);
    if more > 0 {
        let _ = writeln!(out, "and {more} more; `--json` lists a thousand");
    }
    out
}

fn head(capture: &CaptureFigures, replayed: &Replayed) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "capture: {} packets, {} SIP messages, {} of them repetitions",
        capture.packets, capture.messages, replayed.figures.repeated
    );
    let troubles = [
        (capture.malformed, "messages cannot be read"),
        (capture.fragments_lost, "fragments never became a whole"),
        (
            capture.streams_lost,
            "times a TCP stream could not be followed",
        ),
        (
            replayed.figures.of_no_call,
            "requests of calls that are not there",
        ),
        (
            replayed.figures.left_out,
            "messages had no room; the report is short of them",
        ),
    ];
    for (count, what) in troubles {
        if count > 0 {
            let _ = writeln!(out, "  {count} {what}");
        }
    }
    if capture.cut_off {
        out.push_str("  the file is cut off or damaged; it was read up to there\n");
    }
    for note in &replayed.notes {
        let _ = writeln!(out, "{note}");
    }
    out
}

/// Which plugins ended how many requests.
fn reasons(out: &mut String, decided: &[Decided]) {
    let mut counts: BTreeMap<(&str, &str, Option<u16>), u64> = BTreeMap::new();
    for decided in decided {
        if let Some(plugin) = &decided.plugin {
            let key = (plugin.as_str(), decided.verdict, decided.status);
            *counts.entry(key).or_default() += 1;
        }
    }
    for ((plugin, verdict, status), count) in counts {
        let status = status.map_or(String::new(), |status| format!(" {status}"));
        let _ = writeln!(out, "  {count} {verdict}{status} by {plugin}");
    }
}

fn peer(row: &Row) -> String {
    row.peer.clone().unwrap_or_else(|| "(strangers)".to_owned())
}

fn decision(decided: &Decided) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(decided.at_ms);
    let text = format!(
        "{} {} {} from {} {}",
        humantime::format_rfc3339_millis(at),
        decided.method,
        decided.request_uri,
        decided.source,
        verdict(decided)
    );
    printable(&text)
}

fn verdict(decided: &Decided) -> String {
    let status = decided
        .status
        .map_or(String::new(), |status| format!(" {status}"));
    let by = match &decided.plugin {
        Some(plugin) => format!(" by {plugin}: {}", decided.reason),
        None => String::new(),
    };
    let call = match &decided.call {
        Some(call) => format!(", {} after {} s", call.end, call.talked_ms / 1_000),
        None => String::new(),
    };
    format!("{}{status}{by}{call}", decided.verdict)
}

fn pair(differing: &Differing) -> String {
    let Some(known) = differing.first.as_ref().or(differing.second.as_ref()) else {
        return String::new();
    };
    let told = |decided: &Option<Decided>| match decided {
        Some(decided) => verdict(decided),
        None => "not asked: the call was never let in".to_owned(),
    };
    let head = format!(
        "message {}: {} {} from {}",
        known.message, known.method, known.request_uri, known.source
    );
    format!(
        "{}\n  first:  {}\n  second: {}\n",
        printable(&head),
        printable(&told(&differing.first)),
        printable(&told(&differing.second))
    )
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(head);
    table
}

/// Without the spaces at the ends of lines, which nobody sees and every copy loses.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
