//! Who runs beside whom.
//!
//! There are three shifts. First come those that want the machine for themselves, because
//! they measure or because nobody has looked at them yet. Then those that mostly wait, for
//! timers, for a call to end, for a scanner to give up: many at once, each test in a process
//! and, where possible, in a network of its own. At last those that compute, one to a core.

use super::Options;
use super::network::Network;
use super::programs::{Kind, Program};

/// The package of the whole-program tests.
const WHOLE: &str = "sipward-tests";

/// Its programs that mostly wait. Each of their tests is a process of its own.
const WAITING: [&str; 14] = [
    "abuse",
    "answers",
    "call_records",
    "calls",
    "candidates",
    "credentials",
    "examples",
    "leases",
    "lookups",
    "media",
    "media_operation",
    "plugin_registry",
    "rehearsal",
    "signatures",
];

/// Its programs that compute, and whether their tests are processes of their own.
const COMPUTING: [(&str, bool); 10] = [
    ("compat", false),
    ("fuzz", true),
    ("hostile", false),
    ("isolation", false),
    ("languages", false),
    ("newcomer", false),
    ("plugin_command", false),
    ("plugins", false),
    ("simulation", false),
    ("tutorial", false),
];

/// Compiles every plugin into the folder that all programs share, so nobody else has to.
const FIRST: &str = "plugins";

/// Programs of other packages that have the machine for themselves: each packet counts.
const MEASURING: [(&str, &str); 1] = [("relay", "relay")];

/// Tests of waiting programs that have the machine nevertheless: their figures are those
/// of one that is idle.
const ALONE: [&str; 1] = ["ten_thousand_calls_while_plugins_and_config_are_reloaded_fifty_times"];

/// Tests that take longest; they begin first.
const LONGEST: [&str; 4] = [
    "nothing_is_held_after_five_thousand_calls_and_two_kills",
    "a_killed_proxy_has_the_record_of_each_end_that_it_acknowledged",
    "no_disguise_of_a_number_reaches_the_trunk",
    "a_million_mutated_messages_leave_as_they_were_understood",
];

/// Waiting tests that run at once for each core.
const WAITERS: usize = 4;

/// What is run: a program, or one test of it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The program.
    pub(crate) program: Program,
    /// The only test; all without it.
    pub(crate) test: Option<String>,
}

impl Job {
    /// Its name for people.
    pub(crate) fn label(&self) -> String {
        let program = self.program.label();
        match &self.test {
            Some(test) => format!("{program} {test}"),
            None => program,
        }
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        let name = self.test.as_deref().unwrap_or_default();
        let name = name.rsplit("::").next().unwrap_or(name);
        names.contains(&name)
    }
}

/// Jobs that run in the same time.
#[derive(Debug)]
pub(crate) struct Shift {
    /// What they are, for people.
    pub(crate) name: &'static str,
    /// The jobs, in the order in which they begin.
    pub(crate) jobs: Vec<Job>,
    /// How many at once.
    pub(crate) at_once: usize,
    /// How many tests of a program at once, if the program may choose.
    pub(crate) threads: Option<usize>,
}

/// What a program does with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    First,
    Alone,
    Waits,
    Computes { parted: bool },
}

fn manner(program: &Program) -> Manner {
    let name = program.target.as_str();
    if program.kind == Kind::Tests && MEASURING.contains(&(program.package.as_str(), name)) {
        return Manner::Alone;
    }
    if program.package != WHOLE || program.kind != Kind::Tests {
        return Manner::Computes { parted: false };
    }
    if name == FIRST {
        return Manner::First;
    }
    if WAITING.contains(&name) {
        return Manner::Waits;
    }
    let computing = COMPUTING.iter().find(|(known, _)| *known == name);
    computing.map_or(Manner::Alone, |(_, parted)| Manner::Computes {
        parted: *parted,
    })
}

/// The shifts of all programs.
pub(crate) fn shifts(programs: Vec<Program>, options: &Options, network: Network) -> Vec<Shift> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut first, mut alone) = (Vec::new(), Vec::new());
    let (mut waiting, mut computing) = (Vec::new(), Vec::new());
    let whole = |program| {
        vec![Job {
            program,
            test: None,
        }]
    };
    for program in programs {
        match manner(&program) {
            Manner::First => first.extend(whole(program)),
            Manner::Alone => alone.extend(whole(program)),
            Manner::Waits if network.parts() => {
                let (ours, theirs) = parted(program)
                    .into_iter()
                    .partition::<Vec<_>, _>(|job| job.is_one_of(&ALONE));
                alone.extend(ours);
                waiting.extend(theirs);
            }
            // Without a network of its own each program keeps its tests apart by itself.
            Manner::Waits => waiting.extend(whole(program)),
            Manner::Computes { parted: true } => computing.extend(parted(program)),
            Manner::Computes { parted: false } => computing.extend(whole(program)),
        }
    }
    first.extend(alone);
    let at_once = |wanted: usize| if network.parts() { wanted } else { 1 };
    let mut shifts = vec![
        shift("alone", first, 1, None),
        shift("waiting", waiting, at_once(WAITERS * cores), None),
        shift("computing", computing, at_once(cores), Some(1)),
    ];
    if let Some(wanted) = &options.only {
        for shift in &mut shifts {
            shift.jobs.retain(|job| job.label().contains(wanted));
        }
    }
    shifts.retain(|shift| !shift.jobs.is_empty());
    shifts
}

fn shift(name: &'static str, mut jobs: Vec<Job>, at_once: usize, threads: Option<usize>) -> Shift {
    jobs.sort_by_key(|job| !(job.is_one_of(&LONGEST) || job.program.kind == Kind::Documentation));
    Shift {
        name,
        jobs,
        at_once,
        threads: threads.filter(|_| at_once > 1),
    }
}

/// A job for each test of a program; one for all if it does not say what its tests are.
fn parted(program: Program) -> Vec<Job> {
    let Ok(tests) = program.tests() else {
        return vec![Job {
            program,
            test: None,
        }];
    };
    let job = |test| Job {
        program: program.clone(),
        test: Some(test),
    };
    tests.into_iter().map(job).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace;

    fn program(package: &str, target: &str) -> Program {
        Program {
            package: package.to_owned(),
            kind: Kind::Tests,
            target: target.to_owned(),
            file: PathBuf::from("/nowhere"),
            folder: PathBuf::from("/"),
        }
    }

    #[test]
    fn whoever_is_not_known_has_the_machine() {
        assert_eq!(manner(&program(WHOLE, "new")), Manner::Alone);
        assert_eq!(manner(&program(WHOLE, "abuse")), Manner::Waits);
        assert_eq!(manner(&program(WHOLE, "plugins")), Manner::First);
        assert_eq!(
            manner(&program(WHOLE, "fuzz")),
            Manner::Computes { parted: true }
        );
        assert_eq!(
            manner(&program("relay", "abuse")),
            Manner::Computes { parted: false }
        );
        assert_eq!(manner(&program("relay", "relay")), Manner::Alone);
    }

    #[test]
    fn plugins_come_first_and_nothing_is_lost() {
        let names = ["abuse", "fuzz", "new", "plugins", "simulation"];
        let programs = names.map(|name| program(WHOLE, name)).to_vec();
        for network in [Network::Own, Network::Shared] {
            let shifts = shifts(programs.clone(), &Options::default(), network);
            let jobs: Vec<Vec<&str>> = shifts
                .iter()
                .map(|shift| {
                    shift
                        .jobs
                        .iter()
                        .map(|it| it.program.target.as_str())
                        .collect()
                })
                .collect();
            assert_eq!(
                jobs,
                [
                    vec!["plugins", "new"],
                    vec!["abuse"],
                    vec!["fuzz", "simulation"]
                ]
            );
            assert!(network.parts() || shifts.iter().all(|shift| shift.at_once == 1));
        }
    }

    #[test]
    fn every_name_here_is_that_of_a_program_or_a_test() {
        let folder = workspace::root().join("tests/tests");
        for name in COMPUTING.map(|(name, _)| name).iter().chain(&WAITING) {
            let file = folder.join(format!("{name}.rs"));
            assert!(file.is_file() || folder.join(name).is_dir(), "{name}");
        }
        let sources = walkdir::WalkDir::new(&folder).into_iter().flatten();
        let text: String = sources
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .collect();
        for (package, name) in MEASURING {
            let folder = workspace::root().join("host").join(package);
            assert!(folder.join("tests").join(name).is_dir(), "{package} {name}");
        }
        for name in ALONE.iter().chain(&LONGEST) {
            assert!(text.contains(&format!("fn {name}()")), "{name}");
        }
    }
}
