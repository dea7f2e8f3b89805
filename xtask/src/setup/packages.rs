//! Programs that come from the system: found, installed by apt-get where that is
//! possible, and otherwise named in one command for this system.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};
use plugin_build::debian;

use super::say;
use crate::process;

/// A program of the system and the packages that hold it.
pub(crate) struct Need {
    /// What it is called in reports.
    name: &'static str,
    /// Whether it is there.
    found: fn() -> bool,
    /// Debian's packages.
    debian: &'static [&'static str],
    /// The packages of Fedora, Arch, Alpine and Homebrew; empty where there is none.
    elsewhere: [&'static str; 4],
}

/// What links with OpenSSL, the DTLS of media: part of every build.
pub(crate) const OPENSSL: Need = Need {
    name: "libssl",
    found: || {
        process::find("pkg-config").is_some()
            && process::succeeds(Command::new("pkg-config").args(["--exists", "openssl >= 1.1.1"]))
    },
    debian: &["libssl-dev", "pkg-config"],
    elsewhere: [
        "openssl-devel pkgconf-pkg-config",
        "openssl pkgconf",
        "openssl-dev pkgconf",
        "openssl@3 pkgconf",
    ],
};

/// sipp, which plays trunk and PBX.
pub(crate) const SIPP: Need = Need {
    name: "sipp",
    found: || process::find("sipp").is_some(),
    debian: &["sip-tester"],
    elsewhere: ["sipp", "sipp", "sipp", "sipp"],
};

/// SIPVicious, whose scanners the tests of abuse run.
pub(crate) const SIPVICIOUS: Need = Need {
    name: "sipvicious",
    found: || {
        ["svmap", "svwar", "svcrack"]
            .iter()
            .all(|program| process::find(program).is_some())
    },
    debian: &["sipvicious"],
    elsewhere: ["sipvicious", "sipvicious", "sipvicious", "sipvicious"],
};

/// Kamailio with its Lua interpreter and its look-ups of countries, the yardstick of `bench signalling`.
pub(crate) const KAMAILIO: Need = Need {
    name: "kamailio",
    found: || {
        process::find("kamailio").is_some()
            && module("kamailio/modules/app_lua.so")
            && module("kamailio/modules/geoip2.so")
    },
    debian: &[
        "kamailio",
        "kamailio-lua-modules",
        "kamailio-extra-modules",
        "kamailio-geoip2-modules",
    ],
    elsewhere: [
        "kamailio kamailio-lua",
        "kamailio",
        "kamailio kamailio-lua kamailio-geoip2",
        "kamailio",
    ],
};

/// baresip with the modules that play, record and encrypt: the phones of the media tests.
pub(crate) const BARESIP: Need = Need {
    name: "baresip",
    found: || {
        let modules = [
            "aufile.so",
            "ctrl_tcp.so",
            "dtls_srtp.so",
            "g711.so",
            "sndfile.so",
        ];
        process::find("baresip").is_some()
            && modules
                .iter()
                .all(|it| module(&format!("baresip/modules/{it}")))
    },
    debian: &["baresip-core"],
    elsewhere: ["baresip", "baresip", "baresip", "baresip"],
};

/// Linphone on the command line: a phone of another family.
pub(crate) const LINPHONE: Need = Need {
    name: "linphonec",
    found: || process::find("linphonec").is_some(),
    debian: &["linphone-cli"],
    elsewhere: [
        "linphone",
        "linphone-desktop",
        "linphone-desktop",
        "linphone",
    ],
};

/// tcpdump, which shows what is on the wire.
pub(crate) const TCPDUMP: Need = Need {
    name: "tcpdump",
    found: || process::find("tcpdump").is_some(),
    debian: &["tcpdump"],
    elsewhere: ["tcpdump", "tcpdump", "tcpdump", "tcpdump"],
};

/// rtpengine without its kernel module, the yardstick of `bench media`.
pub(crate) const RTPENGINE: Need = Need {
    name: "rtpengine",
    found: || process::find("rtpengine").is_some(),
    debian: &["rtpengine-daemon"],
    elsewhere: ["rtpengine", "rtpengine", "rtpengine", "rtpengine"],
};

/// Node.js and npm, which build policies in JavaScript.
pub(crate) const NODE: Need = Need {
    name: "node",
    found: || process::find("node").is_some() && process::find("npm").is_some(),
    debian: &["nodejs", "npm"],
    elsewhere: ["nodejs npm", "nodejs npm", "nodejs npm", "node"],
};

/// Python with its virtual environments, which builds policies in Python.
pub(crate) const PYTHON: Need = Need {
    name: "python",
    found: || process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    debian: &["python3", "python3-venv"],
    elsewhere: ["python3", "python", "python3", "python3"],
};

/// The registry that plugins are pushed to in tests. Some systems call the program by the
/// last part of its name alone.
pub(crate) const REGISTRY: Need = Need {
    name: "docker-registry",
    found: || {
        ["docker-registry", "registry"]
            .iter()
            .any(|program| process::find(program).is_some())
    },
    debian: &["docker-registry"],
    elsewhere: [
        "docker-distribution",
        "docker-registry",
        "docker-registry",
        "docker-registry",
    ],
};

/// Find every need, install the missing ones in one go, or say how to.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.found)()).collect();
    for need in needs.iter().filter(|need| (need.found)()) {
        say(need.name, "found");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    if !debian::has_apt() {
        bail!(
            "{} is missing; install it with\n\n    {}\n\nand start again",
            names.join(", "),
            elsewhere(&missing)
        );
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.debian.iter().copied())
        .collect();
    debian::install(&packages)?;
    for need in missing {
        if !(need.found)() {
            bail!(
                "{} is still missing after installing {}",
                need.name,
                need.debian.join(", ")
            );
        }
        say(
            need.name,
            &format!("installed Debian's {}", need.debian.join(", ")),
        );
    }
    Ok(())
}

/// Whether a file is in one of the folders for libraries.
fn module(name: &str) -> bool {
    let folders = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/local/lib64",
        "/opt/homebrew/lib",
    ];
    let mut candidates: Vec<_> = folders.iter().map(|it| format!("{it}/{name}")).collect();
    if let Ok(entries) = fs::read_dir("/usr/lib") {
        candidates.extend(
            entries
                .flatten()
                .map(|it| format!("{}/{name}", it.path().display())),
        );
    }
    candidates.iter().any(|it| fs::metadata(it).is_ok())
}

/// The one command for a system without apt-get.
fn elsewhere(missing: &[&Need]) -> String {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let (index, verb) = manager(&system);
    let words: Vec<&str> = missing
        .iter()
        .filter_map(|need| need.elsewhere.get(index).copied())
        .collect();
    format!("{verb} {}", words.join(" "))
}

/// Which column of `Need::elsewhere` a system reads, and its install command.
fn manager(os_release: &str) -> (usize, &'static str) {
    let like = |name: &str| {
        os_release.lines().any(|line| {
            line.split_once('=').is_some_and(|(key, value)| {
                (key == "ID" || key == "ID_LIKE")
                    && value.trim_matches('"').split(' ').any(|it| it == name)
            })
        })
    };
    if like("fedora") || like("rhel") || like("centos") {
        (0, "sudo dnf install -y")
    } else if like("arch") {
        (1, "sudo pacman -S --noconfirm")
    } else if like("alpine") {
        (2, "sudo apk add")
    } else {
        (3, "brew install")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_gets_its_own_command() {
        assert_eq!(manager("ID=fedora\n").1, "sudo dnf install -y");
        assert_eq!(
            manager("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").1,
            "sudo dnf install -y"
        );
        assert_eq!(manager("ID=arch\n").1, "sudo pacman -S --noconfirm");
        assert_eq!(manager("ID=alpine\n").1, "sudo apk add");
        assert_eq!(manager("").1, "brew install");
    }

    #[test]
    fn every_need_names_its_packages() {
        for need in [
            OPENSSL, SIPP, SIPVICIOUS, KAMAILIO, BARESIP, LINPHONE, TCPDUMP, RTPENGINE, NODE,
            PYTHON, REGISTRY,
        ] {
            assert!(
                !need.debian.is_empty(),
                "{} has no Debian package",
                need.name
            );
            assert!(need.elsewhere.iter().all(|it| !it.is_empty()));
        }
    }
}
