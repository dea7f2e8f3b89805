//! Numbers in disguise: whatever the trunk gets is read as the most generous gateway
//! would, and none of it may be a barred destination.

use std::net::Ipv4Addr;
use std::time::Duration;

use sip_message::Method;
use sipward_tests::stage::Proxy;

use crate::edge::{Edge, PASSWORD_200};
use crate::party::Answers;
use crate::phone::{More, Phone};
use crate::{alone, shipped};

/// Digits that stand in every barred number here and in nothing else.
const MARK: &str = "7713377";
/// Where the caller is.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 5, 0, 1);
/// A number that may be called, and one that the trunk sends elsewhere.
const ALLOWED: &str = "+493012345601";
const FORWARDED: &str = "+493012345302";

/// Country code and number: premium in two countries, a satellite, and a country that
/// nobody calls.
const BARRED: [(&str, &str); 4] = [
    ("49", "9007713377"),
    ("1", "9007713377"),
    ("881", "67713377"),
    ("225", "07713377"),
];

/// Digits of another script.
fn digits_of(zero: u32, text: &str) -> String {
    text.chars()
        .map(|it| match it.to_digit(10) {
            Some(digit) => char::from_u32(zero + digit).expect("a digit"),
            None => it,
        })
        .collect()
}

/// Every byte as an escape.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// With separators.
fn parted(text: &str, separator: &str) -> String {
    let chars: Vec<String> = text.chars().map(String::from).collect();
    chars.join(separator)
}

/// Users of a SIP URI that some gateway dials as this number.
fn users(country: &str, rest: &str) -> Vec<String> {
    let full = format!("{country}{rest}");
    let plain = ALLOWED;
    vec![
        format!("+{full}"),
        format!("00{full}"),
        format!("011{full}"),
        format!("0011{full}"),
        format!("+00{full}"),
        format!("00+{full}"),
        format!("++{full}"),
        format!("000{full}"),
        full.clone(),
        format!("+{country}0{rest}"),
        format!("+{country}(0){rest}"),
        format!("+{full}00000000"),
        format!("9{full}"),
        format!("900{full}"),
        format!("*31#00{full}"),
        format!("#31#+{full}"),
        format!("101028800{full}"),
        // Escapes, once and twice.
        format!("%2B{full}"),
        format!("%2b{full}"),
        escaped(&format!("+{full}")),
        escaped(&format!("00{full}")),
        format!("%252B{full}"),
        format!("%2530%2530{full}"),
        format!("+{full}%00"),
        format!("+{full}%20"),
        format!("%20+{full}"),
        format!("%09+{full}"),
        format!("+{full}%0d%0aX:%20y"),
        format!("+{full}%40{plain}"),
        format!("+{full}%3Bext=1"),
        format!("{plain}%3B+{full}"),
        // Separators.
        parted(&format!("+{full}"), "-"),
        parted(&format!("00{full}"), "."),
        parted(&format!("+{full}"), "%20"),
        format!("+{country}({}){}", &rest[..2], &rest[2..]),
        format!("+{country}%C2%A0{rest}"),
        format!("+{country}%E2%80%AF{rest}"),
        format!("+{country}_{rest}"),
        format!("+{country},{rest}"),
        format!("+{country}/{rest}"),
        format!("+{country}~{rest}"),
        format!("+{country}!{rest}"),
        format!("+{country}'{rest}"),
        format!("+{country}&{rest}"),
        format!("+{country}={rest}"),
        format!("+{country}${rest}"),
        format!("+{country}?{rest}"),
        // Digits of other scripts: Arabic, Persian, Devanagari, full width, mathematical.
        digits_of(0x0660, &format!("+{full}")),
        digits_of(0x06F0, &format!("+{full}")),
        escaped(&digits_of(0x0966, &format!("+{full}"))),
        escaped(&digits_of(0xFF10, &format!("+{full}"))),
        escaped(&digits_of(0x1D7CE, &format!("00{full}"))),
        format!("%EF%BC%8B{full}"),
        // Parameters.
        format!("{rest};phone-context=+{country}"),
        format!("{rest};phone-context=%2B{country}"),
        format!("0{rest};phone-context=+{country}"),
        format!("{rest};PHONE-CONTEXT=+{country}"),
        format!("{rest};phone%2Dcontext=+{country}"),
        format!("{rest};phone-context=+49;phone-context=+{country}"),
        format!("{plain};rn=+{full}"),
        format!("{plain};npdi;rn=+{full}"),
        format!("{plain};RN={full};npdi"),
        format!("{plain};%72n=+{full}"),
        format!("+{full};npdi;rn={plain}"),
        format!("+{full};ext=1;isub=2"),
        format!("+{full};cic=+10288"),
        format!("+{full};tgrp=premium;trunk-context=example.com"),
        format!("+{full};postd=p1"),
        // Passwords and letters.
        format!("+{full}:secret"),
        format!("p+{full}"),
        format!("tel:+{full}"),
        format!("+{full}w1"),
    ]
}

/// URIs that some gateway dials as this number, behind whatever host and port.
fn disguises(country: &str, rest: &str, gateway: &str) -> Vec<String> {
    let users = users(country, rest);
    let sip = users.iter().map(|user| format!("sip:{user}@{gateway}"));
    let tel = users.iter().map(|user| format!("tel:{user}"));
    let mut uris: Vec<String> = sip.chain(tel).collect();
    let full = format!("{country}{rest}");
    let plain = ALLOWED;
    if country == "49" {
        uris.push(format!("sip:0{rest}@{gateway}"));
        uris.push(format!("tel:{rest}"));
    }
    uris.extend([
        format!("sip:+{full}@{gateway};user=phone"),
        format!("SIP:+{full}@{gateway}"),
        format!("sips:+{full}@{gateway}"),
        format!("sip:{rest}@{gateway};phone-context=+{country}"),
        format!("sip:{plain}@{gateway};rn=+{full}"),
        format!("sip:{plain}@{gateway}?Route=%3Csip:+{full}@{gateway}%3E"),
        format!("sip:+{full}@{gateway}@{gateway}"),
        format!("sip:+{full}"),
        format!("TEL:+{full}"),
        format!("tel:{rest};phone-context=+{country}"),
        format!("tel:{rest};phone-context=example.com"),
        format!("tel:+{full};phone-context=+49"),
        format!("urn:service:+{full}"),
        format!("im:+{full}@{gateway}"),
        format!("h323:+{full}@{gateway}"),
        format!("+{full}"),
    ]);
    uris
}

/// Undoes everything that a gateway could undo: escapes as often as there are any, digits
/// of all scripts, letters on a keypad left alone, separators of all kinds.
fn read_generously(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    for _ in 0..3 {
        bytes = unescaped(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let digit = |it: char| {
        // All scripts that the disguises use, and the rest of Unicode's decimal digits that
        // stand in runs of ten from a zero.
        let zeros = [
            0x30, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0E50, 0xFF10, 0x1D7CE, 0x1D7D8,
            0x1D7E2, 0x1D7EC, 0x1D7F6,
        ];
        zeros
            .into_iter()
            .find_map(|zero| u32::from(it).checked_sub(zero).filter(|digit| *digit < 10))
    };
    text.chars()
        .filter_map(|it| match digit(it) {
            Some(digit) => char::from_digit(digit, 10),
            // Words part numbers, anything between does not.
            None if it.is_alphabetic() || it == '\n' || it == '@' => Some(' '),
            None => None,
        })
        .collect()
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let value = match rest {
            [b'%', high, low, ..] => {
                let value = |it: &u8| char::from(*it).to_digit(16);
                value(high).zip(value(low))
            }
            _ => None,
        };
        match value {
            Some((high, low)) => {
                out.push(u8::try_from(high * 16 + low).expect("a byte"));
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Whether a gateway could find a barred number in it.
fn is_barred(bytes: &[u8]) -> bool {
    read_generously(bytes).contains(MARK)
}

/// The trunk sends one number elsewhere.
const FORWARDS: Answers = |invite| {
    let user = invite.request_uri().user.unwrap_or_default();
    match user == FORWARDED.as_bytes() {
        true => {
            let serial = invite.cseq().number as usize + invite.call_id().len();
            let contact = match serial % 3 {
                0 => format!("<sip:+499007{MARK}@gw>"),
                1 => format!("<sip:{ALLOWED}@gw>;q=1, <tel:00881{MARK}>;q=0.5"),
                _ => format!("\"x\" <sip:%2b225{MARK}@gw;user=phone>"),
            };
            (302, vec![("Contact", contact)])
        }
        false => (200, Vec::new()),
    }
};

fn edge() -> Edge {
    // Other policies would lock the caller out before the numbers are through.
    let plugins = ["digest-auth", "destination-limits", "business-hours"];
    Edge::with_trunk(&plugins, &[], FORWARDS)
}

fn caller(edge: &Edge) -> Phone {
    edge.phone(HOME, "200").with_password(PASSWORD_200)
}

/// Everything that the trunk received so far is harmless.
#[track_caller]
fn the_trunk_is_clean(edge: &Edge, what: &str) {
    for got in edge.trunk.got() {
        let text = String::from_utf8_lossy(&got.bytes);
        assert!(!is_barred(&got.bytes), "{what} reached the trunk: {text}");
    }
}

#[test]
fn the_generous_gateway_reads_every_disguise() {
    for (country, rest) in BARRED {
        for uri in disguises(country, rest, "127.0.0.1:5060") {
            assert!(is_barred(uri.as_bytes()), "{uri}");
        }
    }
    for harmless in [ALLOWED, FORWARDED, "sip:+4930@127.0.0.1:5060"] {
        assert!(!is_barred(harmless.as_bytes()), "{harmless}");
    }
}

/// Calls every one, and then a number that is allowed: how many were called, and which of
/// them were answered.
fn try_disguises(edge: &Edge, uris: &[String], gateway: &str) -> (usize, Vec<String>) {
    let mut phone = caller(edge);
    let mut answered = Vec::new();
    // What cannot be read is not answered.
    phone.patience = Duration::from_millis(600);
    for uri in uris {
        // To is as in the Request-URI, where it can be.
        let to = match uri.contains(['?', ',', '\u{660}', '\u{6f0}']) {
            true => format!("<sip:{ALLOWED}@{gateway}>"),
            false => format!("<{uri}>"),
        };
        let more = More {
            to: Some(&to),
            ..More::default()
        };
        if let Ok(talk) = phone.call_with(uri, more) {
            phone.hang_up(talk);
            answered.push(uri.clone());
        }
    }
    // What is allowed goes through.
    phone.patience = Duration::from_secs(10);
    let talk = phone.call(&edge.number(ALLOWED)).ok();
    phone.hang_up(talk.expect("an allowed number"));
    (uris.len(), answered)
}

#[test]
fn no_disguise_of_a_number_reaches_the_trunk() {
    let _alone = alone();
    let edge = edge();
    let proxy = Proxy::start(&edge.stage);
    let gateways = [
        edge.inside().to_string(),
        format!("127.0.0.2:{}", edge.stage.trunk),
    ];
    // Most of it is waiting for answers that do not come, so each country has a caller.
    let (mut tried, mut answered) = (0, Vec::new());
    std::thread::scope(|scope| {
        let countries: Vec<_> = (BARRED.into_iter().zip(gateways.iter().cycle()))
            .map(|((country, rest), gateway)| {
                let edge = &edge;
                scope
                    .spawn(move || try_disguises(edge, &disguises(country, rest, gateway), gateway))
            })
            .collect();
        for country in countries {
            let (count, got_through) = country.join().expect("all disguises were tried");
            tried += count;
            answered.extend(got_through);
        }
    });
    println!("{tried} disguises");
    assert!(answered.is_empty(), "answered: {answered:#?}");
    the_trunk_is_clean(&edge, "a disguise");
    assert_eq!(edge.trunk.invites().len(), BARRED.len());
    assert_eq!(proxy.status()["total"]["plugin_failures"], 0);
}

#[test]
fn no_other_way_leads_a_barred_number_to_the_trunk() {
    let _alone = alone();
    let edge = edge();
    let _proxy = Proxy::start(&edge.stage);
    let mut phone = caller(&edge);
    phone.patience = Duration::from_secs(2);
    let trunk = format!("127.0.0.2:{}", edge.stage.trunk);
    let barred = format!("+499007{MARK}");
    let allowed = edge.number(ALLOWED);
    // Routes: of a strict router the next hop finds the Route in the Request-URI.
    for route in [
        format!("Route: <sip:{barred}@{trunk}>"),
        format!("Route: <sip:{barred}@{trunk};lr>"),
        format!("Route: <sip:{};lr>, <sip:{barred}@{trunk}>", edge.inside()),
        format!(
            "Route: <sip:{};lr>, <sip:{trunk};lr>, <sip:{barred}@{trunk}>",
            edge.inside()
        ),
    ] {
        let more = More {
            lines: std::slice::from_ref(&route),
            ..More::default()
        };
        if let Ok(talk) = phone.call_with(&allowed, more) {
            phone.hang_up(talk);
        }
        the_trunk_is_clean(&edge, &route);
    }
    // Other methods that a gateway makes a call or a bill of.
    for method in ["REFER", "MESSAGE"] {
        for uri in [format!("sip:{barred}@{trunk}"), format!("tel:{barred}")] {
            let line = format!("Refer-To: <{uri}>");
            let more = More {
                lines: std::slice::from_ref(&line),
                ..More::default()
            };
            let status = phone.request(method, &uri, more);
            the_trunk_is_clean(&edge, &format!("{method} {uri}: {status:?}"));
        }
    }
    // Our own Record-Route as a strict router would have it, and a maddr.
    for uri in [
        format!("sip:{barred}@{};maddr=127.0.0.2", edge.inside()),
        format!("sip:{ALLOWED}@{};maddr=127.0.0.1", edge.inside()),
        format!("sip:{}", edge.inside()),
    ] {
        let line = format!("Route: <sip:{barred}@{trunk}>");
        let more = More {
            lines: std::slice::from_ref(&line),
            ..More::default()
        };
        if let Ok(talk) = phone.call_with(&uri, more) {
            phone.hang_up(talk);
        }
        the_trunk_is_clean(&edge, &uri);
    }
}

#[test]
fn no_transfer_leads_to_a_barred_number() {
    let _alone = alone();
    let edge = edge();
    let _proxy = Proxy::start(&edge.stage);
    let mut phone = caller(&edge);
    phone.patience = Duration::from_secs(10);
    let gateway = edge.inside().to_string();
    let mut talk = phone.call(&edge.number(ALLOWED)).expect("a call");
    phone.patience = Duration::from_secs(1);
    let target = Phone::target(&talk);
    let mut answered = Vec::new();
    for (country, rest) in BARRED {
        for uri in disguises(country, rest, &gateway) {
            let lines = [format!("Refer-To: <{uri}>")];
            let status = phone.ask_within(&mut talk, "REFER", &target, &lines);
            if matches!(status, Some(200..=299)) {
                answered.push(uri);
            }
        }
    }
    assert!(answered.is_empty(), "transferred to {answered:#?}");
    the_trunk_is_clean(&edge, "a REFER");
    let barred = format!("sip:+499007{MARK}@{gateway}");
    for lines in [
        vec![
            format!("Refer-To: <sip:{ALLOWED}@{gateway}>"),
            format!("Refer-To: <{barred}>"),
        ],
        vec![
            format!("Refer-To: <sip:{ALLOWED}@{gateway}>"),
            format!("r: <{barred}>"),
        ],
        vec![format!("r: {barred}")],
        vec![format!("Refer-To: <sip:{ALLOWED}@{gateway}>, <{barred}>")],
        vec![format!(
            "Refer-To: <sip:{ALLOWED}@{gateway}?To=%3C{barred}%3E>"
        )],
        vec![format!("Refer-To:\r\n <{barred}>")],
    ] {
        let status = phone.ask_within(&mut talk, "REFER", &target, &lines);
        the_trunk_is_clean(&edge, &format!("{lines:?}: {status:?}"));
    }
    // The Request-URI of what belongs to the call.
    for method in ["INVITE", "UPDATE", "INFO", "MESSAGE", "OPTIONS"] {
        let status = phone.ask_within(&mut talk, method, &barred, &[]);
        the_trunk_is_clean(
            &edge,
            &format!("{method} {barred} within a call: {status:?}"),
        );
    }
    phone.hang_up(talk);
    let refers = |got: &crate::party::Got| {
        got.message
            .as_ref()
            .is_some_and(|it| it.is_request() && it.method() == Method::Refer)
    };
    assert!(!edge.trunk.got().iter().any(refers), "a REFER went out");
}

#[test]
fn no_redirection_leads_to_a_barred_number() {
    let _alone = alone();
    let edge = edge();
    let _proxy = Proxy::start(&edge.stage);
    let mut phone = caller(&edge);
    for _ in 0..12 {
        let status = phone.call(&edge.number(FORWARDED)).err();
        assert_eq!(status, Some(Some(403)));
    }
    assert_eq!(edge.trunk.invites().len(), 12, "the trunk was asked");
    for heard in &phone.heard {
        let text = String::from_utf8_lossy(&heard.bytes);
        assert!(!is_barred(&heard.bytes), "the caller was told: {text}");
    }
}

/// What the example calls barred is barred: each prefix of its list, as an ordinary number.
#[test]
fn each_prefix_of_the_shipped_list_is_barred() {
    let _alone = alone();
    let edge = edge();
    let _proxy = Proxy::start(&edge.stage);
    let mut phone = caller(&edge);
    let list = shipped::file("barred.txt");
    let prefixes = list
        .lines()
        .filter(|line| line.starts_with('+'))
        .filter_map(|line| line.split('=').next().map(str::trim));
    let mut count = 0;
    for prefix in prefixes {
        for number in [
            format!("{prefix}{MARK}"),
            format!("00{}{MARK}", &prefix[1..]),
        ] {
            let status = phone.call(&edge.number(&number)).err();
            assert_eq!(status, Some(Some(403)), "{number}");
        }
        count += 1;
    }
    assert!(count > 20, "{count} prefixes");
    assert!(edge.trunk.invites().is_empty());
}
