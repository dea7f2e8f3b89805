//! What was found about a request, and what is known about its sender.

use sipward_plugin_sdk::counters::Window;

use crate::sender::{Key, Sender};
use crate::settings;

/// How long a source that has sent credentials is acquainted, and a name that it
/// used is not new: two hours, twice what telephones register for.
const ACQUAINTED_MS: u64 = 2 * 3_600_000;

/// What was found about one request.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// All points.
    points: u32,
    /// Those that are kept against the sender.
    lasting: u32,
    reasons: String,
}

impl Findings {
    /// Adds a finding that is kept against the sender; none of 0 points.
    pub(crate) fn add(&mut self, points: u32, reason: &str) {
        self.lasting = self.lasting.saturating_add(points);
        self.add_passing(points, reason);
    }

    /// Adds a finding that counts for this request only.
    pub(crate) fn add_passing(&mut self, points: u32, reason: &str) {
        if points == 0 {
            return;
        }
        self.points = self.points.saturating_add(points);
        if !self.reasons.is_empty() {
            self.reasons.push_str(", ");
        }
        self.reasons.push_str(reason);
    }

    pub(crate) const fn points(&self) -> u32 {
        self.points
    }

    /// Whether anything is kept against the sender.
    pub(crate) const fn are_kept(&self) -> bool {
        self.lasting > 0
    }

    pub(crate) fn reasons(&self) -> &str {
        &self.reasons
    }
}

/// What a request with findings deserves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It goes on.
    Tolerated,
    /// It is not answered.
    Silenced,
    /// It is not answered, and nothing from its sender is from now on.
    Banned,
}

/// The configured counts.
pub(crate) struct Evidence {
    silence_at: u64,
    ban_at: u64,
    /// Of senders that proved themselves; survives a restart.
    proved: Window,
    unproved: Window,
    acquainted: Window,
    callers: Census,
    targets: Census,
}

impl Evidence {
    pub(crate) fn new(settings: &settings::Settings) -> Self {
        let forget_ms = u64::from(settings.limits.forget_s) * 1_000;
        let enumeration = &settings.enumeration;
        Self {
            silence_at: settings.limits.silence_at.into(),
            ban_at: settings.limits.ban_at.into(),
            proved: Window::new("proved", forget_ms).durable(),
            unproved: Window::new("unproved", forget_ms),
            acquainted: Window::new("acquainted", ACQUAINTED_MS),
            callers: Census::new(b'c', enumeration.callers, enumeration.window_s),
            targets: Census::new(b't', enumeration.targets, enumeration.window_s),
        }
    }

    /// Whether nothing from the sender is answered. Never so for one that could be
    /// forged: that would silence the owner of the address.
    pub(crate) fn is_banned(&self, sender: &Sender, key: &Key) -> bool {
        sender.is_proved()
            && self
                .proved
                .count(key.bytes())
                .is_ok_and(|points| points >= self.ban_at)
    }

    /// Keeps what was found and says what follows.
    pub(crate) fn judge(&self, sender: &Sender, key: &Key, findings: &Findings) -> Judgement {
        let silenced = match u64::from(findings.points) >= self.silence_at {
            true => Judgement::Silenced,
            false => Judgement::Tolerated,
        };
        if findings.lasting == 0 {
            return silenced;
        }
        let window = match sender.is_proved() {
            true => &self.proved,
            false => &self.unproved,
        };
        match window.add(key.bytes(), findings.lasting) {
            Ok(total) if sender.is_proved() && total >= self.ban_at => Judgement::Banned,
            Ok(total) if total >= self.silence_at => Judgement::Silenced,
            Ok(_) => silenced,
            // Nobody knows how much there is already. The request is suspicious, so
            // the limit counts as reached.
            Err(_) => Judgement::Silenced,
        }
    }

    /// Remembers that the source has sent credentials.
    pub(crate) fn acquaint(&self, key: &Key) {
        // A full table makes nobody acquainted.
        _ = self.acquainted.add(key.bytes(), 1);
    }

    /// Whether the source has sent credentials lately.
    pub(crate) fn is_acquainted(&self, key: &Key) -> bool {
        self.acquainted
            .count(key.bytes())
            .is_ok_and(|times| times > 0)
    }

    /// Whether the source calls as too many users with this one.
    pub(crate) fn calls_as_too_many(&self, sender: &Sender, name: &[u8]) -> bool {
        self.callers.exceeds(sender, name)
    }

    /// Whether the source calls too many users with this one.
    pub(crate) fn calls_too_many(&self, sender: &Sender, name: &[u8]) -> bool {
        self.targets.exceeds(sender, name)
    }
}

/// How many names a source uses.
struct Census {
    kind: u8,
    most: u64,
    /// A name that the source used is not new for a while, so that telephones go on
    /// when somebody counts up names from their address, or forges it.
    names: Window,
    /// Names that were new.
    fresh: Window,
}

impl Census {
    fn new(kind: u8, most: u32, window_s: u32) -> Self {
        Self {
            kind,
            most: most.into(),
            names: Window::new("names", ACQUAINTED_MS),
            fresh: Window::new("fresh", u64::from(window_s) * 1_000),
        }
    }

    fn exceeds(&self, sender: &Sender, name: &[u8]) -> bool {
        if self.most == 0 {
            return false;
        }
        let pair = sender.key_with(self.kind, name);
        match self.names.add(pair.bytes(), 1) {
            Ok(times) if times > 1 => return false,
            Ok(_) => {}
            // Forged sources can fill the table. Senders that could be forged bear
            // it; those that proved themselves are let through.
            Err(_) => return !sender.is_proved(),
        }
        let source = sender.key_with(self.kind.to_ascii_uppercase(), b"");
        match self.fresh.add(source.bytes(), 1) {
            Ok(names) if names <= self.most => false,
            Ok(_) => {
                // It stays new: trying it again does not make it known.
                _ = self.names.reset(pair.bytes());
                true
            }
            Err(_) => !sender.is_proved(),
        }
    }
}
