//! Answers are read as a host reads them.

use super::answer::{Effect, Kept, Text, Verdict, View};
use super::layout::{Wit, number};
use crate::bindings::outcomes::{self, Effect as Raw};
use crate::{DigestAlgorithm, MediaRequirement, Outcome, Severity};

fn items<T>(view: &View<T>) -> &[T] {
    #[expect(unsafe_code, reason = "memory is read as a host reads it")]
    // SAFETY: the tests keep what the view points into.
    unsafe {
        std::slice::from_raw_parts(view.start, view.len)
    }
}

fn text(text: &Text) -> &str {
    std::str::from_utf8(items(text)).unwrap()
}

fn pair([one, two]: &[Text; 2]) -> String {
    format!("{} {}", text(one), text(two))
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::SetHeader(it) | Effect::AddHeader(it) => pair(it),
        Effect::Annotate(it) | Effect::Other(it) => pair(it),
        Effect::Score(it) => format!("{} {}", it.amount, text(&it.reason)),
        Effect::Alert(it) => format!("{:?} {} {}", it.severity, text(&it.key), text(&it.text)),
        Effect::LimitDuration(seconds) | Effect::TickAfter(seconds) => seconds.to_string(),
        Effect::RequireMedia(it) => format!("{it:?}"),
        Effect::RemoveHeader(it)
        | Effect::Identify(it)
        | Effect::Route(it)
        | Effect::SetRequestUri(it)
        | Effect::SetFrom(it)
        | Effect::SetTo(it)
        | Effect::Conceal(it) => text(it).to_owned(),
    }
}

fn line(name: &str, value: &[u8]) -> outcomes::HeaderValue {
    outcomes::HeaderValue {
        name: name.to_owned(),
        value: value.to_vec(),
    }
}

fn effects() -> Vec<(&'static str, Raw, &'static str)> {
    let points = outcomes::Points {
        amount: -7,
        reason: "is known".to_owned(),
    };
    let alert = outcomes::Alert {
        severity: Severity::Critical,
        key: "key".to_owned(),
        text: "text".to_owned(),
    };
    let annotation = outcomes::Annotation {
        key: "price".to_owned(),
        value: "2".to_owned(),
    };
    let encrypted = MediaRequirement::EncryptedBoth;
    let owned = str::to_owned;
    vec![
        ("set-header", Raw::SetHeader(line("A", b"1")), "A 1"),
        ("add-header", Raw::AddHeader(line("B", b"2")), "B 2"),
        ("remove-header", Raw::RemoveHeader(owned("C")), "C"),
        ("annotate", Raw::Annotate(annotation), "price 2"),
        ("score", Raw::Score(points), "-7 is known"),
        ("identify", Raw::Identify(owned("alice")), "alice"),
        ("limit-duration", Raw::LimitDuration(60), "60"),
        ("route", Raw::Route(owned("carrier")), "carrier"),
        ("alert", Raw::Alert(alert), "Severity::Critical key text"),
        (
            "require-media",
            Raw::RequireMedia(encrypted),
            "MediaRequirement::EncryptedBoth",
        ),
        ("tick-after", Raw::TickAfter(30), "30"),
        (
            "set-request-uri",
            Raw::SetRequestUri(owned("sip:a")),
            "sip:a",
        ),
        ("set-from", Raw::SetFrom(owned("<sip:b>")), "<sip:b>"),
        ("set-to", Raw::SetTo(owned("<sip:c>")), "<sip:c>"),
        ("conceal", Raw::Conceal(owned("7391")), "7391"),
        ("other", Raw::Other((owned("x"), owned("y"))), "x y"),
    ]
}

#[test]
fn every_effect_arrives_under_its_number() {
    let wit = Wit::read();
    let cases = wit.cases(wit.named("effect"));
    let wanted = effects();
    assert_eq!(wanted.len(), cases.len());
    let mut outcome = Outcome::next().because("for the test").into_raw();
    outcome.effects = wanted.iter().map(|(_, raw, _)| raw.clone()).collect();
    // The host reads after it has moved.
    let kept = Box::new(Kept::new(outcome));
    assert_eq!(text(&kept.answer().reason), "for the test");
    let read = items(&kept.answer().effects);
    assert_eq!(read.len(), wanted.len());
    for (read, (name, _, shown)) in read.iter().zip(&wanted) {
        assert_eq!(cases[usize::from(number(read))].0, *name);
        assert_eq!(effect(read), *shown, "{name}");
    }
}

#[test]
fn every_verdict_arrives_under_its_number() {
    let wit = Wit::read();
    let cases = wit.cases(wit.named("verdict"));
    let name = |outcome: Outcome, read: &dyn Fn(&Verdict) -> bool| {
        let kept = Box::new(Kept::new(outcome.into_raw()));
        let verdict = &kept.answer().verdict;
        assert!(read(verdict));
        cases[usize::from(number(verdict))].0
    };
    let is_next = |it: &Verdict| matches!(it, Verdict::Next);
    assert_eq!(name(Outcome::next(), &is_next), "next");
    let is_drop = |it: &Verdict| matches!(it, Verdict::Drop);
    assert_eq!(name(Outcome::silence(), &is_drop), "drop");
    let refusal = Outcome::reject(480).phrase("Not Today").retry_after(7);
    let is_refusal = |it: &Verdict| match it {
        Verdict::Reject(it) => {
            (it.status, text(&it.phrase), it.retry_after) == (480, "Not Today", 7)
        }
        _ => false,
    };
    assert_eq!(name(refusal, &is_refusal), "reject");
    let both = [DigestAlgorithm::Sha256, DigestAlgorithm::Md5];
    let challenge = Outcome::challenge("home").algorithms(&both).stale(true);
    let is_challenge = |it: &Verdict| match it {
        Verdict::Challenge(it) => {
            text(&it.realm) == "home"
                && items(&it.algorithms) == both
                && it.stale
                && !it.as_registrar
        }
        _ => false,
    };
    assert_eq!(name(challenge, &is_challenge), "challenge");
    let contacts = ["sip:a@example.com", "sip:b@example.com"];
    let redirect = Outcome::redirect(contacts.map(str::to_owned));
    let is_redirect = |it: &Verdict| match it {
        Verdict::Redirect(it) => items(it).iter().map(text).eq(contacts),
        _ => false,
    };
    assert_eq!(name(redirect, &is_redirect), "redirect");
}
