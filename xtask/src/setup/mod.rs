//! `cargo xtask setup`: finds what a command needs, installs what is missing, and
//! says what it did. Anything that cannot be had is an error, never a skip.

mod packages;
mod rust_tools;

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use plugin_build::GuestToolchain;

use crate::workspace;

/// The command to prepare for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// A compiler for guests, and what the proxy links with.
    Plugins,
    /// The same and sipp.
    Demo,
    /// That, the phones that calls with audio are made with, scanners, what builds
    /// policies in other languages, and a registry.
    Test,
    /// The same as for the demo, Kamailio and rtpengine.
    Bench,
    /// What `test` needs, cargo-deny and mdbook.
    Ci,
}

/// Find or install everything, and hand back the compiler for guests.
pub(crate) fn run(purpose: Purpose) -> Result<GuestToolchain> {
    eprintln!("==> setup");
    let needs: &[packages::Need] = match purpose {
        Purpose::Plugins => &[packages::OPENSSL],
        Purpose::Demo => &[packages::OPENSSL, packages::SIPP],
        Purpose::Test | Purpose::Ci => &[
            packages::OPENSSL,
            packages::SIPP,
            packages::SIPVICIOUS,
            packages::BARESIP,
            packages::LINPHONE,
            packages::TCPDUMP,
            packages::NODE,
            packages::PYTHON,
            packages::REGISTRY,
        ],
        Purpose::Bench => &[
            packages::OPENSSL,
            packages::SIPP,
            packages::KAMAILIO,
            packages::RTPENGINE,
        ],
    };
    packages::ensure(needs)?;
    if purpose == Purpose::Ci {
        rust_tools::ensure()?;
    }
    guest_toolchain()
}

/// What builds policies in other languages.
pub(crate) fn languages() -> Result<()> {
    eprintln!("==> setup");
    packages::ensure(&[packages::NODE, packages::PYTHON])
}

/// A compiler for guests, installed if there is none.
pub(crate) fn guest_toolchain() -> Result<GuestToolchain> {
    let mut say = |how: &str| say("compiler for guests", how);
    Ok(GuestToolchain::find_or_install(
        &workspace::root(),
        &mut say,
    )?)
}

/// One line of the report.
fn say(what: &str, how: &str) {
    eprintln!("    {what:<24} {how}");
}
