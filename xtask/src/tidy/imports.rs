//! Imports point one way. The table below is the plan of the house; what cargo
//! says about each crate is held against it.

use crate::tidy::Finding;
use crate::workspace::{self, Member};

/// Crates without sockets, clocks, threads or randomness.
pub(crate) const PURE: [&str; 5] = [
    "sip-message",
    "sip-transaction",
    "sip-proxy",
    "media",
    "policy",
];

/// What a pure crate would need to stop being one.
const IMPURE: [&str; 14] = [
    "tokio",
    "mio",
    "socket2",
    "quinn-udp",
    "wasmtime",
    "rustls",
    "tokio-rustls",
    "getrandom",
    "rand",
    "parking_lot",
    "redb",
    "flume",
    "notify",
    "tracing",
];

/// Each room and the rooms it may see.
const ROOMS: [(&str, &[&str]); 23] = [
    ("sip-message", &[]),
    ("sip-transaction", &["sip-message"]),
    ("policy", &["sip-transaction", "sip-message"]),
    ("media", &["sip-transaction", "sip-message"]),
    // Keys and suites are named by the session descriptions that agree on them.
    ("srtp", &["media"]),
    ("relay", &["srtp", "media", "scheduling"]),
    // The core takes a Permit and reads offers, so it sees its two neighbours.
    (
        "sip-proxy",
        &["policy", "media", "sip-transaction", "sip-message"],
    ),
    // Rooms of their own: they look things up and know no SIP.
    ("sipward-numbers", &[]),
    ("geo", &[]),
    ("lists", &[]),
    ("state", &["policy", "sip-transaction", "sip-message"]),
    ("web-client", &[]),
    ("scheduling", &[]),
    ("records", &["policy", "web-client", "scheduling"]),
    // The store yields what digest verification reads, and remembers used codes there.
    ("accounts", &["state"]),
    (
        "transport",
        &["scheduling", "sip-transaction", "sip-message"],
    ),
    // Host interfaces are served from the state room.
    (
        "policy-wasm",
        &[
            "scheduling",
            "state",
            "sipward-numbers",
            "geo",
            "lists",
            "policy",
            "media",
            "sip-transaction",
            "sip-message",
        ],
    ),
    // What a policy would have decided: facts as the core makes them, plugins as they run.
    (
        "rehearsal",
        &[
            "policy-wasm",
            "records",
            "state",
            "sipward-numbers",
            "geo",
            "sip-proxy",
            "media",
            "policy",
            "sip-transaction",
            "sip-message",
        ],
    ),
    // Compilers and files, no host: the developer commands of this repository use it too.
    ("plugin-build", &[]),
    // Keys and signatures of plugins; knows no plugin.
    ("plugin-signature", &[]),
    // Other people's servers; what comes from them is verified here.
    (
        "plugin-registry",
        &["plugin-build", "plugin-signature", "web-client"],
    ),
    (
        "plugin-kit",
        &[
            "plugin-build",
            "plugin-signature",
            "rehearsal",
            "policy-wasm",
            "lists",
            "sip-proxy",
            "policy",
            "sip-transaction",
            "sip-message",
        ],
    ),
    (
        "sipward",
        &[
            "plugin-kit",
            "plugin-registry",
            "plugin-signature",
            "rehearsal",
            "scheduling",
            "transport",
            "policy-wasm",
            "relay",
            "accounts",
            "records",
            "state",
            "geo",
            "lists",
            "sip-proxy",
            "media",
            "policy",
            "sip-transaction",
            "sip-message",
        ],
    ),
];

const SDK: &str = "sipward-plugin-sdk";
const SDK_MACROS: &str = "sipward-plugin-sdk-macros";

/// Hold every edge against the plan.
pub(crate) fn check(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        for dependency in &member.dependencies {
            let problem = if dependency.local {
                forbidden_edge(member, &dependency.name)
            } else {
                forbidden_crate(member, &dependency.name, dependency.development)
            };
            if let Some(message) = problem {
                findings.push(Finding {
                    file: format!("{}/Cargo.toml", member.folder),
                    line: 1,
                    message,
                });
            }
        }
        let lints = workspace::root().join(&member.folder).join("clippy.toml");
        if PURE.contains(&member.name.as_str()) && !lints.is_file() {
            findings.push(Finding {
                file: format!("{}/clippy.toml", member.folder),
                line: 1,
                message:
                    "a pure crate bans clocks, randomness and locks in a clippy.toml beside it"
                        .to_owned(),
            });
        }
    }
    findings
}

fn forbidden_edge(member: &Member, other: &str) -> Option<String> {
    let allowed: &[&str] = match member.folder.split('/').next().unwrap_or_default() {
        "host" => match ROOMS.iter().find(|(name, _)| *name == member.name) {
            Some((_, allowed)) => allowed,
            None => {
                return Some(format!(
                    "`{}` is no room of the plan; add it to xtask's table",
                    member.name
                ));
            }
        },
        // Tests of policies run natively, with the numbers that the host understands.
        "plugin-sdk" if member.name == SDK => &[SDK_MACROS, "sipward-numbers"],
        "plugin-sdk" => &[],
        "plugins" | "examples" => &[SDK],
        "tests" if member.folder.starts_with("tests/hostile") => &[SDK],
        "tests" if other != "xtask" => return None,
        // Guests are built as authors build theirs.
        "xtask" => &["plugin-build"],
        _ => &[],
    };
    if allowed.contains(&other) {
        return None;
    }
    let right = if allowed.is_empty() {
        "nothing of this repository".to_owned()
    } else {
        allowed.join(", ")
    };
    Some(format!(
        "`{}` may not depend on `{other}`; it may see {right}",
        member.name
    ))
}

fn forbidden_crate(member: &Member, other: &str, development: bool) -> Option<String> {
    if PURE.contains(&member.name.as_str()) && IMPURE.contains(&other) && !development {
        return Some(format!(
            "`{}` is pure and may not depend on `{other}`",
            member.name
        ));
    }
    if other == "wasmtime" && member.name != "policy-wasm" {
        return Some("only `policy-wasm` may depend on `wasmtime`".to_owned());
    }
    let knows_rsip = member.name == "sip-message" || member.folder.starts_with("tests");
    if other == "rsip" && !knows_rsip {
        return Some("only `sip-message` (and the tests) may depend on `rsip`".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, folder: &str, dependency: &str, local: bool) -> Member {
        Member {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies: vec![Dependency {
                name: dependency.to_owned(),
                local,
                development: false,
            }],
            dynamic_libraries: Vec::new(),
        }
    }

    fn messages(name: &str, folder: &str, dependency: &str, local: bool) -> Vec<String> {
        check(&[member(name, folder, dependency, local)])
            .into_iter()
            .map(|it| it.message)
            .filter(|it| !it.contains("clippy.toml"))
            .collect()
    }

    #[test]
    fn the_plan_itself_has_no_cycle() {
        for (name, allowed) in ROOMS {
            for other in allowed {
                let back = ROOMS
                    .iter()
                    .find(|(it, _)| it == other)
                    .map_or(&[][..], |(_, it)| it);
                assert!(!back.contains(&name), "{name} and {other} see each other");
            }
        }
    }

    #[test]
    fn edges_downwards_pass_and_edges_upwards_fail() {
        assert!(messages("sip-proxy", "host/sip-proxy", "policy", true).is_empty());
        assert_eq!(
            messages("policy", "host/policy", "sip-proxy", true).len(),
            1
        );
        assert_eq!(
            messages("transport", "host/transport", "sipward", true).len(),
            1
        );
    }

    #[test]
    fn a_plugin_sees_only_the_sdk() {
        assert!(messages("ip-acl", "plugins/ip-acl", SDK, true).is_empty());
        assert!(messages("night-guard", "examples/policy-rust", SDK, true).is_empty());
        for folder in ["plugins/ip-acl", "examples/policy-rust"] {
            assert_eq!(messages("ip-acl", folder, "policy", true).len(), 1);
        }
        assert!(messages("ip-acl", "plugins/ip-acl", "ipnet", false).is_empty());
    }

    #[test]
    fn a_pure_crate_takes_no_runtime() {
        assert_eq!(messages("media", "host/media", "tokio", false).len(), 1);
        assert!(messages("media", "host/media", "bytes", false).is_empty());
        assert!(messages("transport", "host/transport", "tokio", false).is_empty());
    }

    #[test]
    fn rsip_and_wasmtime_have_one_home_each() {
        assert_eq!(
            messages("sip-proxy", "host/sip-proxy", "rsip", false).len(),
            1
        );
        assert!(messages("sip-message", "host/sip-message", "rsip", false).is_empty());
        assert_eq!(
            messages("policy", "host/policy", "wasmtime", false).len(),
            1
        );
    }
}
