//! Requests, decent and hostile.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{hostile_uri, hostile_value, uri};
use crate::testing::Request;
use crate::{AddressKind, Anomalies, Dialog, Transport, Zone};

/// Requests as phones, PBXs and trunks send them, outside and inside of dialogs.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::testing::any;
/// proptest!(|(request in any::request())| {
///     prop_assert!(request.seen(|request| request.from().uri().whole().len() > 4));
/// });
/// ```
pub fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        6 => Just("INVITE"),
        2 => Just("REGISTER"),
        1 => Just("OPTIONS"),
        1 => Just("MESSAGE"),
        1 => Just("BYE"),
        1 => Just("UPDATE"),
    ];
    let agent = option::of("[A-Z][a-z]{2,8}/[1-9][.][0-9]");
    let streams = vec((any::<bool>(), any::<bool>()), 0..3);
    let dialog = prop_oneof![4 => Just(Dialog::None), 1 => Just(Dialog::Confirmed)];
    let sender = (address(), transport(), zone(), peer());
    (method, uri(), uri(), sender, dialog, agent, streams).prop_map(
        |(method, to, from, (address, transport, zone, peer), dialog, agent, streams)| {
            let request = Request::new(method, &to)
                .from_uri(&from)
                .from_tag("a7")
                .from_address(&address)
                .transport(transport)
                .zone(zone)
                .dialog(dialog);
            let request = match &agent {
                Some(agent) => request.user_agent(agent),
                None => request,
            };
            let request = match peer {
                Some(name) => request.peer_name(name),
                None => request,
            };
            streams
                .into_iter()
                .fold(request, |request, (video, encrypted)| {
                    let kind = if video { "video" } else { "audio" };
                    let protocol = if encrypted { "RTP/SAVP" } else { "RTP/AVP" };
                    request.offer(kind, protocol, encrypted)
                })
        },
    )
}

/// Requests as attackers send them, as far as a host lets them through: unknown
/// methods, URIs that try to be read otherwise, bytes that are no text, headers without
/// end, offers that point inside, scores at the ends of their range.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::testing::any;
/// proptest!(|(request in any::hostile_request())| {
///     // Nothing of it makes the accessors panic.
///     request.seen(|request| {
///         let _ = (request.raw(), request.headers("Contact"), request.annotation("x"));
///         let _ = (request.request_uri().dialled(), request.offer().count());
///     });
/// });
/// ```
pub fn hostile_request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        6 => Just("INVITE".to_owned()),
        2 => Just("REGISTER".to_owned()),
        1 => Just("invite".to_owned()),
        2 => "[!%'*+.0-9A-Z_`a-z~-]{1,40}",
    ];
    let names = option::of("[ -~\u{80}-\u{2ff}]{0,200}");
    let addressed =
        (method, hostile_uri(), hostile_uri(), names).prop_map(|(method, to, from, name)| {
            let request = Request::new(&method, &to).from_uri(&from).to_uri(&from);
            match &name {
                Some(name) => request.from_display(name).user_agent(name),
                None => request,
            }
        });
    let sender = (address(), any::<u16>(), transport(), zone(), peer());
    let odd = (any::<u16>(), any::<i32>(), dialog());
    (addressed, sender, odd, carried(), offered()).prop_map(
        |(request, (address, port, transport, zone, peer), odd, (lines, body), streams)| {
            let request = request
                .from_address(&address)
                .from_port(port)
                .transport(transport)
                .zone(zone)
                .anomalies(Anomalies::from_bits_truncate(odd.0))
                .score(odd.1)
                .dialog(odd.2)
                .body(body);
            let request = match peer {
                Some(name) => request.peer_name(name),
                None => request,
            };
            let lines = lines.into_iter();
            let request = lines.fold(request, |request, (name, value)| {
                request.header(name, value)
            });
            let streams = streams.into_iter();
            streams.fold(
                request,
                |request, (kind, protocol, encrypted, (address, of))| {
                    request
                        .offer(&kind, &protocol, encrypted)
                        .offer_address(address, of)
                },
            )
        },
    )
}

type Line = (&'static str, Vec<u8>);

/// Header lines and a body.
fn carried() -> impl Strategy<Value = (Vec<Line>, Vec<u8>)> {
    let lines = vec((header(), hostile_value()), 0..24);
    (lines, vec(any::<u8>(), 0..600))
}

type Stream = (String, String, bool, (&'static str, AddressKind));

/// Streams of an offer.
fn offered() -> impl Strategy<Value = Vec<Stream>> {
    vec(
        (".{0,12}", ".{0,20}", any::<bool>(), hostile_address()),
        0..6,
    )
}

fn header() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Contact",
        "m",
        "Refer-To",
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Diversion",
        "Authorization",
        "Proxy-Authorization",
        "Subject",
        "s",
        "Identity",
        "X-Forwarded-For",
        "CONTACT",
    ])
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
        2 => any::<[u8; 16]>().prop_map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
        1 => Just("::ffff:192.0.2.1".to_owned()),
        1 => Just("192.0.2.1".to_owned()),
    ]
}

fn hostile_address() -> impl Strategy<Value = (&'static str, AddressKind)> {
    prop::sample::select(vec![
        ("192.0.2.1", AddressKind::Public),
        ("10.0.0.1", AddressKind::Private),
        ("127.0.0.1", AddressKind::Loopback),
        ("169.254.169.254", AddressKind::LinkLocal),
        ("224.0.0.1", AddressKind::Multicast),
        ("0.0.0.0", AddressKind::Unspecified),
        ("240.0.0.1", AddressKind::Reserved),
        ("media.example.com", AddressKind::Own),
    ])
}

fn transport() -> impl Strategy<Value = Transport> {
    prop::sample::select(vec![
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ])
}

fn dialog() -> impl Strategy<Value = Dialog> {
    prop::sample::select(vec![Dialog::None, Dialog::Early, Dialog::Confirmed])
}

fn zone() -> impl Strategy<Value = Zone> {
    prop_oneof![Just(Zone::Outside), Just(Zone::Inside)]
}

fn peer() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![3 => Just(None), 1 => Just(Some("office")), 1 => Just(Some("carrier"))]
}
