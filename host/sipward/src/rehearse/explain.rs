//! `sipward explain`: a message from standard input, or a call by its records.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::ValueEnum;
use policy::{Certificate, DialogState};
use policy_wasm::{Clock, Credentials, SystemClock};
use rehearsal::paste::{self, PASTED_BYTES};
use rehearsal::{AsIf, Circumstances, Explanation, Subject};
use sip_message::Message;
use sip_proxy::Proof;
use sip_transaction::Transport;

use super::recorded;
use super::scratch::{Scratch, StateWish, Wish};
use crate::command_line::ConfigFile;
use crate::config;
use crate::record_search::print;

/// The seed of every explanation: two of the same message are alike.
const SEED: u64 = 0;

/// What to explain, and under which circumstances.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// Explain the call of this Call-ID, by its records; without it, a message from
    /// standard input.
    #[arg(long, conflicts_with_all = ["message", "from", "to", "transport", "at", "certificate"])]
    pub(super) call_id: Option<String>,
    /// Read the message from this file.
    #[arg(long)]
    message: Option<PathBuf>,
    /// Where it comes from: ADDRESS or ADDRESS:PORT; without it, what its top Via says.
    #[arg(long, value_parser = address)]
    from: Option<(IpAddr, Option<u16>)>,
    /// Where it came to: ADDRESS:PORT of a listener.
    #[arg(long)]
    to: Option<SocketAddr>,
    /// What it came by; without it, what its top Via says.
    #[arg(long, value_enum)]
    transport: Option<TransportName>,
    /// When, as in `2026-01-31T08:00:00Z`; without it, now.
    #[arg(long, value_parser = time)]
    at: Option<SystemTime>,
    /// Answer plugins as if this user had shown the right password.
    #[arg(long)]
    pub(super) identity: Option<String>,
    /// A name in the certificate that the peer has shown.
    #[arg(long)]
    certificate: Vec<String>,
    /// The dialog that it stands in.
    #[arg(long, value_enum, default_value = "none")]
    dialog: DialogName,
    /// What the state is: a copy of what the proxy keeps, or empty.
    #[arg(long, value_enum, default_value = "copy")]
    pub(super) state: StateWish,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Leave out how long plugins took, which differs from run to run.
    #[arg(long)]
    pub(super) no_times: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TransportName {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Udp => Self::Udp,
            TransportName::Tcp => Self::Tcp,
            TransportName::Tls => Self::Tls,
            TransportName::Ws => Self::Ws,
            TransportName::Wss => Self::Wss,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DialogName {
    None,
    Early,
    Confirmed,
}

fn address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok((both.ip(), Some(both.port())));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse().map_err(
        |_| "write an address such as `192.0.2.7`, `192.0.2.7:5060` or `[2001:db8::7]:5060`",
    )?;
    Ok((address, None))
}

fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "write a time in UTC, such as `2026-01-31T08:00:00Z`".to_owned())
}

/// Explain.
///
/// # Errors
/// There is nothing to explain, or the configuration is wrong.
pub(crate) fn explain(arguments: ExplainArguments) -> anyhow::Result<()> {
    match &arguments.call_id {
        Some(call_id) => recorded::explain(call_id, &arguments),
        None => explain_message(&arguments),
    }
}

fn explain_message(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let loaded = config::load(&arguments.config.config)?;
    let limits = crate::assemble::message_limits(&loaded.config);
    let pasted = paste::read(&text(arguments)?, &limits)?;
    let message = Arc::new(pasted.message);
    let (how, mut notes) = circumstances(arguments, &message)?;
    notes.extend(pasted.repairs.iter().map(|repair| (*repair).to_owned()));
    let at_ms = match arguments.at {
        Some(at) => {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        }
        None => SystemClock.now_ms(),
    };
    let explanation = run(
        &loaded.config,
        &message,
        &how,
        at_ms,
        arguments.state,
        notes,
    )?;
    show(&explanation, arguments)
}

/// Judges one message, and says why.
pub(super) fn run(
    config: &config::Config,
    message: &Arc<Message>,
    how: &Circumstances,
    at_ms: u64,
    state: StateWish,
    mut notes: Vec<String>,
) -> anyhow::Result<Explanation> {
    let identity = how.identity.clone();
    let credentials = |inner: Arc<dyn Credentials>| match &identity {
        Some(user) => Arc::new(AsIf::new(user.clone(), inner)) as Arc<dyn Credentials>,
        None => inner,
    };
    let mut scratch = Scratch::new(&Wish {
        config,
        at_ms,
        state,
        seed: SEED,
        credentials: &credentials,
    })?;
    notes.append(&mut scratch.notes);
    if let Some(user) = &identity {
        notes.push(format!(
            "`{user}` is taken for granted; no password was looked at"
        ));
    }
    let facts = scratch.standpoint.facts(message, how);
    let subject = Subject::of(&facts);
    let judged = scratch.rehearsal.judge(facts);
    Ok(Explanation::new(subject, at_ms, notes, judged))
}

fn show(explanation: &Explanation, arguments: &ExplainArguments) -> anyhow::Result<()> {
    if arguments.json {
        let mut data = serde_json::to_value(explanation)?;
        if arguments.no_times {
            without_times(&mut data);
        }
        return print(&format!("{}\n", serde_json::to_string_pretty(&data)?));
    }
    print(&explanation.tree(!arguments.no_times))
}

/// Takes the microseconds out of an explanation.
pub(super) fn without_times(explanation: &mut serde_json::Value) {
    let stages = explanation
        .get_mut("stages")
        .and_then(|it| it.as_array_mut());
    for stage in stages.into_iter().flatten() {
        if let Some(stage) = stage.as_object_mut() {
            stage.remove("micros");
        }
    }
}

fn text(arguments: &ExplainArguments) -> anyhow::Result<Vec<u8>> {
    // One more than is allowed, so that too much is found out.
    let most = PASTED_BYTES as u64 + 1;
    let mut text = Vec::new();
    match &arguments.message {
        Some(file) => std::fs::File::open(file)
            .and_then(|file| file.take(most).read_to_end(&mut text))
            .with_context(|| format!("failed to read {}", file.display()))?,
        None => std::io::stdin().lock().take(most).read_to_end(&mut text)?,
    };
    Ok(text)
}

/// How the message came, and what is only assumed about that.
fn circumstances(
    arguments: &ExplainArguments,
    message: &Message,
) -> anyhow::Result<(Circumstances, Vec<String>)> {
    let mut notes = Vec::new();
    let via = message.top_via();
    let transport = match arguments.transport {
        Some(name) => Transport::from(name),
        None => Transport::from_name(via.transport).unwrap_or(Transport::Udp),
    };
    let (address, port) = match arguments.from {
        Some(from) => from,
        None => {
            let told = via.host.address();
            let address = told.context(
                "its top Via names no address; say with `--from ADDRESS` where it came from",
            )?;
            notes.push("source: as its top Via says; `--from` says otherwise".to_owned());
            (address, via.port)
        }
    };
    let port = port.unwrap_or(transport.default_port());
    let mut how = Circumstances::new(SocketAddr::new(address, port), transport);
    how.destination = arguments.to;
    how.identity.clone_from(&arguments.identity);
    how.dialog = match arguments.dialog {
        DialogName::None => DialogState::None,
        DialogName::Early => DialogState::Early,
        DialogName::Confirmed => DialogState::Confirmed,
    };
    if !arguments.certificate.is_empty() {
        how.proof = Some(Proof {
            certificate: Some(Arc::new(Certificate {
                names: arguments.certificate.clone(),
                fingerprint: String::new(),
                issuer: String::new(),
            })),
            tls: None,
        });
    }
    Ok((how, notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_with_or_without_a_port() {
        let v4: IpAddr = "192.0.2.7".parse().unwrap();
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        assert_eq!(address("192.0.2.7"), Ok((v4, None)));
        assert_eq!(address("192.0.2.7:5070"), Ok((v4, Some(5070))));
        assert_eq!(address("2001:db8::7"), Ok((v6, None)));
        assert_eq!(address("[2001:db8::7]"), Ok((v6, None)));
        assert_eq!(address("[2001:db8::7]:5070"), Ok((v6, Some(5070))));
        assert!(address("pbx.example").is_err() && address("192.0.2.7:x").is_err());
        assert!(time("2026-01-31T08:00:00Z").is_ok() && time("noon").is_err());
    }
}
