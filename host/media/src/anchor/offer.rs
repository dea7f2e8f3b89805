//! An offer of one party, made into our offer to the other: RFC 3264 sections 5
//! and 8.

use std::net::IpAddr;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::choose::{self, Question};
use super::session::{AgreedStream, Far, Key, Leg, Live, Near, Offered, Pending, Session};
use super::{Desk, follow};
use crate::sdp::description::{Description, Said};
use crate::sdp::dtls::Setup;
use crate::sdp::protocol::{Profile, Protocol};
use crate::sdp::write::{self, Keys, Outgoing};
use crate::{Mode, Passage, Protection, Refused, Side, Suite, Terms, Unacceptable};

/// What belongs to the message rather than to a stream of it.
pub(super) struct Envelope {
    pub(super) dialog: usize,
    pub(super) key: Key,
    pub(super) in_response: bool,
    pub(super) terms: u64,
}

impl Session {
    /// Read the offer and write ours. Nothing is changed but ports and keys until
    /// the whole is good.
    pub(super) fn translate_offer(
        &mut self,
        envelope: &Envelope,
        passage: &Passage<'_>,
        sdp: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Pending, Refused> {
        let description = Description::read(sdp, &desk.config.limits)?;
        let mut reason = None;
        let mut streams: Vec<Offered> = Vec::with_capacity(description.sections.len());
        for (index, said) in description
            .streams(&desk.config.limits)?
            .into_iter()
            .enumerate()
        {
            let live = match self.prepare(envelope.dialog, index, &said, passage, desk) {
                _ if said.port == 0 => None,
                Ok(live) => Some(live),
                Err(Refused::Unacceptable(why)) => {
                    reason.get_or_insert(why);
                    None
                }
                Err(other) => return Err(other),
            };
            streams.push(Offered { said, live });
        }
        if let Some(reason) = reason.filter(|_| streams.iter().all(|each| each.live.is_none())) {
            return Err(reason.into());
        }
        let output = self.write_offer(envelope.dialog, passage, &description, &streams, desk)?;
        Ok(Pending {
            offerer: passage.from,
            key: envelope.key,
            in_response: envelope.in_response,
            terms: envelope.terms,
            output,
            streams,
        })
    }

    /// Find modes, ports and the offerer's place for one stream.
    fn prepare(
        &mut self,
        dialog: usize,
        index: usize,
        said: &Said,
        passage: &Passage<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Live, Refused> {
        if said.port == 0 || said.layered {
            return Err(Unacceptable::NoStream.into());
        }
        let (from, to) = (passage.from, passage.from.other());
        let terms = from.of(passage.terms);
        let remote = follow::remote(said, terms, desk.config)?;
        let entry = self.dialogs.get(dialog);
        let current = entry
            .and_then(|dialog| dialog.agreed_stream(index))
            .cloned();
        let current = current.as_ref();
        let (near, mut far) = choose_protocol(said, passage, current, desk)?;
        let family = |side: Side| {
            current.map_or(side.of(passage.terms).ipv6, |stream| {
                side.of(&stream.ends).local.ipv6
            })
        };
        // `0.0.0.0` holds an IPv6 stream too.
        let said_family = said.address.filter(|address| !address.is_unspecified());
        let near_ipv6 = said_family.map_or_else(|| family(from), |address| address.is_ipv6());
        let near_local = self.local(index, from, terms.interface, near_ipv6, desk)?;
        let far_interface = to.of(passage.terms).interface;
        let far_local = self.local(index, to, far_interface, family(to), desk)?;
        if far.modes.contains(&Mode::Sdes) {
            let agreed = current.and_then(|stream| match &to.of(&stream.ends).protection {
                Protection::Sdes { send, .. } => Some(send.suite),
                _ => None,
            });
            far.keys = self.offered_keys(dialog, index, to, agreed, desk);
        }
        let locals = match from {
            Side::Caller => [near_local, far_local],
            Side::Callee => [far_local, near_local],
        };
        Ok(Live {
            near,
            far,
            locals,
            remote,
        })
    }

    /// One key for each suite; the agreed one first, so that it is chosen again.
    fn offered_keys(
        &mut self,
        dialog: usize,
        index: usize,
        side: Side,
        agreed: Option<Suite>,
        desk: &mut Desk<'_>,
    ) -> Vec<(u32, crate::KeyMaterial)> {
        let Some(dialog) = self.dialogs.get_mut(dialog) else {
            return Vec::new();
        };
        let others = Suite::OFFERED
            .into_iter()
            .filter(|suite| Some(*suite) != agreed);
        (1_u32..)
            .zip(agreed.into_iter().chain(others))
            .filter_map(|(tag, suite)| Some((tag, dialog.key(index, side, suite, desk)?)))
            .collect()
    }

    fn write_offer(
        &mut self,
        dialog: usize,
        passage: &Passage<'_>,
        description: &Description<'_>,
        streams: &[Offered],
        desk: &Desk<'_>,
    ) -> Result<Bytes, Refused> {
        let to = passage.from.other();
        let first = streams.iter().find_map(|each| each.live.as_ref());
        let address = match first {
            Some(live) => desk.advertised(*to.of(&live.locals))?,
            None => desk.leg_address(to.of(passage.terms))?,
        };
        let mut out = Vec::with_capacity(512);
        for (offered, section) in streams.iter().zip(&description.sections) {
            let Some(live) = &offered.live else {
                write::refused(&offered.said, &offered.said.protocol, &mut out);
                continue;
            };
            let local = *to.of(&live.locals);
            let protocol = live.far.profile.map_or(Protocol::Udptl, Protocol::Rtp);
            let outgoing = Outgoing {
                said: &offered.said,
                section,
                protocol: &protocol,
                payload_types: u128::MAX,
                address: desk.advertised(local)?,
                port: local.rtp,
                rtcp: Some(local.rtcp()),
                rtcp_mux: live.far.rtcp_mux,
                keys: offered_keys(live, &offered.said, desk),
                direction: offered.said.direction,
                passthrough: live.near == Near::Passthrough,
            };
            write::stream(&outgoing, address, &mut out);
        }
        Ok(self.seal(dialog, to, address, out))
    }
}

fn offered_keys<'a>(live: &'a Live, said: &'a Said, desk: &'a Desk<'_>) -> Keys<'a> {
    if live.near == Near::Passthrough {
        return Keys::as_said(said);
    }
    let dtls = live.far.modes.contains(&Mode::Dtls);
    Keys {
        crypto: live.far.keys.iter().map(|(tag, key)| (*tag, key)).collect(),
        fingerprints: if dtls {
            desk.config.fingerprint.as_slice()
        } else {
            &[]
        },
        setup: dtls.then_some(Setup::ActPass),
    }
}

/// What each leg gets, by the transport that was offered.
fn choose_protocol(
    said: &Said,
    passage: &Passage<'_>,
    current: Option<&AgreedStream>,
    desk: &Desk<'_>,
) -> Result<(Near, Far), Refused> {
    let (from, to) = (passage.from, passage.from.other());
    match said.protocol {
        Protocol::Rtp(profile) if is_relayed(said) => {
            let protection = current.map(|stream| &from.of(&stream.ends).protection);
            let was_active = match protection {
                Some(Protection::Dtls { active, .. }) => Some(*active),
                _ => None,
            };
            let question = Question {
                said,
                profile,
                was_active,
            };
            let leg = current.map(|stream| *to.of(&stream.legs));
            choose_modes(&question, passage, leg, desk)
        }
        Protocol::Udptl if said.kind.eq_ignore_ascii_case(b"image") => {
            check_clear(passage)?;
            let far = Far {
                modes: smallvec![Mode::Plain],
                profile: None,
                rtcp_mux: false,
                keys: Vec::new(),
            };
            Ok((Near::Plain, far))
        }
        _ => Err(Unacceptable::NoStream.into()),
    }
}

fn choose_modes(
    question: &Question<'_>,
    passage: &Passage<'_>,
    far_leg: Option<Leg>,
    desk: &Desk<'_>,
) -> Result<(Near, Far), Refused> {
    let Question { said, profile, .. } = *question;
    let (from, to, requirement) = (passage.from, passage.from.other(), passage.requirement);
    // RFC 5761 section 4: these numbers look like RTCP on a shared port.
    let ambiguous = said
        .payloads
        .iter()
        .any(|each| (64..96).contains(&each.payload_type));
    if choose::passes_through(said, profile, passage.terms, requirement) {
        let far = Far {
            modes: smallvec![Mode::Passthrough],
            profile: Some(profile),
            rtcp_mux: said.rtcp_mux && !ambiguous,
            keys: Vec::new(),
        };
        return Ok((Near::Passthrough, far));
    }
    let near = choose::near(
        question,
        from,
        from.of(passage.terms),
        requirement,
        desk.config,
    )?;
    let choice = choose::far(to, to.of(passage.terms), requirement, far_leg, desk.config)?;
    let dtls = choice.modes.contains(&Mode::Dtls);
    let far = Far {
        profile: Some(Profile {
            security: choice.security,
            // Phones that know no AVPF refuse it, so it is asked of the far side only
            // for the sake of feedback that the near side names.
            feedback: profile.feedback && said.feedback,
        }),
        rtcp_mux: (said.rtcp_mux || dtls) && !ambiguous,
        modes: choice.modes,
        keys: Vec::new(),
    };
    Ok((near, far))
}

/// UDPTL has no encryption, so both legs must do without.
fn check_clear(passage: &Passage<'_>) -> Result<(), Unacceptable> {
    let clear = |terms: &Terms| {
        terms
            .modes
            .iter()
            .any(|mode| matches!(mode, Mode::Plain | Mode::Passthrough))
    };
    if Side::BOTH
        .into_iter()
        .any(|side| passage.requirement.binds(side))
    {
        return Err(Unacceptable::NotEncrypted);
    }
    if passage.terms.iter().all(clear) {
        Ok(())
    } else {
        Err(Unacceptable::Mode)
    }
}

/// Kinds of media that go over RTP: RFC 8866 section 8.2.3.
fn is_relayed(said: &Said) -> bool {
    [&b"audio"[..], b"video", b"text", b"application", b"image"]
        .iter()
        .any(|kind| said.kind.eq_ignore_ascii_case(kind))
}

impl Desk<'_> {
    /// The address that stands in SDP for a pair of ours.
    pub(super) fn advertised(&self, local: crate::LocalPorts) -> Result<IpAddr, Unacceptable> {
        let interface = self.config.interfaces.get(usize::from(local.interface));
        let interface = interface.ok_or(Unacceptable::Interface)?;
        interface
            .advertised(local.ipv6)
            .ok_or(Unacceptable::AddressFamily)
    }

    /// An address of the leg's interface, where no stream needs one.
    pub(super) fn leg_address(&self, terms: &Terms) -> Result<IpAddr, Unacceptable> {
        let interface = self.config.interfaces.get(usize::from(terms.interface));
        let interface = interface.ok_or(Unacceptable::Interface)?;
        let families: SmallVec<[bool; 2]> = smallvec![terms.ipv6, !terms.ipv6];
        let address = families
            .into_iter()
            .find_map(|ipv6| interface.advertised(ipv6));
        address.ok_or(Unacceptable::AddressFamily)
    }
}
