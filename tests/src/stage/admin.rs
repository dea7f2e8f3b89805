//! The admin socket, spoken to directly. Starting `sipward reload` costs more than many a
//! reload does, and would be heard in what is measured beside it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;

/// As long as `sipward reload` waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Gives a command and waits until it is carried out: what was said, as an error if it was
/// refused.
///
/// # Errors
/// The reason for the refusal.
///
/// # Panics
/// Nobody answers on the stage's admin socket.
pub fn order(stage: &Stage, command: &str) -> Result<String, String> {
    let mut stream = UnixStream::connect(stage.path("admin.sock")).expect("an admin socket");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    let line = format!("{}\n", json!({ "command": command }));
    stream.write_all(line.as_bytes()).expect("a command leaves");
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .expect("an answer");
    let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
    let message = answer["message"].as_str().unwrap_or_default().to_owned();
    match answer["ok"] == true {
        true => Ok(message),
        false => Err(message),
    }
}
