//! `sipward plugin`: what authors of plugins type. The work is done by `plugin-kit`.
//!
//! Results go to standard output; what is done on the way goes to standard error.

mod keys;
#[cfg(feature = "oci")]
mod registry;
#[cfg(not(feature = "oci"))]
#[path = "plugin_command/no_registry.rs"]
mod registry;
mod trial;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use plugin_kit::scaffold::NewPlugin;
use plugin_kit::{Language, Project, build, compare, golden, inspect, scaffold, signing};
use plugin_signature::Signer;

use crate::config::{self, Config};

/// What can be done with plugins.
#[derive(Debug, clap::Args)]
pub(crate) struct PluginArguments {
    #[command(subcommand)]
    action: PluginAction,
}

#[derive(Debug, Subcommand)]
enum PluginAction {
    /// Begin a plugin: a crate with a policy, tests and golden messages.
    New {
        /// Its name, which is that of the folder too.
        name: String,
        /// What it is written in.
        #[arg(long, value_enum, default_value_t = Written::Rust)]
        lang: Written,
        /// Folder of the SDK; its published version without it.
        #[arg(long)]
        sdk: Option<PathBuf>,
        /// Where the folder is made.
        #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
        parent: PathBuf,
    },
    /// Make the component, and say how large it is and what it imports.
    Build {
        /// The plugin's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Where the component goes, if not `NAME.wasm` in the folder.
        #[arg(long)]
        out: Option<PathBuf>,
        /// More arguments for cargo.
        #[arg(last = true)]
        cargo: Vec<String>,
    },
    /// Run the native tests, then judge the golden messages in the real host.
    Test(trial::TestArguments),
    /// Measure time, fuel and memory for each golden message.
    Bench(trial::BenchArguments),
    /// Show what a plugin is, what it asks for, and who signed it.
    Inspect {
        /// The component, or the plugin's folder.
        #[arg(default_value = ".")]
        plugin: PathBuf,
        #[command(flatten)]
        accepted: Accepted,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what changes from one version to another.
    Diff {
        /// The component that is in use.
        old: PathBuf,
        /// The one to replace it.
        new: PathBuf,
        /// Golden messages that both judge; without it those beside the new one, if there
        /// are any.
        #[arg(long)]
        golden: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a pair of keys: PREFIX.key and PREFIX.pub.
    Keygen(keys::KeygenArguments),
    /// Sign a component; the signature lies beside it as NAME.wasm.minisig.
    Sign(keys::SignArguments),
    /// Check the signature of a component.
    Verify {
        /// The component.
        plugin: PathBuf,
        #[command(flatten)]
        accepted: Accepted,
    },
    /// Put a component and its signature into an OCI registry.
    Push(registry::PushArguments),
    /// Get them from one, verified before they are kept.
    Pull(registry::PullArguments),
}

/// What a new plugin is written in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    /// Rust, with the SDK.
    Rust,
    /// JavaScript, by componentize-js.
    Js,
    /// Python, by componentize-py.
    Python,
}

/// Whose signatures count.
#[derive(Debug, clap::Args)]
struct Accepted {
    /// A public key, or the file that it stands in; may be given again.
    #[arg(long, visible_alias = "signer")]
    key: Vec<String>,
    /// A configuration: its signers count, and what it grants is shown.
    #[arg(long, short)]
    config: Option<PathBuf>,
}

impl PluginArguments {
    /// Do what was asked.
    pub(crate) fn carry_out(self) -> ExitCode {
        match self.action.carry_out() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl PluginAction {
    /// False if it was done and the answer is no.
    fn carry_out(self) -> anyhow::Result<bool> {
        match self {
            Self::New {
                name,
                lang,
                sdk,
                parent,
            } => begin(&name, lang, sdk.as_deref(), &parent)?,
            Self::Build { folder, out, cargo } => {
                let project = Project::find(&folder)?;
                show_built(&build::build(&project, out.as_deref(), &cargo, &mut say)?);
            }
            Self::Test(arguments) => return trial::test(&arguments),
            Self::Bench(arguments) => return trial::bench(&arguments),
            Self::Inspect {
                plugin,
                accepted,
                json,
            } => {
                let path = component_of(&plugin)?;
                let (signers, entries) = accepted.read(&path)?;
                let inspection = inspect::inspect(&path, &signers, &entries)?;
                show(&inspection, json)?;
            }
            Self::Diff {
                old,
                new,
                golden,
                json,
            } => {
                let folder = golden.or_else(|| beside(&new));
                let golden = folder.map(|it| golden::Golden::read(&it)).transpose()?;
                show(&compare::compare(&old, &new, golden.as_ref())?, json)?;
            }
            Self::Keygen(arguments) => keys::generate(&arguments)?,
            Self::Sign(arguments) => keys::sign(&arguments)?,
            Self::Verify { plugin, accepted } => {
                let (signers, _) = accepted.read(&plugin)?;
                let signed = signing::check(&plugin, &signers)?;
                println!(
                    "{}: good, by `{}` ({}): {}",
                    plugin.display(),
                    signed.signer.name,
                    signed.signer.key.id(),
                    signed.comment
                );
            }
            Self::Push(arguments) => registry::push(&arguments)?,
            Self::Pull(arguments) => registry::pull(&arguments)?,
        }
        Ok(true)
    }
}

fn begin(name: &str, lang: Written, sdk: Option<&Path>, parent: &Path) -> anyhow::Result<()> {
    let language = match lang {
        Written::Rust => Language::Rust,
        Written::Js => Language::JavaScript,
        Written::Python => Language::Python,
    };
    let plugin = NewPlugin {
        name,
        language,
        sdk,
    };
    let folder = scaffold::create(parent, plugin)?;
    println!("{}", folder.display());
    eprintln!("next: cd {} && sipward plugin test", folder.display());
    Ok(())
}

/// One line of what is done on the way.
fn say(what: &str) {
    eprintln!("    {what}");
}

fn show_built(built: &build::Built) {
    println!(
        "{}: {:.1} KiB",
        built.path.display(),
        built.bytes as f64 / 1024.0
    );
    for import in &built.imports {
        println!("  imports {import}");
    }
    for export in &built.exports {
        println!("  exports {export}");
    }
}

fn show<T: std::fmt::Display + serde::Serialize>(what: &T, json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(what)?,
        false => what.to_string(),
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A component, or the one that was built in a folder.
fn component_of(plugin: &Path) -> anyhow::Result<PathBuf> {
    if !plugin.is_dir() {
        return Ok(plugin.to_owned());
    }
    let component = Project::find(plugin)?.component();
    anyhow::ensure!(
        component.is_file(),
        "{} is not there; build it with `sipward plugin build`",
        component.display()
    );
    Ok(component)
}

/// The golden messages beside a component.
fn beside(component: &Path) -> Option<PathBuf> {
    let golden = component.parent()?.join("golden");
    golden.is_dir().then_some(golden)
}

impl Accepted {
    /// Those whose signatures count, and what the configuration grants the plugin.
    fn read(&self, plugin: &Path) -> anyhow::Result<(Vec<Signer>, Vec<inspect::Entry>)> {
        let mut signers = Vec::new();
        for written in &self.key {
            signers.push(Signer {
                name: Arc::from(written.as_str()),
                key: signing::public_key(written)?,
            });
        }
        let Some(file) = &self.config else {
            return Ok((signers, Vec::new()));
        };
        let config = config::load(file)
            .with_context(|| format!("failed to use {}", file.display()))?
            .config;
        signers.extend(config.signers.iter().map(|signer| Signer {
            name: Arc::from(signer.name.as_str()),
            key: signer.public_key.clone(),
        }));
        Ok((signers, entries(&config, plugin)))
    }
}

/// The entries of a configuration that use this file.
fn entries(config: &Config, plugin: &Path) -> Vec<inspect::Entry> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let wanted = whole(plugin);
    let using = config.plugins.iter().filter(|it| whole(&it.path) == wanted);
    using
        .map(|plugin| inspect::Entry {
            name: plugin.name.clone(),
            capabilities: plugin.capabilities.clone(),
        })
        .collect()
}
