//! sipp as trunk and as PBX.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::demo::stage::{Stage, TRUNK, USER};
use crate::workspace;

/// Seconds after which any sipp of the demo gives up.
const GIVE_UP: &str = "60";

/// A sipp that runs until it is done or dropped.
pub(crate) struct Sipp {
    child: Child,
    name: String,
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Sipp {
    /// Wait for the end; an error unless every call went as its scenario says.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!(
                "sipp's calls ({}) did not go as the scenario says: {status}",
                self.name
            );
        }
        Ok(())
    }

    /// Whether the calls are still going on.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

/// Calls to make.
pub(crate) struct Calls<'a> {
    /// Begins their Call-IDs.
    pub(crate) name: &'a str,
    /// The scenario in `tests/sipp`.
    pub(crate) scenario: &'a str,
    /// Where they come from.
    pub(crate) source: Ipv4Addr,
    /// Who is called.
    pub(crate) number: &'a str,
    /// The password; the right one by default.
    pub(crate) password: Option<&'a str>,
    /// The final status that the scenario shall expect instead of 403.
    pub(crate) status: u16,
    /// How many.
    pub(crate) count: u32,
    /// How long each talks.
    pub(crate) talk_ms: u32,
}

impl Default for Calls<'_> {
    fn default() -> Self {
        Self {
            name: "call",
            scenario: "pbx-calls.xml",
            source: crate::demo::stage::PBX,
            number: crate::demo::stage::ORDINARY,
            password: None,
            status: 403,
            count: 1,
            talk_ms: 200,
        }
    }
}

impl Calls<'_> {
    /// Start the calls.
    pub(crate) fn start(&self, stage: &Stage) -> Result<Sipp> {
        let scenario = scenario(self.scenario)?
            .replace("response=\"403\"", &format!("response=\"{}\"", self.status));
        let copy = stage.folder.join(format!("{}.xml", self.name));
        fs::write(&copy, scenario)?;
        let proxy = format!("127.0.0.1:{}", stage.inside);
        let mut command = sipp(stage, self.name, self.source);
        command
            .arg("-sf")
            .arg(copy)
            .arg(&proxy)
            .args([
                "-s",
                self.number,
                "-au",
                USER,
                "-ap",
                self.password.unwrap_or(&stage.password),
            ])
            .args(["-auth_uri", &format!("{}@{proxy}", self.number)])
            .args(["-cid_str", &format!("{}-%u-%p@%s", self.name)])
            .args([
                "-m",
                &self.count.to_string(),
                "-r",
                "50",
                "-d",
                &self.talk_ms.to_string(),
            ])
            .args(["-recv_timeout", "8000"]);
        spawn(command, self.name)
    }

    /// Make the calls and wait until they are over.
    pub(crate) fn make(&self, stage: &Stage) -> Result<()> {
        self.start(stage)?.finish()
    }
}

/// Start the trunk.
pub(crate) fn trunk(stage: &Stage) -> Result<Sipp> {
    let copy = stage.folder.join("trunk.xml");
    fs::write(&copy, scenario("trunk-answers.xml")?)?;
    let mut command = sipp(stage, "trunk", TRUNK);
    command
        .arg("-sf")
        .arg(copy)
        .args(["-p", &stage.trunk.to_string()]);
    spawn(command, "trunk")
}

fn scenario(name: &str) -> Result<String> {
    let path = workspace::root().join("tests/sipp").join(name);
    fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

fn sipp(stage: &Stage, name: &str, address: Ipv4Addr) -> Command {
    let mut command = Command::new("sipp");
    command
        .current_dir(&stage.folder)
        .args(["-i", &address.to_string(), "-nostdin", "-timeout", GIVE_UP])
        .args(["-trace_err", "-error_file", &format!("{name}.errors.log")]);
    command
}

fn spawn(mut command: Command, name: &str) -> Result<Sipp> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start sipp ({name})"))?;
    Ok(Sipp {
        child,
        name: name.to_owned(),
    })
}
