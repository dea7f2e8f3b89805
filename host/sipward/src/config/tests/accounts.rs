//! `[credentials]`: what is read, and what is wrong with it.

use std::os::unix::fs::PermissionsExt;

use super::{Folder, GOOD};

const STORE: &str = "[credentials]\nfile = \"accounts\"\nkey_file = \"accounts.key\"\n";

fn folder() -> Folder {
    let folder = Folder::new();
    for name in ["accounts", "accounts.key", "open.key"] {
        let path = folder.0.path().join(name);
        std::fs::write(&path, "zanzibar").unwrap();
        let mode = if name == "open.key" { 0o644 } else { 0o600 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

#[test]
fn a_good_one_has_defaults_and_is_watched() {
    let folder = folder();
    let config = folder
        .load(&format!("{GOOD}\n{STORE}"), &[])
        .unwrap()
        .config;
    let store = config.credential_store.clone().unwrap();
    assert_eq!((store.max_age_days, store.warn_days), (90, 14));
    assert_eq!(store.key_variable(), None);
    let files = config.files();
    assert!(files.contains(&folder.0.path().join("accounts")));
    assert!(files.contains(&folder.0.path().join("accounts.key")));
    let text = format!(
        "{GOOD}\n{}",
        STORE.replace("key_file = \"accounts.key\"", "")
    );
    let key = [("SIPWARD_CREDENTIALS_KEY", "zanzibar")];
    let store = folder.load(&text, &key).unwrap().config.credential_store;
    assert_eq!(
        store.unwrap().key_variable(),
        Some("SIPWARD_CREDENTIALS_KEY")
    );
}

#[test]
fn wrong_stores_say_where_and_what_would_be_right() {
    let folder = folder();
    let mut table = String::new();
    for (name, from, to) in [
        ("no_file", "file = \"accounts\"\n", ""),
        ("missing_file", "\"accounts\"", "\"acounts\""),
        ("missing_key_file", "accounts.key", "account.key"),
        ("exposed_key_file", "accounts.key", "open.key"),
        (
            "key_in_file",
            "key_file = \"accounts.key\"",
            "key = \"zanzibar\"",
        ),
        ("no_key", "key_file = \"accounts.key\"", ""),
        (
            "no_key_in_variable",
            "key_file = \"accounts.key\"",
            "key_env = \"KEY\"",
        ),
        ("two_keys", "key_file", "key_env = \"BOB\"\nkey_file"),
        ("age_0", "key_file", "max_age_days = 0\nkey_file"),
        (
            "age_of_eleven_years",
            "key_file",
            "max_age_days = 4000\nkey_file",
        ),
        (
            "warned_all_the_time",
            "key_file",
            "max_age_days = 7\nkey_file",
        ),
        ("unknown_key", "key_file = ", "keyfile = "),
        ("wrong_type", "key_file", "max_age_days = \"90\"\nkey_file"),
    ] {
        assert!(STORE.contains(from), "{name}: `{from}` is not there");
        let text = format!("{GOOD}\n{}", STORE.replacen(from, to, 1));
        let shown = folder.rendered(&text, &[]);
        assert!(!shown.contains("zanzibar"), "{name}: {shown}");
        table.push_str(&format!("## {name}\n{shown}\n\n"));
    }
    insta::assert_snapshot!("wrong_stores", table);
}
