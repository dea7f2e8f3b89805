//! The cases of `examples/secure-trunk`: each plugin by itself, and its pipelines.

use anyhow::{Context, Result};
use policy_wasm::{Clock, Isolation, SystemClock};
use state::digest::Algorithm;

use crate::credentials::{ALICE, Caller};
use crate::example::{self, Example, LANDLINE};
use crate::sender::Sender;
use crate::shelf::{Guest, Shelf};
use crate::subject::{Source, Subject, admits, parsed};

/// Calls in one turn, of one plugin and of a pipeline.
const CALLS: usize = 100;
const PIPELINE_CALLS: usize = 25;

/// The plugin from which on it is known who calls.
const IDENTIFIES: &str = "digest-auth";

/// Hears of calls, and is not asked about requests.
const FOLLOWS: &str = "media-guard";

/// All of them.
pub(crate) fn all<'s>(shelf: &'s Shelf, example: &Example) -> Result<Vec<Subject<'s>>> {
    let mut subjects = Vec::new();
    let ours = example.pipeline("from-us")?;
    let mut known = false;
    for guest in &ours {
        if guest.name != FOLLOWS {
            subjects.push(alone(shelf, guest, known)?);
        }
        known |= guest.name == IDENTIFIES;
    }
    let office = Source::Same(parsed(example::office_invite())?);
    let carrier = Source::Same(parsed(example::carrier_invite())?);
    let theirs = example.pipeline("from-carrier")?;
    for (from, guests, sender, source) in [
        ("home", &ours, Sender::home(), authenticated(shelf)),
        ("office", &ours, Sender::office(), office),
        ("carrier", &theirs, Sender::carrier(), carrier),
    ] {
        let case = format!("pipeline-secure-trunk-{from}");
        let kept = Isolation::REUSE;
        subjects.push(pipeline(shelf, case, kept, guests, (sender, source))?);
    }
    // What the default costs: before the answer, and after it.
    let case = || "single-use-secure-trunk-home".to_owned();
    let alice = || (Sender::home(), authenticated(shelf));
    let once = Isolation::default();
    subjects.push(pipeline(shelf, case(), once, &ours, alice())?);
    let once = Isolation::SingleUse { ready: 1 };
    subjects.push(pipeline(shelf, case(), once, &ours, alice())?.renewing());
    Ok(subjects)
}

/// Alice with her password.
fn authenticated(shelf: &Shelf) -> Source {
    let source = Sender::home().peer.address;
    let nonce = shelf
        .nonces
        .issue(SystemClock.now_ms(), ALICE.realm, source);
    // The best that the settings offer.
    let algorithm = Algorithm::Sha256;
    let write = example::home_invite;
    Source::Authenticated(Caller::new(&ALICE, algorithm, nonce, LANDLINE, write))
}

/// One plugin, asked about a request that it has most to say about.
fn alone<'s>(shelf: &'s Shelf, guest: &Guest, known: bool) -> Result<Subject<'s>> {
    let home = Sender::home().known_as(known.then_some(ALICE.user));
    let (sender, source) = match guest.name.as_str() {
        IDENTIFIES => (home, authenticated(shelf)),
        "tls-identity" => (
            Sender::office(),
            Source::Same(parsed(example::office_invite())?),
        ),
        _ => (home, Source::Same(parsed(example::home_invite(""))?)),
    };
    let case = format!("secure-{}", guest.name);
    let plugin = shelf.load(guest, &case, Isolation::REUSE)?;
    Subject::judge(case, CALLS, vec![plugin], sender, source, admits)
}

fn pipeline<'s>(
    shelf: &'s Shelf,
    case: String,
    isolation: Isolation,
    guests: &[&Guest],
    (sender, source): (Sender, Source),
) -> Result<Subject<'s>> {
    let plugins = guests.iter().map(|guest| {
        let name = format!("{case}-{}", guest.name);
        shelf
            .load(guest, &name, isolation)
            .with_context(|| case.clone())
    });
    let plugins = plugins.collect::<Result<Vec<_>>>()?;
    Subject::judge(case, PIPELINE_CALLS, plugins, sender, source, admits)
}
