//! The host's terms as the interface has them.

use std::net::IpAddr;

use policy::{AddressKind, PartyMedia};
use sip_message::{Anomalies, Method};

use crate::bindings::types as wit;

pub(super) const fn media_figures(media: PartyMedia) -> wit::MediaFigures {
    wit::MediaFigures {
        packets: media.packets,
        octets: media.octets,
        lost: media.lost,
        rejected: media.rejected,
        jitter_us: media.jitter_us,
        mos_hundredths: media.mos_hundredths,
    }
}

pub(super) fn ip_address(address: IpAddr) -> wit::IpAddress {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            wit::IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            wit::IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

pub(super) fn address_kind(kind: AddressKind) -> wit::AddressKind {
    match kind {
        AddressKind::Public => wit::AddressKind::Public,
        AddressKind::Private => wit::AddressKind::Private,
        AddressKind::Loopback => wit::AddressKind::Loopback,
        AddressKind::LinkLocal => wit::AddressKind::LinkLocal,
        AddressKind::Multicast => wit::AddressKind::Multicast,
        AddressKind::Unspecified => wit::AddressKind::Unspecified,
        AddressKind::Reserved => wit::AddressKind::Reserved,
        AddressKind::Own => wit::AddressKind::Own,
    }
}

pub(super) fn method(method: Method) -> wit::Method {
    match method {
        Method::Invite => wit::Method::Invite,
        Method::Ack => wit::Method::Ack,
        Method::Bye => wit::Method::Bye,
        Method::Cancel => wit::Method::Cancel,
        Method::Register => wit::Method::Register,
        Method::Options => wit::Method::Options,
        Method::Prack => wit::Method::Prack,
        Method::Subscribe => wit::Method::Subscribe,
        Method::Notify => wit::Method::Notify,
        Method::Publish => wit::Method::Publish,
        Method::Info => wit::Method::Info,
        Method::Refer => wit::Method::Refer,
        Method::Message => wit::Method::Message,
        Method::Update => wit::Method::Update,
        Method::Other => wit::Method::Other,
    }
}

pub(super) fn anomalies(seen: Anomalies) -> wit::Anomalies {
    let cases = [
        (Anomalies::COMPACT_FORM, wit::Anomalies::COMPACT_FORM),
        (Anomalies::FOLDED_HEADER, wit::Anomalies::FOLDED_HEADER),
        (
            Anomalies::SPACE_BEFORE_COLON,
            wit::Anomalies::SPACE_BEFORE_COLON,
        ),
        (Anomalies::BARE_LINE_FEED, wit::Anomalies::BARE_LINE_FEED),
        (
            Anomalies::DUPLICATE_HEADER,
            wit::Anomalies::DUPLICATE_HEADER,
        ),
        (Anomalies::INVALID_UTF8, wit::Anomalies::INVALID_UTF8),
        (
            Anomalies::CONTROL_CHARACTER,
            wit::Anomalies::CONTROL_CHARACTER,
        ),
        (Anomalies::TRAILING_BYTES, wit::Anomalies::TRAILING_BYTES),
        (Anomalies::NEEDLESS_ESCAPE, wit::Anomalies::NEEDLESS_ESCAPE),
        (Anomalies::RFC2543_BRANCH, wit::Anomalies::RFC2543_BRANCH),
        (
            Anomalies::MISSING_MAX_FORWARDS,
            wit::Anomalies::MISSING_MAX_FORWARDS,
        ),
        (
            Anomalies::MISSING_CONTENT_LENGTH,
            wit::Anomalies::MISSING_CONTENT_LENGTH,
        ),
        (Anomalies::VIA_MISMATCH, wit::Anomalies::VIA_MISMATCH),
        (Anomalies::OTHER, wit::Anomalies::OTHER),
        (
            Anomalies::UNREADABLE_OFFER,
            wit::Anomalies::UNREADABLE_OFFER,
        ),
    ];
    let mut flags = wit::Anomalies::empty();
    if !seen.is_empty() {
        for (case, flag) in cases {
            if seen.contains(case) {
                flags |= flag;
            }
        }
    }
    flags
}
