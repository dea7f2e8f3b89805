//! `cargo xtask demo`: real SIP calls through the real proxy, its real plugins, and
//! plugins that change while calls go on. sipp plays the trunk and the PBXs.

mod digest;
mod phone;
mod proxy;
mod scenes;
mod screen;
mod sipp;
mod stage;

use anyhow::{Context, Result};
use clap::Args;

use crate::setup::{self, Purpose};
use crate::{plugins, process};
use stage::{PREMIUM_PREFIX, Stage};

/// How the demo is run.
#[derive(Args)]
pub(crate) struct Options {
    /// Take what was built before, without building.
    #[arg(long)]
    no_build: bool,
}

/// Prepare, play every scene, and leave the files for whoever wants to look.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = setup::run(Purpose::Demo)?;
    if !options.no_build {
        plugins::build(&toolchain)?;
        eprintln!("==> build");
        process::run(process::cargo().args([
            "build",
            "--locked",
            "--package",
            "sipward",
            "--bin",
            "sipward",
        ]))?;
    }
    let stage = Stage::prepare()?;
    stage.configure(&[PREMIUM_PREFIX])?;
    let trunk = sipp::trunk(&stage)?;
    let proxy = proxy::Proxy::start(&stage)?;
    screen::says(
        "demo",
        &format!("everything is in {}", stage.folder.display()),
    );
    screen::says("sipward", &proxy.status()?);
    for (index, (title, play)) in scenes::SCENES.iter().enumerate() {
        screen::scene(index + 1, title);
        play(&stage, &proxy)
            .with_context(|| format!("scene {}, \"{title}\", failed", index + 1))?;
    }
    screen::scene(
        scenes::SCENES.len() + 1,
        "SIGTERM: the proxy drains and ends",
    );
    proxy.stop()?;
    screen::says("sipward", "no call was left; ended with success");
    drop(trunk);
    println!(
        "\nThe demo went as it should: {} scenes.",
        scenes::SCENES.len() + 1
    );
    Ok(())
}
