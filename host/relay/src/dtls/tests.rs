//! Handshakes with parties whose DTLS is OpenSSL's, in memory: what is lost, forged and
//! sent by somebody else.

#[path = "../../tests/relay/openssl_party.rs"]
mod openssl_party;

use std::collections::VecDeque;
use std::thread::sleep;

use self::openssl_party::{Kind, OpensslParty, Papers};
use super::*;

/// A handshake of ours, a party, and the network between them.
struct Pair {
    ours: Handshake,
    party: OpensslParty,
    papers: Papers,
    /// How often the party could not understand us, and began again.
    refusals: u32,
    keys: Option<(KeyMaterial, KeyMaterial)>,
    /// Which of our datagrams, and which of the party's, gets lost.
    lost: [Option<usize>; 2],
    sent: [usize; 2],
    to_us: VecDeque<Vec<u8>>,
    failed: Option<String>,
}

fn identity() -> Arc<Identity> {
    Arc::new(Identity::generate(DtlsClient::Widest).unwrap())
}

impl Pair {
    fn new(identity: &Arc<Identity>, active: bool, papers: &Papers) -> Self {
        let fingerprints = vec![papers.fingerprint()];
        let limit = Duration::from_secs(20);
        Pair {
            ours: Handshake::new(identity, active, fingerprints, Instant::now(), limit),
            party: OpensslParty::new(papers, !active),
            papers: papers.clone(),
            refusals: 0,
            keys: None,
            lost: [None, None],
            sent: [0, 0],
            to_us: VecDeque::new(),
            failed: None,
        }
    }

    /// One turn: our time, then everything that is on its way.
    fn turn(&mut self) {
        let mut sent = Vec::new();
        let now = Instant::now();
        let mut transmit = |datagram: &[u8]| sent.push(datagram.to_vec());
        let mut progress = vec![self.ours.handle_timeout(now, &mut transmit)];
        while let Some(datagram) = self.to_us.pop_front() {
            progress.push(self.ours.handle_datagram(now, &datagram, &mut transmit));
        }
        for progress in progress {
            match progress {
                Progress::Waiting => {}
                Progress::Established(keys) => assert!(self.keys.replace(*keys).is_none()),
                Progress::Failed(reason) => self.failed = Some(reason),
            }
        }
        let mut back = self.party.step(None);
        for datagram in sent {
            assert!(datagram.len() <= DATAGRAM_BYTES);
            if !self.is_lost(0) {
                back.extend(self.party.step(Some(&datagram)));
            }
            if self.party.refused {
                self.refusals += 1;
                self.party = OpensslParty::new(&self.papers, !self.ours.active);
            }
        }
        for datagram in back {
            if !self.is_lost(1) {
                self.to_us.push_back(datagram);
            }
        }
    }

    fn is_lost(&mut self, from: usize) -> bool {
        let number = self.sent[from];
        self.sent[from] += 1;
        self.lost[from] == Some(number)
    }

    fn is_done(&self) -> bool {
        self.keys.is_some() && self.party.keys.is_some()
    }

    fn finish(&mut self) {
        let begun = Instant::now();
        while !self.is_done() {
            assert_eq!(self.failed, None);
            assert!(begun.elapsed() < Duration::from_secs(10), "no handshake");
            self.turn();
            sleep(Duration::from_millis(2));
        }
        self.check();
    }

    fn check(&self) {
        let (ours, theirs) = (
            self.keys.as_ref().unwrap(),
            self.party.keys.as_ref().unwrap(),
        );
        assert!(ours.0 == theirs.1 && ours.1 == theirs.0, "other keys");
        assert!(ours.0 != ours.1);
        assert_eq!(self.party.shown(), self.ours.identity.fingerprint());
        assert_eq!(self.ours.poll_timeout(), None);
    }
}

#[test]
fn certificates_of_either_kind_in_both_roles() {
    let identity = identity();
    for kind in [Kind::Rsa, Kind::Ecdsa] {
        let papers = Papers::new(kind);
        for active in [true, false] {
            let mut pair = Pair::new(&identity, active, &papers);
            pair.finish();
            assert_eq!((pair.ours.attempts, pair.refusals), (1, 0), "{kind:?}");
        }
    }
}

#[test]
fn a_server_that_refuses_the_newest_kind_gets_the_widest() {
    let identity = Arc::new(Identity::generate(DtlsClient::Newest).unwrap());
    for (kind, refuses) in [(Kind::Rsa, true), (Kind::Ecdsa, false)] {
        let mut pair = Pair::new(&identity, true, &Papers::new(kind));
        let begun = Instant::now();
        pair.finish();
        assert_eq!(pair.refusals > 0, refuses, "{kind:?}");
        assert_eq!(pair.ours.attempts, 1 + u32::from(refuses));
        assert_eq!(begun.elapsed() >= ALERTED, refuses);
    }
}

/// An alert in the clear may be anyone's, and the party may be slow.
#[test]
fn forged_alerts_do_not_stop_a_party_that_answers() {
    let identity = identity();
    let mut pair = Pair::new(&identity, true, &Papers::new(Kind::Rsa));
    // Our first hello is lost, and somebody else answers it.
    pair.lost[0] = Some(0);
    let begun = Instant::now();
    while !pair.is_done() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        for _ in 0..3 {
            pair.to_us.push_back(record(21, 0, &[2, 70]));
        }
        pair.turn();
        assert_eq!(pair.failed, None);
        sleep(Duration::from_millis(2));
    }
    pair.check();
    assert_eq!(pair.ours.attempts, 1);
}

#[test]
fn silence_brings_the_other_kind_in_turn() {
    let identity = identity();
    let start = Instant::now();
    let papers = Papers::new(Kind::Ecdsa);
    let limit = Duration::from_secs(20);
    let mut ours = Handshake::new(&identity, true, vec![papers.fingerprint()], start, limit);
    let mut offers = Vec::new();
    for step in 0..400_u32 {
        let now = start + Duration::from_millis(50) * step;
        let mut transmit =
            |datagram: &[u8]| offers.push((step / 20, datagram::client_hello(datagram)));
        ours.handle_timeout(now, &mut transmit);
    }
    // By the second: for three seconds each.
    for (second, hello) in &offers {
        let newest = second / 3 % 2 == 1;
        assert_eq!(
            *hello,
            Some(if newest { Hello::Newest } else { Hello::Older }),
            "{second}"
        );
    }
    let seconds: Vec<u32> = offers.iter().map(|(second, _)| *second).collect();
    assert!(
        [0, 3, 6, 9, 12, 15, 18]
            .iter()
            .all(|second| seconds.contains(second)),
        "{seconds:?}"
    );
    assert!(ours.attempts <= ATTEMPTS);
}

#[test]
fn another_certificate_gets_no_keys() {
    let identity = identity();
    let (signalled, other) = (Papers::new(Kind::Rsa), Papers::new(Kind::Rsa));
    for active in [true, false] {
        let mut pair = Pair::new(&identity, active, &signalled);
        pair.party = OpensslParty::new(&other, !active);
        let begun = Instant::now();
        while pair.failed.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10));
            pair.turn();
        }
        assert!(pair.failed.unwrap().contains("fingerprint"));
        assert!(pair.keys.is_none());
        assert!(pair.party.keys.is_none(), "it hears no more of us");
    }
}

#[test]
fn whatever_is_lost_is_sent_again() {
    let identity = identity();
    let papers = Papers::new(Kind::Rsa);
    let mut pairs = Vec::new();
    for active in [true, false] {
        for from in 0..2 {
            for number in 0..6 {
                let mut pair = Pair::new(&identity, active, &papers);
                pair.lost[from] = Some(number);
                pairs.push(pair);
            }
        }
    }
    let begun = Instant::now();
    while !pairs.iter().all(Pair::is_done) {
        assert!(begun.elapsed() < Duration::from_secs(15));
        for pair in &mut pairs {
            pair.turn();
            assert_eq!(pair.failed, None);
        }
        sleep(Duration::from_millis(10));
    }
    for pair in &pairs {
        pair.check();
        assert_eq!(pair.ours.attempts, 1);
        assert!(pair.sent[0] < 16, "{:?}", pair.sent);
    }
}

/// Records with this header and payload.
fn record(kind: u8, epoch: u8, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![kind, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 9, 9];
    datagram.extend((payload.len() as u16).to_be_bytes());
    datagram.extend(payload);
    datagram
}

#[test]
fn noise_at_any_moment_is_harmless() {
    let identity = identity();
    let papers = Papers::new(Kind::Rsa);
    for active in [true, false] {
        let mut pair = Pair::new(&identity, active, &papers);
        for turn in 0.. {
            for noise in [
                vec![22; 60],
                vec![],
                vec![63, 254, 253],
                record(21, 0, &[2, 40]),
                record(22, 0, &[2, 0, 0, 9]),
                record(22, 0, &[11, 255, 255, 255, 0, 3, 0, 0, 0, 0, 0, 1, 7]),
                record(23, 1, &[turn; 64]),
                record(22, 1, &[turn; 64]),
            ] {
                pair.to_us.push_back(noise);
            }
            pair.turn();
            if pair.is_done() {
                break;
            }
            assert!(turn < 200 && pair.failed.is_none());
            sleep(Duration::from_millis(1));
        }
        pair.check();
        assert_eq!(pair.ours.attempts, 1);
    }
}

#[test]
fn a_forged_hello_does_not_take_the_place_of_the_party() {
    let identity = identity();
    let papers = Papers::new(Kind::Rsa);
    let mut pair = Pair::new(&identity, false, &papers);
    // Somebody who can write the party's address and does not hear what we send there.
    for _ in 0..4 {
        let forged = OpensslParty::new(&Papers::new(Kind::Ecdsa), true).step(None);
        let mut bytes = 0;
        for datagram in &forged {
            let mut transmit = |sent: &[u8]| bytes += sent.len();
            let progress = pair
                .ours
                .handle_datagram(Instant::now(), datagram, &mut transmit);
            assert!(matches!(progress, Progress::Waiting));
        }
        assert!(
            bytes < forged[0].len(),
            "{bytes} bytes for a forged address"
        );
    }
    pair.finish();
    assert_eq!(pair.ours.attempts, 1);
}

#[test]
fn attempts_and_what_they_hold_are_bounded() {
    let identity = identity();
    let papers = Papers::new(Kind::Rsa);
    for active in [true, false] {
        let mut ours = Pair::new(&identity, active, &papers).ours;
        let start = Instant::now();
        let mut sent = 0;
        for turn in 0..100_u32 {
            let now = start + Duration::from_millis(500) * turn / 4;
            let mut transmit = |_: &[u8]| sent += 1;
            assert!(matches!(
                ours.handle_timeout(now, &mut transmit),
                Progress::Waiting
            ));
            if !active {
                let hello = OpensslParty::new(&papers, true).step(None);
                ours.handle_datagram(now, &hello[0], &mut transmit);
            }
            // A hello that ends too soon; each with a number of its own.
            let hello = if active { 2 } else { 1 };
            let mut fatal = record(22, 0, &[hello, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
            fatal[10] = turn as u8;
            let progress = ours.handle_datagram(now, &fatal, &mut transmit);
            assert!(matches!(progress, Progress::Waiting));
        }
        assert!(
            ours.attempts > 1 && ours.attempts <= ATTEMPTS,
            "{}",
            ours.attempts
        );
        assert!(sent <= 2 * 100);
        let late = start + Duration::from_secs(20);
        assert_eq!(ours.poll_timeout().map(|due| due <= late), Some(true));
        let progress = ours.handle_timeout(late, &mut |_| {});
        assert!(matches!(progress, Progress::Failed(reason) if reason.contains("time")));
    }
}

#[test]
fn a_client_that_offers_the_newest_version_gets_it() {
    let identity = identity();
    let now = Instant::now();
    let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
    let fingerprints = vec![fingerprint::of(&certificate.certificate)];
    let limit = Duration::from_secs(20);
    let mut ours = Handshake::new(&identity, false, fingerprints, now, limit);
    let config = newest::configure().unwrap();
    let mut theirs = Newest::new(&config, certificate, true, now);
    let relay = [identity.fingerprint()];
    let (mut to_us, mut to_them) = (VecDeque::new(), VecDeque::new());
    let mut keys = (None, None);
    for _ in 0..10 {
        let mut transmit = |datagram: &[u8]| to_us.push_back(datagram.to_vec());
        let mut party = Party {
            transmit: &mut transmit,
            fingerprints: &relay,
        };
        let mut outcomes = vec![theirs.advance(Instant::now(), &mut party)];
        while let Some(datagram) = to_them.pop_front() {
            let datagram: Vec<u8> = datagram;
            outcomes.push(theirs.receive(Instant::now(), &datagram, &mut party));
        }
        for outcome in outcomes {
            match outcome {
                Ok(agreed) => keys.1 = keys.1.or(agreed),
                Err(Fault::Broken(why) | Fault::Refused(why)) => panic!("{why}"),
            }
        }
        while let Some(datagram) = to_us.pop_front() {
            let mut transmit = |datagram: &[u8]| to_them.push_back(datagram.to_vec());
            match ours.handle_datagram(Instant::now(), &datagram, &mut transmit) {
                Progress::Waiting => {}
                Progress::Established(ours) => keys.0 = Some(ours),
                Progress::Failed(why) => panic!("{why}"),
            }
        }
    }
    let (Some(_), Some(agreed)) = keys else {
        panic!("no handshake: {} {}", keys.0.is_some(), ours.attempts);
    };
    assert_eq!(agreed.suite, media::Suite::AeadAes256Gcm, "dimpl's first");
}
