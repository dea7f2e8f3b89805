//! The plugins that ship, as components in the real host with real state and
//! credentials: allowed, refused, the boundary between, and settings that are wrong.
//! What each rule means is tested beside its plugin; here it is that the whole works.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use policy::{ChallengeSpec, Conclusion, Decision, DigestAlgorithm, RequestFacts};
use policy_wasm::{LoadError, Plugin};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512_256};
use sip_transaction::Transport;
use sipward_tests::campaign::to_hex;
use sipward_tests::guests::{Caller, Host, START_MS, Worker, admitted, refusal};
use state::State;
use state::digest::{Accounts, Algorithm, challenge_value};

const REALM: &str = "pbx.example";

/// The loader refuses each of the settings by this key.
#[track_caller]
fn refuses_settings(guest: &str, cases: &[(Value, &str)]) {
    let host = Host::new();
    for (settings, key) in cases {
        match host.load(host.source(guest, settings.clone())) {
            Err(LoadError::Settings {
                key: named,
                message,
            }) => {
                assert_eq!(&named, key, "{settings}: {message}");
                assert!(!message.is_empty());
            }
            Err(other) => panic!("{settings}: {other}"),
            Ok(_) => panic!("{settings} was taken"),
        }
    }
}

fn dropped(conclusion: &Conclusion) -> bool {
    matches!(conclusion.decision, Decision::Drop(_))
}

#[test]
fn ip_acl_lets_the_longest_network_decide() {
    let host = Host::new();
    let plugin = host.plugin(
        "ip-acl",
        json!({
            "inside": { "default": "allow", "deny": ["10.66.0.0/16"] },
            "outside": {
                "default": "deny",
                "allow": ["198.51.100.0/24", "2001:db8:1::/48"],
                "deny": ["198.51.100.128/25"],
                "require_tls": ["198.51.100.64/26"],
            },
        }),
    );
    let mut worker = Worker::new(&[&plugin]);
    for (caller, allowed) in [
        (Caller::at("198.51.100.0"), true),
        (Caller::at("198.51.100.63"), true),
        (Caller::at("198.51.100.64"), false),
        (Caller::at("198.51.100.64").by(Transport::Tcp), false),
        (Caller::at("198.51.100.64").by(Transport::Tls), true),
        (Caller::at("198.51.100.128").by(Transport::Tls), false),
        (Caller::at("198.51.99.255"), false),
        (Caller::at("198.51.101.0"), false),
        (Caller::at("::ffff:198.51.100.1"), true),
        (Caller::at("2001:db8:1::1"), true),
        (Caller::at("2001:db8:2::1"), false),
        (Caller::at("10.65.255.255").inside(), true),
        (Caller::at("10.66.0.0").inside(), false),
    ] {
        let conclusion = worker.judge(caller.invite("sip:bob@pbx.example"));
        assert_eq!(
            admitted(&conclusion),
            allowed,
            "{caller:?}: {:?}",
            conclusion.decision
        );
        if !allowed {
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (403, "ip-acl"));
            assert!(
                reason.contains("denied")
                    || reason.contains("default deny")
                    || reason.contains("TLS"),
                "{reason}"
            );
        }
    }
}

#[test]
fn ip_acl_can_refuse_without_a_word() {
    let host = Host::new();
    let settings = json!({
        "inside": { "default": "deny" }, "outside": { "default": "deny" }, "answer": "silence"
    });
    let mut worker = Worker::new(&[&host.plugin("ip-acl", settings)]);
    assert!(dropped(
        &worker.judge(Caller::at("192.0.2.1").invite("sip:bob@pbx.example"))
    ));
}

#[test]
fn ip_acl_names_the_wrong_key() {
    let zone = || json!({ "default": "allow" });
    refuses_settings(
        "ip-acl",
        &[
            (
                json!({ "inside": zone(), "outside": { "default": "maybe" } }),
                "outside.default",
            ),
            (
                json!({ "inside": zone(), "outside": { "default": "deny", "allow": ["192.0.2.0/33"] } }),
                "outside.allow[0]",
            ),
            (
                json!({ "inside": zone(), "outside": { "default": "deny", "allow": ["192.0.2.0/24"], "deny": ["192.0.2.0/24"] } }),
                "outside.allow",
            ),
        ],
    );
}

#[test]
fn destination_limits_read_a_number_however_it_is_dialled() {
    let host = Host::new();
    let plugin = host.plugin(
        "destination-limits",
        json!({
            "default": "deny", "country_code": "49", "national_prefix": "0",
            "allow": ["+49", "110"], "deny": ["+49900"], "names": ["reception"],
        }),
    );
    let mut worker = Worker::new(&[&plugin]);
    let caller = Caller::at("192.0.2.1");
    for (uri, status) in [
        ("sip:+4930123456@pbx.example", None),
        ("sip:004930123456@pbx.example", None),
        ("sip:030123456@pbx.example", None),
        ("sip:+49-30-123.456@pbx.example;user=phone", None),
        ("sip:%2B4930123456@pbx.example", None),
        ("tel:+4930123456", None),
        ("sip:110@pbx.example", None),
        ("sip:reception@pbx.example", None),
        ("sip:+49900123456@pbx.example", Some(403)),
        ("sip:0900123456@pbx.example", Some(403)),
        ("sip:%30900123456@pbx.example", Some(403)),
        ("sip:+8817123456789@pbx.example", Some(403)),
        ("sip:kitchen@pbx.example", Some(403)),
        ("sip:pbx.example", Some(484)),
        // Fifteen digits are a number, sixteen are none; so are seven and six.
        ("sip:+493012345678901@pbx.example", None),
        ("sip:+4930123456789012@pbx.example", Some(604)),
        ("sip:+4930123@pbx.example", None),
        ("sip:+493012@pbx.example", Some(484)),
    ] {
        let conclusion = worker.judge(caller.invite(uri));
        match status {
            None => assert!(admitted(&conclusion), "{uri}: {:?}", conclusion.decision),
            Some(status) => {
                let (given, plugin, reason) = refusal(&conclusion);
                assert_eq!(
                    (given, plugin),
                    (status, "destination-limits"),
                    "{uri}: {reason}"
                );
            }
        }
    }
    let refer = |target: &str| {
        caller.request(
            "REFER",
            "sip:110@pbx.example",
            &format!("Refer-To: <{target}>\r\n"),
        )
    };
    assert!(admitted(
        &worker.judge(refer("sip:+4930123456@pbx.example"))
    ));
    assert_eq!(
        refusal(&worker.judge(refer("sip:+49900123456@pbx.example"))).0,
        403
    );
    assert_eq!(
        refusal(&worker.judge(caller.request("REFER", "sip:110@pbx.example", ""))).0,
        400
    );
    assert!(admitted(&worker.judge(caller.request(
        "OPTIONS",
        "sip:+49900123456@pbx.example",
        ""
    ))));
}

#[test]
fn destination_limits_name_the_wrong_key() {
    refuses_settings(
        "destination-limits",
        &[
            (json!({ "default": "perhaps" }), "default"),
            (
                json!({ "default": "deny", "allow": ["+49", "forty-nine"] }),
                "allow[1]",
            ),
            (
                json!({ "default": "deny", "methods": ["invite"] }),
                "methods[0]",
            ),
            (
                json!({ "default": "deny", "allow": ["+49"], "deny": ["+49"] }),
                "allow",
            ),
        ],
    );
}

fn limited(host: &Host, per: &str) -> Arc<Plugin> {
    let settings = json!({
        "rules": [{ "name": "calls", "per": per, "per_second": 1, "burst": 2 }], "flood_factor": 3
    });
    host.plugin("rate-limit", settings)
}

fn call(worker: &mut Worker, caller: &Caller) -> Conclusion {
    worker.judge(caller.invite("sip:bob@pbx.example"))
}

#[test]
fn rate_limit_answers_slight_excess_and_ignores_floods() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    let caller = Caller::at("192.0.2.1");
    for _ in 0..2 {
        assert!(admitted(&call(&mut worker, &caller)), "a burst of two");
    }
    for _ in 0..4 {
        let conclusion = call(&mut worker, &caller);
        let Decision::Refuse(refused) = &conclusion.decision else {
            panic!("{conclusion:?}")
        };
        assert_eq!((refused.status, refused.retry_after), (503, Some(1)));
        assert!(
            refused.reason.contains("exceeds rule calls"),
            "{}",
            refused.reason
        );
    }
    assert!(
        dropped(&call(&mut worker, &caller)),
        "a flood hears nothing"
    );
    assert!(
        admitted(&call(&mut worker, &Caller::at("192.0.2.2"))),
        "others are served"
    );
    host.clock.pass(Duration::from_millis(900));
    assert!(!admitted(&call(&mut worker, &caller)), "no token yet");
    host.clock.pass(Duration::from_millis(1_100));
    assert!(admitted(&call(&mut worker, &caller)), "nobody is banned");
}

#[test]
fn rate_limit_counts_an_ipv6_network_as_one_and_forged_senders_apart() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    assert!(admitted(&call(&mut worker, &Caller::at("2001:db8::1"))));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("2001:db8::ffff:1")
    )));
    assert!(
        !admitted(&call(&mut worker, &Caller::at("2001:db8::2"))),
        "the same /64"
    );
    assert!(
        admitted(&call(&mut worker, &Caller::at("2001:db8:0:1::2"))),
        "another /64"
    );
    // Whoever forges this source by UDP drains no bucket of its owner.
    for _ in 0..50 {
        let _ = call(&mut worker, &Caller::at("192.0.2.1"));
    }
    assert!(dropped(&call(&mut worker, &Caller::at("192.0.2.1"))));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("192.0.2.1").by(Transport::Tls)
    )));
    assert!(admitted(&call(
        &mut worker,
        &Caller::at("192.0.2.1").named("carrier")
    )));
}

#[test]
fn rate_limit_never_holds_up_the_end_of_a_call() {
    let host = Host::new();
    let mut worker = Worker::new(&[&limited(&host, "source")]);
    let caller = Caller::at("192.0.2.1");
    while admitted(&call(&mut worker, &caller)) {}
    assert!(admitted(&worker.judge(caller.request(
        "BYE",
        "sip:bob@pbx.example",
        ""
    ))));
}

#[test]
fn rate_limit_counts_for_all_workers_together() {
    let host = Host::new();
    let plugin = limited(&host, "network");
    let mut workers = [Worker::new(&[&plugin]), Worker::new(&[&plugin])];
    assert!(admitted(&call(&mut workers[0], &Caller::at("192.0.2.1"))));
    assert!(admitted(&call(&mut workers[1], &Caller::at("192.0.2.200"))));
    assert!(!admitted(&call(
        &mut workers[0],
        &Caller::at("192.0.2.100")
    )));
}

#[test]
fn rate_limit_names_the_wrong_key() {
    let rule =
        |burst: u32| json!({ "name": "a", "per": "source", "per_second": 1, "burst": burst });
    refuses_settings(
        "rate-limit",
        &[
            (json!({ "rules": [] }), "rules"),
            (json!({ "rules": [rule(1), rule(1)] }), "rules[1].name"),
            (json!({ "rules": [rule(0)] }), "rules[0].burst"),
            (
                json!({ "rules": [rule(1)], "ipv4_prefix": 33 }),
                "ipv4_prefix",
            ),
            (
                json!({ "rules": [rule(1)], "flood_factor": 0 }),
                "flood_factor",
            ),
        ],
    );
}

/// A phone: who it is and how it answers a challenge (RFC 7616 section 3.4).
#[derive(Clone, Copy)]
struct Phone {
    user: &'static str,
    password: &'static str,
    address: &'static str,
}

const ALICE: Phone = Phone {
    user: "alice",
    password: "wonderland",
    address: "192.0.2.10",
};

fn hashed(algorithm: DigestAlgorithm, text: &str) -> String {
    match algorithm {
        DigestAlgorithm::Md5 => to_hex(&Md5::digest(text)),
        DigestAlgorithm::Sha256 => to_hex(&Sha256::digest(text)),
        DigestAlgorithm::Sha512_256 => to_hex(&Sha512_256::digest(text)),
    }
}

fn hash_of(algorithm: DigestAlgorithm) -> Algorithm {
    match algorithm {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}

impl Phone {
    const URI: &'static str = "sip:bob@pbx.example";

    fn with(self, password: &'static str) -> Self {
        Self { password, ..self }
    }

    fn invite(self) -> RequestFacts {
        Caller::at(self.address).invite(Self::URI)
    }

    /// Answers the best challenge of those that the driver sends.
    fn answer(self, challenge: &str, algorithm: DigestAlgorithm, count: u32) -> RequestFacts {
        let nonce = challenge
            .split("nonce=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .expect("a nonce");
        let h = |text: String| hashed(algorithm, &text);
        let secret = h(format!("{}:{REALM}:{}", self.user, self.password));
        let asked = h(format!("INVITE:{}", Self::URI));
        let response = h(format!("{secret}:{nonce}:{count:08x}:c0ffee:auth:{asked}"));
        let header = format!(
            "Proxy-Authorization: Digest username=\"{}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{}\", \
             algorithm={}, response=\"{response}\", qop=auth, nc={count:08x}, cnonce=\"c0ffee\"\r\n",
            self.user,
            Self::URI,
            hash_of(algorithm).token(),
        );
        Caller::at(self.address).request("INVITE", Self::URI, &header)
    }
}

/// A host with one account, and its guard.
struct Door {
    host: Host,
    worker: Worker,
}

impl Door {
    fn new() -> Self {
        Self::on(
            State::open(None, state::Limits::default(), START_MS).expect("memory"),
            START_MS,
        )
    }

    fn on(state: State, now_ms: u64) -> Self {
        let mut accounts = Accounts::builder();
        accounts
            .password("alice", REALM, b"wonderland")
            .expect("a good name");
        let host = Host::with(state, accounts.build(), now_ms);
        let plugin = host.plugin("digest-auth", json!({ "realm": REALM }));
        let worker = Worker::new(&[&plugin]);
        Self { host, worker }
    }

    fn durable(folder: &Path, now_ms: u64) -> Self {
        Self::on(
            State::open(Some(folder), state::Limits::default(), now_ms)
                .expect("the folder is free"),
            now_ms,
        )
    }

    /// What the driver makes of a challenge: a header with a nonce for the phone's source.
    fn header(&self, spec: &ChallengeSpec, phone: Phone) -> (String, DigestAlgorithm) {
        let source = phone.address.parse().expect("an address");
        let nonce = self.host.nonces.issue(self.now_ms(), &spec.realm, source);
        let algorithm = spec.algorithms[0];
        (
            challenge_value(&spec.realm, hash_of(algorithm), &nonce, spec.stale),
            algorithm,
        )
    }

    fn now_ms(&self) -> u64 {
        policy_wasm::Clock::now_ms(&*self.host.clock)
    }

    fn challenged(&mut self, facts: RequestFacts) -> ChallengeSpec {
        let conclusion = self.worker.judge(facts);
        match conclusion.decision {
            Decision::Challenge(spec) => spec,
            other => panic!("not challenged: {other:?}"),
        }
    }

    /// A whole round: asked, challenged, answered.
    fn attempt(&mut self, phone: Phone) -> Conclusion {
        let spec = self.challenged(phone.invite());
        let (challenge, algorithm) = self.header(&spec, phone);
        self.worker.judge(phone.answer(&challenge, algorithm, 1))
    }
}

#[test]
fn digest_auth_admits_the_right_answer_and_says_who_it_is() {
    let mut door = Door::new();
    let spec = door.challenged(ALICE.invite());
    assert_eq!(spec.realm, REALM);
    assert_eq!(
        spec.algorithms,
        [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
    );
    assert!(!spec.as_registrar && !spec.stale);
    let (challenge, algorithm) = door.header(&spec, ALICE);
    let conclusion = door.worker.judge(ALICE.answer(&challenge, algorithm, 1));
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(permit.identity(), Some("alice"));
    assert_eq!(
        permit.strip_credentials_realm(),
        Some(REALM),
        "the answer need not travel further"
    );
    // The same nonce serves for the next count, and for no count twice.
    assert!(admitted(
        &door.worker.judge(ALICE.answer(&challenge, algorithm, 2))
    ));
    let replayed = door.challenged(ALICE.answer(&challenge, algorithm, 2));
    assert!(
        replayed.stale && replayed.reason.contains("used before"),
        "{}",
        replayed.reason
    );
    // The other algorithm that was offered is as good, one that was not is none.
    assert!(admitted(&door.worker.judge(ALICE.answer(
        &door.header(&spec, ALICE).0,
        DigestAlgorithm::Md5,
        1
    ))));
    let refused = door.challenged(ALICE.answer(&challenge, DigestAlgorithm::Sha512_256, 3));
    assert!(refused.reason.contains("not offered"), "{}", refused.reason);
}

#[test]
fn digest_auth_asks_again_when_the_nonce_is_old_or_foreign() {
    let mut door = Door::new();
    let spec = door.challenged(ALICE.invite());
    let (challenge, algorithm) = door.header(&spec, ALICE);
    door.host.clock.pass(Duration::from_secs(300));
    assert!(
        admitted(&door.worker.judge(ALICE.answer(&challenge, algorithm, 1))),
        "good for five minutes"
    );
    door.host.clock.pass(Duration::from_millis(1));
    let again = door.challenged(ALICE.answer(&challenge, algorithm, 2));
    assert!(again.stale, "{}", again.reason);
    let foreign = challenge_value(REALM, Algorithm::Sha256, "bm90IG91cnM", false);
    let again = door.challenged(ALICE.answer(&foreign, algorithm, 1));
    assert!(
        !again.stale && again.reason.contains("foreign nonce"),
        "{}",
        again.reason
    );
}

#[test]
fn digest_auth_counts_no_guess_under_a_forged_source() {
    let mut door = Door::new();
    let attacker = Phone {
        address: "203.0.113.66",
        ..ALICE.with("guess")
    };
    for _ in 0..20 {
        let spec = door.challenged(attacker.invite());
        let (challenge, algorithm) = door.header(&spec, attacker);
        let forged = door.challenged(ALICE.with("guess").answer(&challenge, algorithm, 1));
        assert!(
            !forged.stale && forged.reason.contains("foreign nonce"),
            "{}",
            forged.reason
        );
    }
    assert!(admitted(&door.attempt(ALICE)));
}

/// What the peer sees of a decision, without what only the operator does.
fn outwards(conclusion: &Conclusion) -> String {
    match &conclusion.decision {
        Decision::Challenge(spec) => {
            format!(
                "{} {:?} {} {}",
                spec.realm, spec.algorithms, spec.as_registrar, spec.stale
            )
        }
        Decision::Refuse(refusal) => {
            format!(
                "{} {:?} {:?} {:?}",
                refusal.status, refusal.phrase, refusal.headers, refusal.retry_after
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn digest_auth_answers_an_unknown_user_like_a_wrong_password() {
    let mut door = Door::new();
    let wrong = ALICE.with("guess");
    let unknown = Phone {
        user: "mallory",
        password: "guess",
        address: "192.0.2.20",
    };
    let mut seen = Vec::new();
    // Through the lockout at the fifth failure, and beyond.
    for _ in 0..8 {
        let (one, other) = (door.attempt(wrong), door.attempt(unknown));
        assert_eq!(outwards(&one), outwards(&other));
        assert_eq!(one.alerts.len(), other.alerts.len());
        seen.push(outwards(&one));
    }
    assert_eq!(
        seen[0], seen[4],
        "the fifth failure is answered like the first"
    );
    assert_ne!(seen[4], seen[5], "the sixth attempt is too many");
}

#[test]
fn digest_auth_locks_out_after_five_failures_there_and_only_there() {
    let mut door = Door::new();
    for attempt in 1..=5 {
        let conclusion = door.attempt(ALICE.with("guess"));
        assert!(
            matches!(conclusion.decision, Decision::Challenge(_)),
            "attempt {attempt}"
        );
        assert_eq!(
            conclusion.alerts.len(),
            usize::from(attempt == 5),
            "the lockout is told"
        );
    }
    let conclusion = door.attempt(ALICE);
    let (status, _, reason) = refusal(&conclusion);
    assert_eq!(status, 403, "the right password comes too late");
    assert!(reason.contains("locked out"), "{reason}");
    let elsewhere = Phone {
        address: "192.0.2.99",
        ..ALICE
    };
    assert!(
        admitted(&door.attempt(elsewhere)),
        "at home she is not locked out"
    );
    door.host.clock.pass(Duration::from_millis(29_999));
    assert!(!admitted(&door.attempt(ALICE)));
    door.host.clock.pass(Duration::from_millis(2));
    assert!(
        admitted(&door.attempt(ALICE)),
        "after half a minute it is over"
    );
}

#[test]
fn digest_auth_forgets_typing_errors_after_the_right_password() {
    let mut door = Door::new();
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(!admitted(&door.attempt(ALICE.with("guess"))));
        }
        assert!(admitted(&door.attempt(ALICE)));
    }
}

#[test]
fn a_lockout_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut door = Door::durable(folder.path(), START_MS);
    for _ in 0..5 {
        assert!(!admitted(&door.attempt(ALICE.with("guess"))));
    }
    drop(door);
    let mut door = Door::durable(folder.path(), START_MS + 5_000);
    let conclusion = door.attempt(ALICE);
    assert!(
        refusal(&conclusion).2.contains("locked out"),
        "{conclusion:?}"
    );
    door.host.clock.pass(Duration::from_secs(26));
    assert!(admitted(&door.attempt(ALICE)));
    // That she proved herself there is durable, too: no second lockout is shorter.
    for _ in 0..4 {
        assert!(!admitted(&door.attempt(ALICE.with("guess"))));
    }
    drop(door);
    let mut door = Door::durable(folder.path(), START_MS + 60_000);
    assert!(matches!(
        door.attempt(ALICE.with("guess")).decision,
        Decision::Challenge(_)
    ));
    assert_eq!(
        refusal(&door.attempt(ALICE)).0,
        403,
        "four before the restart and one after it"
    );
}

#[test]
fn digest_auth_names_the_wrong_key() {
    refuses_settings(
        "digest-auth",
        &[
            (json!({ "realm": "" }), "realm"),
            (json!({ "realm": "r", "algorithms": [] }), "algorithms"),
            (
                json!({ "realm": "r", "algorithms": ["SHA-256", "SHA-256"] }),
                "algorithms[1]",
            ),
            (
                json!({ "realm": "r", "methods": ["INVITE", "ACK"] }),
                "methods[1]",
            ),
            (
                json!({ "realm": "r", "lockout": { "user_failures": 0 } }),
                "lockout.user_failures",
            ),
            (
                json!({ "realm": "r", "lockout": { "first_s": 60, "longest_s": 59 } }),
                "lockout.longest_s",
            ),
            (
                json!({ "realm": "r", "exempt": { "networks": ["192.0.2.0/24", "x"] } }),
                "exempt.networks[1]",
            ),
        ],
    );
}

#[test]
fn the_four_together_admit_one_call_and_refuse_each_in_its_turn() {
    let mut door = Door::new();
    let host = &door.host;
    let acl = json!({
        "inside": { "default": "allow" }, "outside": { "default": "allow", "deny": ["203.0.113.0/24"] }
    });
    let rate =
        json!({ "rules": [{ "name": "calls", "per": "source", "per_second": 1, "burst": 4 }] });
    let plugins = [
        host.plugin("ip-acl", acl),
        host.plugin("rate-limit", rate),
        host.plugin(
            "digest-auth",
            json!({ "realm": REALM, "exempt": { "peers": ["carrier"] } }),
        ),
        host.plugin(
            "destination-limits",
            json!({ "default": "deny", "allow": ["+49"], "names": ["bob"] }),
        ),
    ];
    let [acl, rate, digest, destinations] = &plugins;
    door.worker = Worker::new(&[acl, rate, digest, destinations]);
    let conclusion = door.attempt(ALICE);
    assert!(admitted(&conclusion), "{conclusion:?}");
    assert_eq!(conclusion.trace.len(), 4);
    let refused_by = |worker: &mut Worker, facts| {
        let conclusion = worker.judge(facts);
        let plugin = conclusion
            .decision
            .plugin()
            .expect("not admitted")
            .to_string();
        (plugin, conclusion.trace.len())
    };
    let worker = &mut door.worker;
    let scanner = Caller::at("203.0.113.9").invite("sip:bob@pbx.example");
    assert_eq!(refused_by(worker, scanner), ("ip-acl".to_owned(), 1));
    let stranger = Caller::at("192.0.2.77");
    assert_eq!(
        refused_by(worker, stranger.invite("sip:bob@pbx.example")),
        ("digest-auth".to_owned(), 3)
    );
    let premium = Caller::at("192.0.2.78")
        .named("carrier")
        .invite("sip:+1900555@pbx.example");
    assert_eq!(
        refused_by(worker, premium),
        ("destination-limits".to_owned(), 4)
    );
    for _ in 0..3 {
        let _ = worker.judge(stranger.invite("sip:bob@pbx.example"));
    }
    assert_eq!(
        refused_by(worker, stranger.invite("sip:bob@pbx.example")),
        ("rate-limit".to_owned(), 2)
    );
    assert!(door.host.log.take().is_empty(), "nothing was worth a line");
}
