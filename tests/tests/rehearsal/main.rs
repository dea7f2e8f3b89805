//! `sipward explain` and `sipward replay` through the real binary, with the real plugins.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sipward_tests::stage::{Stage, binary, root};

mod calls;
mod explain;
mod replay;
#[path = "../../../host/rehearsal/tests/suite/writer.rs"]
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

/// Rewrites the book's samples instead of checking them.
const UPDATE: &str = "SIPWARD_UPDATE_BOOK";

/// A page of the book, split at the block that comes after this mark.
fn split(page: &str, mark: &str) -> [String; 3] {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("a page");
    let mark = format!("<!-- {mark} -->\n```text\n");
    let (before, after) = text.split_once(&mark).expect("the mark");
    let end = after.find("```").expect("the end of the block");
    let (block, after) = after.split_at(end);
    [
        format!("{before}{mark}"),
        block.to_owned(),
        after.to_owned(),
    ]
}

/// The block of a page of the book that comes after this mark.
fn block(page: &str, mark: &str) -> String {
    let [_, block, _] = split(page, mark);
    block
}

/// The book shows what is printed.
fn is_in_book(page: &str, mark: &str, printed: &str) {
    let [before, block, after] = split(page, mark);
    if std::env::var_os(UPDATE).is_some() {
        let text = format!("{before}{printed}{after}");
        std::fs::write(root().join("docs").join(page), text).expect("the page is written");
    } else {
        assert_eq!(block, printed, "{UPDATE}=1 rewrites docs/{page}: {printed}");
    }
}
