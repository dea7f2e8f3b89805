//! From a frame to an IP datagram, through whatever the link puts before it.

use std::borrow::Cow;
use std::net::IpAddr;

use etherparse::{
    EtherType, IpFragOffset, Ipv6ExtensionSlice, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket,
};

/// Link types, as <https://www.tcpdump.org/linktypes.html> numbers them.
const NULL: i32 = 0;
const ETHERNET: i32 = 1;
const RAW: [i32; 5] = [12, 14, 101, 228, 229];
const LOOP: i32 = 108;
const LINUX_SLL: i32 = 113;
const LINUX_SLL2: i32 = 276;

/// What IP carried, or a fragment of it.
#[derive(Clone, Debug)]
pub(super) struct Datagram<'f> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Number of the protocol within.
    pub(super) protocol: u8,
    pub(super) payload: Cow<'f, [u8]>,
    pub(super) fragment: Option<Fragment>,
}

/// Where a fragment belongs: RFC 791 section 3.2, RFC 8200 section 4.5.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) identification: u32,
    pub(super) offset: IpFragOffset,
    pub(super) more: bool,
}

/// The datagram of a frame; none if it is no IP or is cut off.
pub(super) fn datagram(link: i32, frame: &[u8]) -> Option<Datagram<'_>> {
    let packet = match link {
        ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok()?,
        NULL | LOOP => LaxSlicedPacket::from_ip(frame.get(4..)?).ok()?,
        LINUX_SLL => typed(frame.get(14..16)?, frame.get(16..)?)?,
        LINUX_SLL2 => typed(frame.get(..2)?, frame.get(20..)?)?,
        raw if RAW.contains(&raw) => LaxSlicedPacket::from_ip(frame).ok()?,
        _ => return None,
    };
    let (source, destination, payload, fragment) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let fragment = header.is_fragmenting_payload().then(|| Fragment {
                identification: u32::from(header.identification()),
                offset: header.fragments_offset(),
                more: header.more_fragments(),
            });
            let source = IpAddr::from(header.source_addr());
            let destination = IpAddr::from(header.destination_addr());
            (source, destination, whole(ip.payload())?, fragment)
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let extensions = ip.extensions().clone().into_iter();
            let fragment = extensions.filter_map(fragment_header).next();
            let source = IpAddr::from(header.source_addr());
            let destination = IpAddr::from(header.destination_addr());
            (source, destination, whole(ip.payload())?, fragment)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    Some(Datagram {
        source: source.to_canonical(),
        destination: destination.to_canonical(),
        protocol: payload.ip_number.0,
        payload: Cow::Borrowed(payload.payload),
        fragment,
    })
}

fn fragment_header(extension: Ipv6ExtensionSlice<'_>) -> Option<Fragment> {
    let Ipv6ExtensionSlice::Fragment(slice) = extension else {
        return None;
    };
    let header = slice.to_header();
    header.is_fragmenting_payload().then_some(Fragment {
        identification: header.identification,
        offset: header.fragment_offset,
        more: header.more_fragments,
    })
}

/// The payload, unless the capture cut it off.
fn whole<'f>(payload: &LaxIpPayloadSlice<'f>) -> Option<LaxIpPayloadSlice<'f>> {
    (!payload.incomplete).then(|| payload.clone())
}

/// What an EtherType says follows.
fn typed<'f>(kind: &[u8], payload: &'f [u8]) -> Option<LaxSlicedPacket<'f>> {
    let kind = u16::from_be_bytes(kind.try_into().ok()?);
    Some(LaxSlicedPacket::from_ether_type(EtherType(kind), payload))
}
