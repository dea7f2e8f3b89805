//! What policies look up: lists, places, identities, codes, numbers.

use sipward_plugin_sdk::credentials::{self, CodeVerification};
use sipward_plugin_sdk::geo::{self, GeoError, Place};
use sipward_plugin_sdk::lists::{self, ListError};
use sipward_plugin_sdk::numbers::{self, NumberClass};
use sipward_plugin_sdk::testing::{Credentials, Harness, json};
use sipward_plugin_sdk::{DigestAlgorithm, identity, prelude::*};

use crate::{Settings, harness, invite, said, script};

#[test]
fn lists_and_their_longest_prefixes() {
    let harness = harness().with_list("prices", [("+49", "1"), ("+4990", "9"), ("+49é", "x")]);
    let longest = |text: &'static str| move || lists::longest_prefix("prices", text);
    for (text, key) in [
        ("+49900", "+4990"),
        ("+4990", "+4990"),
        ("+499", "+49"),
        ("+49é1", "+49é"),
    ] {
        let found = said(&harness, &invite(), longest(text));
        assert!(found.contains(&format!("key: {key:?}")), "{found}");
    }
    assert_eq!(said(&harness, &invite(), longest("+4")), "Ok(None)");
    assert_eq!(said(&harness, &invite(), longest("")), "Ok(None)");
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+49")),
        "Ok(Some(\"1\"))"
    );
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+499")),
        "Ok(None)"
    );
    let missing = || [lists::find("none", "") == Err(ListError::NoSuchList)];
    assert_eq!(said(&harness, &invite(), missing), "[true]");
    harness.set_list("prices", []);
    assert_eq!(
        said(&harness, &invite(), || lists::find("prices", "+49")),
        "Ok(None)"
    );
}

#[test]
fn places_are_those_of_the_longest_network() {
    let locate = || geo::locate([192, 0, 2, 9].into());
    let none = || geo::locate([192, 0, 2, 9].into()) == Err(GeoError::Unavailable);
    assert_eq!(said(&harness(), &invite(), none), "true");
    let known = harness()
        .with_place("192.0.0.0/16", Place::in_country("DE"))
        .with_place(
            "192.0.2.0/24",
            Place::in_country("FR").at(48_857_000, 2_352_000),
        )
        .with_place("2001:db8::/32", Place::in_country("NL"));
    let found = said(&known, &invite(), locate);
    assert!(
        found.contains("\"FR\"") && found.contains("48857000"),
        "{found}"
    );
    let moved = known.with_place("192.0.2.0/24", Place::in_country("BE"));
    assert!(said(&moved, &invite(), locate).contains("\"BE\""));
    let mapped = || {
        geo::locate("::ffff:192.0.9.9".parse().unwrap())
            .unwrap()
            .country
    };
    assert_eq!(said(&moved, &invite(), mapped), "\"DE\"");
    let unknown = || geo::locate([10, 0, 0, 1].into()) == Ok(Place::unknown());
    assert_eq!(said(&moved, &invite(), unknown), "true");
}

#[test]
fn identities_are_those_of_the_request_in_hand() {
    let harness = harness()
        .with_user("alice", "secret")
        .with_group("sales", ["alice", "bob"])
        .with_group("board", ["alice"])
        .with_tls("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    let version = || identity::tls().map(|session| session.version);
    assert_eq!(said(&harness, &invite(), version), "None");
    let over_tls = invite().transport(Transport::Wss);
    assert_eq!(said(&harness, &over_tls, version), "Some(\"TLSv1.2\")");
    let modern = invite().tls("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    assert_eq!(said(&harness, &modern, version), "Some(\"TLSv1.3\")");
    let groups = || {
        (
            identity::groups("alice"),
            identity::groups("bob"),
            identity::groups("x"),
        )
    };
    let wanted = r#"(["board", "sales"], ["sales"], [])"#;
    assert_eq!(said(&harness, &invite(), groups), wanted);

    let users = || {
        let verified = identity::verified().into_iter();
        verified
            .map(|who| format!("{}@{}", who.user, who.realm))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&harness, &invite(), users), "[]");
    let before = invite().verified("bob", "office");
    assert_eq!(said(&harness, &before, users), r#"["bob@office"]"#);
}

/// Verifies, and tells whom the host has verified then.
struct Verifies;

#[policy]
impl Policy for Verifies {
    type Settings = Settings;
    const CAPABILITIES: &'static [Capability] = &[Capability::Credentials];

    fn configure(_: Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let _ = credentials::verify(request, "office", &[DigestAlgorithm::Sha256]);
        Outcome::next().because(format!("{}", identity::verified().len()))
    }
}

#[test]
fn verified_users_are_told_in_the_same_request() {
    let harness = Harness::<Verifies>::new(json!({})).with_user("alice", "secret");
    let with = |password: &str| invite().credentials(Credentials::new("office", "alice", password));
    assert_eq!(harness.call(&with("secret")).reason(), "1");
    assert_eq!(harness.call(&with("guess")).reason(), "0");
}

#[test]
fn codes_are_right_wrong_or_used() {
    let harness = harness()
        .with_code("alice", "7391")
        .with_one_time_code("alice", "123456");
    let check = |account: &'static str, code: &'static str| {
        move || credentials::check_code(account, code) == CodeVerification::Ok
    };
    for (account, code, right) in [
        ("alice", "7391", "true"),
        ("alice", "7391", "true"),
        ("alice", "7390", "false"),
        ("bob", "7391", "false"),
        ("alice", "123456", "true"),
        ("alice", "123456", "false"),
    ] {
        assert_eq!(
            said(&harness, &invite(), check(account, code)),
            right,
            "{account} {code}"
        );
    }
    let again = || credentials::check_code("alice", "123456");
    assert_eq!(
        said(&harness, &invite(), again),
        "CodeVerification::Replayed"
    );
}

#[test]
fn numbers_are_the_hosts() {
    let harness = harness();
    let understood = |dialled: &'static str, region: &'static str| {
        script(move || match numbers::parse(dialled, region) {
            Ok(number) => Outcome::next().because(format!("{} {}", number.e164, number.class)),
            Err(error) => Outcome::next().because(error.name()),
        });
        harness.call(&invite()).reason().to_owned()
    };
    for (dialled, region, wanted) in [
        ("030 123456", "DE", "+4930123456 fixed"),
        ("0049-30-123456", "FR", "+4930123456 fixed"),
        ("011 44 20 7183 8750", "US", "+442071838750 fixed"),
        ("0900 1234567", "DE", "+499001234567 premium"),
        ("+881612345678", "DE", "+881612345678 satellite"),
        ("+88216123456", "DE", "+88216123456 satellite"),
        ("+80012345678", "DE", "+80012345678 international-service"),
        ("\u{0660}30123456", "DE", "not-a-number"),
        ("0301", "XX", "no-such-region"),
        ("+999123456", "DE", "no-such-country"),
        ("", "DE", "wrong-length"),
    ] {
        assert_eq!(understood(dialled, region), wanted, "{dialled}");
    }
    let toll_free =
        || numbers::parse("+498001234567", "US").unwrap().class == NumberClass::TollFree;
    assert_eq!(said(&harness, &invite(), toll_free), "true");
}
