//! What an operator types.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::{self, CandidateOrder, Command};
use crate::config;
use crate::control;
use crate::credential_command::CredentialArguments;
use crate::plugin_command::PluginArguments;
use crate::record_search::{self, Search};
use crate::rehearse::{self, ExplainArguments, ReplayArguments};

/// A SIP policy proxy whose every security decision is a WebAssembly plugin.
#[derive(Debug, Parser)]
#[command(name = "sipward", version, about)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the proxy in the foreground.
    Run(ConfigFile),
    /// Check a configuration and its plugins without running anything.
    Check(ConfigFile),
    /// Let a running proxy load its configuration again.
    Reload(ConfigFile),
    /// Show what a running proxy is doing.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show call records, newest first.
    Records(Search),
    /// Show why a call or a message is let in or not, plugin by plugin.
    Explain(ExplainArguments),
    /// Judge the messages of a capture again, by one configuration or by two.
    Replay(ReplayArguments),
    /// Let a running proxy take no new calls and stop after the last one.
    Drain(ConfigFile),
    /// Show versions of plugins that are on trial, or decide about one.
    Candidate {
        #[command(subcommand)]
        action: CandidateAction,
    },
    /// Manage the accounts in the encrypted store.
    Credential(CredentialArguments),
    /// Write, test and sign plugins.
    Plugin(PluginArguments),
}

#[derive(Debug, Subcommand)]
enum CandidateAction {
    /// Show how candidates do, and where they would have decided otherwise.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let the candidate of a plugin judge all calls, after a restart too.
    Promote(OfPlugin),
    /// Let the version in use judge all calls again.
    Rollback(OfPlugin),
    /// Try a candidate again that was rolled back, as the configuration says.
    Resume(OfPlugin),
}

#[derive(Debug, clap::Args)]
struct OfPlugin {
    /// The plugin's name in the configuration.
    plugin: String,
    #[command(flatten)]
    config: ConfigFile,
}

impl CandidateAction {
    fn carry_out(self) -> anyhow::Result<()> {
        let (config, order, json) = match self {
            Self::Status { config, json } => (config, CandidateOrder::Status, json),
            Self::Promote(OfPlugin { plugin, config }) => {
                (config, CandidateOrder::Promote { plugin }, false)
            }
            Self::Rollback(OfPlugin { plugin, config }) => {
                (config, CandidateOrder::Rollback { plugin }, false)
            }
            Self::Resume(OfPlugin { plugin, config }) => {
                (config, CandidateOrder::Resume { plugin }, false)
            }
        };
        ask(&config.config, Command::Candidate(order), json)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        short,
        default_value = "/etc/sipward/sipward.toml",
        env = "SIPWARD_CONFIG"
    )]
    pub(crate) config: PathBuf,
}

impl Arguments {
    /// Do what was asked. The exit code is 0 if it was done.
    #[must_use]
    pub fn carry_out(self) -> ExitCode {
        let done = match self.action {
            Action::Run(file) => control::run(&file.config),
            Action::Check(file) => check(&file.config),
            Action::Reload(file) => ask(&file.config, Command::Reload, false),
            Action::Status { config, json } => ask(&config.config, Command::Status, json),
            Action::Records(search) => record_search::show(search),
            Action::Explain(arguments) => rehearse::explain(arguments),
            Action::Replay(arguments) => rehearse::replay(&arguments),
            Action::Drain(file) => ask(&file.config, Command::Drain, false),
            Action::Candidate { action } => action.carry_out(),
            Action::Credential(arguments) => return arguments.carry_out(),
            Action::Plugin(arguments) => return arguments.carry_out(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    let summary = control::check(file)?;
    println!("{summary}");
    Ok(())
}

fn ask(file: &Path, command: Command, json: bool) -> anyhow::Result<()> {
    let socket = config::admin_socket_of(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime
        .block_on(admin::send(&socket, command))
        .map_err(|error| {
            anyhow::anyhow!(
                "no sipward answers at {}: {error}; is it running with this configuration?",
                socket.display()
            )
        })?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer.data)?);
    } else {
        println!("{}", answer.message);
    }
    anyhow::ensure!(answer.ok, "sipward did not do it");
    Ok(())
}
