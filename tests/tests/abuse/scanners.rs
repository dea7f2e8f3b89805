//! svmap, svwar and svcrack against telephones on an open UDP port.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use sipward_tests::stage::{PASSWORD, Proxy};

use crate::edge::{Edge, FROM_US, PASSWORD_200};
use crate::phone::{More, Phone};
use crate::sipvicious::Scanners;
use crate::{DAILY, alone, ordinary_calls, shipped};

/// Where attackers are, each in a network of its own.
const fn attacker(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 66, number, 1)
}

/// A telephone of the company somewhere else.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 5, 0, 1);

fn decisions_on(proxy: &Proxy<'_>, source: Ipv4Addr) -> Vec<Value> {
    let begin = format!("{source}:");
    let mut decisions = proxy.decisions();
    decisions.retain(|line| {
        line["source"]
            .as_str()
            .is_some_and(|it| it.starts_with(&begin))
    });
    decisions
}

#[test]
fn scanners_hear_nothing_while_a_user_calls() {
    let _alone = alone();
    let edge = Edge::new(&FROM_US, &[]);
    let proxy = Proxy::start(&edge.stage);
    let scanners = Scanners::installed();
    let (inside, outside) = (
        edge.stage.inside.to_string(),
        edge.stage.outside.to_string(),
    );
    let both = format!("{inside},{outside}");
    let arguments: [(&str, &str, Vec<&str>); 7] = [
        ("svmap-options", "svmap", vec!["-p", &both]),
        ("svmap-invite", "svmap", vec!["-p", &both, "-m", "INVITE"]),
        (
            "svmap-register",
            "svmap",
            vec!["-p", &both, "-m", "REGISTER"],
        ),
        ("svmap-bye", "svmap", vec!["-p", &both, "-m", "BYE"]),
        ("svwar", "svwar", vec!["-p", &inside, "-e", "100-400"]),
        (
            "svwar-invite",
            "svwar",
            vec!["-p", &inside, "-e", "195-215", "-m", "INVITE", "--force"],
        ),
        (
            "svcrack",
            "svcrack",
            vec!["-p", &inside, "-u", "200", "-r", "1-100"],
        ),
    ];
    let scans: Vec<_> = (0u8..)
        .zip(&arguments)
        .map(|(number, (name, tool, arguments))| {
            let mut arguments = arguments.clone();
            arguments.push("127.0.0.1");
            scanners.start(&edge.stage, name, tool, attacker(number), &arguments)
        })
        .collect();
    ordinary_calls(&edge.stage, &DAILY);
    for scan in scans {
        scan.finds_nothing();
    }
    for (number, (name, ..)) in (0u8..).zip(&arguments) {
        let decisions = decisions_on(&proxy, attacker(number));
        // What cannot be read, and a BYE of no call, concern no policy.
        let unjudged = ["svmap-register", "svmap-bye"].contains(name);
        assert_eq!(decisions.is_empty(), unjudged, "{name}: {decisions:#?}");
        for decision in decisions {
            assert_eq!(decision["verdict"], "drop", "{name}: {decision}");
            assert_eq!(decision["plugin"], "scanner-guard", "{name}: {decision}");
        }
    }
    let status = proxy.status();
    let unreadable = status["total"]["invalid_messages"].as_u64();
    assert!(unreadable >= Some(2), "{status:#}");
    // Behind the proxy nobody ever heard of them.
    assert_eq!(edge.trunk.invites().len(), DAILY.len());
    assert!(edge.office.got().is_empty());
}

/// Two dictionaries with the right password: as the third word, and as the last of many.
fn write_dictionaries(edge: &Edge) {
    let wrong: Vec<String> = (0..30).map(|guess| format!("guess-{guess}")).collect();
    for (file, before) in [("early.txt", 2), ("late.txt", wrong.len())] {
        let words = format!("{}\n{PASSWORD_200}\n", wrong[..before].join("\n"));
        std::fs::write(edge.stage.path(file), words).expect("a dictionary");
    }
}

#[test]
fn guessers_under_another_name_are_locked_out_while_the_user_calls() {
    let _alone = alone();
    let edge = Edge::new(&FROM_US, &[]);
    let proxy = Proxy::start(&edge.stage);
    let scanners = Scanners::disguised(&edge.stage);
    let inside = edge.stage.inside.to_string();
    // The company's own phone has been here before.
    let mut home = edge.phone(HOME, "200").with_password(PASSWORD_200);
    let talk = home.call(&edge.number("+493012345601")).expect("a call");
    home.hang_up(talk);

    write_dictionaries(&edge);
    let crack = |name: &str, number: u8, dictionary: &str| {
        let dictionary = edge.stage.path(dictionary);
        let dictionary = dictionary.to_string_lossy();
        let arguments = [
            "-p",
            &inside,
            "-u",
            "200",
            "-d",
            &dictionary,
            "-t",
            "0.2",
            "127.0.0.1",
        ];
        scanners.start(&edge.stage, name, "svcrack", attacker(number), &arguments)
    };
    let lucky = crack("svcrack-lucky", 11, "early.txt");
    let guesser = crack("svcrack-guesses", 12, "late.txt");
    let arguments = [
        "-p",
        &inside,
        "-e",
        "200-260",
        "--force",
        "-t",
        "0.15",
        "127.0.0.1",
    ];
    let counter = scanners.start(
        &edge.stage,
        "svwar-counts",
        "svwar",
        attacker(13),
        &arguments,
    );
    ordinary_calls(&edge.stage, &DAILY[..5]);

    // The tool works, and a password that is third in a dictionary is lost.
    let said = lucky.finish();
    assert!(said.contains(PASSWORD_200), "{said}");
    // The same password later in the dictionary is not found: the lock comes first.
    guesser.finds_nothing();
    counter.finds_nothing();
    the_guesser_is_locked_out(&edge, &proxy);
    // The owner is not.
    let talk = home.call(&edge.number("+493012345702")).ok();
    home.hang_up(talk.expect("the owner calls"));
}

fn the_guesser_is_locked_out(edge: &Edge, proxy: &Proxy<'_>) {
    let failures = shipped::number("digest-auth", "lockout", "user_failures") as usize;
    let decisions = decisions_on(proxy, attacker(12));
    let wrong = decisions
        .iter()
        .filter(|it| it["reason"].to_string().contains("wrong user or password"));
    assert!(wrong.count() < failures, "{failures} failures lock");
    assert!(
        decisions
            .iter()
            .any(|it| it["reason"].to_string().contains("is locked out at")),
        "{decisions:#?}"
    );
    assert!(decisions.iter().all(|it| it["verdict"] != "admit"));
    edge.alarms.wait("of the lockout", |alert| {
        alert["plugin"] == "digest-auth"
            && alert["text"]
                .as_str()
                .is_some_and(|text| text.contains("200 is locked out at 127.66.12.1"))
    });
    let mut thief = edge.phone(attacker(12), "200").with_password(PASSWORD_200);
    let tried = thief.call(&edge.number("+493012345702")).err();
    assert_eq!(tried, Some(Some(403)), "locked out with the right password");
}

#[test]
fn who_counts_up_users_is_not_answered_and_others_there_are() {
    let _alone = alone();
    let edge = Edge::new(&FROM_US, &[]);
    let _proxy = Proxy::start(&edge.stage);
    let most = shipped::number("scanner-guard", "enumeration", "callers") as u32;
    let place = attacker(21);
    // Somebody whose telephone is at that place.
    let mut known = edge.phone(place, "200").with_password(PASSWORD_200);
    let talk = known.call(&edge.number("+493012345601")).ok();
    known.hang_up(talk.expect("a call"));
    let registrar = format!("sip:{}", edge.inside());
    let answers: Vec<Option<u16>> = (0..most + 10)
        .map(|extension| {
            let mut phone = edge.phone(place, &format!("{}", 1_000 + extension));
            phone.patience = Duration::from_millis(400);
            let to = format!("<sip:{}@{}>", 1_000 + extension, edge.inside());
            // Slower than any limit of requests.
            std::thread::sleep(Duration::from_millis(120));
            let more = More {
                to: Some(&to),
                ..More::default()
            };
            phone.request("REGISTER", &registrar, more)
        })
        .collect();
    let answered = answers.iter().filter(|answer| answer.is_some()).count() as u32;
    // The telephone is one of the users that may be there.
    assert_eq!(answered, most - 1, "{answers:?}");
    assert!(
        answers.iter().skip(answered as usize).all(Option::is_none),
        "{answers:?}"
    );
    let talk = known.call(&edge.number("+493012345702")).ok();
    known.hang_up(talk.expect("who was known goes on"));
    let mut elsewhere = Phone::new(HOME, edge.inside(), "pbx").with_password(PASSWORD);
    let talk = elsewhere.call(&edge.number("+493012345702")).ok();
    elsewhere.hang_up(talk.expect("others too"));
}
