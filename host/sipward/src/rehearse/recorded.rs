//! A call that was, or that is going on: what its record says, and what the policy says
//! to as much of its request as the record holds.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use policy::Zone;
use records::sqlite::{Filter, Store};
use records::{CallRecord, Points, StageRecord};
use rehearsal::paste;
use rehearsal::{Circumstances, Explanation};
use serde::Serialize;
use sip_message::Limits;
use sip_transaction::Transport;

use super::explain::{ExplainArguments, run, without_times};
use crate::config::{self, Config};
use crate::record_search::{print, printable};

/// Attempts of one Call-ID that are explained. 20: a call has two, the challenge's and its
/// own, and the rest is somebody who tries.
const ATTEMPTS: u32 = 20;

/// What is printed of one attempt as data.
#[derive(Serialize)]
struct Attempt {
    /// As it was written when it happened.
    recorded: CallRecord,
    /// The plugins of that decision, as they were recorded.
    recorded_stages: Vec<StageRecord>,
    /// What the configuration says now.
    rerun: Option<Explanation>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_rerun: Option<String>,
}

/// Explain the call of a Call-ID.
///
/// # Errors
/// There are no records, or none of it.
pub(super) fn explain(call_id: &str, arguments: &ExplainArguments) -> anyhow::Result<()> {
    let file = &arguments.config.config;
    let database = config::record_database_of(file)?.context(
        "this configuration keeps no call records in SQLite; set `server.state_dir` or \
         `records.sqlite.path`",
    )?;
    let store = Store::read_only(&database)
        .with_context(|| format!("failed to open {}", database.display()))?;
    let mut found = store.find(&Filter {
        call_id: Some(call_id.to_owned()),
        limit: ATTEMPTS,
        ..Filter::default()
    })?;
    anyhow::ensure!(
        !found.is_empty(),
        "there is no record of the Call-ID {call_id}; is it recorded at all (`records.methods`, \
         `records.challenges`)?"
    );
    // In the order in which they happened.
    found.reverse();
    let loaded = config::load(file).map_err(|error| error.to_string());
    let attempts = found.into_iter().map(|recorded| {
        let recorded_stages = store.stages(&recorded.id)?;
        let rerun = match &loaded {
            Ok(loaded) => {
                rerun(&loaded.config, &recorded, arguments).map_err(|error| format!("{error:#}"))
            }
            Err(error) => Err(error.clone()),
        };
        let (rerun, no_rerun) = match rerun {
            Ok(rerun) => (Some(rerun), None),
            Err(error) => (None, Some(error)),
        };
        Ok(Attempt {
            recorded,
            recorded_stages,
            rerun,
            no_rerun,
        })
    });
    let attempts = attempts.collect::<anyhow::Result<Vec<_>>>()?;
    if arguments.json {
        let mut data = serde_json::to_value(&attempts)?;
        if arguments.no_times {
            let reruns = data.as_array_mut().into_iter().flatten();
            let reruns = reruns.filter_map(|attempt| attempt.get_mut("rerun"));
            reruns.for_each(without_times);
        }
        return print(&format!("{}\n", serde_json::to_string_pretty(&data)?));
    }
    let told = attempts.iter().map(|attempt| tell(attempt, arguments));
    print(&told.collect::<Vec<_>>().join("\n"))
}

/// The policy of now on what the record holds of the request.
fn rerun(
    config: &Config,
    record: &CallRecord,
    arguments: &ExplainArguments,
) -> anyhow::Result<Explanation> {
    let limits = Limits::default();
    let message = paste::read(request(record).as_bytes(), &limits)?.message;
    let transport = Transport::from_name(record.transport.as_bytes()).unwrap_or(Transport::Udp);
    let source = record
        .source
        .parse()
        .context("the record names no source")?;
    let mut how = Circumstances::new(source, transport);
    how.zone = Some(match &*record.zone {
        "inside" => Zone::Inside,
        _ => Zone::Outside,
    });
    how.peer = record.peer.as_deref().map(Arc::from);
    let identity = arguments.identity.as_ref().or(record.identity.as_ref());
    how.identity = identity.cloned();
    let mut notes = vec![
        "re-run of a request made from the record, which holds no other headers and no body"
            .to_owned(),
        format!("time: {}, as recorded", time(record.at_ms)),
    ];
    if [&record.request_uri, &record.from, &record.to]
        .iter()
        .any(|text| text.contains('*'))
    {
        notes.push("a `*` may stand for what was concealed from the record".to_owned());
    }
    let message = Arc::new(message);
    run(config, &message, &how, record.at_ms, arguments.state, notes)
}

/// As much of the request as the record holds. What a stranger wrote cannot add a line.
fn request(record: &CallRecord) -> String {
    let one = |text: &str| text.replace(char::is_control, "");
    let host = record.source.parse::<std::net::SocketAddr>();
    let sent_by = host.map_or("invalid".to_owned(), |source| source.to_string());
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/{transport} {sent_by};branch=z9hG4bKrecord\n\
         Max-Forwards: 70\nFrom: <{from}>;tag=record\nTo: <{to}>\nCall-ID: {call_id}\n\
         CSeq: 1 {method}\nContact: <sip:{sent_by}>\n\n",
        method = one(&record.method),
        uri = one(&record.request_uri),
        transport = one(&record.transport),
        from = one(&record.from),
        to = one(&record.to),
        call_id = one(&record.call_id),
    )
}

fn tell(attempt: &Attempt, arguments: &ExplainArguments) -> String {
    let mut out = String::new();
    let record = &attempt.recorded;
    let _ = writeln!(out, "recorded {}", time(record.at_ms));
    for text in recorded_lines(record) {
        let _ = writeln!(out, "  {}", printable(&text));
    }
    for stage in &attempt.recorded_stages {
        let micros = match arguments.no_times {
            true => String::new(),
            false => format!("  ({} µs)", stage.micros),
        };
        let text = format!(
            "  {}: {}{micros} {}",
            stage.plugin, stage.verdict, stage.reason
        );
        let _ = writeln!(out, "{}", printable(text.trim_end()));
    }
    if attempt.recorded_stages.is_empty() {
        let _ = writeln!(out, "  the record does not say which plugins were asked");
    }
    match (&attempt.rerun, &attempt.no_rerun) {
        (Some(rerun), _) => {
            let tree = rerun.tree(!arguments.no_times);
            let _ = writeln!(out, "re-run by the configuration as it is now");
            for line in tree.lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
        (None, why) => {
            let why = why.as_deref().unwrap_or_default();
            let _ = writeln!(out, "not re-run: {}", printable(why));
        }
    }
    out
}

fn recorded_lines(record: &CallRecord) -> Vec<String> {
    let by = match &record.plugin {
        Some(plugin) => format!(" by {plugin}: {}", record.reason),
        None => String::new(),
    };
    let status = record
        .status
        .map_or(String::new(), |status| format!(" {status}"));
    let peer = record.peer.as_deref().unwrap_or("a stranger");
    let mut lines = vec![
        format!("{} {}", record.method, record.request_uri),
        format!(
            "from {} by {}, {peer}, {}",
            record.source, record.transport, record.zone
        ),
        format!("From {}  To {}", record.from, record.to),
        format!(
            "pipeline {}, generation {}",
            record.pipeline, record.generation
        ),
        format!("decision {}{status}{by}", record.verdict),
    ];
    if let Some(identity) = &record.identity {
        lines.push(format!("identity {identity}"));
    }
    for points in &record.points {
        let Points {
            plugin,
            amount,
            reason,
        } = points;
        lines.push(format!("score {amount:+} {plugin} {reason}"));
    }
    for (key, value) in &record.annotations {
        lines.push(format!("note {key}={value}"));
    }
    lines.push(match (&record.end, record.started_ms) {
        (Some(end), _) => {
            let lasted = record.lasted_ms.unwrap_or(0);
            format!("ended: {end}, {} s after the answer", lasted / 1_000)
        }
        (None, Some(_)) => "under way".to_owned(),
        (None, None) => "no call began".to_owned(),
    });
    lines
}

fn time(at_ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CallRecord {
        CallRecord {
            at_ms: 1_769_846_400_000,
            call_id: "c1@pbx".to_owned(),
            method: "INVITE".to_owned(),
            from: "sip:alice@example.org".to_owned(),
            to: "sip:bob@example.org".to_owned(),
            request_uri: "sip:bob@example.org".to_owned(),
            source: "192.0.2.7:5060".to_owned(),
            transport: "UDP".to_owned(),
            zone: "inside".into(),
            verdict: "admit".into(),
            ..CallRecord::default()
        }
    }

    #[test]
    fn a_record_gives_a_request_of_what_it_holds() {
        let text = request(&record());
        let message = paste::read(text.as_bytes(), &Limits::default())
            .unwrap()
            .message;
        assert_eq!(message.call_id(), b"c1@pbx");
        assert_eq!(message.from().uri.raw, b"sip:alice@example.org");
        let forged = CallRecord {
            from: "sip:a@b>;tag=1\r\nX-Admin: yes\r\nX: <".to_owned(),
            ..record()
        };
        let text = request(&forged);
        assert!(
            !text.lines().any(|line| line.starts_with("X-Admin")),
            "{text}"
        );
    }

    #[test]
    fn what_was_recorded_and_what_was_not_is_said() {
        let attempt = Attempt {
            recorded: record(),
            recorded_stages: Vec::new(),
            rerun: None,
            no_rerun: Some("no configuration".to_owned()),
        };
        let arguments = <Arguments as clap::Parser>::parse_from(["explain"]).explain;
        let told = tell(&attempt, &arguments);
        assert!(
            told.starts_with("recorded 2026-01-31T08:00:00.000Z\n"),
            "{told}"
        );
        assert!(told.contains("does not say which plugins"), "{told}");
        assert!(told.ends_with("not re-run: no configuration\n"), "{told}");
    }

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        explain: ExplainArguments,
    }
}
