//! Digest verification from challenge to answer, as a client computes it.

#![expect(clippy::unwrap_used, reason = "a failed step ends a test")]

use std::{net::IpAddr, time::Duration};

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use state::digest::{Accounts, Algorithm, Lapse, Nonces, Verification, challenge_value};

const LIFETIME_MS: u64 = 60_000;
const NOW: u64 = 1_700_000_000_000;
const HOME: &str = "192.0.2.10";

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn hash(algorithm: Algorithm, text: &str) -> String {
    match algorithm {
        Algorithm::Md5 => hex::encode(Md5::digest(text)),
        Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        Algorithm::Sha512_256 => hex::encode(Sha512_256::digest(text)),
    }
}

/// A client that knows a password.
#[derive(Clone)]
struct Client {
    algorithm: Algorithm,
    user: &'static str,
    realm: &'static str,
    password: &'static str,
    method: &'static str,
    uri: &'static str,
    nonce: String,
    count: u32,
    quality: &'static str,
    body: &'static str,
}

impl Client {
    fn answer(&self) -> String {
        let h = |text: String| hash(self.algorithm, &text);
        let ha1 = h(format!("{}:{}:{}", self.user, self.realm, self.password));
        let ha2 = match self.quality {
            "auth-int" => h(format!(
                "{}:{}:{}",
                self.method,
                self.uri,
                h(self.body.to_owned())
            )),
            _ => h(format!("{}:{}", self.method, self.uri)),
        };
        let (nonce, count) = (&self.nonce, format!("{:08x}", self.count));
        let (middle, params) = if self.quality.is_empty() {
            (nonce.clone(), String::new())
        } else {
            (
                format!("{nonce}:{count}:c0ffee:{}", self.quality),
                format!(", qop={}, nc={count}, cnonce=\"c0ffee\"", self.quality),
            )
        };
        let response = h(format!("{ha1}:{middle}:{ha2}"));
        format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{}\", \
             algorithm={}, response=\"{response}\"{params}",
            self.user,
            self.realm,
            self.uri,
            self.algorithm.token(),
        )
    }
}

struct Scene {
    nonces: Nonces,
    accounts: Accounts,
    client: Client,
}

fn scene(algorithm: Algorithm) -> Scene {
    let nonces = Nonces::new([3; 32], Duration::from_millis(LIFETIME_MS));
    let mut builder = Accounts::builder();
    builder.password("bob", "pbx.example", b"zanzibar").unwrap();
    let client = Client {
        algorithm,
        user: "bob",
        realm: "pbx.example",
        password: "zanzibar",
        method: "INVITE",
        uri: "sip:+4930123@pbx.example",
        nonce: nonces.issue(NOW, "pbx.example", at(HOME)),
        count: 1,
        quality: "auth",
        body: "v=0\r\n",
    };
    Scene {
        nonces,
        accounts: builder.build(),
        client,
    }
}

impl Scene {
    fn verify_at(&self, values: &[String], now_ms: u64) -> Verification {
        self.verify_from(HOME, values, now_ms)
    }

    fn verify_from(&self, source: &str, values: &[String], now_ms: u64) -> Verification {
        self.nonces.verify(
            &self.accounts,
            b"INVITE",
            b"sip:+4930123@pbx.example",
            b"v=0\r\n",
            values.iter().map(String::as_bytes),
            at(source),
            "pbx.example",
            &[Algorithm::Sha256, Algorithm::Sha512_256, Algorithm::Md5],
            now_ms,
        )
    }

    fn verify(&self, client: &Client) -> Verification {
        self.verify_at(&[client.answer()], NOW)
    }
}

fn bob() -> String {
    "bob".to_owned()
}

#[test]
fn right_answers_in_every_algorithm_and_quality() {
    for algorithm in Algorithm::ALL {
        for quality in ["auth", "auth-int"] {
            let scene = scene(algorithm);
            let client = Client {
                quality,
                ..scene.client.clone()
            };
            assert_eq!(
                scene.verify(&client),
                Verification::Ok(bob()),
                "{algorithm:?} {quality}"
            );
        }
    }
}

#[test]
fn accounts_by_ha1_know_only_their_algorithm() {
    let mut scene = scene(Algorithm::Sha256);
    let digits = hash(Algorithm::Sha256, "bob:pbx.example:zanzibar");
    let mut builder = Accounts::builder();
    builder
        .ha1("bob", "pbx.example", Algorithm::Sha256, digits.as_bytes())
        .unwrap();
    scene.accounts = builder.build();
    assert_eq!(scene.verify(&scene.client), Verification::Ok(bob()));
    let md5 = Client {
        algorithm: Algorithm::Md5,
        count: 2,
        ..scene.client.clone()
    };
    assert_eq!(scene.verify(&md5), Verification::Wrong(bob()));
}

#[test]
fn only_who_knows_the_password_is_told_that_the_account_is_closed() {
    let mut scene = scene(Algorithm::Sha256);
    let mut builder = Accounts::builder();
    builder.password("bob", "pbx.example", b"zanzibar").unwrap();
    builder.closes("bob", "pbx.example", Lapse::Expired, NOW);
    scene.accounts = builder.build();
    let mut client = scene.client.clone();
    let values = [client.answer()];
    assert_eq!(scene.verify_at(&values, NOW - 1), Verification::Ok(bob()));
    client.count = 2;
    let lapsed = Verification::Lapsed(bob(), Lapse::Expired);
    assert_eq!(scene.verify(&client), lapsed);
    client.password = "x";
    assert_eq!(scene.verify(&client), Verification::Wrong(bob()));
}

#[test]
fn wrong_password_unknown_user_and_changed_request_are_wrong() {
    let scene = scene(Algorithm::Sha256);
    let client = &scene.client;
    let wrong = |client: Client, user: &str| {
        assert_eq!(scene.verify(&client), Verification::Wrong(user.to_owned()));
    };
    wrong(
        Client {
            password: "x",
            ..client.clone()
        },
        "bob",
    );
    wrong(
        Client {
            user: "eve",
            ..client.clone()
        },
        "eve",
    );
    wrong(
        Client {
            user: "",
            password: "",
            ..client.clone()
        },
        "",
    );
    wrong(
        Client {
            method: "REGISTER",
            ..client.clone()
        },
        "bob",
    );
    wrong(
        Client {
            quality: "auth-int",
            body: "v=1",
            ..client.clone()
        },
        "bob",
    );
    assert_eq!(
        scene.verify(client),
        Verification::Ok(bob()),
        "none of them used the count"
    );
}

#[test]
fn the_stand_in_of_unknown_users_matches_nothing() {
    // Even the password that the stand-in was made of.
    let scene = scene(Algorithm::Md5);
    for (user, password) in [("nobody", ""), ("", "")] {
        let client = Client {
            user,
            password,
            ..scene.client.clone()
        };
        assert_eq!(scene.verify(&client), Verification::Wrong(user.to_owned()));
    }
}

#[test]
fn another_request_uri_or_nonce_is_malformed() {
    let scene = scene(Algorithm::Sha256);
    for client in [
        Client {
            uri: "sip:+900555@pbx.example",
            ..scene.client.clone()
        },
        Client {
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned(),
            ..scene.client.clone()
        },
        Client {
            nonce: scene.nonces.issue(NOW, "other", at(HOME)),
            ..scene.client.clone()
        },
        Client {
            count: 0,
            ..scene.client.clone()
        },
    ] {
        assert_eq!(
            scene.verify(&client),
            Verification::Malformed,
            "{}",
            client.answer()
        );
    }
    let spelled = Client {
        uri: "sip:%2b4930123@PBX.example:5060",
        ..scene.client.clone()
    };
    // `+` is reserved, so its escape is another user.
    assert_eq!(scene.verify(&spelled), Verification::Malformed);
    let spelled = Client {
        uri: "sip:+4930123@PBX.example:5060",
        ..scene.client.clone()
    };
    assert_eq!(scene.verify(&spelled), Verification::Ok(bob()));
}

#[test]
fn a_nonce_of_another_source_is_no_guess() {
    let mut scene = scene(Algorithm::Sha256);
    let right = scene.client.answer();
    let wrong = Client {
        password: "x",
        ..scene.client.clone()
    }
    .answer();
    for answer in [&wrong, &right] {
        assert_eq!(
            scene.verify_from("203.0.113.66", std::slice::from_ref(answer), NOW),
            Verification::Malformed
        );
    }
    assert_eq!(
        scene.verify_at(&[wrong], NOW),
        Verification::Wrong(bob()),
        "a guess at home counts"
    );
    assert_eq!(
        scene.verify_from("::ffff:192.0.2.10", &[right], NOW),
        Verification::Ok(bob()),
        "none of them used the count"
    );
    scene.client.nonce = scene
        .nonces
        .issue(NOW, "pbx.example", at("2001:db8:0:1::1"));
    let answer = [scene.client.answer()];
    assert_eq!(
        scene.verify_from("2001:db8:0:2::1", &answer, NOW),
        Verification::Malformed
    );
    assert_eq!(
        scene.verify_from("2001:db8:0:1:aaaa::7", &answer, NOW),
        Verification::Ok(bob())
    );
}

#[test]
fn counts_are_taken_once_in_any_order() {
    let scene = scene(Algorithm::Sha256);
    for count in [2, 1, 4, 3] {
        let client = Client {
            count,
            ..scene.client.clone()
        };
        assert_eq!(scene.verify(&client), Verification::Ok(bob()));
        assert_eq!(scene.verify(&client), Verification::Replayed(bob()));
    }
    assert_eq!(scene.nonces.remembered(), 1);
}

#[test]
fn nonces_grow_stale_only_for_those_who_know_the_password() {
    let scene = scene(Algorithm::Sha256);
    let answer = [scene.client.answer()];
    assert_eq!(
        scene.verify_at(&answer, NOW + LIFETIME_MS + 1),
        Verification::Stale(bob())
    );
    assert_eq!(
        scene.verify_at(&answer, NOW + LIFETIME_MS),
        Verification::Ok(bob())
    );
    let wrong = Client {
        password: "x",
        ..scene.client.clone()
    };
    assert_eq!(
        scene.verify_at(&[wrong.answer()], NOW + LIFETIME_MS + 1),
        Verification::Wrong(bob())
    );
}

#[test]
fn a_nonce_from_before_the_restart_is_stale() {
    let mut scene = scene(Algorithm::Sha256);
    scene.nonces = Nonces::new([3; 32], Duration::from_millis(LIFETIME_MS)).not_before(NOW + 1);
    assert_eq!(
        scene.verify_at(&[scene.client.answer()], NOW + 2),
        Verification::Stale(bob())
    );
}

#[test]
fn legacy_answers_are_refused_unless_permitted_and_then_once() {
    let mut scene = scene(Algorithm::Md5);
    let client = Client {
        quality: "",
        ..scene.client.clone()
    };
    assert_eq!(scene.verify(&client), Verification::Malformed);
    scene.nonces = scene.nonces.permit_legacy(true);
    assert_eq!(scene.verify(&client), Verification::Ok(bob()));
    assert_eq!(scene.verify(&client), Verification::Replayed(bob()));
}

#[test]
fn values_of_others_are_passed_over() {
    let scene = scene(Algorithm::Sha256);
    let other = Client {
        realm: "elsewhere",
        ..scene.client.clone()
    }
    .answer();
    let verify = |values: &[&str]| {
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        scene.verify_at(&values, NOW)
    };
    let mine = scene.client.answer();
    assert_eq!(verify(&[]), Verification::Missing);
    assert_eq!(verify(&["Basic YTpi", &other]), Verification::Missing);
    assert_eq!(
        verify(&["Digest nonsense", &other]),
        Verification::Malformed
    );
    assert_eq!(
        verify(&["Basic YTpi", &other, "Digest nonsense", &mine]),
        Verification::Ok(bob())
    );
}

#[test]
fn algorithms_that_are_not_allowed_are_refused_and_skipped() {
    let scene = scene(Algorithm::Sha256);
    let verify = |values: &[String], allowed: &[Algorithm]| {
        scene.nonces.verify(
            &scene.accounts,
            b"INVITE",
            b"sip:+4930123@pbx.example",
            b"",
            values.iter().map(String::as_bytes),
            at(HOME),
            "pbx.example",
            allowed,
            NOW,
        )
    };
    let sha = scene.client.answer();
    let md5 = Client {
        algorithm: Algorithm::Md5,
        ..scene.client.clone()
    }
    .answer();
    let sess = sha.replace("SHA-256", "SHA-256-sess");
    assert_eq!(
        verify(std::slice::from_ref(&md5), &[Algorithm::Sha256]),
        Verification::AlgorithmRefused
    );
    assert_eq!(
        verify(&[sess], &Algorithm::ALL),
        Verification::AlgorithmRefused
    );
    assert_eq!(
        verify(std::slice::from_ref(&sha), &[]),
        Verification::AlgorithmRefused
    );
    assert_eq!(
        verify(&[md5, sha], &[Algorithm::Sha256]),
        Verification::Ok(bob())
    );
}

/// Work, not wall clock: both take the same path, so the medians of many runs
/// must be close. A password that were looked up first would be ten times faster.
#[test]
fn unknown_users_cost_as_much_as_known_ones() {
    let scene = scene(Algorithm::Sha512_256);
    let median = |user: &'static str| {
        let client = Client {
            user,
            password: "wrong",
            ..scene.client.clone()
        };
        let answer = [client.answer()];
        let mut samples: Vec<Duration> = (0..501)
            .map(|_| {
                let start = std::time::Instant::now();
                assert!(matches!(
                    scene.verify_at(&answer, NOW),
                    Verification::Wrong(_)
                ));
                start.elapsed()
            })
            .collect();
        samples.sort();
        samples[250]
    };
    let (known, unknown) = (median("bob"), median("bos"));
    assert!(
        known < unknown * 3 && unknown < known * 3,
        "{known:?} {unknown:?}"
    );
}

#[test]
fn the_challenge_leads_to_an_answer() {
    let mut scene = scene(Algorithm::Sha256);
    let nonce = scene.nonces.issue(NOW, "pbx.example", at(HOME));
    let challenge = challenge_value("pbx.example", Algorithm::Sha256, &nonce, false);
    let shown = challenge.split("nonce=\"").nth(1).unwrap();
    scene.client.nonce = shown.split('"').next().unwrap().to_owned();
    assert_eq!(scene.verify(&scene.client), Verification::Ok(bob()));
}
