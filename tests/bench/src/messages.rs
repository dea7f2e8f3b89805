//! What is measured: an INVITE with SDP of 1.1 kB as a PBX sends it to a trunk, its 200 and
//! the BYE of the call.

use bytes::Bytes;

/// An INVITE through a preloaded Route, with an SDP offer.
pub fn invite() -> Bytes {
    with_line_ends(&format!(
        "{INVITE_HEAD}Content-Length: {}\n\n{SDP}",
        SDP.replace('\n', "\r\n").len()
    ))
}

/// The same INVITE with one more header line.
pub fn invite_with(name: &str, value: &str) -> Bytes {
    with_line_ends(&format!(
        "{INVITE_HEAD}{name}: {value}\nContent-Length: {}\n\n{SDP}",
        SDP.replace('\n', "\r\n").len()
    ))
}

/// The same INVITE by somebody else to somewhere else, with an offer of SRTP. `from` is an
/// address in angle brackets with or without a name, `headers` whole lines.
pub fn encrypted_invite(from: &str, uri: &str, headers: &str) -> Bytes {
    let head = INVITE_HEAD
        .replace("\"Alice Example\" <sip:+498912345@pbx.example.com>", from)
        .replace("<sip:+498912345@pbx.example.com>", from)
        .replace(REQUEST_URI, uri);
    let sdp = SDP.replace("RTP/AVP", "RTP/SAVP").replace(
        "a=sendrecv\n",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\na=sendrecv\n",
    );
    with_line_ends(&format!(
        "{head}{headers}Content-Length: {}\n\n{sdp}",
        sdp.replace('\n', "\r\n").len()
    ))
}

/// The Request-URI of the INVITE.
pub const REQUEST_URI: &str = "sip:+493012345678@trunk.example.net;user=phone";

/// The 200 to the INVITE, as it comes back to the proxy.
pub fn ok() -> Bytes {
    with_line_ends(&format!(
        "{OK_HEAD}Content-Length: {}\n\n{SDP}",
        SDP.replace('\n', "\r\n").len()
    ))
}

/// The BYE of the caller.
pub fn bye() -> Bytes {
    with_line_ends(BYE)
}

fn with_line_ends(text: &str) -> Bytes {
    Bytes::from(text.replace('\n', "\r\n"))
}

const INVITE_HEAD: &str = "\
INVITE sip:+493012345678@trunk.example.net;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---7d3c1b2a94e7f001;rport
Max-Forwards: 70
Route: <sip:proxy.example.com;lr>
From: \"Alice Example\" <sip:+498912345@pbx.example.com>;tag=9fxced76sl
To: <sip:+493012345678@trunk.example.net;user=phone>
Call-ID: 3848276298220188511@pbx.example.com
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.10:5060;transport=udp>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE, PRACK
Supported: replaces, 100rel, timer
Session-Expires: 1800;refresher=uac
Min-SE: 90
Expires: 180
Accept: application/sdp
Date: Thu, 01 Jan 2026 12:00:00 GMT
P-Asserted-Identity: <sip:+498912345@pbx.example.com>
User-Agent: Example-PBX/16.4
Content-Type: application/sdp
";

const OK_HEAD: &str = "\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKc0ffee7a11.1;received=192.0.2.1
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---7d3c1b2a94e7f001;rport=5060
Record-Route: <sip:192.0.2.1;lr>
From: \"Alice Example\" <sip:+498912345@pbx.example.com>;tag=9fxced76sl
To: <sip:+493012345678@trunk.example.net;user=phone>;tag=314159
Call-ID: 3848276298220188511@pbx.example.com
CSeq: 1 INVITE
Contact: <sip:+493012345678@198.51.100.7:5060>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, PRACK
Supported: timer
Session-Expires: 1800;refresher=uac
Server: Example-Trunk/3.1
Content-Type: application/sdp
";

const BYE: &str = "\
BYE sip:+493012345678@198.51.100.7:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---9a1c1b2a94e7f002;rport
Max-Forwards: 70
Route: <sip:192.0.2.1;lr>
From: \"Alice Example\" <sip:+498912345@pbx.example.com>;tag=9fxced76sl
To: <sip:+493012345678@trunk.example.net;user=phone>;tag=314159
Call-ID: 3848276298220188511@pbx.example.com
CSeq: 2 BYE
Content-Length: 0

";

const SDP: &str = "\
v=0
o=- 1700000000 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 16384 RTP/AVP 9 8 0 101
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:150
a=rtcp:16385 IN IP4 192.0.2.10
a=ssrc:1482733942 cname:alice@192.0.2.10
a=sendrecv
";

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{Anomalies, Limits, Message};

    #[test]
    fn the_messages_are_sound_and_of_the_size_they_are_said_to_have() {
        let parse = |bytes: Bytes| Message::parse_datagram(bytes, &Limits::default()).unwrap();
        let invite = parse(invite());
        assert!(
            (1_090..=1_190).contains(&invite.bytes().len()),
            "{}",
            invite.bytes().len()
        );
        assert_eq!(invite.anomalies(), Anomalies::NONE);
        assert_eq!(invite.request_uri().raw, REQUEST_URI.as_bytes());
        assert_eq!(invite.routes().count(), 1);
        let answer = parse(ok());
        assert_eq!(answer.status(), Some(200));
        assert_eq!(answer.vias().count(), 2);
        let end = parse(bye());
        assert!(end.bytes().len() < 500);
        assert_eq!(end.content_length(), Some(0));
        let more = parse(invite_with("X-More", "yes"));
        assert_eq!(more.header_named(b"x-more"), Some(&b"yes"[..]));
        assert_eq!(more.body(), invite.body());
        let other = parse(encrypted_invite(
            "\"Bob\" <sip:bob@example.com>",
            "sip:1@example.com",
            "X-More: yes\n",
        ));
        assert_eq!(other.anomalies(), Anomalies::NONE);
        assert_eq!(other.request_uri().raw, b"sip:1@example.com");
        assert_eq!(
            other.header_named(b"p-asserted-identity"),
            Some(&b"\"Bob\" <sip:bob@example.com>"[..])
        );
        assert_eq!(other.header_named(b"x-more"), Some(&b"yes"[..]));
        assert_eq!(other.content_length(), Some(other.body().len()));
    }
}
