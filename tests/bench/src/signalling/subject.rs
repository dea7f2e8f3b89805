//! The programs that are measured, each started for one run and stopped after it.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::load;
use crate::ports::Ports;
use crate::secure;

/// How long a subject may take until it answers: Sipward compiles its plugins once.
const START: Duration = Duration::from_secs(180);

/// `isolation` of plugins that are measured with what one keeps.
const KEPT: &str = "reuse";
/// And as they are by default.
const ONCE: &str = "single-use";

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Sipward with its four plugins, whose instances are kept.
    Sipward,
    /// The same with an instance for each call of a plugin, as is the default.
    SipwardSingleUse,
    /// Kamailio, decisions in its own language.
    KamailioNative,
    /// Kamailio, decisions in Lua.
    KamailioKemi,
    /// Sipward with all policies of `examples/secure-trunk`, whose instances are kept.
    SipwardSecure,
    /// The same as the example has it.
    SipwardSecureSingleUse,
    /// Kamailio with those of its own modules that decide the same.
    KamailioSecure,
}

impl Kind {
    /// All of them, in the order in which they take turns.
    pub(crate) const ALL: [Self; 7] = [
        Self::Sipward,
        Self::SipwardSingleUse,
        Self::KamailioNative,
        Self::KamailioKemi,
        Self::SipwardSecure,
        Self::SipwardSecureSingleUse,
        Self::KamailioSecure,
    ];

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sipward => "sipward",
            Self::SipwardSingleUse => "sipward-single-use",
            Self::KamailioNative => "kamailio-native",
            Self::KamailioKemi => "kamailio-kemi",
            Self::SipwardSecure => "sipward-secure",
            Self::SipwardSecureSingleUse => "sipward-secure-single-use",
            Self::KamailioSecure => "kamailio-secure",
        }
    }
}

/// A running subject, in a process group of its own; dropped, it is stopped.
pub(crate) struct Subject {
    child: Child,
}

impl Subject {
    /// The process group that all its processes are in.
    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.group());
        // A group that has ended is what is wanted.
        let _sent = Command::new("kill")
            .args([signal, "--", &group])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.signal("-TERM");
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal("-KILL");
        let _reaped = self.child.wait();
    }
}

/// Start a subject and wait until it answers. Compiled plugins are kept in `cache`.
pub(crate) fn start(kind: Kind, ports: &Ports, folder: &Path, cache: &Path) -> Result<Subject> {
    let mut command = match kind {
        Kind::Sipward => sipward(KEPT, ports, folder, cache)?,
        Kind::SipwardSingleUse => sipward(ONCE, ports, folder, cache)?,
        Kind::KamailioNative => kamailio("native.cfg", ports, folder)?,
        Kind::KamailioKemi => kamailio("kemi.cfg", ports, folder)?,
        Kind::SipwardSecure => sipward_secure(KEPT, ports, folder, cache)?,
        Kind::SipwardSecureSingleUse => sipward_secure(ONCE, ports, folder, cache)?,
        Kind::KamailioSecure => kamailio("secure.cfg", ports, folder)?,
    };
    let log_path = folder.join("subject.log");
    let log = fs::File::create(&log_path)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("failed to start {}", kind.name()))?;
    let mut subject = Subject { child };
    if let Err(error) = wait_until_it_answers(&mut subject, ports) {
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        bail!(
            "{error:#}; its last lines, newest first:\n{}",
            tail.join("\n")
        );
    }
    Ok(subject)
}

fn wait_until_it_answers(subject: &mut Subject, ports: &Ports) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let us = socket.local_addr()?;
    let until = Instant::now() + START;
    let mut number = 0_u32;
    while Instant::now() < until {
        if let Some(status) = subject.child.try_wait()? {
            bail!("it ended at once: {status}");
        }
        number += 1;
        // Without a hop left, the subject itself has to answer.
        let options = format!(
            "OPTIONS sip:ready@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKready{number}\r\n\
             From: <sip:bench@{us}>;tag=ready\r\nTo: <sip:ready@127.0.0.1:{port}>\r\nCall-ID: ready{number}@{us}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n",
            port = ports.inside
        );
        // Nobody may listen yet.
        let _sent = socket.send_to(options.as_bytes(), (Ipv4Addr::LOCALHOST, ports.inside));
        let mut buffer = [0; 2048];
        if socket.recv(&mut buffer).is_ok_and(|length| {
            buffer
                .get(..length)
                .is_some_and(|it| it.starts_with(b"SIP/2.0 "))
        }) {
            return Ok(());
        }
    }
    bail!("it did not answer within {} s", START.as_secs())
}

/// Kamailio at its best: its fast allocator, enough shared memory for
/// the load, two workers.
fn kamailio(main: &str, ports: &Ports, folder: &Path) -> Result<Command> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kamailio");
    let trunk = format!("sip:127.0.0.1:{}", ports.trunk);
    let place = folder.join("kamailio");
    fs::create_dir_all(place.join("tables"))?;
    fs::create_dir_all(place.join("run"))?;
    for name in [
        "stack.cfg",
        "native.cfg",
        "kemi.cfg",
        "kemi.lua",
        "secure.cfg",
    ] {
        let text = fs::read_to_string(source.join(name))
            .with_context(|| format!("failed to read {name}"))?;
        let text = text
            .replace("@FOLDER@", &place.to_string_lossy())
            .replace("@TRUNK@", &trunk);
        fs::write(place.join(name), text)?;
    }
    secure::tables(&place.join("tables"))?;
    for name in [
        "version",
        "destinations",
        "address.list",
        "abroad",
        "secfilter",
    ] {
        fs::copy(
            source.join("tables").join(name),
            place.join("tables").join(name),
        )?;
    }
    let program = ["kamailio", "/usr/sbin/kamailio"]
        .into_iter()
        .find(|it| {
            Command::new(it)
                .arg("-v")
                .stdout(Stdio::null())
                .status()
                .is_ok()
        })
        .context("kamailio is not installed; `cargo xtask setup --for bench` installs it")?;
    let mut command = Command::new(program);
    command
        .args([
            "-DD", "-n", "2", "-x", "fm", "-X", "fm", "-m", "2048", "-M", "32",
        ])
        .args(["-l", &format!("udp:127.0.0.1:{}", ports.inside)])
        .arg("-f")
        .arg(place.join(main))
        .arg("-Y")
        .arg(place.join("run"));
    Ok(command)
}

/// Sipward, built for release, with the four plugins.
fn sipward(isolation: &str, ports: &Ports, folder: &Path, cache: &Path) -> Result<Command> {
    let plugins = plugins()?;
    let config = include_str!("sipward.toml")
        .replace("@FOLDER@", &folder.to_string_lossy())
        .replace("@CACHE@", &cache.to_string_lossy())
        .replace("@PLUGINS@", &plugins)
        .replace("@ISOLATION@", isolation)
        .replace("@INSIDE@", &ports.inside.to_string())
        .replace("@TRUNK@", &ports.trunk.to_string());
    fs::write(folder.join("password"), format!("{}\n", load::PASSWORD))?;
    fs::write(folder.join("sipward.toml"), config)?;
    program(folder)
}

/// Sipward, built for release, with all plugins.
fn sipward_secure(isolation: &str, ports: &Ports, folder: &Path, cache: &Path) -> Result<Command> {
    secure::configure(&plugins()?, isolation, ports, folder, cache)?;
    program(folder)
}

fn plugins() -> Result<String> {
    std::env::var("SIPWARD_PLUGINS")
        .context("SIPWARD_PLUGINS is not set; start this by `cargo xtask bench signalling`")
}

/// The program with the configuration in the folder.
fn program(folder: &Path) -> Result<Command> {
    // It was built with this program.
    let program = std::env::current_exe()?.with_file_name("sipward");
    let mut command = Command::new(program);
    command
        .args(["run", "--config"])
        .arg(folder.join("sipward.toml"));
    Ok(command)
}
