//! Looking at credentials without using them up.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sha2::{Digest, Sha256};
use state::digest::{Accounts, Algorithm, Nonces, Verification};

const NOW: u64 = 1_700_000_000_000;
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
const REALM: &str = "pbx.example";
const URI: &str = "sip:+4930123@pbx.example";

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The header of somebody who thinks that this is the password.
fn answer(nonce: &str, password: &str) -> String {
    let ha1 = hash(&format!("bob:{REALM}:{password}"));
    let ha2 = hash(&format!("INVITE:{URI}"));
    let response = hash(&format!("{ha1}:{nonce}:00000001:c0ffee:auth:{ha2}"));
    format!(
        "Digest username=\"bob\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{URI}\", \
         algorithm=SHA-256, response=\"{response}\", qop=auth, nc=00000001, cnonce=\"c0ffee\""
    )
}

#[test]
fn looking_uses_nothing_up_however_often() {
    let nonces = Nonces::new([3; 32], Duration::from_secs(60));
    let mut builder = Accounts::builder();
    builder.password("bob", REALM, b"zanzibar").unwrap();
    let accounts = builder.build();
    let nonce = nonces.issue(NOW, REALM, HOME);
    let (right, wrong) = (answer(&nonce, "zanzibar"), answer(&nonce, "guess"));
    let (method, uri, allowed) = (b"INVITE", URI.as_bytes(), [Algorithm::Sha256]);
    let look = |value: &str, now_ms| {
        let values = [value.as_bytes()];
        nonces.look_at(
            &accounts, method, uri, b"", values, HOME, REALM, &allowed, now_ms,
        )
    };
    let verify = |value: &str| {
        let values = [value.as_bytes()];
        nonces.verify(
            &accounts, method, uri, b"", values, HOME, REALM, &allowed, NOW,
        )
    };
    let bob = || "bob".to_owned();
    for _ in 0..2 {
        assert_eq!(look(&right, NOW), Verification::Ok(bob()));
        assert_eq!(look(&wrong, NOW), Verification::Wrong(bob()));
    }
    assert_eq!(look(&right, NOW + 61_000), Verification::Stale(bob()));
    assert_eq!(nonces.remembered(), 0);
    assert_eq!(verify(&right), Verification::Ok(bob()));
    assert_eq!(look(&right, NOW), Verification::Ok(bob()));
    assert_eq!(verify(&right), Verification::Replayed(bob()));
}
