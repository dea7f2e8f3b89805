//! A policy that breaks a limit of the host ends its instance and nothing else.

use policy::OnFailure;
use serde_json::json;
use sipward_tests::guests::{Host, Worker, admitted, refusal, report};

use crate::stage::{ALL, MONDAY_MS, RUST, abroad, settings, with};

#[test]
fn a_breach_is_contained_and_the_next_call_is_judged() {
    let host = Host::new();
    host.clock.set(MONDAY_MS);
    for language in ALL {
        // Understanding the number is the second host call, counting it the third.
        let mut source = language.kept(&host, with("per_hour", json!(1000)));
        source.limits.host_calls = 2;
        let plugin = host.load(source).expect("it loads");
        let mut worker = Worker::new(&[&plugin]);
        for made in 1..=2 {
            let conclusion = worker.judge(abroad());
            let (status, _, reason) = refusal(&conclusion);
            assert_eq!(status, 500, "{}: {reason}", language.guest);
            assert!(reason.contains("host_calls = 2"), "{reason}");
            let figures = worker.executor.figures();
            assert_eq!(figures.failures, made, "{}", language.guest);
            // It was thrown away, and another has its place.
            assert_eq!(figures.instances_made, made + 1, "{}", language.guest);
        }
        // A call that needs fewer finds a policy as good as new.
        let near = crate::stage::desk().invite("sip:100@pbx.example");
        let conclusion = worker.judge(near);
        assert!(admitted(&conclusion), "{}: {conclusion:?}", language.guest);
    }
}

#[test]
fn another_language_beside_it_goes_on() {
    let host = Host::new();
    host.clock.set(MONDAY_MS + 9 * crate::stage::HOUR_MS);
    let calm = RUST.load(&host, settings());
    for language in [crate::stage::JAVASCRIPT, crate::stage::PYTHON] {
        let mut source = language.source(&host, settings());
        source.limits.host_calls = 0;
        // Settings that need no host would do; these ask for the country.
        source.on_failure = OnFailure::Next;
        let error = host.load(source.clone()).expect_err("configure asks");
        assert!(error.to_string().contains("host_calls = 0"), "{error}");
        source.limits.host_calls = 1;
        source.limits.outcome.reason_bytes = 4;
        let plugin = host.load(source).expect("it loads");
        let mut worker = Worker::new(&[&plugin, &calm]);
        let conclusion = worker.judge(abroad());
        assert!(admitted(&conclusion), "{}: {conclusion:?}", language.guest);
        let failed = report(&conclusion.trace, language.guest);
        assert!(failed.failure.is_some(), "{failed:?}");
        let after = report(&conclusion.trace, RUST.guest);
        assert_eq!(after.reason, "within office hours");
    }
}
