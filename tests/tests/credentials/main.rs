//! `sipward credential`, as an operator and a script use it, and a proxy that runs
//! while it is used.

mod office;
mod running;

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use office::{GOOD, Office, password_of};

#[test]
fn init_makes_key_and_store_for_their_owner_alone_and_only_once() {
    let office = Office::new();
    assert!(!office.path("accounts").exists());
    let early = office.refused(&["add", "alice", "--realm", "r"], "");
    assert!(early.contains("accounts.key"), "{early}");
    office.done(&["init"]);
    for name in ["accounts", "accounts.key"] {
        let about = std::fs::metadata(office.path(name)).expect(name);
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let again = office.refused(&["init"], "");
    assert!(again.contains("already"), "{again}");
}

#[test]
fn a_made_password_is_printed_once_and_a_chosen_one_never() {
    let office = Office::ready();
    let out = office.done(&["add", "alice", "--realm", "r", "--group", "staff"]);
    let password = password_of(&out);
    assert_eq!(password.len(), 24);
    let chosen = office.fed(&["add", "bob", "--realm", "r", "--password-stdin"], GOOD);
    assert_eq!(chosen.stdout, "");
    for arguments in [&["list"][..], &["list", "--json"], &["check"]] {
        let out = office.run(arguments, "").stdout;
        assert!(!out.contains(&password) && !out.contains(GOOD), "{out}");
    }
    let list = office.done(&["list"]);
    let alice = list.lines().find(|line| line.starts_with("alice"));
    let words: Vec<&str> = alice.expect("alice").split_whitespace().collect();
    assert_eq!(words[..6], ["alice", "r", "staff", "-", "0", "d"], "{list}");
    let new = password_of(&office.done(&["rotate", "alice"]));
    assert_ne!(new, password);
}

#[test]
fn a_weak_password_is_refused_with_every_reason_and_nothing_changes() {
    let office = Office::ready();
    office.done(&["add", "bob", "--realm", "r"]);
    let before = std::fs::read(office.path("accounts")).expect("the store");
    let add = ["add", "alice", "--realm", "r", "--password-stdin"];
    let told = office.refused(&add, "alice1\n");
    for reason in [
        "6 characters",
        "no capital letter",
        "no other character",
        "the user name is in it",
        "too common",
    ] {
        assert!(told.contains(reason), "{reason}: {told}");
    }
    let empty = office.refused(&add, "");
    assert!(empty.contains("no line with the password"), "{empty}");
    assert_eq!(std::fs::read(office.path("accounts")).expect("it"), before);
    office.fed(&add, GOOD);
    let other = ["add", "carol", "--realm", "r", "--password-stdin"];
    let used = office.refused(&other, GOOD);
    assert!(used.contains("another account has it"), "{used}");
    assert!(!used.contains("alice"), "{used}");
    let same = office.refused(&["rotate", "alice", "--password-stdin"], GOOD);
    assert!(same.contains("it should replace"), "{same}");
}

#[test]
fn codes_are_printed_once_and_can_be_replaced_and_taken_away() {
    let office = Office::ready();
    let out = office.done(&["add", "alice", "--realm", "r", "--pin", "--totp"]);
    let line = |name: &str| out.lines().find_map(|line| line.strip_prefix(name));
    assert_eq!(line("pin: ").expect("a PIN").len(), 6);
    let uri = line("totp: ").expect("a URI");
    assert!(uri.starts_with("otpauth://totp/r:alice?secret="), "{uri}");
    assert!(uri.ends_with("&digits=6&period=30"), "{uri}");
    let easy = office.refused(&["rotate", "alice", "--pin-stdin"], "123456\n");
    assert!(easy.contains("too easy"), "{easy}");
    let out = office.fed(&["rotate", "alice", "--pin-stdin"], "492817\n");
    assert_eq!(out.stdout, "", "neither the PIN nor a new password");
    let out = office.done(&["rotate", "alice", "--totp", "--totp-digits", "8"]);
    assert!(out.trim_end().ends_with("&digits=8&period=30"), "{out}");
    assert_eq!(out.lines().count(), 1);
    let seven = ["rotate", "alice", "--totp", "--totp-digits", "7"];
    assert!(office.refused(&seven, "").contains("6 or 8"));
    assert_eq!(office.account("alice")["pin"], true);
    office.done(&["rotate", "alice", "--no-codes"]);
    let alice = office.account("alice");
    assert_eq!(
        (&alice["pin"], &alice["totp"]),
        (&false.into(), &false.into())
    );
    let both = [
        "add",
        "bob",
        "--realm",
        "r",
        "--password-stdin",
        "--pin-stdin",
    ];
    office.fed(&both, &format!("{GOOD}\n703918\n"));
    assert_eq!(office.account("bob")["pin"], true);
}

#[test]
fn accounts_are_closed_opened_grouped_and_forgotten() {
    let office = Office::ready();
    office.done(&["add", "alice", "--realm", "a", "--realm", "b"]);
    assert_eq!(
        office.account("alice")["realms"],
        serde_json::json!(["a", "b"])
    );
    office.done(&["disable", "alice"]);
    assert_eq!(office.account("alice")["standing"], "disabled");
    office.done(&["enable", "alice"]);
    assert_eq!(office.account("alice")["standing"], "good");
    office.done(&["groups", "alice", "--group", "night", "--group", "desk"]);
    let groups = serde_json::json!(["desk", "night"]);
    assert_eq!(office.account("alice")["groups"], groups);
    office.done(&["groups", "alice"]);
    assert_eq!(office.account("alice")["groups"], serde_json::json!([]));
    office.done(&["rotate", "alice", "--realm", "c"]);
    assert_eq!(office.account("alice")["realms"], serde_json::json!(["c"]));
    office.done(&["remove", "alice"]);
    for command in ["remove", "disable", "enable", "rotate", "groups"] {
        let told = office.refused(&[command, "alice"], "");
        assert_eq!(told.trim_end(), "there is no account `alice`", "{command}");
    }
}

#[test]
fn check_tells_by_its_exit_code_what_expires() {
    let office = Office::ready();
    let check = || office.run(&["check"], "");
    assert_eq!((check().code, check().stdout.as_str()), (0, ""));
    office.done(&["add", "good", "--realm", "r"]);
    assert_eq!((check().code, check().stdout.as_str()), (0, ""));
    office.done(&["add", "soon", "--realm", "r", "--max-age-days", "14"]);
    assert_eq!(check().code, 3);
    assert_eq!(
        check().stdout,
        "soon: password 0 days old, expires within 14 d\n"
    );
    office.add_long_ago("late", 100);
    assert_eq!(check().code, 4);
    let told = check().stdout;
    assert_eq!(
        told,
        "late: password 100 days old, expired 10 d ago\n\
         soon: password 0 days old, expires within 14 d\n"
    );
    let json = office.run(&["check", "--json"], "");
    let accounts: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(accounts[0]["user"], "late");
    assert_eq!(accounts[0]["standing"], "expired");
    assert_eq!(accounts.as_array().map(Vec::len), Some(2));
    // Nobody needs to be told of what is closed.
    office.done(&["disable", "late"]);
    assert_eq!(check().code, 3);
    std::fs::write(office.path("accounts"), "no store").expect("a file");
    assert_eq!(check().code, 1);
}

#[test]
fn keys_that_others_can_read_wrong_keys_and_missing_ones_are_refused() {
    let office = Office::ready();
    let key = office.path("accounts.key");
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&key, mode).expect("its mode");
    };
    mode(0o640);
    let told = office.refused(&["list"], "");
    assert!(told.contains("has mode 640"), "{told}");
    mode(0o600);
    let sound = std::fs::read(&key).expect("the key");
    std::fs::write(&key, "0".repeat(64)).expect("another key");
    let told = office.refused(&["list"], "");
    assert!(told.contains("written with another key"), "{told}");
    std::fs::write(&key, "short").expect("no key");
    let told = office.refused(&["list"], "");
    assert!(told.contains("64 hexadecimal digits"), "{told}");
    assert!(!told.contains("short"), "{told}");

    // The same key in the environment.
    office.configure("[credentials]\nfile = \"accounts\"\n");
    let told = office.refused(&["list"], "");
    assert!(
        told.contains("SIPWARD_CREDENTIALS_KEY is not set"),
        "{told}"
    );
    let text = String::from_utf8(sound).expect("text");
    let mut list = office.command(&["list"]);
    list.env("SIPWARD_CREDENTIALS_KEY", text);
    assert_eq!(Office::finish(list, "").code, 0);
}

#[test]
fn another_key_takes_over() {
    let office = Office::ready();
    office.done(&["add", "alice", "--realm", "r"]);
    let new = office.path("new.key");
    office.done(&["rekey", &new.to_string_lossy()]);
    assert!(office.refused(&["list"], "").contains("another key"));
    office.configure("[credentials]\nfile = \"accounts\"\nkey_file = \"new.key\"\n");
    assert!(office.done(&["list"]).contains("alice"));
}

#[test]
fn a_configuration_without_a_store_or_with_a_wrong_one_says_what_to_write() {
    let office = Office::new();
    for (text, told) in [
        ("", "names no store of accounts"),
        ("[credentials]\nkey_file = \"k\"\n", "missing key"),
        (
            "[credentials]\nfile = \"a\"\nkey = \"c0ffee\"\n",
            "use `key_file` or `key_env`",
        ),
        ("[credentials]\nfile = 7\n", "write a path in quotes"),
    ] {
        office.configure(text);
        let said = office.refused(&["list"], "");
        assert!(said.contains(told), "{text}: {said}");
        assert!(said.contains("sipward.toml:"), "{said}");
        assert!(!said.contains("c0ffee"), "{said}");
    }
}
