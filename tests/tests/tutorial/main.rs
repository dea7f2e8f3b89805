//! The tutorial, run as it stands: files are written as the page shows them, commands
//! are typed into one shell, and what the page says comes out of them has to come out.
//!
//! ```text
//! `path`:            before a block: the block is the file
//! sh                 commands; any that fails ends the run
//! text, after sh     lines that have to be in what the commands printed, in this
//!                    order; `...` stands for anything
//! ```

mod page;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use page::{Step, steps};

/// How long the whole page may take: a compiler runs on it three times, on a machine
/// that may do other things.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// The repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("the workspace").to_owned()
}

/// The folder with the programs of this build.
fn programs() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let folder = program.parent().and_then(Path::parent);
    folder.expect("target/profile").to_owned()
}

/// A shell that ends with all that it started.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ended = Command::new("kill").args(["--", &group]).status();
        let _ended = self.0.wait();
    }
}

/// Runs the steps of a page in a folder, and gives what each of its commands printed.
fn run(steps: &[Step], folder: &Path) -> Vec<String> {
    let script = folder.join("page.sh");
    let output = folder.join("page.out");
    std::fs::write(&script, page::script(steps, folder)).expect("a script");
    let printed = std::fs::File::create(&output).expect("a file");
    let again = printed.try_clone().expect("the same file");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .arg(&script)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs().display()))
        .env("SIPWARD_SDK", root().join("plugin-sdk"))
        // What was compiled is kept from run to run, and nothing is fetched.
        .env("CARGO_TARGET_DIR", programs().with_file_name("tutorial"))
        .env("CARGO_NET_OFFLINE", "true")
        .stdin(Stdio::null())
        .stdout(printed)
        .stderr(again)
        .process_group(0);
    let mut shell = Shell(command.spawn().expect("bash"));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = shell.0.try_wait().expect("a child") {
            break Some(status);
        }
        if started.elapsed() > PATIENCE {
            break None;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let text = std::fs::read(&output).expect("what was printed");
    let text = String::from_utf8_lossy(&text).into_owned();
    match status {
        Some(status) if status.success() => page::printed(&text),
        Some(status) => panic!("the page ends early with {status}:\n{text}"),
        None => panic!("the page takes longer than {PATIENCE:?}:\n{text}"),
    }
}

#[test]
fn the_tutorial_does_what_it_says() {
    let text = std::fs::read_to_string(root().join("docs/author/tutorial.md")).expect("the page");
    let steps = steps(&text);
    assert!(steps.len() > 20, "the page is read wrongly: {steps:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let printed = run(&steps, folder.path());
    for (step, line) in page::expectations(&steps) {
        if let Some(missing) = page::missing(&printed[step], line) {
            panic!(
                "`{missing}` did not come out of step {step}:\n{}",
                printed[step]
            );
        }
    }
}
