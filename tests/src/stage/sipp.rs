//! sipp as PBX and as trunk, with the scenarios in `tests/sipp`.

use std::fs::File;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{NUMBER, PASSWORD, PBX, Stage, TRUNK, root};

/// Seconds that sipp may take to end after its time is over.
const GRACE_S: u64 = 60;

/// Calls to make.
#[derive(Debug, Clone)]
pub struct Calls {
    /// Names its files; unique within a stage.
    pub name: &'static str,
    /// Scenario in `tests/sipp`.
    pub scenario: &'static str,
    /// Where they come from.
    pub source: Ipv4Addr,
    /// Who is called.
    pub number: &'static str,
    /// The password used.
    pub password: &'static str,
    /// The refusal that a scenario shall expect instead of 403.
    pub refusal: u16,
    /// How many calls.
    pub count: u32,
    /// Calls per second.
    pub rate: u32,
    /// How long each talks.
    pub talk_ms: u32,
    /// How long each waits for a message before it gives up.
    pub patience_ms: u32,
    /// How long all of them may take, in seconds.
    pub limit_s: u32,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            name: "calls",
            scenario: "pbx-calls.xml",
            source: PBX,
            number: NUMBER,
            password: PASSWORD,
            refusal: 403,
            count: 1,
            rate: 50,
            talk_ms: 100,
            patience_ms: 20_000,
            limit_s: 180,
        }
    }
}

/// What sipp counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that sipp had to repeat.
    pub retransmissions: u64,
}

/// A running sipp; killed when dropped.
pub struct Sipp {
    child: Child,
    /// How long it may run after it was asked to finish.
    limit: Duration,
    statistics: std::path::PathBuf,
    errors: std::path::PathBuf,
}

/// A trunk that answers.
pub struct Trunk {
    _sipp: Sipp,
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Calls {
    /// Start making them.
    ///
    /// # Panics
    /// sipp cannot be started.
    #[must_use]
    pub fn start(&self, stage: &Stage) -> Sipp {
        let proxy = format!("{PBX}:{}", stage.inside);
        let mut command = sipp(stage, self.name, self.scenario, self.refusal);
        command
            .arg(&proxy)
            .args(["-i", &self.source.to_string(), "-s", self.number]);
        command.args(["-au", "pbx", "-ap", self.password]);
        command.args(["-auth_uri", &format!("{}@{proxy}", self.number)]);
        command.args(["-m", &self.count.to_string(), "-r", &self.rate.to_string()]);
        command.args([
            "-d",
            &self.talk_ms.to_string(),
            "-recv_timeout",
            &self.patience_ms.to_string(),
            "-timeout",
            &format!("{}s", self.limit_s),
        ]);
        let mut sipp = spawn(command, stage, self.name);
        sipp.limit = Duration::from_secs(u64::from(self.limit_s) + GRACE_S);
        sipp
    }

    /// Make them and wait for their end.
    ///
    /// # Panics
    /// sipp cannot be started or does not end.
    #[must_use]
    pub fn make(&self, stage: &Stage) -> Figures {
        self.start(stage).finish()
    }
}

impl Trunk {
    /// Start answering.
    ///
    /// # Panics
    /// sipp cannot be started or its port is not bound in time.
    #[must_use]
    pub fn answer(stage: &Stage) -> Self {
        let mut command = sipp(stage, "trunk", "trunk-answers.xml", 403);
        command.args(["-i", &TRUNK.to_string(), "-p", &stage.trunk.to_string()]);
        let sipp = spawn(command, stage, "trunk");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::UdpSocket::bind((TRUNK, stage.trunk)).is_ok() {
            assert!(Instant::now() < deadline, "the trunk does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { _sipp: sipp }
    }
}

impl Sipp {
    /// Whether its calls still go on.
    ///
    /// # Panics
    /// The system does not say.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("to look at sipp").is_none()
    }

    /// Begin no further calls, and wait for the end of those that run.
    ///
    /// # Panics
    /// As [`Sipp::finish`].
    #[must_use]
    pub fn stop(self) -> Figures {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "USR1", &id]).status();
        assert!(sent.is_ok_and(|it| it.success()), "sipp has ended already");
        self.finish()
    }

    /// Wait for the end.
    ///
    /// # Panics
    /// It does not end, or leaves no statistics.
    #[must_use]
    pub fn finish(mut self) -> Figures {
        let deadline = Instant::now() + self.limit;
        while self.is_running() {
            assert!(Instant::now() < deadline, "sipp does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let text = std::fs::read_to_string(&self.statistics)
            .unwrap_or_else(|error| panic!("sipp left no statistics: {error}; {errors}"));
        let figures = figures(&text);
        if figures.failed > 0 {
            eprintln!("sipp: {}", errors.chars().take(2000).collect::<String>());
        }
        figures
    }
}

fn sipp(stage: &Stage, name: &str, scenario: &str, refusal: u16) -> Command {
    let scenario = root().join("tests/sipp").join(scenario);
    let text = std::fs::read_to_string(scenario).expect("a scenario");
    // The password and the name of a call can be arguments; what it waits for cannot.
    let text = text.replace("response=\"403\"", &format!("response=\"{refusal}\""));
    let copy = stage.path(&format!("{name}.xml"));
    std::fs::write(&copy, text).expect("its copy");
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(copy);
    command.args(["-nostdin", "-trace_stat", "-fd", "1", "-trace_err"]);
    command.arg("-stf").arg(stage.path(&format!("{name}.csv")));
    command
        .arg("-error_file")
        .arg(stage.path(&format!("{name}.err")));
    command.args(["-cid_str", &format!("{name}-%u-%p@%s")]);
    command
}

fn spawn(mut command: Command, stage: &Stage, name: &str) -> Sipp {
    let screen =
        File::create(stage.path(&format!("{name}.screen"))).expect("a file for the screen");
    let child = command
        .stdin(Stdio::null())
        .stdout(screen.try_clone().expect("the file twice"))
        .stderr(screen)
        .spawn()
        .expect("sipp is missing; run `cargo xtask setup`");
    Sipp {
        child,
        limit: Duration::from_secs(GRACE_S),
        statistics: stage.path(&format!("{name}.csv")),
        errors: stage.path(&format!("{name}.err")),
    }
}

/// The cumulative figures of the last line.
fn figures(text: &str) -> Figures {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
    let value = |name: &str| {
        let place = names
            .iter()
            .position(|it| *it == name)
            .unwrap_or_else(|| panic!("no column {name}"));
        last.get(place)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no value {name}"))
    };
    Figures {
        successful: value("SuccessfulCall(C)"),
        failed: value("FailedCall(C)"),
        retransmissions: value("Retransmissions(C)"),
    }
}
