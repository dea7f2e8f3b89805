//! The virtual host does what the real one does, at the edges too.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod calls;
mod lookups;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::leases::Lease;
use sipward_plugin_sdk::testing::{Harness, Request as Asked, Response as Answer, json};
use sipward_plugin_sdk::{
    counters, credentials, geo, identity, keyvalue, lists, numbers, prelude::*,
};

type Script = Box<dyn Fn() -> Outcome>;
type Builder = fn(Outcome) -> Outcome;

thread_local! {
    /// What the policies of this file do in every hook.
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

fn play() -> Outcome {
    SCRIPT.with_borrow(|script| {
        script
            .as_ref()
            .map_or_else(Outcome::next, |script| script())
    })
}

/// Every hook does this from now on.
fn script(script: impl Fn() -> Outcome + 'static) {
    SCRIPT.set(Some(Box::new(script)));
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    /// Runs the script in `configure` too.
    #[serde(default)]
    at_once: bool,
}

macro_rules! scripted {
    ($name:ident, $capabilities:expr) => {
        struct $name;

        #[policy]
        impl Policy for $name {
            type Settings = Settings;
            const CAPABILITIES: &'static [Capability] = $capabilities;

            fn configure(settings: Settings) -> Result<Self, SettingsError> {
                if settings.at_once {
                    play();
                }
                Ok(Self)
            }

            fn on_request(&self, _: &Request<'_>) -> Outcome {
                play()
            }

            fn on_response(&self, _: &Response<'_>) -> Outcome {
                play()
            }

            fn on_call_event(&self, _: &Call<'_>, _: &CallEvent<'_>) -> Outcome {
                play()
            }
        }
    };
}

scripted!(
    Granted,
    &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
        Capability::Leases,
        Capability::Geo,
        Capability::Lists,
        Capability::EditHeaders,
        Capability::Route,
    ]
);
scripted!(Bare, &[]);

fn harness() -> Harness<Granted> {
    Harness::new(json!({}))
}

fn invite() -> Asked {
    Asked::invite("sip:bob@example.com")
}

/// What a script says when it runs in the request hook.
fn said<T: std::fmt::Debug + 'static>(
    harness: &Harness<Granted>,
    request: &Asked,
    ask: impl Fn() -> T + 'static,
) -> String {
    script(move || Outcome::next().because(format!("{:?}", ask())));
    harness.call(request).reason().to_owned()
}

/// Whether something panics, and with these words.
fn panics(with: &str, action: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(action)).unwrap_err();
    let text = match payload.downcast_ref::<String>() {
        Some(text) => text.as_str(),
        None => payload.downcast_ref::<&str>().unwrap(),
    };
    assert!(text.contains(with), "{text}");
}

#[test]
fn an_interface_that_is_not_named_fails_the_test() {
    let uses: [(&str, fn()); 6] = [
        ("`counters`", || {
            _ = counters::Window::new("a", 1).add(b"", 1)
        }),
        ("`keyvalue`", || _ = keyvalue::get("a")),
        ("`credentials`", || _ = credentials::check_code("a", "1")),
        ("`leases`", || _ = Lease::new("a").held(b"")),
        ("`geo`", || _ = geo::locate([10, 0, 0, 1].into())),
        ("`lists`", || _ = lists::find("a", "b")),
    ];
    let run = move |used: fn()| {
        move || {
            used();
            Outcome::next()
        }
    };
    for (name, used) in uses {
        script(run(used));
        panics(name, || _ = Harness::<Bare>::new(json!({})).call(&invite()));
        assert!(harness().call(&invite()).is_next());
        // What has state is out of reach in `configure`; look-ups are not.
        let at_once = || _ = Harness::<Granted>::new(json!({ "at_once": true }));
        match ["`geo`", "`lists`"].contains(&name) {
            true => at_once(),
            false => panics("cannot be used in configure", at_once),
        }
    }
    script(|| {
        let number = numbers::parse("112", "DE").is_ok();
        Outcome::next().because(format!(
            "{number} {:?} {:?}",
            identity::tls(),
            identity::groups("a")
        ))
    });
    let bare = Harness::<Bare>::new(json!({}));
    assert_eq!(bare.call(&invite()).reason(), "true None []");
}

#[test]
fn effects_that_the_host_would_refuse_fail_the_test() {
    let effects: [(&str, Builder); 8] = [
        ("edit-headers", |outcome| outcome.set_header("X-A", "1")),
        ("edit-headers", |outcome| {
            outcome.set_request_uri("sip:a@example.com")
        }),
        ("edit-headers", |outcome| {
            outcome.set_to("<sip:a@example.com>")
        }),
        ("`route`", |outcome| outcome.route("carrier")),
        ("0 seconds", |outcome| outcome.tick_after(0)),
        ("86401 seconds", |outcome| outcome.tick_after(86_401)),
        ("3 bytes", |outcome| outcome.conceal("123")),
        ("65 bytes", |outcome| outcome.conceal("1".repeat(65))),
    ];
    for (with, effect) in effects {
        script(move || effect(Outcome::next()));
        panics(with, || _ = Harness::<Bare>::new(json!({})).call(&invite()));
    }
    script(|| {
        let ticks = Outcome::next().tick_after(1).tick_after(86_400);
        ticks.conceal("1234").conceal("1".repeat(64))
    });
    assert!(Harness::<Bare>::new(json!({})).call(&invite()).is_next());
}

#[test]
fn what_means_nothing_for_a_call_fails_the_test() {
    let outcomes: [fn() -> Outcome; 6] = [
        || Outcome::challenge("example.com"),
        Outcome::silence,
        || Outcome::next().score(1, "late"),
        || Outcome::next().identify("alice"),
        || Outcome::next().set_from("<sip:a@example.com>"),
        || Outcome::next().require_media(MediaRequirement::Encrypted),
    ];
    for outcome in outcomes {
        let harness = harness();
        script(Outcome::next);
        let (_, handle) = harness.begin(&invite());
        script(outcome);
        panics("means nothing", || _ = handle.unwrap().answered());
    }
}

#[test]
fn what_means_nothing_for_a_response_fails_the_test() {
    let answer = |status: u16| {
        let harness = harness();
        move || _ = harness.answer(&Answer::new(status, ""))
    };
    script(|| Outcome::reject(480));
    answer(300)();
    panics("can be replaced", answer(200));
    let outcomes: [fn() -> Outcome; 3] = [
        || Outcome::challenge("example.com"),
        || Outcome::next().tick_after(1),
        || Outcome::next().set_from("<sip:a@example.com>"),
    ];
    for outcome in outcomes {
        script(outcome);
        panics("means nothing", answer(404));
    }
    script(|| {
        Outcome::next()
            .alert(Severity::Info, "")
            .set_header("Server", "x")
    });
    answer(200)();
}
