//! URIs, and what stands where one is expected.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::Uri;

/// URIs of callers and callees as phones write them.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::{Uri, testing::any};
/// proptest!(|(uri in any::uri())| prop_assert!(Uri::parse(uri.as_bytes()).is_some()));
/// ```
pub fn uri() -> impl Strategy<Value = String> {
    let user = prop_oneof!["[a-z]{1,12}", "[+]?[1-9][0-9]{2,14}", "[a-z]+[.][a-z]+"];
    let host = prop_oneof![
        Just("example.com".to_owned()),
        Just("192.0.2.7".to_owned()),
        Just("[2001:db8::7]".to_owned()),
        "[a-z]{1,8}[.]example",
    ];
    let tail = prop_oneof![
        3 => Just(""),
        1 => Just(":5060"),
        1 => Just(";user=phone"),
        1 => Just(":5061;transport=tcp;lr"),
    ];
    prop_oneof![
        6 => (user, host, tail).prop_map(|(user, host, tail)| format!("sip:{user}@{host}{tail}")),
        1 => "sips:[a-z]{1,12}@example[.]com",
        1 => "tel:[+][1-9][0-9]{6,14}",
        1 => Just("sip:example.com".to_owned()),
    ]
}

/// URIs that a host accepts and that try to be read in another way: escapes, passwords,
/// parameters inside the user part, shouted schemes, foreign schemes, great length.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::{Uri, testing::any};
/// proptest!(|(uri in any::hostile_uri())| {
///     // Whatever it is: it is read without a panic, and in one way.
///     let uri = Uri::parse(uri.as_bytes()).unwrap();
///     let _ = (uri.user(), uri.host(), uri.dialled());
/// });
/// ```
pub fn hostile_uri() -> impl Strategy<Value = String> {
    let crafted = prop_oneof![
        "sip:(%[0-9a-fA-F]{2}){1,20}@example[.]com",
        "sip:[0-9]{1,6}(%00|%0d%0a|%40|%3b|%25)[0-9]{1,6}@example[.]com",
        "sip:[+]*[0-9*#]{0,20};(phone-context|rn|npdi)=[+]?[0-9]{0,8}@example[.]com",
        "sip:[a-z]{1,8}:[!-?A-Z]{0,12}@example[.]com",
        "SiPs:[A-Z]{1,8}@EXAMPLE[.]COM:0{0,3}5061",
        "sip:[0-9]{200,600}@example[.]com",
        "sip:[a-z]{1,8}@(127[.]0[.]0[.]1|0[.]0[.]0[.]0|localhost|\\[::1\\])(;maddr=192[.]0[.]2[.]1)?",
        "tel:[+]?[-.()0-9]{1,40}(;phone-context=[+a-z0-9.]{1,12})?",
        "(urn:service:sos|im:bob|http://example[.]com/|data:,)[a-z]{0,4}",
        "sip:[a-z]{1,8}@example[.]com(;[a-z]{0,3}(=[a-z0-9%]{0,6})?){1,30}",
        "sip:[a-z]{1,8}@example[.]com[?](Route|Via|From)=[%a-z0-9]{0,12}",
    ];
    // A request whose URI cannot be read, or in two ways, reaches no policy.
    prop_oneof![8 => crafted, 2 => "[a-z]{1,4}:[!-~]{0,80}"]
        .prop_filter("a host refuses it", |uri| {
            Uri::parse(uri.as_bytes()).is_some()
        })
}

/// Values of header lines from strangers: bytes without CR, LF and NUL, which no host
/// lets through, among them addresses with quotes and brackets in the wrong places.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::{Uri, testing::any};
/// proptest!(|(value in any::hostile_value())| {
///     if let Some(uri) = Uri::parse_address(&value) {
///         prop_assert!(!uri.whole().is_empty());
///     }
/// });
/// ```
pub fn hostile_value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no host lets it through", |byte| {
        !matches!(byte, b'\r' | b'\n' | 0)
    });
    let address = "[\"<>;,@\\\\ ?a:]{0,12}(<?sip:[a-z0-9]{1,6}@[a-z]{1,6}>?)?[\"<>;,=@ ]{0,12}";
    prop_oneof![
        2 => vec(byte, 0..120),
        2 => address.prop_map(String::into_bytes),
        1 => uri().prop_map(|uri| format!("\"Bob\" <{uri}>;tag=1").into_bytes()),
        1 => (0..4_000_usize).prop_map(|length| vec![b'('; length]),
    ]
}
