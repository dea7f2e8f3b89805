//! RFC 5118: IPv6 in SIP.

use sip_message::{Anomalies, Host, Message, ParseErrorKind, UriError};

use crate::Expect::{self, Accept};
use crate::{FEED, NONE, both};

fn v6(text: &str) -> Host<'static> {
    Host::V6(text.parse().unwrap())
}

/// `line_ends` is what the line ends of the copy being read add to every accepted message. As
/// published, two bodies are shorter than their Content-Length.
pub(crate) fn rows(line_ends: Anomalies) -> Vec<(&'static str, Expect)> {
    let with_body = |facts: fn(&Message)| {
        if line_ends == FEED {
            refuse!(ParseErrorKind::BodyTruncated, Some(400))
        } else {
            Accept(NONE, facts)
        }
    };
    vec![
        (
            "ipv6-good",
            Accept(line_ends, |m| {
                assert_eq!(m.request_uri().host, v6("2001:db8::10"))
            }),
        ),
        (
            "ipv6-bad",
            refuse!(ParseErrorKind::RequestUri(UriError::Host), Some(400)),
        ),
        (
            "port-ambiguous",
            Accept(line_ends, |m| {
                assert_eq!(
                    (m.request_uri().host, m.request_uri().port),
                    (v6("2001:db8::10:5070"), None)
                );
            }),
        ),
        (
            "port-unambiguous",
            Accept(line_ends, |m| {
                assert_eq!(
                    (m.request_uri().host, m.request_uri().port),
                    (v6("2001:db8::10"), Some(5070))
                );
            }),
        ),
        (
            "via-received-param-with-delim",
            Accept(line_ends, |m| {
                assert_eq!(
                    m.top_via().received_address(),
                    Some("2001:db8::9:255".parse().unwrap())
                );
            }),
        ),
        (
            "via-received-param-no-delim",
            Accept(line_ends, |m| {
                assert_eq!(
                    m.top_via().received_address(),
                    Some("2001:db8::9:255".parse().unwrap())
                );
            }),
        ),
        (
            "ipv6-in-sdp",
            with_body(|m| assert_eq!(m.top_via().host, v6("2001:db8::20"))),
        ),
        (
            "mult-ip-in-header",
            Accept(line_ends, |m| {
                let hosts: Vec<_> = m.vias().map(|via| via.host.to_string()).collect();
                assert_eq!(hosts, ["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
                assert_eq!(m.top_via().port, Some(6050));
            }),
        ),
        (
            "mult-ip-in-sdp",
            with_body(|m| assert_eq!(m.request_uri().host, v6("2001:db8::10"))),
        ),
        (
            "ipv4-mapped-ipv6",
            Accept(line_ends, |m| {
                assert_eq!(
                    (m.top_via().host, m.top_via().port),
                    (v6("::ffff:192.0.2.10"), Some(19_823))
                );
            }),
        ),
        // Without the empty line, as the RFC prints them. RFC 5954 settles which one is right.
        (
            "ipv6-correct-abnf-2-colons",
            Accept(both(line_ends, Anomalies::OTHER), |m| {
                assert_eq!(m.request_uri().host, v6("2001:db8::192.0.2.1"));
            }),
        ),
        (
            "ipv6-bug-abnf-3-colons",
            refuse!(ParseErrorKind::RequestUri(UriError::Host), Some(400)),
        ),
    ]
}
