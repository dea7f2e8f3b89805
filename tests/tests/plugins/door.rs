//! A phone that answers challenges and a host that makes them: RFC 7616.

use std::path::Path;

use md5::{Digest, Md5};
use policy::{ChallengeSpec, Conclusion, Decision, DigestAlgorithm, RequestFacts};
use serde_json::json;
use sha2::{Sha256, Sha512_256};
use sipward_tests::campaign::to_hex;
use sipward_tests::guests::{Caller, Host, START_MS, Worker};
use state::State;
use state::digest::{Accounts, Algorithm, challenge_value};

pub(crate) const REALM: &str = "pbx.example";

/// A phone: who it is and how it answers a challenge (RFC 7616 section 3.4).
#[derive(Clone, Copy)]
pub(crate) struct Phone {
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) address: &'static str,
}

pub(crate) const ALICE: Phone = Phone {
    user: "alice",
    password: "wonderland",
    address: "192.0.2.10",
};

pub(crate) fn hashed(algorithm: DigestAlgorithm, text: &str) -> String {
    match algorithm {
        DigestAlgorithm::Md5 => to_hex(&Md5::digest(text)),
        DigestAlgorithm::Sha256 => to_hex(&Sha256::digest(text)),
        DigestAlgorithm::Sha512_256 => to_hex(&Sha512_256::digest(text)),
    }
}

pub(crate) fn hash_of(algorithm: DigestAlgorithm) -> Algorithm {
    match algorithm {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}

impl Phone {
    pub(crate) const URI: &'static str = "sip:bob@pbx.example";

    pub(crate) fn with(self, password: &'static str) -> Self {
        Self { password, ..self }
    }

    pub(crate) fn invite(self) -> RequestFacts {
        Caller::at(self.address).invite(Self::URI)
    }

    /// Answers the best challenge of those that the driver sends.
    pub(crate) fn answer(
        self,
        challenge: &str,
        algorithm: DigestAlgorithm,
        count: u32,
    ) -> RequestFacts {
        let value = digest_header(
            [self.user, self.password],
            ["INVITE", Self::URI],
            challenge,
            algorithm,
            count,
        );
        let header = format!("Proxy-Authorization: {value}\r\n");
        Caller::at(self.address).request("INVITE", Self::URI, &header)
    }
}

/// What answers a challenge, without the header's name: RFC 7616 section 3.4.
pub(crate) fn digest_header(
    [user, password]: [&str; 2],
    [method, uri]: [&str; 2],
    challenge: &str,
    algorithm: DigestAlgorithm,
    count: u32,
) -> String {
    let nonce = challenge
        .split("nonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a nonce");
    let h = |text: String| hashed(algorithm, &text);
    let secret = h(format!("{user}:{REALM}:{password}"));
    let asked = h(format!("{method}:{uri}"));
    let response = h(format!("{secret}:{nonce}:{count:08x}:c0ffee:auth:{asked}"));
    format!(
        "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={}, response=\"{response}\", qop=auth, nc={count:08x}, cnonce=\"c0ffee\"",
        hash_of(algorithm).token(),
    )
}

/// A host with one account, and its guard.
pub(crate) struct Door {
    pub(crate) host: Host,
    pub(crate) worker: Worker,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self::on(
            State::open(None, state::Limits::default(), START_MS).expect("memory"),
            START_MS,
        )
    }

    pub(crate) fn on(state: State, now_ms: u64) -> Self {
        let mut accounts = Accounts::builder();
        accounts
            .password("alice", REALM, b"wonderland")
            .expect("a good name");
        let host = Host::with(state, accounts.build(), now_ms);
        let plugin = host.plugin("digest-auth", json!({ "realm": REALM }));
        let worker = Worker::new(&[&plugin]);
        Self { host, worker }
    }

    pub(crate) fn durable(folder: &Path, now_ms: u64) -> Self {
        Self::on(
            State::open(Some(folder), state::Limits::default(), now_ms)
                .expect("the folder is free"),
            now_ms,
        )
    }

    /// What the driver makes of a challenge: a header with a nonce for the phone's source.
    pub(crate) fn header(&self, spec: &ChallengeSpec, phone: Phone) -> (String, DigestAlgorithm) {
        let source = phone.address.parse().expect("an address");
        let nonce = self.host.nonces.issue(self.now_ms(), &spec.realm, source);
        let algorithm = spec.algorithms[0];
        (
            challenge_value(&spec.realm, hash_of(algorithm), &nonce, spec.stale),
            algorithm,
        )
    }

    pub(crate) fn now_ms(&self) -> u64 {
        policy_wasm::Clock::now_ms(&*self.host.clock)
    }

    pub(crate) fn challenged(&mut self, facts: RequestFacts) -> ChallengeSpec {
        let conclusion = self.worker.judge(facts);
        match conclusion.decision {
            Decision::Challenge(spec) => spec,
            other => panic!("not challenged: {other:?}"),
        }
    }

    /// A whole round: asked, challenged, answered.
    pub(crate) fn attempt(&mut self, phone: Phone) -> Conclusion {
        let spec = self.challenged(phone.invite());
        let (challenge, algorithm) = self.header(&spec, phone);
        self.worker.judge(phone.answer(&challenge, algorithm, 1))
    }
}
