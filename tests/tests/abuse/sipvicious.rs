//! The scanners of SIPVicious, as they come and under another name.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sipward_tests::stage::Stage;

/// Longest run of one of them.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a tool on a machine of one address: svcrack has an option for that and forgets it.
const FROM_ADDRESS: &str = "
import os, socket
class Socket(socket.socket):
    def bind(self, address):
        super().bind((os.environ['SOURCE'], address[1]))
socket.socket = Socket
from sipvicious.TOOL import main
main()
";

/// Where they are, in their own shape or in disguise.
pub(crate) struct Scanners {
    /// What their scripts are run by.
    interpreter: String,
    /// The folder that has the package `sipvicious`.
    home: PathBuf,
}

/// A running scanner; killed when dropped.
pub(crate) struct Scan {
    child: Child,
    name: String,
    output: PathBuf,
}

/// A program of the system by its name.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is missing; run `cargo xtask setup`"))
}

impl Scanners {
    /// As they come.
    pub(crate) fn installed() -> Self {
        let script = std::fs::canonicalize(find("svmap")).expect("svmap");
        let text = std::fs::read_to_string(&script).expect("svmap is a script");
        let first = text.lines().next().unwrap_or_default();
        let interpreter = first
            .strip_prefix("#!")
            .expect("a script")
            .trim()
            .to_owned();
        let beside = script.parent().expect("a folder").join("sipvicious");
        let shared = Path::new("/usr/share/sipvicious");
        let home = if beside.is_dir() {
            beside.parent().expect("a folder").to_owned()
        } else if shared.join("sipvicious").is_dir() {
            shared.to_owned()
        } else {
            Self::of_python(&interpreter)
        };
        Self { interpreter, home }
    }

    /// Where Python finds the package.
    fn of_python(interpreter: &str) -> PathBuf {
        let ask = "import os, sipvicious; print(os.path.dirname(sipvicious.__path__[0]))";
        let output = Command::new(interpreter)
            .args(["-c", ask])
            .output()
            .expect("Python runs");
        let text = String::from_utf8(output.stdout).expect("a path");
        PathBuf::from(text.trim())
    }

    /// As somebody uses them who has read what they are known by.
    pub(crate) fn disguised(stage: &Stage) -> Self {
        let installed = Self::installed();
        let home = stage.path("disguise");
        for folder in ["", "libs"] {
            let from = installed.home.join("sipvicious").join(folder);
            let to = home.join("sipvicious").join(folder);
            std::fs::create_dir_all(&to).expect("a folder");
            for entry in std::fs::read_dir(from).expect("the package").flatten() {
                let is_python = entry.path().extension().is_some_and(|it| it == "py");
                if !is_python {
                    continue;
                }
                let text = std::fs::read_to_string(entry.path()).expect("Python");
                let text = text
                    .replace("friendly-scanner", "Telephone 7.1")
                    .replace("fromname='sipvicious'", "fromname='Reception'")
                    .replace("default=\"sipvicious\"", "default=\"Reception\"")
                    .replace("sip:100@1.1.1.1", "sip:4711@198.51.100.7")
                    .replace("sip:123@1.1.1.1", "sip:4711@198.51.100.7")
                    .replace("\\x01", "\\x02");
                std::fs::write(to.join(entry.file_name()), text).expect("a copy");
            }
        }
        let helper = home.join("sipvicious/libs/svhelper.py");
        let helper = std::fs::read_to_string(helper).expect("the copy");
        assert!(helper.contains("Telephone 7.1") && helper.contains("\\x02"));
        Self {
            interpreter: installed.interpreter,
            home,
        }
    }

    /// Starts one from an address.
    pub(crate) fn start(
        &self,
        stage: &Stage,
        name: &str,
        tool: &str,
        source: Ipv4Addr,
        arguments: &[&str],
    ) -> Scan {
        let output = stage.path(&format!("{name}.out"));
        let file = File::create(&output).expect("a file for its output");
        let child = Command::new(&self.interpreter)
            .args(["-c", &FROM_ADDRESS.replace("TOOL", tool)])
            .args(["-x", &source.to_string()])
            .env("SOURCE", source.to_string())
            .args(arguments)
            .env("PYTHONPATH", &self.home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HOME", stage.path("."))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the file twice"))
            .stderr(file)
            .spawn()
            .expect("Python runs");
        Scan {
            child,
            name: name.to_owned(),
            output,
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Scan {
    /// Waits for its end: what it says.
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("to look at it").is_none() {
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = std::fs::read_to_string(&self.output).unwrap_or_default();
        assert!(!said.contains("Traceback"), "{}: {said}", self.name);
        said
    }

    /// Waits for its end: it has found nothing.
    #[track_caller]
    pub(crate) fn finds_nothing(self) {
        let name = self.name.clone();
        let said = self.finish();
        // What is found is printed as a table.
        assert!(
            said.contains("found nothing") && !said.contains("+---"),
            "{name}: {said}"
        );
    }
}
