//! Telephone numbers and the ways to write them.

use proptest::collection::vec;
use proptest::prelude::*;

/// Numbers of E.164 with their `+`, 7 to 15 digits. Not each is in the plan of its
/// country.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::testing::any;
/// proptest!(|(number in any::number())| prop_assert!(number.starts_with('+')));
/// ```
pub fn number() -> impl Strategy<Value = String> {
    "[+][1-9][0-9]{6,14}"
}

/// How one character of a number is written.
#[derive(Clone, Copy, Debug)]
enum Written {
    Plain,
    Escaped,
    EscapedLower,
}

/// What stands around a number.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Sip,
    Sips,
    SipOfPhone,
    ShoutedSip,
    SipWithUserParam,
    SipWithPassword,
    Tel,
    TelWithParam,
}

/// URIs that all dial this number: escaped, with separators and parameters, as `sip:`,
/// `sips:` and `tel:`. A policy that treats one of them otherwise can be walked around.
/// Escapes are as attackers write them, those of digits included.
///
/// ```
/// use proptest::prelude::*;
/// use sipward_plugin_sdk::{Uri, testing::any};
/// proptest!(|(uri in any::spelling("+4930123456"))| {
///     let dialled = Uri::parse(uri.as_bytes()).unwrap().dialled();
///     prop_assert_eq!(dialled.as_deref(), Some("+4930123456"));
/// });
/// ```
pub fn spelling(number: &str) -> impl Strategy<Value = String> + use<> {
    let number: Vec<char> = number.chars().collect();
    let written = prop_oneof![
        4 => Just(Written::Plain),
        1 => Just(Written::Escaped),
        1 => Just(Written::EscapedLower),
    ];
    let separator = prop_oneof![
        6 => Just(""),
        1 => Just("-"),
        1 => Just("."),
        1 => Just("("),
        1 => Just(")"),
        1 => Just("%20"),
    ];
    let frame = prop_oneof![
        Just(Frame::Sip),
        Just(Frame::Sips),
        Just(Frame::SipOfPhone),
        Just(Frame::ShoutedSip),
        Just(Frame::SipWithUserParam),
        Just(Frame::SipWithPassword),
        Just(Frame::Tel),
        Just(Frame::TelWithParam),
    ];
    let length = number.len();
    (frame, vec((written, separator), length)).prop_map(move |(frame, ways)| {
        let mut text = String::new();
        for (character, (written, separator)) in number.iter().zip(ways) {
            match written {
                Written::Plain => text.push(*character),
                Written::Escaped => text.push_str(&format!("%{:02X}", *character as u32)),
                Written::EscapedLower => text.push_str(&format!("%{:02x}", *character as u32)),
            }
            text.push_str(separator);
        }
        framed(frame, &text)
    })
}

fn framed(frame: Frame, number: &str) -> String {
    match frame {
        Frame::Sip => format!("sip:{number}@example.com"),
        Frame::Sips => format!("sips:{number}@example.com:5061"),
        Frame::SipOfPhone => format!("sip:{number}@[2001:db8::1];user=phone"),
        Frame::ShoutedSip => format!("SIP:{number}@EXAMPLE.COM"),
        Frame::SipWithUserParam => format!("sip:{number};isub=1@example.com?Subject=x"),
        Frame::SipWithPassword => format!("sip:{number}:secret@example.com"),
        Frame::Tel => format!("tel:{number}"),
        Frame::TelWithParam => format!("Tel:{number};isub=1"),
    }
}
