//! `[geo]`, `[[list]]` and `[groups]`.

use super::{Folder, GOOD, refusals};

const LOOKUPS: &str = r#"
[geo]
country = "secret"
asn = "ca.pem"

[[list]]
name = "barred"
file = "secret"

[[list]]
name = "prices"
file = "ca.pem"

[groups]
sales = ["alice", "bob"]
desk = []
"#;

/// Name, what is replaced, and what stands in its place.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "geo_without_files",
        "country = \"secret\"\nasn = \"ca.pem\"",
        "",
    ),
    ("unknown_database", "asn = ", "region = "),
    (
        "missing_database",
        "country = \"secret\"",
        "country = \"none.mmdb\"",
    ),
    (
        "database_is_a_folder",
        "country = \"secret\"",
        "country = \".\"",
    ),
    (
        "number_for_a_database",
        "country = \"secret\"",
        "country = 5",
    ),
    (
        "missing_list",
        "name = \"barred\"\nfile = \"secret\"",
        "name = \"barred\"\nfile = \"none.txt\"",
    ),
    (
        "list_without_file",
        "name = \"barred\"\nfile = \"secret\"",
        "name = \"barred\"",
    ),
    ("same_list", "name = \"prices\"", "name = \"barred\""),
    ("list_without_name", "name = \"prices\"", "name = \"\""),
    (
        "unknown_key_of_list",
        "name = \"prices\"",
        "name = \"prices\"\npath = \"x\"",
    ),
    (
        "member_twice",
        "[\"alice\", \"bob\"]",
        "[\"alice\", \"bob\", \"alice\"]",
    ),
    ("empty_member", "[\"alice\", \"bob\"]", "[\"\"]"),
    ("one_member", "[\"alice\", \"bob\"]", "\"alice\""),
    ("number_as_member", "[\"alice\", \"bob\"]", "[\"alice\", 7]"),
    ("group_without_name", "desk = []", "\"\" = []"),
];

#[test]
fn they_are_read_and_watched() {
    let folder = Folder::new();
    let config = folder
        .load(&format!("{GOOD}{LOOKUPS}"), &[])
        .unwrap()
        .config;
    let path = |name: &str| folder.0.path().join(name);
    let geo = config.geo.as_ref().unwrap();
    let files: Vec<_> = geo.files().collect();
    let (country, asn) = (path("secret"), path("ca.pem"));
    assert_eq!(files, [("country", &country), ("asn", &asn)]);
    assert_eq!(config.lists[1].file, path("ca.pem"));
    assert_eq!(config.groups["sales"], ["alice", "bob"]);
    assert!(config.groups["desk"].is_empty());

    for name in ["country.mmdb", "asn.mmdb", "barred.txt"] {
        std::fs::write(path(name), "").unwrap();
    }
    let text = LOOKUPS
        .replace("country = \"secret\"", "country = \"country.mmdb\"")
        .replace("asn = \"ca.pem\"", "asn = \"asn.mmdb\"")
        .replacen("file = \"secret\"", "file = \"barred.txt\"", 1);
    let files = folder
        .load(&format!("{GOOD}{text}"), &[])
        .unwrap()
        .config
        .files();
    for name in ["country.mmdb", "asn.mmdb", "barred.txt", "ca.pem"] {
        assert!(files.contains(&path(name)), "{name} in {files:?}");
    }
}

#[test]
fn wrong_ones_say_where_and_what_would_be_right() {
    let good = format!("{GOOD}{LOOKUPS}");
    insta::assert_snapshot!("wrong_lookups", refusals(&good, WRONG));
}
