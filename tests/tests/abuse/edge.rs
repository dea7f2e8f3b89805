//! The scene: a proxy by UDP with the policies of `examples/secure-trunk`, a trunk, a
//! PBX, and somebody who gets the alerts.

use std::net::{Ipv4Addr, SocketAddr};

use sipward_tests::stage::{PBX, Stage, TRUNK, free_port};

use crate::alarms::Alarms;
use crate::party::{Answers, Party, TAKES_ALL};
use crate::phone::Phone;
use crate::shipped;

/// The PBX behind the proxy.
pub(crate) const OFFICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
/// The password of user 200.
pub(crate) const PASSWORD_200: &str = "a-Trombone-9-plays";

/// The plugins that judge telephones, in the shipped order.
pub(crate) const FROM_US: [&str; 7] = [
    "scanner-guard",
    "rate-limit",
    "digest-auth",
    "fraud-score",
    "destination-limits",
    "business-hours",
    "call-limits",
];

/// Everything but the proxy, which a test starts when it wants to.
pub(crate) struct Edge {
    pub(crate) stage: Stage,
    pub(crate) alarms: Alarms,
    pub(crate) trunk: Party,
    pub(crate) office: Party,
}

impl Edge {
    /// With these plugins, and other settings where a test needs them: pairs of what the
    /// example says and what counts here.
    pub(crate) fn new(plugins: &[&str], others: &[(&str, &str)]) -> Self {
        Self::with_trunk(plugins, others, TAKES_ALL)
    }

    pub(crate) fn with_trunk(plugins: &[&str], others: &[(&str, &str)], answers: Answers) -> Self {
        let stage = Stage::new();
        stage.bring(&FROM_US);
        for file in ["barred.txt", "rates.txt"] {
            std::fs::write(stage.path(file), shipped::file(file)).expect("a list");
        }
        std::fs::write(stage.path("password-200"), PASSWORD_200).expect("a password");
        let alarms = Alarms::listen();
        let office = free_port(OFFICE);
        let mut blocks: String = FROM_US.iter().map(|name| shipped::plugin(name)).collect();
        // What tools of today's attackers and sipp know.
        let by_udp = [
            (
                "algorithms = [\"SHA-256\", \"MD5\"]",
                "algorithms = [\"MD5\"]",
            ),
            ("of = [\"alice\", \"bob\"]", "of = [\"pbx\", \"200\"]"),
        ];
        for (shipped, here) in by_udp.iter().chain(others) {
            assert!(blocks.contains(shipped), "the example has no `{shipped}`");
            blocks = blocks.replace(shipped, here);
        }
        let names: Vec<String> = plugins.iter().map(|name| format!("{name:?}")).collect();
        let text = stage
            .filled(include_str!("edge.toml"), &[])
            .replace("@ALERTS@", &alarms.url())
            .replace("@OFFICE@", &office.to_string())
            .replace("@FROM_US@", &names.join(", "))
            .replace("@PLUGINS@", &blocks);
        stage.write(&text);
        let trunk = Party::new(TRUNK, stage.trunk, answers);
        Self {
            alarms,
            trunk,
            office: Party::new(OFFICE, office, TAKES_ALL),
            stage,
        }
    }

    /// Where telephones call.
    pub(crate) fn inside(&self) -> SocketAddr {
        SocketAddr::from((PBX, self.stage.inside))
    }

    /// Where the trunk calls.
    pub(crate) fn outside(&self) -> SocketAddr {
        SocketAddr::from((PBX, self.stage.outside))
    }

    /// What a telephone calls.
    pub(crate) fn number(&self, number: &str) -> String {
        format!("sip:{number}@{}", self.inside())
    }

    /// The telephone of a user, wherever it is.
    pub(crate) fn phone(&self, address: Ipv4Addr, user: &str) -> Phone {
        Phone::new(address, self.inside(), user)
    }
}
