//! RFC 4475: the messages of sections 3.1 to 3.4, and `test.dat` of its archive.

use sip_message::{Anomalies, HeaderKind, Host, Method, ParseErrorKind, Scheme, UriError};

use crate::Expect::{self, Accept};
use crate::{COMPACT, NONE, both};

fn valid_4475() -> Vec<(&'static str, Expect)> {
    vec![
        (
            "wsinv.dat",
            Accept(
                both(
                    both(Anomalies::FOLDED_HEADER, Anomalies::SPACE_BEFORE_COLON),
                    both(COMPACT, Anomalies::RFC2543_BRANCH),
                ),
                |m| {
                    assert_eq!(m.to_tag(), Some(&b"1918181833n"[..]));
                    assert_eq!(m.from_tag(), Some(&b"98asjd8"[..]));
                    assert_eq!(m.from().display, Some(&br#""J Rosenberg \\\"""#[..]));
                    assert_eq!(m.max_forwards(), Some(68));
                    assert_eq!((m.cseq().number, m.cseq().method), (9, Method::Invite));
                    let branches: Vec<_> =
                        m.vias().map(|via| via.branch.unwrap().to_vec()).collect();
                    assert_eq!(
                        branches,
                        [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]
                    );
                    assert_eq!(
                        m.header_named(b"NewFangledHeader"),
                        Some(&b"newfangled value continued newfangled value"[..])
                    );
                    assert_eq!(
                        m.header_named(b"UnknownHeaderWithUnusualValue"),
                        Some(&b";;,,;;,;"[..])
                    );
                    assert_eq!(m.header(HeaderKind::Subject), Some(&b""[..]));
                    assert!(m.routes().next().unwrap().unwrap().uri.is_lr());
                    let contact = m.contacts().next().unwrap().unwrap();
                    assert_eq!(contact.param(b"newparam"), Some(Some(&b"newvalue"[..])));
                    assert_eq!(contact.param(b"secondparam"), Some(None));
                    assert_eq!(contact.param(b"q"), Some(Some(&b"0.33"[..])));
                    assert_eq!(m.body().len(), 150);
                },
            ),
        ),
        (
            "intmeth.dat",
            Accept(Anomalies::CONTROL_CHARACTER, |m| {
                assert_eq!(m.method(), Method::Other);
                assert_eq!(
                    m.method_name(),
                    b"!interesting-Method0123456789_*+`.%indeed'~"
                );
                let uri = m.request_uri();
                assert_eq!(
                    uri.user,
                    Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..])
                );
                assert_eq!(
                    uri.password,
                    Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..])
                );
                assert_eq!(uri.host, Host::Name(b"example.com"));
                assert_eq!(m.to().display, Some(&br#""BEL:\? NUL:\? DEL:\?""#[..]));
                assert_eq!(m.max_forwards(), Some(255));
            }),
        ),
        (
            "esc01.dat",
            Accept(both(COMPACT, Anomalies::FOLDED_HEADER), |m| {
                assert_eq!(
                    m.request_uri().user,
                    Some(&b"sips%3Auser%40example.com"[..])
                );
                assert_eq!(m.request_uri().host, Host::Name(b"example.net"));
                assert!(
                    !m.contacts().next().unwrap().unwrap().uri.is_lr(),
                    "an escaped name is decoded by nobody"
                );
            }),
        ),
        (
            "escnull.dat",
            Accept(COMPACT, |m| assert_eq!(m.contacts().count(), 2)),
        ),
        (
            "esc02.dat",
            Accept(COMPACT, |m| {
                assert_eq!(m.method(), Method::Other, "RE%47IST%45R is no REGISTER");
                assert_eq!(m.contacts().count(), 2, "C%6Fntact is no Contact");
            }),
        ),
        (
            "lwsdisp.dat",
            Accept(COMPACT, |m| {
                assert_eq!(m.from().display, Some(&b"caller"[..]))
            }),
        ),
        (
            "longreq.dat",
            Accept(
                both(
                    both(COMPACT, Anomalies::SPACE_BEFORE_COLON),
                    Anomalies::RFC2543_BRANCH,
                ),
                |m| {
                    assert_eq!(m.vias().count(), 34);
                    assert_eq!(m.to().uri.port, Some(6000));
                },
            ),
        ),
        (
            "dblreq.dat",
            Accept(both(COMPACT, Anomalies::TRAILING_BYTES), |m| {
                assert_eq!(m.method(), Method::Register);
                assert!(m.body().is_empty());
                assert!(m.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
            }),
        ),
        (
            "semiuri.dat",
            Accept(both(COMPACT, Anomalies::FOLDED_HEADER), |m| {
                assert_eq!(m.request_uri().user, Some(&b"user;par=u%40example.net"[..]));
                assert_eq!(m.request_uri().host, Host::Name(b"example.com"));
                assert_eq!(m.values(HeaderKind::Accept).count(), 6);
            }),
        ),
        (
            "transports.dat",
            Accept(COMPACT, |m| {
                let transports: Vec<_> = m.vias().map(|via| via.transport.to_vec()).collect();
                assert_eq!(
                    transports,
                    [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]
                );
            }),
        ),
        (
            "mpart01.dat",
            Accept(NONE, |m| {
                assert_eq!(m.body().len(), 553);
                assert_eq!(m.top_via().rport, Some(None));
            }),
        ),
        (
            "unreason.dat",
            Accept(NONE, |m| {
                assert!(
                    std::str::from_utf8(m.reason_phrase())
                        .unwrap()
                        .starts_with("= 2**3")
                )
            }),
        ),
        (
            "noreason.dat",
            Accept(NONE, |m| {
                assert_eq!((m.status(), m.reason_phrase()), (Some(100), &b""[..]))
            }),
        ),
        ("test.dat", refuse!(ParseErrorKind::HeaderLine, None)),
    ]
}

fn invalid_4475() -> Vec<(&'static str, Expect)> {
    vec![
        // Its topmost Via is unreadable: there is nowhere to send an answer.
        ("badinv01.dat", refuse!(ParseErrorKind::Via(_), None)),
        (
            "clerr.dat",
            refuse!(ParseErrorKind::BodyTruncated, Some(400)),
        ),
        (
            "ncl.dat",
            refuse!(ParseErrorKind::Value(HeaderKind::ContentLength), Some(400)),
        ),
        (
            "scalar02.dat",
            refuse!(ParseErrorKind::Value(HeaderKind::CSeq), Some(400)),
        ),
        (
            "scalarlg.dat",
            refuse!(ParseErrorKind::Value(HeaderKind::CSeq), None),
        ),
        (
            "quotbal.dat",
            refuse!(ParseErrorKind::Address(HeaderKind::To, _), Some(400)),
        ),
        (
            "ltgtruri.dat",
            refuse!(ParseErrorKind::RequestUri(UriError::Scheme), Some(400)),
        ),
        ("lwsruri.dat", refuse!(ParseErrorKind::StartLine, Some(400))),
        (
            "lwsstart.dat",
            refuse!(ParseErrorKind::StartLine, Some(400)),
        ),
        ("trws.dat", refuse!(ParseErrorKind::StartLine, Some(400))),
        (
            "escruri.dat",
            refuse!(ParseErrorKind::RequestUri(UriError::Headers), Some(400)),
        ),
        (
            "regbadct.dat",
            refuse!(ParseErrorKind::Address(HeaderKind::Contact, _), Some(400)),
        ),
        (
            "badaspec.dat",
            refuse!(ParseErrorKind::Address(HeaderKind::To, _), Some(400)),
        ),
        (
            "baddn.dat",
            refuse!(ParseErrorKind::Address(HeaderKind::From, _), Some(400)),
        ),
        ("badvers.dat", refuse!(ParseErrorKind::Version, Some(505))),
        (
            "mismatch01.dat",
            refuse!(ParseErrorKind::MethodMismatch, Some(400)),
        ),
        (
            "mismatch02.dat",
            refuse!(ParseErrorKind::MethodMismatch, Some(400)),
        ),
        ("bigcode.dat", refuse!(ParseErrorKind::StartLine, None)),
        (
            "multi01.dat",
            refuse!(ParseErrorKind::Duplicate(HeaderKind::CSeq), Some(400)),
        ),
        (
            "mcl01.dat",
            refuse!(
                ParseErrorKind::Duplicate(HeaderKind::ContentLength),
                Some(400)
            ),
        ),
        // Neither From, To nor Call-ID: nobody could match an answer.
        ("insuf.dat", refuse!(ParseErrorKind::Missing(_), None)),
    ]
}

fn application_4475() -> Vec<(&'static str, Expect)> {
    vec![
        (
            "baddate.dat",
            Accept(NONE, |m| {
                assert!(m.header(HeaderKind::Date).unwrap().ends_with(b"EST"))
            }),
        ),
        (
            "badbranch.dat",
            Accept(both(COMPACT, Anomalies::RFC2543_BRANCH), |m| {
                assert!(!m.top_via().has_rfc3261_branch())
            }),
        ),
        (
            "unkscm.dat",
            Accept(NONE, |m| assert_eq!(m.request_uri().scheme, Scheme::Other)),
        ),
        (
            "novelsc.dat",
            Accept(NONE, |m| {
                assert_eq!(m.request_uri().scheme_name(), b"soap.beep")
            }),
        ),
        (
            "unksm2.dat",
            Accept(COMPACT, |m| {
                assert_eq!(m.to().uri.raw, b"isbn:2983792873");
                assert_eq!(m.from().uri.scheme_name(), b"http");
            }),
        ),
        (
            "bext01.dat",
            Accept(NONE, |m| {
                let required: Vec<_> = m.values(HeaderKind::ProxyRequire).collect();
                assert_eq!(
                    required,
                    [&b"noProxiesSupportThis"[..], b"norDoAnyProxiesSupportThis"]
                );
            }),
        ),
        (
            "invut.dat",
            Accept(NONE, |m| assert_eq!(m.body().len(), 40)),
        ),
        (
            "regaut01.dat",
            Accept(NONE, |m| {
                assert!(m.header(HeaderKind::Authorization).is_some())
            }),
        ),
        (
            "bcast.dat",
            Accept(NONE, |m| assert_eq!(m.vias().count(), 2)),
        ),
        (
            "zeromf.dat",
            Accept(NONE, |m| assert_eq!(m.max_forwards(), Some(0))),
        ),
        (
            "cparam01.dat",
            Accept(COMPACT, |m| {
                let contact = m.contacts().next().unwrap().unwrap();
                assert_eq!(contact.param(b"unknownparam"), Some(None));
                assert_eq!(contact.uri.param(b"unknownparam"), None);
            }),
        ),
        (
            "cparam02.dat",
            Accept(COMPACT, |m| {
                let contact = m.contacts().next().unwrap().unwrap();
                assert_eq!(contact.param(b"unknownparam"), None);
                assert_eq!(contact.uri.param(b"unknownparam"), Some(None));
            }),
        ),
        (
            "regescrt.dat",
            Accept(COMPACT, |m| {
                assert_eq!(
                    m.contacts().next().unwrap().unwrap().uri.headers,
                    b"Route=%3Csip:sip.example.com%3E"
                );
            }),
        ),
        (
            "sdp01.dat",
            Accept(NONE, |m| {
                assert_eq!(
                    m.header(HeaderKind::Accept),
                    Some(&b"text/nobodyKnowsThis"[..])
                )
            }),
        ),
        (
            "inv2543.dat",
            Accept(
                both(
                    both(Anomalies::RFC2543_BRANCH, Anomalies::MISSING_MAX_FORWARDS),
                    Anomalies::MISSING_CONTENT_LENGTH,
                ),
                |m| {
                    assert_eq!(m.from_tag(), None);
                    assert_eq!(m.content_length(), None);
                    assert_eq!(
                        m.header(HeaderKind::ContentLength).map(<[u8]>::to_vec),
                        Some(m.body().len().to_string().into_bytes())
                    );
                    assert_eq!(
                        m.record_routes().next().unwrap().unwrap().uri.maddr(),
                        Some(&b"ss1.example.com"[..])
                    );
                },
            ),
        ),
    ]
}

pub(crate) fn rows() -> Vec<(&'static str, Expect)> {
    let mut rows = valid_4475();
    rows.extend(invalid_4475());
    rows.extend(application_4475());
    rows
}
