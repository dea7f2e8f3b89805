//! The policy's decision, carried out. A decision that comes too late, or to a question
//! that nobody asked, changes nothing.

use policy::{Conclusion, ConsultId, Decision, Redirection, Refusal};
use sip_message::Method;
use sip_transaction::Moment;

use crate::answers::Answer;
use crate::consults::Pending;
use crate::core::ProxyCore;
use crate::output::LogEvent;
use crate::silence::Silenced;
use crate::timers::Timer;

/// Methods that pass through us, for Allow in a response of our own.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, SUBSCRIBE, NOTIFY, \
                     PUBLISH, INFO, REFER, MESSAGE, UPDATE";

impl ProxyCore {
    /// The policy answered a [`Consult`](crate::Output::Consult).
    ///
    /// `challenge` are the WWW-Authenticate or Proxy-Authenticate lines, name and value,
    /// for a [`Decision::Challenge`]: only the driver can make a nonce. Other decisions
    /// make no use of them. A challenge without any is answered with 500, and so is a
    /// permit that was earned by another consult.
    pub fn handle_conclusion(
        &mut self,
        now: Moment,
        conclusion: Conclusion,
        challenge: Vec<(String, String)>,
    ) {
        let consult = conclusion.consult;
        let Some(pending) = self.consults.take(consult) else {
            self.log(LogEvent::ConclusionIgnored { consult });
            return;
        };
        self.timers.stop(pending.deadline);
        match conclusion.decision {
            Decision::Admit(permit) if permit.consult() == consult => {
                if pending.is_for_us(&permit) {
                    self.answer_options(now, &pending);
                } else {
                    self.forward_admitted(now, pending, permit);
                }
            }
            Decision::Challenge(spec) if !challenge.is_empty() => {
                let status = if spec.as_registrar { 401 } else { 407 };
                self.answer_with(now, &pending, Answer::new(status), &challenge);
            }
            Decision::Admit(_) | Decision::Challenge(_) => self.deny(now, &pending),
            Decision::Refuse(refusal) => self.refuse(now, &pending, &refusal),
            Decision::Redirect(redirection) => self.redirect(now, &pending, &redirection),
            Decision::Drop(_) => self.drop_silently(now, &pending),
        }
        self.settle_events(now, None);
    }

    /// The deadline is over: the failure of a policy is a denial.
    pub(crate) fn consult_late(&mut self, now: Moment, consult: ConsultId) {
        if let Some(pending) = self.consults.take(consult) {
            self.log(LogEvent::ConsultLate { consult });
            self.deny(now, &pending);
        } else if let Some(asked) = self.asked.remove(&consult) {
            self.log(LogEvent::ConsultLate { consult });
            self.response_judged(now, consult, asked.server, None);
        }
    }

    fn deny(&mut self, now: Moment, pending: &Pending) {
        self.answer(
            now,
            pending.server,
            &pending.request,
            &pending.flow,
            Answer::new(500),
        );
    }

    fn refuse(&mut self, now: Moment, pending: &Pending, refusal: &Refusal) {
        let answer = Answer::refusing(refusal);
        self.answer(now, pending.server, &pending.request, &pending.flow, answer);
    }

    fn answer_with<'a>(
        &mut self,
        now: Moment,
        pending: &Pending,
        answer: Answer<'a>,
        headers: &'a [(String, String)],
    ) {
        let answer = answer.headers(headers);
        self.answer(now, pending.server, &pending.request, &pending.flow, answer);
    }

    fn redirect(&mut self, now: Moment, pending: &Pending, redirection: &Redirection) {
        let mut answer = Answer::new(302);
        for contact in &redirection.contacts {
            answer = answer.header("Contact", format!("<{contact}>"));
        }
        self.answer(now, pending.server, &pending.request, &pending.flow, answer);
    }

    fn drop_silently(&mut self, now: Moment, pending: &Pending) {
        let routing = &self.site.routing;
        let fingerprint = Silenced::fingerprint(&self.entropy, &pending.request, &pending.flow);
        let until = now + routing.timers.silence;
        if self.silenced.is_empty() && routing.limits.silenced > 0 {
            self.timers.set(until, Timer::Silence);
        }
        self.silenced
            .insert(until, fingerprint, routing.limits.silenced);
        self.layer.terminate(pending.server);
    }

    pub(crate) fn forget_silenced(&mut self, now: Moment) {
        if let Some(next) = self.silenced.forget(now) {
            self.timers.set(next, Timer::Silence);
        }
    }

    /// OPTIONS to ourselves: RFC 3261 section 11.2.
    fn answer_options(&mut self, now: Moment, pending: &Pending) {
        debug_assert_eq!(pending.request.method(), Method::Options);
        let answer = Answer::new(200)
            .header("Allow", ALLOW)
            .header("Accept", "application/sdp")
            .header("Supported", "");
        self.answer(now, pending.server, &pending.request, &pending.flow, answer);
    }
}
