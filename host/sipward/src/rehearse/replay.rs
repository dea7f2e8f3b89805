//! `sipward replay`: a capture against one configuration, or against two.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use policy_wasm::Credentials;
use rehearsal::capture::{self, CaptureFigures, CaptureSettings, SIP_PORTS};
use rehearsal::replay::{
    CapturedCredentials, Decided, Destinations, Finals, Replay, ReplayFigures, compare,
};
use serde::Serialize;

use super::report;
use super::scratch::{Scratch, StateWish, Wish};
use crate::command_line::ConfigFile;
use crate::config::{self, Config};
use crate::record_search::print;

/// What to replay, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArguments {
    /// A pcap or pcapng file, or a file of HEP3 packets.
    capture: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// Another configuration: what would be different under it?
    #[arg(long)]
    against: Option<PathBuf>,
    /// A port of SIP; more than one may be given. Without it, those of the configuration's
    /// listeners, 5060 and 5080.
    #[arg(long)]
    port: Vec<u16>,
    /// The country in which numbers are dialled, for the report, such as `DE`; without it,
    /// the first `region` among the settings of plugins.
    #[arg(long)]
    region: Option<String>,
    /// What the state is at the beginning: a copy of what the proxy keeps, or empty.
    #[arg(long, value_enum, default_value = "empty")]
    state: StateWish,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one decision a line as well.
    #[arg(long)]
    decisions: bool,
    /// Print JSON: one object a line for each decision, and one for the whole at the end.
    #[arg(long)]
    json: bool,
}

/// What is learnt of a capture before it is replayed.
struct Survey {
    finals: Arc<Finals>,
    first_ms: u64,
    figures: CaptureFigures,
}

/// One configuration's way through the capture.
pub(super) struct Replayed {
    pub(super) decided: Vec<Decided>,
    pub(super) figures: ReplayFigures,
    pub(super) notes: Vec<String>,
}

/// What is printed at the end, as data.
#[derive(Serialize)]
struct Summary<'s> {
    capture: CaptureFigures,
    figures: ReplayFigures,
    /// Names all decisions: two replays that agree have the same.
    fingerprint: &'s str,
    notes: &'s [String],
}

/// Replay.
///
/// # Errors
/// The capture cannot be read, or a configuration is wrong.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let file = &arguments.capture;
    let loaded = config::load(&arguments.config.config)?;
    let other = arguments.against.as_deref().map(config::load).transpose()?;
    let settings = settings(&loaded.config, arguments);
    let survey = survey(file, &settings)?;
    let first = one(&loaded.config, arguments, &settings, &survey)?;
    let text = match &other {
        None => alone(&survey, &first, arguments)?,
        Some(other) => {
            let second = one(&other.config, arguments, &settings, &survey)?;
            let difference = compare(&first.decided, &second.decided);
            match arguments.json {
                true => format!("{}\n", serde_json::to_string_pretty(&difference)?),
                false => report::difference(&survey.figures, &first, &second, &difference),
            }
        }
    };
    print(&text)
}

fn alone(
    survey: &Survey,
    replayed: &Replayed,
    arguments: &ReplayArguments,
) -> anyhow::Result<String> {
    let (lines, fingerprint) = lines(&replayed.decided)?;
    if !arguments.json {
        let decisions = arguments.decisions;
        return Ok(report::alone(
            &survey.figures,
            replayed,
            &fingerprint,
            decisions,
        ));
    }
    let summary = Summary {
        capture: survey.figures,
        figures: replayed.figures,
        fingerprint: &fingerprint,
        notes: &replayed.notes,
    };
    Ok(format!("{lines}{}\n", serde_json::to_string(&summary)?))
}

/// Decisions as JSON, one a line, and the name of them all.
fn lines(decided: &[Decided]) -> anyhow::Result<(String, String)> {
    let mut lines = String::new();
    for decided in decided {
        lines.push_str(&serde_json::to_string(decided)?);
        lines.push('\n');
    }
    let fingerprint = blake3::hash(lines.as_bytes()).to_hex().to_string();
    Ok((lines, fingerprint))
}

fn settings(config: &Config, arguments: &ReplayArguments) -> CaptureSettings {
    let mut ports: BTreeSet<u16> = arguments.port.iter().copied().collect();
    if ports.is_empty() {
        ports.extend(SIP_PORTS);
        ports.extend(config.listeners.iter().map(|listener| listener.bind.port()));
    }
    CaptureSettings {
        ports,
        limits: crate::assemble::message_limits(config),
    }
}

fn open(file: &Path) -> anyhow::Result<File> {
    File::open(file).with_context(|| format!("failed to open {}", file.display()))
}

/// Reads the capture for the first time: when it begins, and whose credentials were good.
fn survey(file: &Path, settings: &CaptureSettings) -> anyhow::Result<Survey> {
    let mut finals = Finals::default();
    let mut first_us: Option<u64> = None;
    let figures = capture::read(open(file)?, settings, &mut |captured| {
        first_us = Some(first_us.map_or(captured.at_us, |first| first.min(captured.at_us)));
        finals.hear(&captured);
    })
    .with_context(|| format!("failed to replay {}", file.display()))?;
    anyhow::ensure!(
        figures.messages > 0,
        "{} holds no SIP message on the ports {:?}; `--port` names others",
        file.display(),
        settings.ports
    );
    Ok(Survey {
        finals: Arc::new(finals),
        first_ms: first_us.unwrap_or(0) / 1_000,
        figures,
    })
}

fn one(
    config: &Config,
    arguments: &ReplayArguments,
    settings: &CaptureSettings,
    survey: &Survey,
) -> anyhow::Result<Replayed> {
    let credentials = |inner: Arc<dyn Credentials>| {
        let finals = Arc::clone(&survey.finals);
        Arc::new(CapturedCredentials::new(finals, inner)) as Arc<dyn Credentials>
    };
    let scratch = Scratch::new(&Wish {
        config,
        at_ms: survey.first_ms,
        state: arguments.state,
        seed: arguments.seed,
        credentials: &credentials,
    })?;
    let Scratch {
        standpoint,
        rehearsal,
        clock,
        numbers,
        mut notes,
        ..
    } = scratch;
    let region = arguments.region.clone().or_else(|| region(config));
    let destinations = Destinations {
        numbers,
        region: region.unwrap_or_default(),
    };
    let mut replay = Replay::new(standpoint, rehearsal, clock, destinations);
    capture::read(open(&arguments.capture)?, settings, &mut |captured| {
        replay.hear(&captured);
    })?;
    let (decided, figures) = replay.finish();
    notes.push(
        "credentials are as good as the capture shows them to have been; no password was \
         looked at"
            .to_owned(),
    );
    Ok(Replayed {
        decided,
        figures,
        notes,
    })
}

/// The setting by which our plugins name the country.
fn region(config: &Config) -> Option<String> {
    let settings = config.plugins.iter().map(|plugin| &plugin.settings);
    let mut regions = settings.filter_map(|it| it.get("region").and_then(|it| it.as_str()));
    regions.next().map(str::to_owned)
}
