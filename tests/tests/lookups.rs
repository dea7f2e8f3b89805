//! Databases, lists and groups of a running proxy: checked, shown, read again when
//! their files change, and kept when a new file is wrong.

use std::process::Output;

use sipward_tests::stage::{Proxy, Stage};

#[expect(
    dead_code,
    reason = "the writer makes more kinds of values than are looked at here"
)]
#[path = "../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;

use mmdb::countries;

const LOOKUPS: &str = r#"
[geo]
country = "country.mmdb"

[[list]]
name = "barred"
file = "barred.txt"

[groups]
sales = ["alice", "bob"]
"#;

/// In one step, as package managers do.
fn replace(stage: &Stage, name: &str, bytes: &[u8]) {
    let beside = stage.path(&format!("{name}.new"));
    std::fs::write(&beside, bytes).expect("a file");
    std::fs::rename(&beside, stage.path(name)).expect("a file in its place");
}

/// The usual configuration and this, watched.
fn configure(stage: &Stage, more: &str) {
    stage.configure(&[], more);
    let text = std::fs::read_to_string(stage.config()).expect("a configuration");
    stage.write(&text.replace("watch = false", "watch = true"));
}

fn stage() -> Stage {
    let stage = Stage::new();
    replace(&stage, "country.mmdb", &countries(&[("81.0.0.0/8", "GB")]));
    replace(&stage, "barred.txt", b"# nobody\n+881 = satellite\n");
    configure(&stage, LOOKUPS);
    stage
}

fn text(output: &Output) -> String {
    let bytes = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn what_is_wrong_with_a_file_is_said_before_it_is_used() {
    let stage = stage();
    let check = || {
        let mut command = std::process::Command::new(sipward_tests::stage::binary());
        let output = command
            .args(["check", "--config"])
            .arg(stage.config())
            .output();
        let output = output.expect("the command runs");
        (output.status.success(), text(&output))
    };
    let (good, said) = check();
    assert!(good, "{said}");

    replace(&stage, "barred.txt", b"+881 = satellite\n= nothing\n");
    let (good, said) = check();
    assert!(!good && said.contains("list `barred`"), "{said}");
    assert!(
        said.contains("barred.txt: line 2: nothing stands before"),
        "{said}"
    );

    replace(&stage, "barred.txt", b"");
    replace(&stage, "country.mmdb", b"\xab\xcd\xefMaxMind.com");
    let (good, said) = check();
    assert!(!good && said.contains("geo.country: "), "{said}");
    assert!(
        said.contains("country.mmdb: it is no sound MaxMind DB"),
        "{said}"
    );
}

#[test]
fn files_that_change_are_read_again_and_wrong_ones_are_not_used() {
    let stage = stage();
    let proxy = Proxy::start(&stage);
    let shown = text(&proxy.ask("status"));
    assert!(
        shown.contains("geo country: Test-Country, built 2023-11-14"),
        "{shown}"
    );
    assert!(shown.contains("list barred: 1 entries"), "{shown}");

    replace(&stage, "barred.txt", b"+881 = satellite\n+979 = premium\n");
    proxy.wait_until("the new list", |status| {
        status["lookups"]["lists"]["barred"]["entries"] == 2
    });
    let generation = proxy.status()["total"]["generation"].clone();

    replace(&stage, "barred.txt", b"+881 = satellite\n+979\n+881\n");
    proxy.wait_until("the refusal", |status| {
        let said = status["last_reload"].as_str().unwrap_or_default();
        said.contains("line 3: its key stands in line 1 already")
    });
    let status = proxy.status();
    assert_eq!(status["lookups"]["lists"]["barred"]["entries"], 2);
    assert_eq!(status["total"]["generation"], generation);

    // A wrong list beside it keeps a new database out, and a right one lets it in.
    let two = countries(&[("81.0.0.0/8", "GB"), ("82.0.0.0/8", "FR")]);
    replace(&stage, "country.mmdb", &two);
    let said = proxy.reload().expect_err("the list is still wrong");
    assert!(said.contains("nothing has changed"), "{said}");
    let nodes = |proxy: &Proxy<'_>| proxy.status()["lookups"]["geo"]["country"]["nodes"].clone();
    assert_eq!(nodes(&proxy), status["lookups"]["geo"]["country"]["nodes"]);
    replace(&stage, "barred.txt", b"+881\n");
    proxy.wait_until("both", |now| {
        now["lookups"]["lists"]["barred"]["entries"] == 1
            && now["lookups"]["geo"]["country"]["nodes"]
                != status["lookups"]["geo"]["country"]["nodes"]
    });

    // Taken out of the configuration.
    configure(&stage, "");
    proxy.wait_until("none", |status| {
        status["lookups"]["lists"]["barred"].is_null()
    });
    assert!(!text(&proxy.ask("status")).contains("geo country"));
}
