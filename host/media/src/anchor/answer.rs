//! An answer of one party, made into our answer to the other: RFC 3264 section 6.

use bytes::Bytes;
use smallvec::SmallVec;

use super::session::{Agreed, AgreedStream, Leg, Live, Near, Offered, Pending, Session};
use super::{Desk, choose, follow};
use crate::sdp::description::{Description, Said};
use crate::sdp::dtls::{Setup, is_strong};
use crate::sdp::formats::Payload;
use crate::sdp::protocol::{Profile, Protocol, Security};
use crate::sdp::write::{self, Keys, Outgoing};
use crate::{
    EndPlan, LocalPorts, Mode, Passage, Protection, Refused, Remote, Side, StreamKind, Unacceptable,
};

/// One stream that both want.
struct Match {
    stream: AgreedStream,
    /// The answerer's payload types that were offered.
    accepted: u128,
}

/// One end as it was agreed.
struct Half {
    local: LocalPorts,
    remote: Remote,
    rtcp_mux: bool,
    protection: Protection,
    payload_types: u128,
}

impl Half {
    /// The end of the party that said `own`, while the other said `other`.
    fn plan(mut self, own: &Said, other: &Said, desk: &Desk<'_>) -> EndPlan {
        if self.rtcp_mux {
            self.remote.rtcp = self.remote.rtp;
        }
        let kept = |payload: &&Payload| self.payload_types >> payload.payload_type & 1 == 1;
        let payloads = other.payloads.iter().filter(kept);
        EndPlan {
            remote: Some(self.remote),
            rtcp_mux: self.rtcp_mux,
            protection: self.protection,
            sends: own.direction.sends && other.direction.receives,
            receives: own.direction.receives && other.direction.sends,
            payload_types: self.payload_types,
            formats: payloads.map(Payload::format).collect(),
            ..blank(own, self.local, desk)
        }
    }
}

impl Session {
    /// Read the answer, agree, and write ours.
    pub(super) fn translate_answer(
        &mut self,
        dialog: usize,
        pending: &Pending,
        passage: &Passage<'_>,
        sdp: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<(Agreed, Bytes), Refused> {
        let description = Description::read(sdp, &desk.config.limits)?;
        let answers = description.streams(&desk.config.limits)?;
        if answers.len() != pending.streams.len() {
            return Err(Unacceptable::AnswerStreams.into());
        }
        let mut matches = Vec::with_capacity(answers.len());
        for (index, (offered, said)) in pending.streams.iter().zip(&answers).enumerate() {
            if !offered.said.kind.eq_ignore_ascii_case(&said.kind) {
                return Err(Unacceptable::AnswerStreams.into());
            }
            matches.push(match &offered.live {
                Some(live) if said.port != 0 => {
                    Some(self.agree(dialog, index, (offered, live), said, passage, desk)?)
                }
                _ => None,
            });
        }
        let output = self.write_answer(
            dialog,
            pending,
            passage,
            &description,
            &answers,
            &matches,
            desk,
        )?;
        let streams = matches
            .into_iter()
            .map(|each| each.map(|each| each.stream))
            .collect();
        Ok((Agreed { streams }, output))
    }

    fn agree(
        &mut self,
        dialog: usize,
        index: usize,
        (offered, live): (&Offered, &Live),
        said: &Said,
        passage: &Passage<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Match, Refused> {
        let (answerer, offerer) = (passage.from, passage.from.other());
        let remote = follow::remote(said, answerer.of(passage.terms), desk.config)?;
        let ipv6 = answerer.of(&live.locals).ipv6;
        if remote.rtp.is_some_and(|rtp| rtp.is_ipv6() != ipv6) {
            return Err(Unacceptable::AddressFamily.into());
        }
        let far_mux = live.far.rtcp_mux && said.rtcp_mux;
        let near_mux = offered.said.rtcp_mux
            && if live.near == Near::Passthrough {
                far_mux
            } else {
                !is_ambiguous(&offered.said) && !is_ambiguous(said)
            };
        let (mode, protection) = far_protection(live, said)?;
        let (accepted, sendable) = common_payloads(&offered.said, said)?;
        let far = Half {
            local: *answerer.of(&live.locals),
            remote,
            rtcp_mux: far_mux,
            protection,
            payload_types: sendable,
        };
        let near = Half {
            local: *offerer.of(&live.locals),
            remote: live.remote.clone(),
            rtcp_mux: near_mux,
            protection: self.near_protection(dialog, index, offerer, offered, live, desk)?,
            payload_types: accepted,
        };
        // Each may send what the other has named.
        let near = near.plan(&offered.said, said, desk);
        let far = far.plan(said, &offered.said, desk);
        let near_leg = Leg {
            mode: near_mode(live.near),
            profile: profile(&offered.said),
        };
        let far_leg = Leg {
            mode,
            profile: live.far.profile,
        };
        let (ends, legs) = match offerer {
            Side::Caller => ([near, far], [near_leg, far_leg]),
            Side::Callee => ([far, near], [far_leg, near_leg]),
        };
        let ends = Box::new(ends);
        Ok(Match {
            stream: AgreedStream { ends, legs },
            accepted,
        })
    }

    fn near_protection(
        &mut self,
        dialog: usize,
        index: usize,
        offerer: Side,
        offered: &Offered,
        live: &Live,
        desk: &mut Desk<'_>,
    ) -> Result<Protection, Refused> {
        Ok(match live.near {
            Near::Plain => Protection::Plain,
            Near::Passthrough => Protection::Passthrough,
            Near::Dtls { active } => Protection::Dtls {
                active,
                fingerprints: strong(&offered.said),
            },
            Near::Sdes(line) => {
                let line = offered
                    .said
                    .crypto
                    .get(line)
                    .ok_or(Unacceptable::NotEncrypted)?;
                let send = self
                    .dialogs
                    .get_mut(dialog)
                    .and_then(|dialog| dialog.key(index, offerer, line.key.suite, desk))
                    .ok_or(Unacceptable::NotEncrypted)?;
                Protection::Sdes {
                    send,
                    receive: line.key.clone(),
                }
            }
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one answer, used once"
    )]
    fn write_answer(
        &mut self,
        dialog: usize,
        pending: &Pending,
        passage: &Passage<'_>,
        description: &Description<'_>,
        answers: &[Said],
        matches: &[Option<Match>],
        desk: &Desk<'_>,
    ) -> Result<Bytes, Refused> {
        let to = passage.from.other();
        let first = matches.iter().flatten().next();
        let address = match first {
            Some(matched) => desk.advertised(to.of(&matched.stream.ends).local)?,
            None => desk.leg_address(to.of(passage.terms))?,
        };
        let mut out = Vec::with_capacity(512);
        let sections = description.sections.iter().zip(answers).zip(matches);
        for (offered, ((section, said), matched)) in pending.streams.iter().zip(sections) {
            let (Some(live), Some(matched)) = (&offered.live, matched) else {
                // RFC 3264 section 6: what stands in a refused section means nothing.
                write::refused(&offered.said, &offered.said.protocol, &mut out);
                continue;
            };
            let end = to.of(&matched.stream.ends);
            let outgoing = Outgoing {
                said,
                section,
                protocol: &offered.said.protocol,
                payload_types: matched.accepted,
                address: desk.advertised(end.local)?,
                port: end.local.rtp,
                rtcp: (!end.rtcp_mux).then_some(end.local.rtcp()),
                rtcp_mux: end.rtcp_mux,
                keys: answered_keys(&end.protection, offered, live, said, desk),
                direction: said.direction,
                passthrough: live.near == Near::Passthrough,
            };
            write::stream(&outgoing, address, &mut out);
        }
        Ok(self.seal(dialog, to, address, out))
    }
}

fn answered_keys<'a>(
    protection: &'a Protection,
    offered: &Offered,
    live: &Live,
    said: &'a Said,
    desk: &'a Desk<'_>,
) -> Keys<'a> {
    match (protection, live.near) {
        (Protection::Passthrough, _) => Keys::as_said(said),
        (Protection::Sdes { send, .. }, Near::Sdes(line)) => Keys {
            crypto: offered
                .said
                .crypto
                .get(line)
                .map(|line| (line.tag, send))
                .into_iter()
                .collect(),
            ..Keys::default()
        },
        (Protection::Dtls { active, .. }, _) => Keys {
            crypto: Vec::new(),
            fingerprints: desk.config.fingerprint.as_slice(),
            setup: Some(if *active {
                Setup::Active
            } else {
                Setup::Passive
            }),
        },
        _ => Keys::default(),
    }
}

/// What the answerer took of what it was offered. Nothing that was not offered
/// counts, and clear media only where it was.
fn far_protection(live: &Live, said: &Said) -> Result<(Mode, Protection), Unacceptable> {
    let profile = match (&said.protocol, live.far.profile) {
        (Protocol::Udptl, None) => return Ok((Mode::Plain, Protection::Plain)),
        (Protocol::Rtp(profile), Some(_)) => *profile,
        _ => return Err(Unacceptable::AnswerStreams),
    };
    let mut error = Unacceptable::AnswerNotEncrypted;
    for mode in &live.far.modes {
        match mode {
            Mode::Dtls if said.has_strong_fingerprint() => {
                match choose::role_by_answer(said.setup) {
                    Ok(active) => {
                        let fingerprints = strong(said);
                        return Ok((
                            Mode::Dtls,
                            Protection::Dtls {
                                active,
                                fingerprints,
                            },
                        ));
                    }
                    Err(why) => error = why,
                }
            }
            Mode::Sdes => {
                if let Some(protection) = chosen_key(live, said) {
                    return Ok((Mode::Sdes, protection));
                }
            }
            // A secure profile in the answer means that it will encrypt.
            Mode::Plain if !profile.is_secure() => return Ok((Mode::Plain, Protection::Plain)),
            Mode::Passthrough if passes(live, said, profile) => {
                return Ok((Mode::Passthrough, Protection::Passthrough));
            }
            _ => {}
        }
    }
    Err(error)
}

/// RFC 4568 section 5.1.2: the answer repeats the tag and the suite.
fn chosen_key(live: &Live, said: &Said) -> Option<Protection> {
    let mut lines = said.crypto.iter();
    lines.find_map(|line| {
        let (_, send) = live
            .far
            .keys
            .iter()
            .find(|(tag, key)| *tag == line.tag && key.suite == line.key.suite)?;
        Some(Protection::Sdes {
            send: send.clone(),
            receive: line.key.clone(),
        })
    })
}

/// Between the parties: keys are answered with keys of the same kind.
fn passes(live: &Live, said: &Said, answered: Profile) -> bool {
    let offered = live
        .far
        .profile
        .map_or(Security::Open, |profile| profile.security);
    match offered {
        Security::Open => true,
        Security::Savp | Security::Tls => {
            answered.is_secure() && (!said.crypto.is_empty() || !said.fingerprints.is_empty())
        }
    }
}

/// Payload types that the offerer may send, as the answer numbers them, and those
/// that the answerer may, as the offer does.
fn common_payloads(offered: &Said, answered: &Said) -> Result<(u128, u128), Unacceptable> {
    if offered.payloads.is_empty() {
        return Ok((u128::MAX, u128::MAX));
    }
    let common = |these: &Said, those: &Said| {
        these
            .payloads
            .iter()
            .filter(|this| those.payloads.iter().any(|that| this.matches(that)))
            .fold(0_u128, |types, payload| types | 1 << payload.payload_type)
    };
    let (accepted, sendable) = (common(answered, offered), common(offered, answered));
    if accepted == 0 {
        Err(Unacceptable::AnswerFormats)
    } else {
        Ok((accepted, sendable))
    }
}

/// RFC 5761 section 4: these numbers look like RTCP on a shared port.
fn is_ambiguous(said: &Said) -> bool {
    said.payloads
        .iter()
        .any(|each| (64..96).contains(&each.payload_type))
}

fn strong(said: &Said) -> Vec<crate::Fingerprint> {
    said.fingerprints
        .iter()
        .filter(|each| is_strong(each))
        .cloned()
        .collect()
}

const fn near_mode(near: Near) -> Mode {
    match near {
        Near::Plain => Mode::Plain,
        Near::Sdes(_) => Mode::Sdes,
        Near::Dtls { .. } => Mode::Dtls,
        Near::Passthrough => Mode::Passthrough,
    }
}

const fn profile(said: &Said) -> Option<Profile> {
    match said.protocol {
        Protocol::Rtp(profile) => Some(profile),
        _ => None,
    }
}

/// An end at which nothing passes.
pub(super) fn blank(said: &Said, local: LocalPorts, desk: &Desk<'_>) -> EndPlan {
    let limits = &desk.config.limits;
    let audio = said.kind.eq_ignore_ascii_case(b"audio");
    EndPlan {
        local,
        remote: None,
        rtcp_mux: false,
        protection: Protection::Closed,
        sends: false,
        receives: false,
        payload_types: 0,
        formats: SmallVec::new(),
        kind: match said.protocol {
            Protocol::Rtp(_) => StreamKind::Rtp,
            _ => StreamKind::Udptl,
        },
        packets_per_second: if audio {
            limits.audio_packets_per_second
        } else {
            limits.video_packets_per_second
        },
        packet_bytes: limits.packet_bytes,
    }
}
