//! The circuit breakers of one plugin, one for each hook, shared by all threads. A
//! plugin that works costs one load of an atomic for each call.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use policy::{Breaker, BreakerTerms, Leave, PolicyFailure, TakenOut};

/// A hook of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Request,
    Response,
    Call,
}

impl Hook {
    const ALL: [Self; 3] = [Self::Request, Self::Response, Self::Call];

    /// As the WIT names it.
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "on-request",
            Self::Response => "on-response",
            Self::Call => "on-call-event",
        }
    }
}

/// What the breaker of one hook has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerFigures {
    /// The hook.
    pub hook: &'static str,
    /// `closed`, `open` or `half-open`.
    pub state: &'static str,
    /// How often it opened.
    pub opened: u64,
    /// How often the plugin was not asked because of it.
    pub turned_away: u64,
    /// Milliseconds of the current pause, or of the next one.
    pub pause_ms: u64,
}

struct HookGuard {
    /// The breaker has something to say; else it need not be asked.
    troubled: AtomicBool,
    breaker: Mutex<Breaker>,
}

pub(crate) struct Guard {
    request: HookGuard,
    response: HookGuard,
    call: HookGuard,
}

impl Guard {
    pub(crate) fn new(terms: BreakerTerms) -> Self {
        let guard = || HookGuard {
            troubled: AtomicBool::new(false),
            breaker: Mutex::new(Breaker::new(terms)),
        };
        Self {
            request: guard(),
            response: guard(),
            call: guard(),
        }
    }

    const fn of(&self, hook: Hook) -> &HookGuard {
        match hook {
            Hook::Request => &self.request,
            Hook::Response => &self.response,
            Hook::Call => &self.call,
        }
    }

    /// Whether the plugin may be asked.
    pub(crate) fn ask(&self, hook: Hook, now_ms: impl Fn() -> u64) -> Result<Leave, PolicyFailure> {
        let guard = self.of(hook);
        if !guard.troubled.load(Ordering::Relaxed) {
            return Ok(Leave::Usual);
        }
        let leave = guard.breaker.lock().ask(now_ms());
        leave.map_err(|TakenOut { retry_after_ms }| PolicyFailure::TakenOut { retry_after_ms })
    }

    /// What became of it.
    pub(crate) fn settle(&self, hook: Hook, leave: Leave, usable: bool, now_ms: impl Fn() -> u64) {
        let guard = self.of(hook);
        if usable && !guard.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut breaker = guard.breaker.lock();
        if usable {
            breaker.succeeded(leave);
        } else {
            breaker.failed(leave, now_ms());
        }
        let troubled = !breaker.is_untroubled();
        guard.troubled.store(troubled, Ordering::Relaxed);
    }

    /// Of the hooks whose breaker ever opened.
    pub(crate) fn figures(&self) -> Vec<BreakerFigures> {
        let figures = |hook: Hook| {
            let breaker = self.of(hook).breaker.lock();
            BreakerFigures {
                hook: hook.name(),
                state: breaker.state(),
                opened: breaker.opened(),
                turned_away: breaker.turned_away(),
                pause_ms: breaker.pause_ms(),
            }
        };
        let figures = Hook::ALL.into_iter().map(figures);
        figures.filter(|figures| figures.opened > 0).collect()
    }
}
