//! Bytes as the answers of plugins: mostly well-formed pieces put together badly.

use policy::{
    Alert, Capability, Challenge, DigestAlgorithm, Effect, Grants, HeaderEdit, MediaRequirement,
    Outcome, PolicyFailure, Rejection, Severity, Verdict,
};

use super::input::Input;

/// Header names, long, compact, protected, single-valued and impossible.
const NAMES: [&str; 24] = [
    "X-Note",
    "Subject",
    "s",
    "User-Agent",
    "Expires",
    "Replaces",
    "Refer-To",
    "r",
    "Event",
    "Via",
    "V",
    "cseq",
    "Call-ID",
    "i",
    "Content-Length",
    "l",
    "Route",
    "Contact",
    "Privacy",
    "",
    "X Y",
    "X:",
    "X\r\nVia",
    "P-Asserted-Identity",
];

/// Values and texts, honest and not.
const TEXTS: [&str; 20] = [
    "1",
    "",
    "<sip:a@b>",
    "1\r\nVia: SIP/2.0/UDP evil.example",
    "1\r\n\r\nINVITE sip:x SIP/2.0",
    "a\nb",
    "a\rb",
    "a\0b",
    "\t tab \t",
    "sip:carrier@192.0.2.1",
    "tel:+4930123",
    "sip:a b",
    "sip:a@b>;tag=x",
    "\"quoted\"",
    "back\\slash",
    "ünïcödé",
    "\u{85}next line\u{2028}",
    "60;refresher=uac",
    "x@y;to-tag=1;from-tag=2",
    "\u{7f}",
];

/// Lengths around the limits of the policy room.
const LENGTHS: [usize; 16] = [
    64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025, 2048, 2049, 8192, 8193, 16_384, 16_385,
];

fn text(input: &mut Input<'_>) -> String {
    match input.below(8) {
        0 => {
            let length = input.below(48);
            String::from_utf8_lossy(input.take(length)).into_owned()
        }
        1 => {
            let length = LENGTHS[input.below(LENGTHS.len())];
            let filler = if input.below(16) == 0 { "\r\n" } else { "x" };
            filler.repeat(length / filler.len())
        }
        _ => input.pick(&TEXTS).to_owned(),
    }
}

fn name(input: &mut Input<'_>) -> String {
    if input.below(8) == 0 {
        text(input)
    } else {
        input.pick(&NAMES).to_owned()
    }
}

fn value(input: &mut Input<'_>) -> Vec<u8> {
    if input.below(8) == 0 {
        let length = input.below(64);
        return input.take(length).to_vec();
    }
    text(input).into_bytes()
}

fn effect(input: &mut Input<'_>) -> Effect {
    match input.below(12) {
        0 | 1 => Effect::Header(HeaderEdit::Set {
            name: name(input),
            value: value(input),
        }),
        2..=4 => Effect::Header(HeaderEdit::Add {
            name: name(input),
            value: value(input),
        }),
        5 => Effect::Header(HeaderEdit::Remove { name: name(input) }),
        6 => {
            let key = if input.yes() {
                "note".to_owned()
            } else {
                text(input)
            };
            Effect::Annotate {
                key,
                value: text(input),
            }
        }
        7 => Effect::Score {
            amount: input.number() as i32,
            reason: text(input),
        },
        8 => Effect::Identify(text(input)),
        9 => match input.yes() {
            true => Effect::LimitDuration(u32::from(input.word())),
            false => Effect::Route(text(input)),
        },
        10 => {
            let severity = [Severity::Info, Severity::Warning, Severity::Critical][input.below(3)];
            Effect::Alert(Alert {
                severity,
                key: text(input),
                text: text(input),
            })
        }
        _ => match input.below(12) {
            2 => Effect::TickAfter(input.number()),
            3 => Effect::SetRequestUri(text(input)),
            4 => Effect::SetFrom(text(input)),
            5 => Effect::SetTo(text(input)),
            6 => Effect::Conceal(text(input)),
            1 => Effect::RequireMedia(
                [
                    MediaRequirement::Any,
                    MediaRequirement::Encrypted,
                    MediaRequirement::EncryptedBoth,
                ][input.below(3)],
            ),
            0 => Effect::Other {
                name: text(input),
                argument: text(input),
            },
            _ => Effect::LimitDuration(60),
        },
    }
}

fn verdict(input: &mut Input<'_>) -> Verdict {
    match input.below(16) {
        0 => Verdict::Reject(Rejection {
            status: if input.yes() {
                400 + u16::from(input.byte())
            } else {
                input.word()
            },
            phrase: text(input),
            retry_after: input.number(),
        }),
        1 => {
            let algorithm = |byte: &u8| match byte % 3 {
                0 => DigestAlgorithm::Md5,
                1 => DigestAlgorithm::Sha256,
                _ => DigestAlgorithm::Sha512_256,
            };
            let count = input.below(5);
            Verdict::Challenge(Challenge {
                algorithms: input.take(count).iter().map(algorithm).collect(),
                realm: text(input),
                as_registrar: input.yes(),
                stale: input.yes(),
            })
        }
        2 => {
            let count = input.below(12);
            Verdict::Redirect((0..count).map(|_| text(input)).collect())
        }
        3 => Verdict::Drop,
        _ => Verdict::Next,
    }
}

/// The next answer: an outcome, or a failure to give one.
pub(super) fn answer(input: &mut Input<'_>) -> Result<Outcome, PolicyFailure> {
    if input.below(24) == 1 {
        return Err(PolicyFailure::Trap(text(input)));
    }
    let count = match input.below(8) {
        0 => input.below(40),
        few => few,
    };
    let reason = text(input);
    let verdict = verdict(input);
    let effects = (0..count).map(|_| effect(input)).collect();
    Ok(Outcome {
        verdict,
        effects,
        reason,
    })
}

/// A set of grants, more often all than none.
pub(super) fn grants(input: &mut Input<'_>) -> Grants {
    if !input.yes() {
        return Grants::NONE
            .with(Capability::EditHeaders)
            .with(Capability::Route);
    }
    let chosen = Capability::ALL.into_iter().filter(|_| input.yes());
    chosen.fold(Grants::NONE, Grants::with)
}
