//! What an outcome may contain. A plugin's answer is untrusted input: a header
//! value with CRLF in it would let the plugin write a second message, and a
//! changed Via or CSeq would break the transaction it rides on.

use crate::capability::{Capability, Grants};
use crate::failure::PolicyFailure;
use crate::limits::{
    ALERT_BYTES, ALERT_KEY_BYTES, ANNOTATION_KEY_BYTES, ANNOTATION_VALUE_BYTES,
    CHALLENGE_ALGORITHMS, CONTACT_BYTES, HEADER_NAME_BYTES, HEADER_VALUE_BYTES, IDENTITY_BYTES,
    NAME_ADDR_BYTES, OutcomeLimits, PHRASE_BYTES, POINTS_REASON_BYTES, REALM_BYTES,
    REDIRECT_CONTACTS, ROUTE_BYTES, SECRET_BYTES, TICK_SECONDS,
};
use crate::outcome::{Challenge, Effect, HeaderEdit, Outcome, Rejection, Verdict};
use crate::text::has_control;
use sip_message::{HeaderKind, NameAddr, Uri};

/// Checks a whole outcome against the grants and the limits of its stage.
///
/// # Errors
/// The first thing that is not allowed.
pub fn check_outcome(
    outcome: &Outcome,
    grants: Grants,
    limits: &OutcomeLimits,
) -> Result<(), PolicyFailure> {
    at_most("reason", outcome.reason.len(), limits.reason_bytes)?;
    at_most("number of effects", outcome.effects.len(), limits.effects)?;
    let bytes = outcome
        .effects
        .iter()
        .map(Effect::text_bytes)
        .fold(verdict_bytes(&outcome.verdict), usize::saturating_add)
        .saturating_add(outcome.reason.len());
    at_most("text", bytes, limits.outcome_bytes)?;
    check_verdict(&outcome.verdict)?;
    outcome
        .effects
        .iter()
        .try_for_each(|effect| check_effect(effect, grants))
}

/// Whether policies may set, add or remove this header at all. Those that carry
/// the transaction, the dialog, the route, the body's framing or the host's own
/// credentials belong to the proxy.
pub fn is_editable_header(name: &str) -> bool {
    !PROTECTED_HEADERS
        .iter()
        .any(|protected| protected.eq_ignore_ascii_case(name))
}

/// Long and compact names.
const PROTECTED_HEADERS: [&str; 32] = [
    "Via",
    "v",
    "CSeq",
    "Call-ID",
    "i",
    "Content-Length",
    "l",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "From",
    "f",
    "To",
    "t",
    "Contact",
    "m",
    "Content-Type",
    "c",
    "Content-Encoding",
    "e",
    "Content-Disposition",
    "MIME-Version",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Require",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Path",
    "Service-Route",
];

pub(crate) fn check_effect(effect: &Effect, grants: Grants) -> Result<(), PolicyFailure> {
    let problem = match effect {
        Effect::Header(edit) => header_problem(edit, grants),
        Effect::Annotate { key, value } => annotation_problem(key, value),
        Effect::Score { reason, .. } => {
            return at_most("reason of a score", reason.len(), POINTS_REASON_BYTES);
        }
        Effect::Identify(identity) => line_problem("identity", identity, IDENTITY_BYTES),
        Effect::LimitDuration(0) => Some("a call of 0 seconds; reject it instead".to_owned()),
        // A closed set, and only ever stricter than the operator's configuration.
        Effect::LimitDuration(_) | Effect::RequireMedia(_) => None,
        Effect::Route(_) if !grants.contains(Capability::Route) => {
            Some(not_granted(Capability::Route))
        }
        Effect::Route(name) => line_problem("peer name", name, ROUTE_BYTES),
        Effect::Alert(alert) => {
            at_most("key of an alert", alert.key.len(), ALERT_KEY_BYTES)?;
            return at_most("alert", alert.text.len(), ALERT_BYTES);
        }
        Effect::TickAfter(seconds) => (!TICK_SECONDS.contains(seconds)).then(|| {
            let (least, most) = (TICK_SECONDS.start(), TICK_SECONDS.end());
            format!("{seconds} seconds; {least} to {most} are possible")
        }),
        Effect::SetRequestUri(_) | Effect::SetFrom(_) | Effect::SetTo(_)
            if !grants.contains(Capability::EditHeaders) =>
        {
            Some(not_granted(Capability::EditHeaders))
        }
        Effect::SetRequestUri(uri) => request_uri_problem(uri),
        Effect::SetFrom(address) | Effect::SetTo(address) => name_addr_problem(address),
        Effect::Conceal(secret) => (!SECRET_BYTES.contains(&secret.len())).then(|| {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            format!("a secret has {least} to {most} bytes")
        }),
        Effect::Other { name, .. } => {
            let name: String = name.chars().take(64).collect();
            Some(format!("this host knows no effect {name:?}"))
        }
    };
    match problem {
        None => Ok(()),
        Some(reason) => Err(PolicyFailure::BadEffect {
            effect: effect.name(),
            reason,
        }),
    }
}

fn check_verdict(verdict: &Verdict) -> Result<(), PolicyFailure> {
    let problem = match verdict {
        Verdict::Next | Verdict::Drop => None,
        Verdict::Reject(rejection) => rejection_problem(rejection),
        Verdict::Challenge(challenge) => challenge_problem(challenge),
        Verdict::Redirect(contacts) => redirect_problem(contacts),
    };
    match problem {
        None => Ok(()),
        Some(reason) => Err(PolicyFailure::BadVerdict {
            verdict: verdict.name(),
            reason,
        }),
    }
}

fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), PolicyFailure> {
    if size <= limit {
        return Ok(());
    }
    Err(PolicyFailure::OutcomeTooLarge { what, limit })
}

fn verdict_bytes(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Next | Verdict::Drop => 0,
        Verdict::Reject(rejection) => rejection.phrase.len(),
        Verdict::Challenge(challenge) => challenge.realm.len(),
        Verdict::Redirect(contacts) => contacts.iter().map(String::len).sum(),
    }
}

fn not_granted(capability: Capability) -> String {
    format!("`{}` is not granted to the plugin", capability.name())
}

fn header_problem(edit: &HeaderEdit, grants: Grants) -> Option<String> {
    if !grants.contains(Capability::EditHeaders) {
        return Some(not_granted(Capability::EditHeaders));
    }
    let name = edit.name();
    if name.is_empty() || name.len() > HEADER_NAME_BYTES || !name.bytes().all(is_token) {
        return Some(format!(
            "a header name is a token of at most {HEADER_NAME_BYTES} bytes"
        ));
    }
    if !is_editable_header(name) {
        return Some(format!("the header {name} belongs to the proxy"));
    }
    // Two lines of such a header mean two things, and whoever reads the message
    // next would choose.
    let single = HeaderKind::from_name(name.as_bytes()).is_single();
    if single && matches!(edit, HeaderEdit::Add { .. }) {
        return Some(format!("{name} stands once in a message; use set-header"));
    }
    let value = edit.value()?;
    if value.len() > HEADER_VALUE_BYTES {
        return Some(format!("a value of {name} over {HEADER_VALUE_BYTES} bytes"));
    }
    // TAB is white space in a header; every other control could end the line.
    value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        .then(|| format!("a control character in the value of {name}"))
}

fn annotation_problem(key: &str, value: &str) -> Option<String> {
    let in_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || key.len() > ANNOTATION_KEY_BYTES || !key.bytes().all(in_key) {
        return Some(format!(
            "a key is 1 to {ANNOTATION_KEY_BYTES} letters, digits, `-`, `_` and `.`"
        ));
    }
    if value.is_empty() {
        return None;
    }
    line_problem("value", value, ANNOTATION_VALUE_BYTES)
}

fn rejection_problem(rejection: &Rejection) -> Option<String> {
    if !(400..=699).contains(&rejection.status) {
        return Some(format!("status {} is not 400 to 699", rejection.status));
    }
    if rejection.phrase.is_empty() {
        return None;
    }
    line_problem("phrase", &rejection.phrase, PHRASE_BYTES)
}

fn challenge_problem(challenge: &Challenge) -> Option<String> {
    if challenge.realm.contains(['"', '\\']) {
        return Some("a quote or backslash in the realm".to_owned());
    }
    if challenge.algorithms.is_empty() || challenge.algorithms.len() > CHALLENGE_ALGORITHMS {
        return Some(format!("not 1 to {CHALLENGE_ALGORITHMS} algorithms"));
    }
    line_problem("realm", &challenge.realm, REALM_BYTES)
}

fn redirect_problem(contacts: &[String]) -> Option<String> {
    if contacts.is_empty() || contacts.len() > REDIRECT_CONTACTS {
        return Some(format!("not 1 to {REDIRECT_CONTACTS} contacts"));
    }
    contacts.iter().find_map(|contact| {
        // Angle brackets, quotes and blanks would end the name-addr that the
        // URI is written into.
        let breaks_out = |byte: u8| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f);
        if contact.len() > CONTACT_BYTES || contact.bytes().any(breaks_out) {
            return Some("a contact is too long or holds blanks, quotes or brackets".to_owned());
        }
        sip_message::Uri::parse(contact.as_bytes())
            .is_err()
            .then(|| "a contact is not a URI".to_owned())
    })
}

fn request_uri_problem(uri: &str) -> Option<String> {
    let breaks_out = |byte: u8| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f);
    if uri.len() > CONTACT_BYTES || uri.bytes().any(breaks_out) {
        return Some("it is too long or holds blanks, quotes or brackets".to_owned());
    }
    match Uri::parse(uri.as_bytes()) {
        // RFC 3261 section 19.1.1: a Request-URI has no headers.
        Ok(uri) if !uri.headers.is_empty() => Some("a Request-URI has no headers".to_owned()),
        Ok(_) => None,
        Err(_) => Some("it is not a URI".to_owned()),
    }
}

/// An address without parameters of its own: the tag is the dialog's.
fn name_addr_problem(address: &str) -> Option<String> {
    if let Some(problem) = line_problem("address", address, NAME_ADDR_BYTES) {
        return Some(problem);
    }
    match NameAddr::parse(address.as_bytes()) {
        Ok(parsed) if !parsed.params.is_empty() => {
            Some("an address without parameters is wanted".to_owned())
        }
        Ok(_) if !address.ends_with('>') => Some("write the URI in angle brackets".to_owned()),
        Ok(_) => None,
        Err(_) => Some("it is not an address".to_owned()),
    }
}

/// One line of text, not empty and bounded.
fn line_problem(what: &str, text: &str, limit: usize) -> Option<String> {
    if text.is_empty() {
        return Some(format!("an empty {what}"));
    }
    if text.len() > limit {
        return Some(format!("a {what} over {limit} bytes"));
    }
    has_control(text).then(|| format!("a control character in the {what}"))
}

/// RFC 3261 section 25.1, `token`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::DigestAlgorithm;

    fn edits() -> Grants {
        Grants::NONE.with(Capability::EditHeaders)
    }

    fn add(name: &str, value: &[u8]) -> Effect {
        Effect::Header(HeaderEdit::Add {
            name: name.to_owned(),
            value: value.to_vec(),
        })
    }

    fn refused(effect: &Effect) -> String {
        check_effect(effect, edits().with(Capability::Route))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_plain_header_passes_with_the_grant_only() {
        let effect = add("X-Reason", b"because\tof this");
        assert_eq!(check_effect(&effect, edits()), Ok(()));
        let failure = check_effect(&effect, Grants::NONE).unwrap_err();
        assert!(failure.to_string().contains("edit-headers"), "{failure}");
    }

    #[test]
    fn line_ends_and_nul_are_refused_in_values_and_names() {
        for value in [&b"a\r\nVia: x"[..], b"a\rb", b"a\nb", b"a\0b", b"a\x7fb"] {
            assert!(refused(&add("X-A", value)).contains("control character"));
        }
        for name in ["", "X A", "X:", "X\r\nVia", "Ünï"] {
            assert!(refused(&add(name, b"1")).contains("token"), "{name:?}");
        }
    }

    #[test]
    fn the_proxys_own_headers_are_refused_in_any_case_and_form() {
        for name in [
            "Via", "vIA", "V", "CSEQ", "call-id", "i", "L", "route", "Contact", "M",
        ] {
            assert!(
                refused(&add(name, b"1")).contains("belongs to the proxy"),
                "{name}"
            );
        }
        let remove = Effect::Header(HeaderEdit::Remove { name: "Via".into() });
        assert!(refused(&remove).contains("belongs to the proxy"));
    }

    #[test]
    fn a_header_that_stands_once_is_set_and_never_added() {
        for name in [
            "Replaces",
            "refer-to",
            "R",
            "Expires",
            "Session-Expires",
            "x",
            "Event",
        ] {
            assert!(refused(&add(name, b"1")).contains("set-header"), "{name}");
            let name = name.to_owned();
            let set = Effect::Header(HeaderEdit::Set {
                name,
                value: b"1".to_vec(),
            });
            assert_eq!(check_effect(&set, edits()), Ok(()));
        }
    }

    #[test]
    fn header_sizes_have_two_sides() {
        let longest = "N".repeat(HEADER_NAME_BYTES);
        assert_eq!(check_effect(&add(&longest, b"1"), edits()), Ok(()));
        refused(&add(&format!("{longest}N"), b"1"));
        let value = vec![b'x'; HEADER_VALUE_BYTES];
        assert_eq!(check_effect(&add("X-A", &value), edits()), Ok(()));
        refused(&add("X-A", &[value, vec![b'x']].concat()));
    }

    #[test]
    fn route_needs_its_grant() {
        let effect = Effect::Route("carrier".into());
        assert!(check_effect(&effect, edits()).is_err());
        assert_eq!(
            check_effect(&effect, Grants::NONE.with(Capability::Route)),
            Ok(())
        );
        refused(&Effect::Route(String::new()));
    }

    #[test]
    fn small_effects_are_checked() {
        refused(&Effect::LimitDuration(0));
        refused(&Effect::Identify("a\r\nb".into()));
        refused(&Effect::Other {
            name: "hold".into(),
            argument: String::new(),
        });
        refused(&Effect::Annotate {
            key: "a b".into(),
            value: "c".into(),
        });
        refused(&Effect::Annotate {
            key: "a".into(),
            value: "c\nd=e".into(),
        });
        let fine = Effect::Annotate {
            key: "a.b-c_1".into(),
            value: String::new(),
        };
        assert_eq!(check_effect(&fine, Grants::NONE), Ok(()));
    }

    #[test]
    fn counts_and_sizes_have_two_sides() {
        let limits = OutcomeLimits {
            effects: 2,
            reason_bytes: 4,
            outcome_bytes: 10,
        };
        let score = |reason: &str| Effect::Score {
            amount: 1,
            reason: reason.into(),
        };
        let full = Outcome::next("four").with(score("six666")).with(score(""));
        assert_eq!(check_outcome(&full, Grants::NONE, &limits), Ok(()));
        let what = |outcome: Outcome| match check_outcome(&outcome, Grants::NONE, &limits) {
            Err(PolicyFailure::OutcomeTooLarge { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(what(full.clone().with(score(""))), "number of effects");
        assert_eq!(what(Outcome::next("fours")), "reason");
        assert_eq!(what(Outcome::next("four").with(score("seven77"))), "text");
    }

    #[test]
    fn verdicts_are_checked() {
        let refused = |verdict: Verdict| {
            let outcome = Outcome::of(verdict, "");
            check_outcome(&outcome, Grants::NONE, &OutcomeLimits::default()).is_err()
        };
        let reject = |status, phrase: &str| {
            Verdict::Reject(Rejection {
                status,
                phrase: phrase.into(),
                retry_after: 0,
            })
        };
        assert!(refused(reject(399, "")) && refused(reject(700, "")));
        assert!(!refused(reject(400, "")) && !refused(reject(699, "No")));
        assert!(refused(reject(403, "No\r\nVia: x")));
        assert!(!refused(Verdict::Redirect(vec!["sip:a@b".into()])));
        assert!(refused(Verdict::Redirect(vec![])));
        assert!(refused(Verdict::Redirect(vec!["sip:a@b>\r\n".into()])));
        assert!(refused(Verdict::Redirect(vec![
            "sip:a@b".into();
            REDIRECT_CONTACTS + 1
        ])));
        let challenge = |realm: &str, algorithms| {
            Verdict::Challenge(Challenge {
                realm: realm.into(),
                algorithms,
                as_registrar: false,
                stale: false,
            })
        };
        assert!(!refused(challenge("pbx", vec![DigestAlgorithm::Sha256])));
        assert!(refused(challenge("p\"x", vec![DigestAlgorithm::Sha256])));
        assert!(refused(challenge("pbx", vec![])));
        assert!(refused(challenge("", vec![DigestAlgorithm::Md5])));
    }
}
