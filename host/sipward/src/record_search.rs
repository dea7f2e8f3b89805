//! `sipward records`: what is asked of the database, and how it is shown.
//!
//! The file is read directly, so that records can be searched while no proxy runs, and
//! nobody who searches keeps a proxy from its work.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use records::CallRecord;
use records::sqlite::{FOUND_MAX, Filter, Store};

use crate::command_line::ConfigFile;
use crate::config;

/// What to look for. All conditions must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    #[command(flatten)]
    config: ConfigFile,
    /// Only calls with this Call-ID.
    #[arg(long)]
    call_id: Option<String>,
    /// Only calls of this identity.
    #[arg(long)]
    identity: Option<String>,
    /// Only this verdict.
    #[arg(long, value_parser = ["admit", "reject", "challenge", "redirect", "drop"])]
    verdict: Option<String>,
    /// Only calls of the last `2h`, `30min`, `7days`, or since `2026-01-31T08:00:00Z`.
    #[arg(long, value_parser = since)]
    since: Option<SystemTime>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(FOUND_MAX)))]
    limit: u32,
    /// Print JSON, one object a line, with everything that is known.
    #[arg(long)]
    json: bool,
}

/// A time, or how long ago.
fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).map_err(
        |_| "write how long ago, such as `2h`, or a time in UTC, such as `2026-01-31T08:00:00Z`",
    )?;
    let time = SystemTime::now().checked_sub(ago);
    Ok(time.unwrap_or(UNIX_EPOCH))
}

/// Search and print.
///
/// # Errors
/// The configuration has no database, or it cannot be read.
pub(crate) fn show(search: Search) -> anyhow::Result<()> {
    let database = config::record_database_of(&search.config.config)?;
    let database = database.context(
        "this configuration keeps no call records in SQLite; set `server.state_dir` or `records.sqlite.path`",
    )?;
    let store = Store::read_only(&database)
        .with_context(|| format!("failed to open {}", database.display()))?;
    let since = search.since.map(|since| {
        let passed = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    });
    let found = store.find(&Filter {
        call_id: search.call_id,
        identity: search.identity,
        verdict: search.verdict,
        since_ms: since,
        limit: search.limit,
    })?;
    let mut text = String::new();
    if search.json {
        for record in &found {
            text.push_str(&serde_json::to_string(record)?);
            text.push('\n');
        }
    } else {
        text = format!("{}\n", table(&found));
    }
    print(&text)
}

/// Write to standard output. Who reads only the first lines closes the pipe.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn table(records: &[CallRecord]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header([
        "time", "verdict", "status", "end", "lasted", "who", "source", "to", "plugin", "reason",
        "score", "call-id",
    ]);
    for record in records {
        table.add_row(row(record));
    }
    table
}

fn row(record: &CallRecord) -> [String; 12] {
    let at = UNIX_EPOCH + Duration::from_millis(record.at_ms);
    let dash = || "-".to_owned();
    let who = record.identity.as_ref().or(record.peer.as_ref());
    let end = match (&record.end, record.started_ms) {
        (Some(end), _) => end.to_string(),
        (None, Some(_)) => "under way".to_owned(),
        (None, None) => dash(),
    };
    [
        humantime::format_rfc3339_seconds(at).to_string(),
        record.verdict.to_string(),
        record.status.map_or_else(dash, |status| status.to_string()),
        end,
        record
            .lasted_ms
            .map_or_else(dash, |ms| format!("{}s", ms / 1_000)),
        printable(who.unwrap_or(&record.from)),
        format!("{}/{}", record.source, record.transport),
        printable(&record.request_uri),
        record.plugin.clone().unwrap_or_else(dash),
        printable(&record.reason),
        record.score.to_string(),
        printable(&record.call_id),
    ]
}

/// A stranger's text cannot speak to the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_understood() {
        let time = since("2026-01-31T08:00:00Z").unwrap();
        assert_eq!(time, UNIX_EPOCH + Duration::from_secs(1_769_846_400));
        let then = since("2h").unwrap();
        let ago = SystemTime::now().duration_since(then).unwrap();
        assert!((7_200..7_260).contains(&ago.as_secs()), "{ago:?}");
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert!(since("100000years").unwrap() < UNIX_EPOCH);
    }

    #[test]
    fn a_row_says_what_happened() {
        let record = CallRecord {
            verdict: "admit".into(),
            status: Some(200),
            end: Some("bye".into()),
            lasted_ms: Some(61_999),
            peer: Some("office".to_owned()),
            request_uri: "sip:\u{1b}[2J@b".to_owned(),
            ..CallRecord::default()
        };
        let shown = row(&record);
        assert_eq!(shown[0], "1970-01-01T00:00:00Z");
        assert_eq!(&shown[1..6], ["admit", "200", "bye", "61s", "office"]);
        assert_eq!(shown[7], "sip:\u{FFFD}[2J@b");
        let going = CallRecord {
            started_ms: Some(1),
            ..CallRecord::default()
        };
        assert_eq!(row(&going)[3], "under way");
    }
}
