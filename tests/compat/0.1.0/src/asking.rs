//! Reads every fact and calls every function of the host.

use core::fmt::Debug;

use crate::Text;
use crate::sipward::policy::messages::Message;
use crate::sipward::policy::outcomes::DigestAlgorithm;
use crate::sipward::policy::types::{IpAddress, RequestFacts};
use crate::sipward::policy::{
    clock, counters, credentials, geo, identity, keyvalue, leases, lists, log, numbers, random,
};

/// One line of what the facts say.
pub(crate) fn facts(facts: &RequestFacts, message: &Message) -> String {
    let text = Text(&facts.text);
    let maybe = |span: Option<u64>| span.map(|span| text.at(span)).unwrap_or_default();
    let peer = &facts.peer;
    let certificate = peer.certificate.map(|it| {
        format!(
            "{}/{}/{}",
            text.at(it.names),
            text.at(it.fingerprint),
            text.at(it.issuer)
        )
    });
    let streams: Vec<String> = facts
        .offer
        .iter()
        .map(|it| {
            let (kind, protocol) = (text.at(it.kind), text.at(it.protocol));
            let place = format!("{}:{} {:?}", text.at(it.address), it.port, it.address_kind);
            format!("{kind} {protocol} {} {place}", it.encrypted)
        })
        .collect();
    let raw = message.raw();
    [
        text.at(facts.method_name),
        text.at(facts.request_uri.whole),
        text.at(facts.request_uri.host),
        text.at(facts.request_uri.params),
        text.at(facts.from.uri.whole),
        maybe(facts.from.tag),
        maybe(facts.to.display),
        text.at(facts.call_id),
        maybe(facts.user_agent),
        maybe(peer.name),
        format!("{:?} {:?} {}", peer.transport, peer.zone, peer.port),
        certificate.unwrap_or_default(),
        format!("{:?} {:?}", facts.dialog, facts.anomalies),
        maybe(facts.identity),
        streams.join(","),
        format!("{} {}", facts.score, facts.size as usize == raw.len()),
        text.at(facts.annotations),
        format!("{}", message.header_names().len()),
        format!("{}", message.headers("Via").len()),
        format!("{}", message.body().len()),
    ]
    .join("|")
}

/// One line of what the host keeps.
pub(crate) fn state() -> String {
    log::write(log::Level::Info, "asks for everything");
    let volatile = counters::Durability::Volatile;
    let counted = counters::add("calls", b"all", 2, 60_000, volatile);
    let taken = counters::take("tokens", b"all", 1, 3, 1_000);
    let reset = counters::reset("calls", b"all");
    let set = keyvalue::set("last", b"seen", 0);
    let value = keyvalue::get("last").map(|value| value.map(|it| it.len()));
    let deleted = keyvalue::delete("last");
    let held = leases::hold("calls", b"alice", 1, 2);
    let all = leases::held("calls", b"alice");
    [
        format!("clock {}", clock::now_ms()),
        format!("counted {} {}", told(counted), told(reset)),
        format!("taken {}", told(taken.map(|it| (it.taken, it.remaining)))),
        format!("value {} {} {}", told(set), told(value), told(deleted)),
        format!(
            "held {} {}",
            told(held.map(|it| (it.granted, it.held))),
            told(all)
        ),
        format!("random {}", random::next_u64() != random::next_u64()),
    ]
    .join("|")
}

/// One line of what the host knows.
pub(crate) fn lookups(facts: &RequestFacts, message: &Message) -> String {
    let algorithms = [DigestAlgorithm::Sha256];
    let verified = credentials::verify(message, "example.com", &algorithms);
    let code = credentials::check_code("alice", "0000");
    let place = geo::locate(match facts.peer.address {
        IpAddress::Ipv4(address) => IpAddress::Ipv4(address),
        IpAddress::Ipv6(address) => IpAddress::Ipv6(address),
    });
    let number = numbers::parse("030 123456", "DE");
    let found = lists::find("prices", "+49");
    let longest = lists::longest_prefix("prices", "+4930123456");
    let (tls, users) = (identity::tls().is_some(), identity::verified().len());
    [
        format!("verified {verified:?} {code:?}"),
        format!("place {}", told(place.map(|it| it.country))),
        format!("number {}", told(number.map(|it| (it.e164, it.class)))),
        format!(
            "lists {} {}",
            told(found),
            told(longest.map(|it| it.map(|it| it.key)))
        ),
        format!("identity {tls} {users} {:?}", identity::groups("alice")),
    ]
    .join("|")
}

/// An answer; errors say a lot about themselves, and a reason has its limit.
fn told<T: Debug, E>(answer: Result<T, E>) -> String {
    answer.map_or_else(|_| "error".to_owned(), |answer| format!("{answer:?}"))
}
