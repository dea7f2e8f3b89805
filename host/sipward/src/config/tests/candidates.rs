//! Candidates, and when plugins are taken out.

use policy::{BreakerTerms, RollbackTerms, Share};

use super::{Folder, GOOD, refusals};
use crate::config::{Breaker, CandidateMode, Loaded};

const CANDIDATE: &str = r#"limits = { deadline_ms = 5 }
breaker = { failures = 3, pause_ms = 200, pause_max_ms = 2000 }

[plugin.candidate]
path = "rate.wasm"
capabilities = ["counters", "lists"]
settings = { api_key = "zanzibar" }
mode = "canary"
share = 0.1
rollback = { window_seconds = 30, failures = 2, calls_min = 20, deny_min = 0.01, deny_max = 0.25 }
"#;

fn good() -> String {
    GOOD.replace("limits = { deadline_ms = 5 }\n", CANDIDATE)
}

#[test]
fn a_candidate_is_read_whole() {
    let folder = Folder::new();
    let Loaded { config, warnings } = folder.load(&good(), &[]).unwrap();
    assert_eq!(warnings, []);
    let plugin = &config.plugins[0];
    let candidate = plugin.candidate.as_ref().unwrap();
    assert_eq!(candidate.path, Some(folder.0.path().join("rate.wasm")));
    assert_eq!(candidate.mode, CandidateMode::Canary);
    assert_eq!(
        crate::config::share(candidate.share),
        Share::of_millionths(100_000)
    );
    assert_eq!(
        candidate.rollback.terms(),
        RollbackTerms {
            window_ms: 30_000,
            calls_min: 20,
            failures: 2,
            deny_min: Some(Share::of_millionths(10_000)),
            deny_max: Some(Share::of_millionths(250_000)),
        }
    );
    assert_eq!(
        plugin.breaker.terms(),
        BreakerTerms {
            failures: 3,
            pause_ms: 200,
            pause_max_ms: 2_000,
        }
    );
    let watched = config.files();
    assert!(watched.contains(&folder.0.path().join("rate.wasm")));
    assert!(!format!("{config:?}").contains("zanzibar"));
}

#[test]
fn what_is_not_written_is_as_the_policy_room_has_it() {
    let folder = Folder::new();
    let with = "deadline_ms = 5 }\n[plugin.candidate]\npath = \"rate.wasm\"\n";
    let text = GOOD.replace("deadline_ms = 5 }\n", with);
    let config = folder.load(&text, &[]).unwrap().config;
    let candidate = config.plugins[0].candidate.as_ref().unwrap();
    assert_eq!(candidate.mode, CandidateMode::Shadow);
    assert_eq!(candidate.rollback.terms(), RollbackTerms::default());
    assert_eq!(Breaker::default().terms(), BreakerTerms::default());
}

/// Name, what is replaced, and what stands in its place.
const WRONG: &[(&str, &str, &str)] = &[
    ("unknown_key_of_candidate", "share = ", "shares = "),
    ("unknown_key_of_band", "deny_min = ", "denied_min = "),
    ("unknown_key_of_breaker", "pause_ms = ", "pause = "),
    ("unknown_mode", "\"canary\"", "\"canaries\""),
    ("share_of_nothing", "share = 0.1", "share = 0"),
    ("share_in_percent", "share = 0.1", "share = 5"),
    ("share_as_text", "share = 0.1", "share = \"5 %\""),
    ("missing_candidate", "\"rate.wasm\"", "\"none.wasm\""),
    ("unknown_capability_of_candidate", "\"lists\"", "\"list\""),
    (
        "the_plugin_itself",
        "path = \"rate.wasm\"\ncapabilities = [\"counters\", \"lists\"]\nsettings = { api_key = \"zanzibar\" }\n",
        "",
    ),
    ("band_upside_down", "deny_min = 0.01", "deny_min = 0.5"),
    ("band_in_percent", "deny_max = 0.25", "deny_max = 25"),
    ("no_window", "window_seconds = 30", "window_seconds = 0"),
    ("no_failures", "failures = 2,", "failures = 0,"),
    ("breaker_of_nothing", "failures = 3", "failures = 0"),
    (
        "pauses_upside_down",
        "pause_max_ms = 2000",
        "pause_max_ms = 20",
    ),
];

#[test]
fn wrong_candidates_say_where_and_what_would_be_right() {
    insta::assert_snapshot!("wrong_candidates", refusals(&good(), WRONG));
}

#[test]
fn of_one_pipeline_four_have_candidates() {
    let plugin = |number: usize| {
        format!(
            "[[plugin]]\nname = \"p{number}\"\npath = \"acl.wasm\"\n\
             [plugin.candidate]\npath = \"rate.wasm\"\n"
        )
    };
    for (count, is_good) in [(4, true), (5, false)] {
        let plugins: String = (0..count).map(plugin).collect();
        let names: Vec<String> = (0..count).map(|number| format!("\"p{number}\"")).collect();
        let pipeline = format!(
            "[[pipeline]]\nname = \"all\"\nplugins = [\"acl\", {}]\n",
            names.join(", ")
        );
        let text = GOOD.replace(
            "[[pipeline]]\nname = \"all\"\nmethods = [\"INVITE\"]\nplugins = [\"acl\"]\n",
            &format!("{plugins}{pipeline}"),
        );
        let folder = Folder::new();
        let loaded = folder.load(&text, &[]);
        assert_eq!(loaded.is_ok(), is_good, "{count}: {:?}", loaded.err());
    }
}
