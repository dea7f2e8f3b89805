//! What one call of a simulated world will do: drawn from the seed beforehand.

use std::time::Duration;

use super::random::Random;

/// The caller's address, as the caller writes it.
pub(super) const CALLER: &str = "sip:caller@sim.example";

/// How a callee answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// 2xx after ringing.
    Accept,
    /// This final status after ringing.
    Refuse(u16),
    /// 100 at the most, then nothing.
    Silence,
}

/// Who ends an answered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HangUp {
    /// The caller, after a while.
    Caller,
    /// The callee, after a while.
    Callee,
    /// Both at about the same time: their BYEs cross.
    Both,
}

/// What an INVITE or UPDATE says of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Nothing: the other side has to offer.
    Late,
    /// One stream in the clear.
    Plain,
    /// One stream with keys.
    Encrypted,
    /// Audio, and video that may be refused.
    Two,
    /// One stream that is not heard.
    Hold,
    /// What is no description.
    Bad,
}

/// How the callee answers an offer, or offers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// In the 2xx.
    Good,
    /// Already while it rings, and again in the 2xx.
    Early,
    /// The same, acknowledged by PRACK.
    Reliable,
    /// Somebody else answers while it rings, then the callee does.
    Forked,
    /// With what is no description.
    Bad,
    /// Not at all.
    Missing,
}

/// What the policy says of the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It may pass; the call may be limited to so many seconds.
    Admit(Option<u32>),
    /// A final response.
    Reject(u16),
    /// Silence.
    Drop,
    /// A plugin fails, and failing means no.
    Fail,
    /// No answer ever comes.
    Never,
}

/// What the policy says of every response, and after how many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseJudgement {
    /// A number is added.
    Mark(u64),
    /// The same, and another refusal is sent in place of one.
    Replace(u64),
    /// No answer ever comes.
    Never,
}

/// One call, or one request outside a dialog.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// Unique in the world; part of Call-ID.
    pub(super) number: usize,
    /// From the trunk to the PBX rather than the other way round.
    pub(super) from_outside: bool,
    /// INVITE, OPTIONS or MESSAGE.
    pub(super) method: &'static str,
    /// When it begins.
    pub(super) start: Duration,
    /// Time from request to ringing.
    pub(super) ring_after: Duration,
    /// Time from ringing to the final response.
    pub(super) answer_after: Duration,
    /// The final response.
    pub(super) answer: Answer,
    /// What the INVITE says of media.
    pub(super) offer: Offer,
    /// What the callee says of media.
    pub(super) reply: Reply,
    /// The ACK of a late offer carries what is no description.
    pub(super) bad_ack: bool,
    /// The policy wants encrypted media.
    pub(super) encrypted: bool,
    /// The policy shows the callee other addresses.
    pub(super) disguised: bool,
    /// What the policy says of responses.
    pub(super) response: ResponseJudgement,
    /// CANCEL this long after the INVITE.
    pub(super) cancel_after: Option<Duration>,
    /// A re-INVITE, UPDATE or INFO this long after the answer, with this offer.
    pub(super) in_dialog_after: Option<(Duration, &'static str, Offer)>,
    /// The callee refuses later offers.
    pub(super) refuses_again: bool,
    /// Length of the call.
    pub(super) talk: Duration,
    /// Who ends it.
    pub(super) hang_up: HangUp,
    /// What the policy says.
    pub(super) judgement: Judgement,
    /// Time that the policy takes.
    pub(super) judged_after: Duration,
}

/// What an INVITE says, as often as it stands here.
const OFFERS: [Offer; 8] = [
    Offer::Plain,
    Offer::Plain,
    Offer::Plain,
    Offer::Late,
    Offer::Encrypted,
    Offer::Two,
    Offer::Hold,
    Offer::Bad,
];

/// What a later INVITE or UPDATE says.
const LATER_OFFERS: [Offer; 7] = [
    Offer::Plain,
    Offer::Hold,
    Offer::Hold,
    Offer::Encrypted,
    Offer::Two,
    Offer::Bad,
    Offer::Late,
];

/// What a callee says.
const REPLIES: [Reply; 9] = [
    Reply::Good,
    Reply::Good,
    Reply::Good,
    Reply::Early,
    Reply::Early,
    Reply::Reliable,
    Reply::Forked,
    Reply::Bad,
    Reply::Missing,
];

impl Script {
    /// Draw one.
    #[must_use]
    pub(super) fn of(number: usize, random: &mut Random) -> Self {
        let method = *random.pick(&["INVITE", "INVITE", "INVITE", "INVITE", "OPTIONS", "MESSAGE"]);
        let answer = match random.below(10) {
            0..=5 => Answer::Accept,
            6 => Answer::Silence,
            _ => Answer::Refuse(*random.pick(&[404, 408, 480, 486, 500, 503, 600, 603])),
        };
        let judgement = match random.below(20) {
            0 => Judgement::Reject(403),
            1 => Judgement::Reject(503),
            2 => Judgement::Drop,
            3 => Judgement::Fail,
            4 => Judgement::Never,
            5..=7 => Judgement::Admit(Some(1 + random.below(20) as u32)),
            _ => Judgement::Admit(None),
        };
        let millis = |random: &mut Random, most| Duration::from_millis(random.below(most));
        Self {
            number,
            from_outside: random.percent(40),
            method,
            start: millis(random, 5_000),
            ring_after: millis(random, 400),
            answer_after: millis(random, 8_000),
            answer,
            offer: *random.pick(&OFFERS),
            reply: *random.pick(&REPLIES),
            bad_ack: random.percent(15),
            encrypted: random.percent(5),
            disguised: random.percent(40),
            response: match random.below(6) {
                0 => ResponseJudgement::Never,
                1 => ResponseJudgement::Replace(random.below(2_500)),
                2 => ResponseJudgement::Mark(random.below(2_500)),
                _ => ResponseJudgement::Mark(0),
            },
            cancel_after: random.percent(20).then(|| millis(random, 9_000)),
            in_dialog_after: random.percent(35).then(|| {
                let method = *random.pick(&["INVITE", "INVITE", "UPDATE", "INFO"]);
                let offer = *random.pick(&LATER_OFFERS);
                (millis(random, 10_000), method, offer)
            }),
            refuses_again: random.percent(20),
            talk: millis(random, 30_000),
            hang_up: *random.pick(&[HangUp::Caller, HangUp::Callee, HangUp::Both]),
            judgement,
            judged_after: if random.percent(70) {
                Duration::ZERO
            } else {
                millis(random, 2_500)
            },
        }
    }

    /// The callee's address, as the caller writes it.
    #[must_use]
    pub(super) fn callee(&self) -> String {
        let side = if self.from_outside { "pbx" } else { "trunk" };
        format!("sip:100{}@{side}.example", self.number)
    }

    /// The caller's tag.
    #[must_use]
    pub(super) fn caller_tag(&self) -> String {
        format!("from{}", self.number)
    }

    /// The Call-ID of everything that belongs to it.
    #[must_use]
    pub(super) fn call_id(&self) -> String {
        format!("script-{}@sim.example", self.number)
    }
}
