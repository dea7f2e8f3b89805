//! Running other programs: found, started, watched, and their failures named.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::BuildError;

/// The cargo that runs us, or the one on the search path, in a folder.
pub fn cargo(folder: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// Where a program is on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Servers of Debian packages live here, and users seldom have it on their path.
    let sbin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(sbin)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The command as somebody would type it.
pub fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    if let Some(name) = PathBuf::from(command.get_program()).file_name() {
        words = vec![name.to_string_lossy().into_owned()];
    }
    words.extend(
        command
            .get_args()
            .map(|it| it.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Run to the end, showing all that the program prints.
///
/// # Errors
/// It does not start, or fails.
pub fn run(command: &mut Command) -> Result<(), BuildError> {
    let shown = line(command);
    eprintln!("    $ {shown}");
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|cause| BuildError::Start {
        line: shown.clone(),
        cause,
    })?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        line: shown,
        how: status.to_string(),
    })
}

/// Run to the end and return what it printed; on failure the error holds both streams.
///
/// # Errors
/// It does not start, or fails.
pub fn capture(command: &mut Command) -> Result<String, BuildError> {
    let shown = line(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|cause| BuildError::Start {
        line: shown.clone(),
        cause,
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(BuildError::Failed {
        line: shown,
        how: format!(
            "{}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    })
}

/// Whether a command starts and succeeds, quietly.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
