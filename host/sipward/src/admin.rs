//! The admin socket: one JSON object a line in, one out.
//!
//! A Unix socket that only its owner may open. Requests are bounded in size and
//! time, and one that cannot be understood is answered with an error.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one request line; commands are a few words.
const REQUEST_BYTES: u64 = 4096;
/// Bytes of one answer; a status with thousands of peers fits.
const ANSWER_BYTES: u64 = 8 << 20;
/// A client that does not speak is let go.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// A reload compiles plugins, which may take a while on a small machine.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// Commands waiting for the control loop.
const WAITING_COMMANDS: usize = 16;

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Load the configuration again.
    Reload,
    /// Tell figures.
    Status,
    /// Take no new calls and stop when the running ones have ended.
    Drain,
    /// Show candidates, or decide about one.
    Candidate(CandidateOrder),
}

/// What can be asked about candidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum CandidateOrder {
    /// Tell how they do.
    Status,
    /// Let one judge all calls.
    Promote {
        /// The plugin.
        plugin: String,
    },
    /// Let one judge none.
    Rollback {
        /// The plugin.
        plugin: String,
    },
    /// Try one again as the configuration says.
    Resume {
        /// The plugin.
        plugin: String,
    },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the command was carried out.
    pub ok: bool,
    /// What to show to a person.
    pub message: String,
    /// Figures, for `status`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// A command with the place for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What was asked.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// The open socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    commands: mpsc::Receiver<Asked>,
}

impl AdminSocket {
    /// Listen at `path`, taking over a socket that nobody answers.
    ///
    /// # Errors
    /// Another process answers there, or the file cannot be made.
    pub async fn open(path: &Path) -> std::io::Result<Self> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                "another sipward answers on this admin socket",
            ));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let (sender, commands) = mpsc::channel(WAITING_COMMANDS);
        tokio::spawn(accept(listener, sender));
        Ok(Self {
            path: path.to_owned(),
            commands,
        })
    }

    /// The next command.
    pub async fn next(&mut self) -> Option<Asked> {
        self.commands.recv().await
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Nothing can be done about a file that is gone already.
        let _gone = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, commands: mpsc::Sender<Asked>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, commands.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "admin socket: failed to accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, commands: mpsc::Sender<Asked>) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(REQUEST_BYTES));
    let answer = match tokio::time::timeout(REQUEST_TIME, reader.read_line(&mut line)).await {
        Err(_) | Ok(Err(_)) => return,
        Ok(Ok(_)) => match serde_json::from_str::<Command>(&line) {
            Ok(command) => ask(command, &commands).await,
            Err(error) => refused(format!("not a command: {error}")),
        },
    };
    if let Ok(mut text) = serde_json::to_string(&answer) {
        text.push('\n');
        // A client that left does not want its answer.
        let _left = write.write_all(text.as_bytes()).await;
    }
}

async fn ask(command: Command, commands: &mpsc::Sender<Asked>) -> Answer {
    let (answer, answered) = oneshot::channel();
    if commands.send(Asked { command, answer }).await.is_err() {
        return refused("sipward is stopping".to_owned());
    }
    match tokio::time::timeout(ANSWER_TIME, answered).await {
        Ok(Ok(answer)) => answer,
        _ => refused("sipward did not answer in time".to_owned()),
    }
}

fn refused(message: String) -> Answer {
    Answer {
        ok: false,
        message,
        data: serde_json::Value::Null,
    }
}

/// Send a command to a running proxy and wait for its answer.
///
/// # Errors
/// Nobody listens at `path`, or the answer is cut off or not understood.
pub async fn send(path: &Path, command: Command) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(path).await?;
    let mut text = serde_json::to_string(&command)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    let mut line = String::new();
    let mut reader = BufReader::new(stream.take(ANSWER_BYTES));
    tokio::time::timeout(ANSWER_TIME, reader.read_line(&mut line)).await??;
    Ok(serde_json::from_str(&line)?)
}
