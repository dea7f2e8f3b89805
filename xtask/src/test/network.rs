//! A network of its own for each program: tests then use whatever port they like, and
//! nobody hears another's datagrams.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::process;

/// Brings the loopback interface up and becomes the program. `$0` is `ip`.
const ENTER: &str = "\"$0\" link set lo up && exec \"$@\"";

/// What network programs get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Each a new one, made by root.
    Own,
    /// The same, made by somebody else, who may do with it what root may.
    OwnAsUser,
    /// All that of this machine.
    Shared,
}

impl Network {
    /// The best that is possible here; says so if it is the worst.
    pub(crate) fn find() -> Self {
        let works = |network: Self| {
            let mut nothing = network.command(Path::new("true"));
            process::succeeds(&mut nothing)
        };
        let found = [Self::Own, Self::OwnAsUser]
            .into_iter()
            .find(|it| works(*it));
        if found.is_none() {
            eprintln!(
                "    programs cannot have networks of their own here (`unshare --net` with `ip link set \
                 lo up`), so they run one after the other, which takes minutes longer"
            );
        }
        found.unwrap_or(Self::Shared)
    }

    /// Whether programs that run at once may use the same ports.
    pub(crate) fn parts(self) -> bool {
        self != Self::Shared
    }

    /// Starts a program in it.
    pub(crate) fn command(self, program: &Path) -> Command {
        static IP: LazyLock<String> = LazyLock::new(|| {
            let found = process::find("ip");
            found.map_or_else(|| "ip".to_owned(), |it| it.to_string_lossy().into_owned())
        });
        if self == Self::Shared {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        command.arg("--net");
        if self == Self::OwnAsUser {
            // Whoever is root in there only looks like root to programs that then want more.
            command.args(["--map-current-user", "--keep-caps"]);
        }
        command.args(["--", "sh", "-c", ENTER, &IP]).arg(program);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_arguments_in_every_network() {
        for network in [Network::Shared, Network::find()] {
            let mut command = network.command(Path::new("sh"));
            command.args(["-c", "echo \"$1 $0\"", "a b", "c"]);
            let said = process::capture(&mut command).expect("it runs");
            assert_eq!(said, "c a b\n", "{network:?}");
        }
    }
}
