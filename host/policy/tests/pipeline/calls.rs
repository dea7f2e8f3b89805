//! What becomes of an admitted call: events, leases, secrets and rewritten addresses.

use super::*;

#[test]
fn a_plugin_that_follows_calls_ends_them_and_later_ones_hear_it_too() {
    let pipeline = pipeline(3);
    let mut run = pipeline.begin_call(None);
    assert_eq!(run.next_stage(), Some(0));
    run.apply(Ok(Outcome::reject(403, "too dear")), 5);
    assert_eq!(run.next_stage(), Some(1));
    let outcome = Outcome::next("")
        .with(Effect::TickAfter(60))
        .with(Effect::LimitDuration(90));
    run.apply(Ok(outcome.with(Effect::LimitDuration(120))), 5);
    assert_eq!(run.next_stage(), Some(2));
    run.apply(Ok(Outcome::reject(486, "me too")), 5);
    assert_eq!(run.next_stage(), None);
    let conclusion = run.conclude();
    let veto = conclusion.end.unwrap();
    assert_eq!((&*veto.plugin, &*veto.reason), ("p0", "too dear"));
    assert_eq!(conclusion.limit_duration, Some(90));
    assert_eq!(conclusion.ticks.len(), 1);
    assert_eq!(&*conclusion.ticks[0].plugin, "p1");
    assert_eq!(conclusion.trace.len(), 3);
}

#[test]
fn a_tick_is_for_one_plugin() {
    let pipeline = pipeline(3);
    let mut run = pipeline.begin_call(Some("p1".into()));
    assert_eq!(run.next_stage(), Some(1));
    run.apply(Ok(Outcome::next("")), 0);
    assert_eq!(run.next_stage(), None);
}

#[test]
fn what_means_nothing_for_a_call_is_a_failure_that_ends_nothing() {
    let pipeline = pipeline(1);
    let judge = |outcome: Outcome| {
        let mut run = pipeline.begin_call(None);
        assert_eq!(run.next_stage(), Some(0));
        run.apply(Ok(outcome), 0);
        run.conclude()
    };
    for outcome in [
        Outcome::of(Verdict::Drop, ""),
        Outcome::next("").with(Effect::Identify("a".into())),
        Outcome::next("").with(Effect::TickAfter(0)),
        Outcome::next("").with(Effect::TickAfter(86_401)),
        Outcome::reject(399, ""),
    ] {
        let conclusion = judge(outcome.clone());
        assert!(
            conclusion.end.is_none() && conclusion.ticks.is_empty(),
            "{outcome:?}"
        );
        assert!(conclusion.trace[0].failure.is_some(), "{outcome:?}");
    }
}

/// Counts what it is asked to give back.
#[derive(Debug, Default)]
struct Lent(std::sync::atomic::AtomicUsize);

impl policy::Holdings for Lent {
    fn hold(&self, _: policy::LeaseWish<'_>) -> Result<policy::Holding, policy::LeaseError> {
        Err(policy::LeaseError::NoCall)
    }

    fn release(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn what_a_call_holds_goes_with_its_pass_and_not_with_a_refusal() {
    let pipeline = pipeline(1);
    let judge = |outcome: Outcome| {
        let lent = Arc::new(Lent::default());
        let mut run = pipeline.begin(ConsultId::new(1), facts());
        run.hold(lent.clone());
        assert!(run.next_stage().is_some());
        run.apply(Ok(outcome), 0);
        (lent, run.conclude().decision)
    };
    let (lent, refused) = judge(Outcome::reject(403, ""));
    assert_eq!(Arc::strong_count(&lent), 1, "{refused:?} keeps nothing");
    let (lent, decision) = judge(Outcome::next("").with(Effect::Identify("alice".into())));
    let Decision::Admit(permit) = decision else {
        panic!("{decision:?}")
    };
    let pass = permit.call_pass();
    drop(permit);
    assert_eq!(Arc::strong_count(&lent), 2);
    assert_eq!(pass.account().identity.as_deref(), Some("alice"));
    pass.release();
    assert_eq!(lent.0.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn points_are_told_whatever_the_decision() {
    let pipeline = pipeline(1);
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    assert!(run.next_stage().is_some());
    let score = Effect::Score {
        amount: 7,
        reason: "at night\nand far".into(),
    };
    run.apply(Ok(Outcome::reject(403, "no").with(score)), 0);
    let conclusion = run.conclude();
    assert_eq!(conclusion.points[0].amount, 7);
    assert_eq!(conclusion.points[0].reason, "at night and far");
}

#[test]
fn what_shall_be_concealed_is_told_with_the_decision_and_lives_with_the_call() {
    let pipeline = pipeline(1);
    let conceal = || Effect::Conceal("1234".into());
    for outcome in [Outcome::next(""), Outcome::reject(403, "no")] {
        let mut run = pipeline.begin(ConsultId::new(1), facts());
        assert!(run.next_stage().is_some());
        run.apply(Ok(outcome.with(conceal())), 0);
        let conclusion = run.conclude();
        assert_eq!(conclusion.account.secrets, ["1234"]);
        if let Decision::Admit(permit) = conclusion.decision {
            assert_eq!(permit.call_pass().account().secrets, ["1234"]);
        }
    }
}

#[test]
fn later_stages_see_the_addresses_that_earlier_ones_chose() {
    let pipeline = pipeline(2);
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    assert!(run.next_stage().is_some() && run.rewrites().is_none());
    let chosen = Outcome::next("").with(Effect::SetRequestUri("sip:1@h".into()));
    run.apply(Ok(chosen), 0);
    assert!(run.next_stage().is_some());
    let seen = run.rewrites().unwrap();
    assert_eq!(seen.request_uri.as_deref(), Some("sip:1@h"));
    assert_eq!((&seen.from, &seen.to), (&None, &None));
}

#[test]
fn a_secret_that_two_plugins_name_counts_once() {
    let pipeline = pipeline(2);
    let mut run = pipeline.begin(ConsultId::new(1), facts());
    // As many as a pipeline may have.
    let full = || {
        let secrets = (0..8).map(|n| Effect::Conceal(format!("secret{n}")));
        secrets.fold(Outcome::next(""), Outcome::with)
    };
    for _ in 0..2 {
        assert!(run.next_stage().is_some());
        run.apply(Ok(full()), 0);
    }
    let conclusion = run.conclude();
    assert!(matches!(conclusion.decision, Decision::Admit(_)));
    assert_eq!(conclusion.account.secrets.len(), 8);
}
