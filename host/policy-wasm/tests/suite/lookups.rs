//! Places, numbers, lists and identity, asked for by guests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use geo::{Coordinates, Place};
use lists::{List, ListLimits};
use policy::{Capability, Conclusion, ConsultId, Decision, DigestAlgorithm, Grants, TlsSession};
use policy_wasm::{
    Asking, CodeVerification, Credentials, Executor, Geo, GroupBook, HostServices, LoadError,
    LookupBook, Lookups, RecentNumbers, Verification,
};
use sip_message::Message;

use crate::guest::{Guest, engine, facts, generation, judge, load, services, source};

static PLANS: LazyLock<Arc<RecentNumbers>> =
    LazyLock::new(|| Arc::new(RecentNumbers::new().unwrap()));

/// What a guest calls, and what of the answer it tells: a text as the reason, and a
/// byte as the status, 400 and more.
struct Question {
    /// Interface and function.
    function: [&'static str; 2],
    /// Parameters before the address of the answer.
    parameters: usize,
    /// WAT that makes the arguments.
    arguments: String,
    /// WAT that makes the address of pointer and length of the text, with the answer
    /// at `$area`.
    text: &'static str,
    /// Where the byte lies in the answer.
    byte: u32,
}

impl Question {
    fn guest(self) -> Guest {
        self.put_to(Guest::new(&[], &[]))
    }

    /// Texts that are arguments must be in the guest's image already.
    fn put_to(self, mut guest: Guest) -> Guest {
        let Self {
            function: [interface, name],
            parameters,
            arguments,
            text,
            byte,
        } = self;
        let area = guest.words(&[0; 12]);
        let [phrase, len] = guest.text("");
        let outcome = guest.outcome(&[1, 400, phrase, len, 0, 0], &[], "");
        let parameters = " i32".repeat(parameters + 1);
        guest.imports.push_str(&format!(
            r#"(import "sipward:policy/{interface}@0.1.0" "{name}" (func $ask (param{parameters})))"#
        ));
        guest.does(format!(
            "(local $area i32) (local $text i32)
             (local.set $area (i32.const {area}))
             (call $ask {arguments} (local.get $area))
             (local.set $text {text})
             (i32.store offset=32 (i32.const {outcome}) (i32.load (local.get $text)))
             (i32.store offset=36 (i32.const {outcome}) (i32.load offset=4 (local.get $text)))
             (i32.store offset=4 (i32.const {outcome})
               (i32.add (i32.const 400) (i32.load8_u offset={byte} (local.get $area))))
             i32.const {outcome}"
        ))
    }
}

fn constants(words: &[u32]) -> String {
    words
        .iter()
        .map(|word| format!("(i32.const {word})"))
        .collect()
}

const FIRST: &str = "(i32.add (local.get $area) (i32.const 4))";
const SECOND: &str = "(i32.add (local.get $area) (i32.const 8))";

/// Status and reason.
#[track_caller]
fn said(conclusion: &Conclusion) -> (u16, String) {
    let Decision::Refuse(refusal) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    (refusal.status, refusal.reason.clone())
}

fn ask(guest: &Guest, grants: Grants, services: HostServices) -> (u16, String) {
    let engine = engine(None);
    let mut source = source("curious", guest);
    source.capabilities = grants;
    let plugin = engine.load(source, services).unwrap();
    said(&judge(&mut Executor::new(), &[&plugin]))
}

fn list(text: &str) -> Arc<List> {
    Arc::new(List::parse(text.as_bytes(), ListLimits::default()).unwrap())
}

fn book() -> LookupBook {
    let sales = ("sales".to_owned(), vec!["alice".to_owned()]);
    let desk = ("desk".to_owned(), vec!["alice".to_owned()]);
    LookupBook {
        lists: BTreeMap::from([("barred".to_owned(), list("+49=cheap\n+49900=dear\n+881="))]),
        groups: GroupBook::new([sales, desk]),
        ..LookupBook::default()
    }
}

fn with_book() -> HostServices {
    let lookups = Arc::new(Lookups::new(book()));
    HostServices {
        geo: Arc::clone(&lookups) as _,
        lists: Arc::clone(&lookups) as _,
        groups: lookups,
        numbers: Arc::clone(&*PLANS) as _,
        ..services()
    }
}

#[test]
fn geo_and_lists_need_a_grant_and_the_others_none() {
    let engine = engine(None);
    for (question, granted) in [
        (locate([192, 0, 2, 7], FIRST), Some("geo")),
        (find("barred", "+49").1, Some("lists")),
        (tls(FIRST), None),
    ] {
        let guest = question.guest();
        match (load(&engine, "curious", &guest), granted) {
            (Ok(_), None) => {}
            (Err(LoadError::ImportNotGranted { capability, .. }), Some(name)) => {
                assert_eq!(capability, name);
            }
            (other, _) => panic!("{granted:?}: {other:?}"),
        }
    }
    let guest = parse("030", "DE");
    assert!(load(&engine, "curious", &guest).is_ok());
}

/// Knows one address.
struct Atlas;

impl Geo for Atlas {
    fn locate(&self, address: IpAddr, _: Asking) -> Option<Place> {
        if address != IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)) {
            return Some(Place::default());
        }
        Some(Place {
            country: "NZ".into(),
            asn: 64_512,
            organisation: "Kiwi Net".into(),
            coordinates: Some(Coordinates {
                latitude: -41_286_460,
                longitude: 174_776_236,
            }),
        })
    }
}

fn locate([a, b, c, d]: [u8; 4], text: &'static str) -> Question {
    let address = [0, a.into(), b.into(), c.into(), d.into(), 0, 0, 0, 0];
    Question {
        function: ["geo", "locate"],
        parameters: 9,
        arguments: constants(&address),
        text,
        byte: 0,
    }
}

#[test]
fn a_place_is_told_or_nothing_is_known() {
    let grants = Grants::NONE.with(Capability::Geo);
    let atlas = || HostServices {
        geo: Arc::new(Atlas),
        ..services()
    };
    let here = [192, 0, 2, 7];
    let answer = ask(&locate(here, FIRST).guest(), grants, atlas());
    assert_eq!(answer, (400, "NZ".to_owned()));
    let organisation = "(i32.add (local.get $area) (i32.const 16))";
    let answer = ask(&locate(here, organisation).guest(), grants, atlas());
    assert_eq!(answer.1, "Kiwi Net");
    for (byte, expected) in [
        (12, 64_512_u32.to_le_bytes()[0]),
        (13, 64_512_u32.to_le_bytes()[1]),
        (24, 1),
        (28, (-41_286_460_i32).to_le_bytes()[0]),
        (31, (-41_286_460_i32).to_le_bytes()[3]),
        (32, 174_776_236_i32.to_le_bytes()[0]),
    ] {
        let question = Question {
            byte,
            ..locate(here, FIRST)
        };
        let answer = ask(&question.guest(), grants, atlas());
        assert_eq!(answer.0, 400 + u16::from(expected), "byte {byte}");
    }
    let answer = ask(&locate([192, 0, 2, 8], FIRST).guest(), grants, atlas());
    assert_eq!(answer, (400, String::new()), "no country");
    let answer = ask(&locate(here, FIRST).guest(), grants, with_book());
    assert_eq!(answer, (401, String::new()), "no database");
}

fn parse(dialled: &str, region: &str) -> Guest {
    let mut guest = Guest::new(&[], &[]);
    let texts = [guest.text(dialled), guest.text(region)].concat();
    let question = Question {
        function: ["numbers", "parse"],
        parameters: 4,
        arguments: constants(&texts),
        text: FIRST,
        byte: 0,
    };
    question.put_to(guest)
}

#[test]
fn numbers_are_understood_or_it_is_said_why_not() {
    let answer = |dialled, region| ask(&parse(dialled, region), Grants::NONE, with_book());
    assert_eq!(
        answer("0049 30 23125000", "FR"),
        (400, "+493023125000".to_owned())
    );
    assert_eq!(answer("+881612345678", "DE").1, "+881612345678");
    for (dialled, region) in [
        ("030x", "DE"),
        ("1234567890123456789", "DE"),
        ("+999123456", "DE"),
        ("030", "XX"),
    ] {
        assert_eq!(answer(dialled, region).0, 401, "{dialled} in {region}");
    }
    // The class is the 24th byte: satellite is the twelfth of its cases.
    let mut guest = Guest::new(&[], &[]);
    let texts = [guest.text("+881612345678"), guest.text("DE")].concat();
    let question = Question {
        function: ["numbers", "parse"],
        parameters: 4,
        arguments: constants(&texts),
        text: "(i32.add (local.get $area) (i32.const 16))",
        byte: 24,
    };
    let answer = ask(&question.put_to(guest), Grants::NONE, with_book());
    assert_eq!(answer, (411, "001".to_owned()));
}

fn find(name: &str, key: &str) -> (Guest, Question) {
    let mut guest = Guest::new(&[], &[]);
    let texts = [guest.text(name), guest.text(key)].concat();
    let question = Question {
        function: ["lists", "find"],
        parameters: 4,
        arguments: constants(&texts),
        text: SECOND,
        byte: 4,
    };
    (guest, question)
}

#[test]
fn lists_are_looked_up_by_key_and_by_prefix() {
    let grants = Grants::NONE.with(Capability::Lists);
    let answer = |function: &'static str, name: &str, key: &str, text, byte| {
        let (guest, question) = find(name, key);
        let question = Question {
            function: ["lists", function],
            text,
            byte,
            ..question
        };
        ask(&question.put_to(guest), grants, with_book())
    };
    let found = |key| answer("find", "barred", key, SECOND, 4);
    assert_eq!(found("+49900"), (401, "dear".to_owned()));
    assert_eq!(found("+881"), (401, String::new()));
    assert_eq!(found("+4990"), (400, String::new()));
    let missing = answer("find", "bared", "+49", SECOND, 0);
    assert_eq!(missing, (401, String::new()));

    let value = "(i32.add (local.get $area) (i32.const 16))";
    let begins = |text, at| answer("longest-prefix", "barred", text, at, 4);
    assert_eq!(begins("+49900123", SECOND), (401, "+49900".to_owned()));
    assert_eq!(begins("+49900123", value), (401, "dear".to_owned()));
    assert_eq!(begins("+4930", value), (401, "cheap".to_owned()));
    assert_eq!(begins("+48", SECOND), (400, String::new()));
    assert_eq!(answer("longest-prefix", "bared", "+49", SECOND, 0).0, 401);
}

#[test]
fn what_lists_return_is_charged() {
    let value = "v".repeat(1000);
    let lookups = Lookups::new(LookupBook {
        lists: BTreeMap::from([("long".to_owned(), list(&format!("k={value}")))]),
        ..LookupBook::default()
    });
    let services = HostServices {
        lists: Arc::new(lookups),
        ..services()
    };
    // 524 answers of a thousand bytes are below 512 KiB, and one more is not.
    for (times, fails) in [(510, false), (530, true)] {
        let (mut guest, question) = find("long", "k");
        let arguments = question.arguments.clone();
        guest.functions = format!(
            "(func $repeat (param $area i32) (local $n i32)
               (loop $again
                 (call $ask {arguments} (local.get $area))
                 (global.set $heap (i32.const 65536))
                 (local.set $n (i32.add (local.get $n) (i32.const 1)))
                 (br_if $again (i32.lt_u (local.get $n) (i32.const {times})))))"
        );
        let mut guest = question.put_to(guest);
        guest.hook = guest.hook.replacen(
            "(call $ask",
            "(call $repeat (local.get $area)) (call $ask",
            1,
        );
        let answer = ask(
            &guest,
            Grants::NONE.with(Capability::Lists),
            services.clone(),
        );
        assert_eq!(
            answer.1.contains("host_bytes = 524288"),
            fails,
            "{times}: {answer:?}"
        );
    }
}

/// A guest that refuses its settings unless the list `barred` exists.
fn picky() -> Guest {
    let mut guest = Guest::new(&[], &[]);
    let texts = [guest.text("barred"), guest.text("x")].concat();
    let [key, key_len] = guest.text("list");
    let [message, len] = guest.text("there is no such list");
    let fine = guest.words(&[0; 5]);
    let wrong = guest.words(&[1, key, key_len, message, len]);
    let area = guest.words(&[0; 4]);
    guest.imports = r#"(import "sipward:policy/lists@0.1.0" "find"
        (func $ask (param i32 i32 i32 i32 i32)))"#
        .into();
    guest.configure = format!(
        "(call $ask {} (i32.const {area}))
         (select (i32.const {wrong}) (i32.const {fine}) (i32.load8_u (i32.const {area})))",
        constants(&texts)
    );
    guest
}

#[test]
fn settings_are_held_against_the_configuration_that_is_tried() {
    let engine = engine(None);
    let lookups = Arc::new(Lookups::default());
    let services = HostServices {
        lists: Arc::clone(&lookups) as _,
        ..services()
    };
    let load = || {
        let mut source = source("picky", &picky());
        source.capabilities = Grants::NONE.with(Capability::Lists);
        engine.load(source, services.clone())
    };
    let error = load().unwrap_err().to_string();
    assert!(error.contains("`list`: there is no such list"), "{error}");
    let trial = lookups.trial(Arc::new(book()));
    assert!(load().is_ok());
    drop(trial);
    assert!(load().is_err());
    lookups.replace(Arc::new(book()));
    assert!(load().is_ok());
}

fn tls(text: &'static str) -> Question {
    Question {
        function: ["identity", "tls"],
        parameters: 0,
        arguments: String::new(),
        text,
        byte: 0,
    }
}

#[test]
fn the_tls_session_is_the_requests_own() {
    let engine = engine(None);
    let cipher = "(i32.add (local.get $area) (i32.const 12))";
    let version = load(&engine, "version", &tls(FIRST).guest()).unwrap();
    let cipher = load(&engine, "cipher", &tls(cipher).guest()).unwrap();
    let mut executor = Executor::new();
    let mut ask = |plugin, tls| {
        let mut facts = facts();
        facts.peer.tls = tls;
        said(&executor.judge(&generation(1, &[plugin]), ConsultId::new(1), facts))
    };
    let session = TlsSession {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
    };
    assert_eq!(ask(&version, Some(session)), (401, "TLSv1.3".to_owned()));
    assert_eq!(ask(&cipher, Some(session)).1, "TLS_AES_128_GCM_SHA256");
    // The same instance, for a request that came by UDP.
    assert_eq!(ask(&version, None).0, 400);
}

/// Everybody is alice.
struct Alice;

impl Credentials for Alice {
    fn verify(
        &self,
        _: &Message,
        _: IpAddr,
        _: &str,
        _: &[DigestAlgorithm],
        _: u64,
    ) -> Verification {
        Verification::Ok("alice".to_owned())
    }

    fn check_code(&self, _: &str, _: &str, _: u64) -> CodeVerification {
        CodeVerification::Wrong
    }
}

#[test]
fn users_that_earlier_plugins_verified_are_told_for_this_request_alone() {
    let engine = engine(None);
    let services = HostServices {
        credentials: Arc::new(Alice),
        ..services()
    };
    let mut verifier = Guest::new(&[], &[]);
    let [realm, len] = verifier.text("example.com");
    let area = verifier.words(&[0; 4]);
    let fine = verifier.outcome(&[0; 6], &[], "");
    verifier.imports = r#"(import "sipward:policy/credentials@0.1.0" "verify"
        (func $verify (param i32 i32 i32 i32 i32 i32)))"#
        .into();
    let verifier = verifier.does(format!(
        "(call $verify (local.get $message) {} (i32.const {area})) i32.const {fine}",
        constants(&[realm, len, 0, 0])
    ));
    let verifier = {
        let mut source = source("verifier", &verifier);
        source.capabilities = Grants::NONE.with(Capability::Credentials);
        engine.load(source, services.clone()).unwrap()
    };
    let verified = |text| Question {
        function: ["identity", "verified"],
        parameters: 0,
        arguments: String::new(),
        text,
        // The number of users.
        byte: 4,
    };
    // Of the first user, the name, or the realm.
    let user = "(i32.load (local.get $area))";
    let realm = "(i32.add (i32.load (local.get $area)) (i32.const 8))";
    let user = load(&engine, "user", &verified(user).guest()).unwrap();
    let realm = load(&engine, "realm", &verified(realm).guest()).unwrap();
    let mut executor = Executor::new();
    let both = judge(&mut executor, &[&verifier, &user]);
    assert_eq!(said(&both), (401, "alice".to_owned()));
    let both = judge(&mut executor, &[&verifier, &verifier, &realm]);
    assert_eq!(said(&both), (401, "example.com".to_owned()));
    assert_eq!(
        said(&judge(&mut executor, &[&user])).0,
        400,
        "another request"
    );
}

#[test]
fn groups_are_told_in_order() {
    let answer = |identity: &str, text| {
        let mut guest = Guest::new(&[], &[]);
        let identity = guest.text(identity);
        let question = Question {
            function: ["identity", "groups"],
            parameters: 2,
            arguments: constants(&identity),
            text,
            byte: 4,
        };
        ask(&question.put_to(guest), Grants::NONE, with_book())
    };
    let first = "(i32.load (local.get $area))";
    let second = "(i32.add (i32.load (local.get $area)) (i32.const 8))";
    assert_eq!(answer("alice", first), (402, "desk".to_owned()));
    assert_eq!(answer("alice", second), (402, "sales".to_owned()));
    assert_eq!(answer("mallory", FIRST).0, 400);
}
