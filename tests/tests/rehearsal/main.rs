//! `sipward explain` and `sipward replay` through the real binary, with the real plugins.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sipward_tests::stage::{Stage, binary, root};

mod calls;
mod explain;
mod replay;
#[path = "../../../host/rehearsal/tests/suite/writer.rs"]
#[expect(dead_code, reason = "captures are made in more ways elsewhere")]
mod writer;

/// Runs `sipward` with a text on its standard input.
fn sipward(stage: &Stage, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .args(arguments)
        .arg("--config")
        .arg(stage.config())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sipward starts");
    let mut stdin = child.stdin.take().expect("its input");
    // A command that reads nothing closes it.
    let _unread = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// What it printed.
fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&printed(output)).expect("JSON")
}

/// The block of a page of the book that comes after this mark.
fn block(page: &str, mark: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("a page");
    let mark = format!("<!-- {mark} -->\n```text\n");
    let (_, after) = text.split_once(&mark).expect("the mark");
    let (block, _) = after.split_once("```").expect("the end of the block");
    block.to_owned()
}
