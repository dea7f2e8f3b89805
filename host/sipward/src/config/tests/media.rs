//! `[media]` and what refers to it.

use super::{Folder, GOOD, refusals};
use crate::config::{Backend, Loaded, MediaMode, PeerMedia, Ports};

/// The good configuration with a media relay of two interfaces.
fn good() -> String {
    let with_media = GOOD
        .replace(
            "bind = \"192.0.2.1:5060\"",
            "bind = \"192.0.2.1:5060\"\nmedia = \"wan\"",
        )
        .replace("bind = \"[::]:5061\"", "bind = \"[::]:5061\"\nmedia = \"lan\"")
        .replace(
            "route_to = \"main\"",
            "route_to = \"main\"\nmedia = { modes = [\"dtls\", \"sdes\"], nat = true, networks = [\"198.51.100.0/24\"] }",
        );
    format!("{with_media}{MEDIA}")
}

const MEDIA: &str = r#"
[media]
workers = 3
backend = "epoll"

[[media.interface]]
name = "lan"
bind = ["10.0.0.10", "fd00::10"]
ports = "20000-29999"

[[media.interface]]
name = "wan"
bind = "192.0.2.1"
advertised = "203.0.113.1"
ports = "30000-39999"

[media.timeouts]
silence_seconds = 30

[media.limits]
streams = 4
"#;

#[test]
fn a_good_one_is_read_whole() {
    let folder = Folder::new();
    let Loaded { config, warnings } = folder.load(&good(), &[]).unwrap();
    assert_eq!(warnings, []);
    let media = config.media.unwrap();
    assert_eq!((media.workers, media.backend), (3, Backend::Epoll));
    let [lan, wan] = &media.interfaces[..] else {
        panic!("{media:?}")
    };
    assert_eq!(lan.told4(), Some([10, 0, 0, 10].into()));
    assert_eq!(lan.told6(), Some("fd00::10".parse().unwrap()));
    assert_eq!(wan.told4(), Some([203, 0, 113, 1].into()));
    assert_eq!(wan.told6(), None);
    let last = Ports {
        first: 30_000,
        last: 39_999,
    };
    assert_eq!(wan.ports, last);
    assert_eq!(media.timeouts.silence_seconds, Some(30));
    assert_eq!(media.timeouts.hold_seconds, None);
    assert_eq!(media.limits.streams, Some(4));
    assert_eq!(config.listeners[0].media.as_deref(), Some("wan"));
    let trunk = config.trunks[0].media.as_ref().unwrap();
    assert_eq!(trunk.modes, [MediaMode::Dtls, MediaMode::Sdes]);
    assert!(trunk.nat && trunk.networks.len() == 1);
    assert_eq!(config.pbxs[0].media, None);
    let unsaid = PeerMedia::default();
    assert_eq!(unsaid.modes, [MediaMode::Sdes, MediaMode::Plain]);
    assert!(!unsaid.nat && unsaid.networks.is_empty());
}

#[test]
fn variables_override_the_file() {
    let folder = Folder::new();
    let environment = [
        ("SIPWARD_MEDIA__WORKERS", "0"),
        ("SIPWARD_MEDIA__BACKEND", "io-uring"),
        ("SIPWARD_MEDIA__TIMEOUTS__HOLD_SECONDS", "60"),
    ];
    let media = folder.load(&good(), &environment).unwrap().config.media;
    let media = media.unwrap();
    assert_eq!((media.workers, media.backend), (0, Backend::IoUring));
    assert_eq!(media.timeouts.hold_seconds, Some(60));
    assert_eq!(media.timeouts.silence_seconds, Some(30));
    assert_eq!(media.interfaces.len(), 2);
}

/// Each line: name, what is replaced in the good one, by what.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "no_interface",
        "[[media.interface]]\nname = \"lan\"\nbind = [\"10.0.0.10\", \"fd00::10\"]\nports = \"20000-29999\"\n\n[[media.interface]]\nname = \"wan\"\nbind = \"192.0.2.1\"\nadvertised = \"203.0.113.1\"\nports = \"30000-39999\"\n",
        "",
    ),
    (
        "interface_in_single_brackets",
        "[[media.interface]]\nname = \"lan\"",
        "[media.interfaces]\nname = \"lan\"",
    ),
    ("unknown_key", "backend =", "back_end ="),
    (
        "unknown_key_of_an_interface",
        "ports = \"20000",
        "port = \"20000",
    ),
    ("unknown_backend", "\"epoll\"", "\"iouring\""),
    (
        "missing_key",
        "bind = \"192.0.2.1\"\nadvertised",
        "advertised",
    ),
    (
        "no_address",
        "bind = [\"10.0.0.10\", \"fd00::10\"]",
        "bind = []",
    ),
    ("bad_address", "\"10.0.0.10\"", "\"eth0\""),
    (
        "address_with_a_port",
        "\"10.0.0.10\"",
        "\"10.0.0.10:20000\"",
    ),
    ("two_of_a_family", "\"fd00::10\"", "\"10.0.0.11\""),
    (
        "number_for_an_address",
        "bind = \"192.0.2.1\"\nadvertised",
        "bind = 5\nadvertised",
    ),
    (
        "multicast",
        "bind = \"192.0.2.1\"\nadvertised",
        "bind = \"224.0.0.1\"\nadvertised",
    ),
    (
        "any_address_without_advertised",
        "\"10.0.0.10\"",
        "\"0.0.0.0\"",
    ),
    ("advertised_any", "\"203.0.113.1\"", "\"0.0.0.0\""),
    (
        "advertised_of_another_family",
        "\"203.0.113.1\"",
        "\"2001:db8::1\"",
    ),
    ("ports_are_no_range", "\"30000-39999\"", "\"30000\""),
    ("ports_are_numbers", "\"30000-39999\"", "[30000, 39999]"),
    ("port_too_high", "\"30000-39999\"", "\"30000-70000\""),
    ("port_zero", "\"30000-39999\"", "\"0-39999\""),
    ("ports_backwards", "\"30000-39999\"", "\"39999-30000\""),
    ("no_pair", "\"30000-39999\"", "\"30001-30002\""),
    (
        "signalling_among_the_ports",
        "\"30000-39999\"",
        "\"5000-39999\"",
    ),
    ("same_name", "name = \"lan\"", "name = \"wan\""),
    (
        "ports_clash",
        "bind = [\"10.0.0.10\", \"fd00::10\"]\nports = \"20000-29999\"",
        "bind = [\"192.0.2.1\", \"fd00::10\"]\nports = \"20000-30000\"",
    ),
    ("unknown_interface", "media = \"wan\"", "media = \"wna\""),
    ("which_interface", "media = \"wan\"\n", ""),
    (
        "no_address_of_the_family",
        "bind = \"192.0.2.1\"\nadvertised = \"203.0.113.1\"",
        "bind = \"2001:db8::1\"",
    ),
    ("zero", "silence_seconds = 30", "silence_seconds = 0"),
    ("zero_limit", "streams = 4", "streams = 0"),
    ("packet_of_nothing", "streams = 4", "packet_bytes = 199"),
    ("packet_in_fragments", "streams = 4", "packet_bytes = 1501"),
    ("packet_no_number", "streams = 4", "packet_bytes = 70000"),
    ("too_many_streams", "streams = 4", "streams = 256"),
    (
        "fewer_pairs_than_workers",
        "\"30000-39999\"",
        "\"30000-30001\"",
    ),
    ("unknown_mode", "\"dtls\", ", "\"srtp\", "),
    ("same_mode_twice", "\"dtls\", ", "\"sdes\", "),
    ("no_mode", "modes = [\"dtls\", \"sdes\"]", "modes = []"),
    (
        "network_without_prefix",
        "networks = [\"198.51.100.0/24\"]",
        "networks = [\"198.51.100.1\"]",
    ),
    ("nat_is_text", "nat = true", "nat = \"yes\""),
    // Allowed, with a warning.
    ("odd_ports", "\"30000-39999\"", "\"30001-40000\""),
    ("even_last_port", "\"30000-39999\"", "\"30000-40000\""),
    ("low_ports", "\"30000-39999\"", "\"1000-2999\""),
    (
        "private_outside",
        "advertised = \"203.0.113.1\"",
        "advertised = \"192.168.1.1\"",
    ),
    (
        "private_outside_without_advertised",
        "bind = \"192.0.2.1\"\nadvertised = \"203.0.113.1\"",
        "bind = \"100.64.0.1\"",
    ),
    (
        "same_address_told_twice",
        "bind = [\"10.0.0.10\", \"fd00::10\"]\nports = \"20000-29999\"",
        "bind = \"10.0.0.10\"\nadvertised = \"203.0.113.1\"\nports = \"20000-30001\"",
    ),
    ("idle_interface", "media = \"lan\"", "media = \"wan\""),
    (
        "passthrough_in_second_place",
        "[\"dtls\", \"sdes\"]",
        "[\"sdes\", \"passthrough\"]",
    ),
    (
        "lonely_passthrough",
        "[\"dtls\", \"sdes\"]",
        "[\"passthrough\"]",
    ),
    (
        "any_network",
        "networks = [\"198.51.100.0/24\"]",
        "networks = [\"0.0.0.0/0\"]",
    ),
    (
        "fewer_ports_than_calls",
        "[media.limits]",
        "[limits]\ncalls = 2501\n[media.limits]",
    ),
];

#[test]
fn wrong_ones_say_where_and_what_would_be_right() {
    insta::assert_snapshot!("wrong_media", refusals(&good(), WRONG));
}

#[test]
fn nothing_may_refer_to_a_relay_that_is_not_there() {
    let folder = Folder::new();
    let text = good().replace(MEDIA, "");
    insta::assert_snapshot!("no_media", folder.rendered(&text, &[]));
}

#[test]
fn ports_that_are_just_enough_need_no_word() {
    let folder = Folder::new();
    let enough = good().replace("[media.limits]", "[limits]\ncalls = 2500\n[media.limits]");
    assert_eq!(folder.rendered(&enough, &[]), "good\n");
    // With one interface a call takes two pairs of it.
    let alone = enough
        .replace("media = \"lan\"", "media = \"wan\"")
        .replace("bind = \"192.0.2.1\"\nadvertised", "bind = [\"192.0.2.1\", \"2001:db8::1\"]\nadvertised")
        .replace(
            "[[media.interface]]\nname = \"lan\"\nbind = [\"10.0.0.10\", \"fd00::10\"]\nports = \"20000-29999\"\n",
            "",
        );
    let shown = folder.rendered(&alone, &[]);
    assert!(shown.contains("can take 10000"), "{shown}");
    let half = alone.replace("calls = 2500", "calls = 1250");
    assert_eq!(folder.rendered(&half, &[]), "good\n");
}

#[test]
fn variables_are_named_when_they_are_wrong() {
    let folder = Folder::new();
    let environment = [
        ("SIPWARD_MEDIA__WORKERS", "many"),
        ("SIPWARD_MEDIA__INTERFACE__0__PORTS", "1-2"),
        ("SIPWARD_MEDIA__TIMEOUTS__HOLD_SECONDS", "0"),
    ];
    insta::assert_snapshot!("media_variables", folder.rendered(&good(), &environment));
}
