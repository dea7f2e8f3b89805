//! What a caller of an entry shows, header by header.

use sipward_plugin_sdk::Party;
use sipward_plugin_sdk::prelude::*;

use crate::CallerIdentity;
use crate::address::{Address, Privacy, is_anonymous};
use crate::callers::Entry;
use crate::settings::Assert;

/// Who an anonymous caller is: RFC 3323 section 4.1.1.3.
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// What a caller says of itself besides From.
const HEADERS: [&str; 5] = [
    "Privacy",
    "Diversion",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
];

/// Values of P-Asserted-Identity: a sip URI and a tel URI (RFC 3325 section 9.1).
const ASSERTED: usize = 2;

/// One request of a caller.
pub(crate) struct Check<'a> {
    policy: &'a CallerIdentity,
    request: &'a Request<'a>,
    entry: &'a Entry,
    privacy: Privacy,
    begins: bool,
    /// Which of [`HEADERS`] are there: most callers have none.
    there: [bool; HEADERS.len()],
}

/// What a header with addresses says.
enum Shown {
    /// It is not there.
    Nothing,
    /// The caller may show all of it; the first number.
    Allowed(String),
    /// The caller may not; what is wrong.
    Wrong(String),
}

impl Shown {
    fn allowed(&self) -> Option<&str> {
        match self {
            Self::Allowed(number) => Some(number),
            _ => None,
        }
    }
}

impl<'a> Check<'a> {
    pub(crate) fn new(
        policy: &'a CallerIdentity,
        request: &'a Request<'a>,
        entry: &'a Entry,
    ) -> Self {
        let mut check = Self {
            policy,
            request,
            entry,
            privacy: Privacy::default(),
            begins: policy.checks_from(request),
            there: request.present(HEADERS),
        };
        check.privacy = Privacy::new(&check.values("Privacy"));
        check
    }

    /// All values of one of [`HEADERS`].
    fn values(&self, header: &str) -> Vec<Vec<u8>> {
        let mut there = HEADERS.iter().zip(self.there);
        match there.any(|(name, is_there)| is_there && *name == header) {
            true => self.request.headers(header),
            false => Vec::new(),
        }
    }

    /// What becomes of the request: effects, or a refusal.
    pub(crate) fn run(&self) -> Result<Outcome, Outcome> {
        let from = self.request.from();
        let anonymous = is_anonymous(&from.uri());
        if self.begins && !self.entry.anonymous && (anonymous || self.privacy.hides) {
            let reason = format!("{} may not be anonymous", self.who());
            return Err(Outcome::reject(433).because(reason));
        }
        let mut outcome = Outcome::next();
        let diversion = self.shown("Diversion", usize::MAX);
        if let Shown::Wrong(what) = &diversion {
            self.object("Diversion", what)?;
            outcome = outcome.remove_header("Diversion");
        }
        let mut shown = None;
        if self.begins {
            let forwarded = self.entry.diverts && diversion.allowed().is_some();
            if !anonymous && !forwarded {
                (shown, outcome) = self.judge_from(&from, outcome)?;
            }
            self.judge_contact()?;
        }
        // A forwarded call is the one's who forwards it.
        let number = shown.as_deref().or(diversion.allowed());
        let outcome = self.judge_asserted(number, outcome)?;
        self.judge_remote_party(outcome)
    }

    /// The number that From shows in the end, if the caller may.
    fn judge_from(
        &self,
        from: &Party<'_>,
        outcome: Outcome,
    ) -> Result<(Option<String>, Outcome), Outcome> {
        let uri = from.uri();
        let number = self.policy.plan.number(&uri);
        let allowed = number.filter(|number| self.entry.may_use(number));
        let host = String::from_utf8_lossy(uri.host());
        let domains = &self.policy.domains;
        let wrong = if allowed.is_none() {
            String::from_utf8_lossy(uri.user().unwrap_or_default())
        } else if !self.entry.may_be_called(from.display()) {
            String::from_utf8_lossy(from.display().unwrap_or_default())
        } else if !domains.is_empty()
            && !host.is_empty()
            && !domains
                .iter()
                .any(|domain| domain.eq_ignore_ascii_case(&host))
        {
            host
        } else {
            return Ok((allowed, outcome));
        };
        self.object("From", &wrong)?;
        let reason = format!("{} shows {wrong} in From: rewritten", self.who());
        let outcome = outcome.because(reason);
        if self.privacy.hides {
            // Whoever asked for privacy is told to nobody, least of all by us.
            return Ok((allowed, outcome.set_from(ANONYMOUS)));
        }
        let number = allowed.or_else(|| self.entry.number().map(str::to_owned));
        match number {
            Some(number) => {
                let outcome = outcome.set_from(self.entry.address(&number));
                Ok((Some(number), outcome))
            }
            None => Err(self.refuse("From", &wrong)),
        }
    }

    /// P-Asserted-Identity and P-Preferred-Identity: RFC 3325 section 5.
    fn judge_asserted(&self, shown: Option<&str>, outcome: Outcome) -> Result<Outcome, Outcome> {
        const ASSERTED_IDENTITY: &str = "P-Asserted-Identity";
        let asserted = self.shown(ASSERTED_IDENTITY, ASSERTED);
        let preferred = self.shown("P-Preferred-Identity", ASSERTED);
        if let Shown::Wrong(what) = &asserted {
            self.object(ASSERTED_IDENTITY, what)?;
        }
        // A wish, for us alone.
        let outcome = match preferred {
            Shown::Nothing => outcome,
            _ => outcome.remove_header("P-Preferred-Identity"),
        };
        let hidden = self.privacy.hides && !self.policy.trusted_next;
        let there = !matches!(asserted, Shown::Nothing);
        if hidden || self.policy.assert == Assert::Never {
            return Ok(match there {
                true => outcome.remove_header(ASSERTED_IDENTITY),
                false => outcome,
            });
        }
        let adds = self.begins && self.policy.assert == Assert::Always;
        match &asserted {
            Shown::Allowed(_) => return Ok(outcome),
            Shown::Nothing if !adds => return Ok(outcome),
            Shown::Nothing | Shown::Wrong(_) => {}
        }
        let number = preferred.allowed().or(shown).or(self.entry.number());
        Ok(match number {
            Some(number) => outcome.set_header(ASSERTED_IDENTITY, self.entry.address(number)),
            None if there => outcome.remove_header(ASSERTED_IDENTITY),
            None => outcome,
        })
    }

    /// Remote-Party-ID, which came before RFC 3325.
    fn judge_remote_party(&self, outcome: Outcome) -> Result<Outcome, Outcome> {
        let remote = self.shown("Remote-Party-ID", usize::MAX);
        let hidden = self.privacy.hides && !self.policy.trusted_next;
        match &remote {
            Shown::Nothing => Ok(outcome),
            Shown::Allowed(_) if !hidden => Ok(outcome),
            Shown::Allowed(_) => Ok(outcome.remove_header("Remote-Party-ID")),
            Shown::Wrong(what) => {
                self.object("Remote-Party-ID", what)?;
                Ok(outcome.remove_header("Remote-Party-ID"))
            }
        }
    }

    /// A Contact that others could call back.
    fn judge_contact(&self) -> Result<(), Outcome> {
        if !self.policy.check_contact {
            return Ok(());
        }
        for value in self.request.headers("Contact") {
            let number = Address::parse(&value)
                .and_then(|contact| self.policy.plan.number(&contact.uri))
                .filter(|number| self.policy.plan.is_number(number));
            if let Some(number) = number.filter(|number| !self.entry.may_use(number)) {
                return Err(self.refuse("Contact", &number));
            }
        }
        Ok(())
    }

    /// What a header with addresses says, all its values together.
    fn shown(&self, header: &str, most: usize) -> Shown {
        let values = self.values(header);
        if values.len() > most {
            return Shown::Wrong(format!("{} values", values.len()));
        }
        let mut first = None;
        for value in &values {
            let number = Address::parse(value).and_then(|address| {
                let number = self.policy.plan.number(&address.uri)?;
                let allowed =
                    self.entry.may_use(&number) && self.entry.may_be_called(address.display);
                allowed.then_some(number)
            });
            match number {
                Some(number) => first = first.or(Some(number)),
                None => return Shown::Wrong(String::from_utf8_lossy(value).into_owned()),
            }
        }
        first.map_or(Shown::Nothing, Shown::Allowed)
    }

    /// Refuses what is wrong, unless it is rewritten.
    fn object(&self, header: &str, what: &str) -> Result<(), Outcome> {
        match self.policy.rewrites {
            true => Ok(()),
            false => Err(self.refuse(header, what)),
        }
    }

    fn refuse(&self, header: &str, what: &str) -> Outcome {
        let reason = format!("{} may not show {what} in {header}", self.who());
        Outcome::reject(403).because(reason)
    }

    fn who(&self) -> &str {
        let name = self.request.identity().or(self.request.peer().name());
        name.unwrap_or("the caller")
    }
}
