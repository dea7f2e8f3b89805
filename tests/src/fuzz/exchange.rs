//! A program of messages with session descriptions through the media room: bounded,
//! only our own addresses come out, nothing in the clear where that is forbidden, and
//! at the end every port and session is back. RFC 3264, RFC 4568, RFC 8866.

use std::sync::Arc;

use media::{
    Anchor, AnchorConfig, Body, Carrier, Fingerprint, Interface, Mode, OfferLimits, Passage,
    Protection, RelayCommand, RelayEvent, Requirement, SessionFigures, SessionId, Side, Terms,
    read_offer,
};

use super::Trail;
use super::input::Input;

/// Messages of one program; a call has a handful.
const MESSAGES: usize = 12;

const MODES: [&[Mode]; 6] = [
    &[Mode::Plain],
    &[Mode::Sdes],
    &[Mode::Dtls],
    &[Mode::Sdes, Mode::Plain],
    &[Mode::Dtls, Mode::Sdes, Mode::Plain],
    &[Mode::Passthrough, Mode::Plain],
];

const REQUIREMENTS: [Requirement; 3] = [
    Requirement::Any,
    Requirement::Encrypted,
    Requirement::EncryptedBoth,
];

/// Reads the input as terms of two parties and messages between them: for each one its
/// kind, its sender and dialog, its length and its body.
pub fn exchange(bytes: &[u8]) -> u64 {
    let mut trail = Trail::new();
    let mut input = Input::new(bytes);
    let requirement = REQUIREMENTS[input.below(3)];
    let terms = [
        terms(&mut input, Side::Caller),
        terms(&mut input, Side::Callee),
    ];
    let mut anchor = Anchor::new(config(), [7; 32]);
    let session = SessionId::new(0, 1);
    for _ in 0..MESSAGES {
        if input.is_over() {
            break;
        }
        let carrier = carrier(&mut input);
        let who = input.byte();
        let from = if who & 1 == 0 {
            Side::Caller
        } else {
            Side::Callee
        };
        let length = usize::from(input.word());
        let passage = Passage {
            session,
            from,
            dialog: u32::from(who >> 1) % 4,
            carrier,
            content_type: Some(b"application/sdp"),
            body: input.take(length),
            terms: &terms,
            requirement,
        };
        step(&mut anchor, &passage, who, &mut trail);
        relayed(&mut anchor, requirement, &mut trail);
    }
    finish(&mut anchor, session);
    trail.0
}

fn step(anchor: &mut Anchor, passage: &Passage<'_>, who: u8, trail: &mut Trail) {
    let first = anchor.handle_message(*passage);
    match &first {
        Ok(Body::AsIs) => trail.mark(1),
        Ok(Body::Remove) => trail.mark(2),
        Ok(Body::Replace(sdp)) => {
            trail.mark(3);
            only_ours(sdp);
            let again = anchor.handle_message(*passage);
            assert_eq!(again, first, "a retransmission leaves as the first did");
        }
        Err(refused) => trail.text(&refused.to_string()),
    }
    if who & 0x40 != 0 {
        anchor.confirm(passage.session, passage.dialog);
    }
    if who & 0x80 != 0 {
        anchor.handle_refusal(passage.session, passage.from, 1);
    }
}

/// What goes out can be read by ourselves and names no address but ours.
fn only_ours(sdp: &[u8]) {
    let streams = read_offer(sdp, &OfferLimits::default()).expect("we can read what we write");
    for stream in streams {
        let address = std::str::from_utf8(stream.address).expect("an address is text");
        let ours = ["198.51.100.1", "198.51.100.2", "2001:db8::2", "0.0.0.0"];
        assert!(
            stream.port == 0 || ours.contains(&address),
            "{address} is not ours"
        );
    }
    for line in sdp.split(|byte| *byte == b'\n') {
        assert!(!line.starts_with(b"a=candidate"), "a candidate got through");
    }
}

/// The relay never carries in the clear what has to be encrypted.
fn relayed(anchor: &mut Anchor, requirement: Requirement, trail: &mut Trail) {
    while let Some(command) = anchor.poll_command() {
        let RelayCommand::Stream { ends, .. } = command else {
            trail.mark(4);
            continue;
        };
        for (side, end) in [Side::Caller, Side::Callee].into_iter().zip(ends.iter()) {
            trail.mark(match end.protection {
                Protection::Closed => 5,
                Protection::Plain => 6,
                Protection::Passthrough => 7,
                Protection::Sdes { .. } => 8,
                Protection::Dtls { .. } => 9,
            });
            let clear = matches!(end.protection, Protection::Plain);
            assert!(
                !clear || !requirement.binds(side),
                "{side:?} in the clear although {requirement:?}"
            );
        }
    }
}

fn finish(anchor: &mut Anchor, session: SessionId) {
    anchor.end(session);
    anchor.end(session);
    let mut closed = 0;
    while let Some(command) = anchor.poll_command() {
        closed += usize::from(matches!(command, RelayCommand::Close { .. }));
    }
    assert!(closed <= 1, "closed {closed} times");
    anchor.handle_event(&RelayEvent::Closed {
        session,
        figures: Box::new(SessionFigures::default()),
    });
    let left = anchor.figures();
    assert_eq!(
        (left.sessions, left.closing, left.ports_in_use),
        (0, 0, 0),
        "{left:?}"
    );
}

fn carrier(input: &mut Input<'_>) -> Carrier {
    let transaction = 1 + input.below(3) as u64;
    match input.below(10) {
        0 => Carrier::Invite { transaction },
        1 => Carrier::Success { transaction },
        2 => Carrier::Ack { transaction },
        kind @ 3..=4 => Carrier::Provisional {
            transaction,
            reliable: kind == 4,
        },
        5 => Carrier::Prack { transaction },
        6 => Carrier::PrackSuccess { transaction },
        7 => Carrier::Update { transaction },
        8 => Carrier::UpdateSuccess { transaction },
        _ => Carrier::Other,
    }
}

fn terms(input: &mut Input<'_>, side: Side) -> Terms {
    let modes = MODES[input.below(MODES.len())];
    let flags = input.byte();
    Terms {
        modes: modes.iter().copied().collect(),
        interface: side as u16,
        ipv6: side == Side::Callee && flags & 1 == 1,
        nat: flags & 2 == 2,
        signalling: match side {
            Side::Caller => [192, 0, 2, 1].into(),
            Side::Callee => [203, 0, 113, 1].into(),
        },
        networks: Arc::new([]),
    }
}

/// 198.51.100.1 faces callers, 198.51.100.2 and 2001:db8::2 callees.
fn config() -> AnchorConfig {
    let interface = |last| Interface::at([198, 51, 100, last].into(), 20_000..=20_099);
    let callees = Interface {
        bind6: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into()),
        ..interface(2)
    };
    AnchorConfig {
        fingerprint: Some(Fingerprint::sha256([0xAB; 32])),
        ..AnchorConfig::new(vec![interface(1), callees])
    }
}
