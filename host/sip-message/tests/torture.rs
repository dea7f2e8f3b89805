//! Every message of RFC 4475 and RFC 5118 has a row here that says what becomes of it. The files
//! are read where they are present; a file without a row fails the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sip_message::{
    Anomalies, HeaderKind, Host, Limits, Message, Method, ParseErrorKind, Scheme, UriError,
};

/// What must become of a message.
enum Expect {
    /// Accepted, with exactly these oddities, and the facts hold.
    Accept(Anomalies, fn(&Message)),
    /// Refused for this reason; answered with this status, or with silence.
    Refuse(fn(&ParseErrorKind) -> bool, Option<u16>),
}

use Expect::{Accept, Refuse};

const NONE: Anomalies = Anomalies::NONE;
const COMPACT: Anomalies = Anomalies::COMPACT_FORM;
const FEED: Anomalies = Anomalies::BARE_LINE_FEED;

fn both(one: Anomalies, two: Anomalies) -> Anomalies {
    one | two
}

macro_rules! refuse {
    ($pattern:pat, $status:expr) => {
        Refuse(|kind| matches!(kind, $pattern), $status)
    };
}

fn corpus(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/corpus")
        .join(folder);
    path.is_dir().then_some(path)
}

fn parse(bytes: Vec<u8>) -> Result<Message, sip_message::ParseError> {
    Message::parse_datagram(Bytes::from(bytes), &Limits::default())
}

fn check(name: &str, bytes: Vec<u8>, expect: &Expect) {
    match (parse(bytes), expect) {
        (Ok(message), Accept(anomalies, facts)) => {
            assert_eq!(message.anomalies(), *anomalies, "{name}");
            facts(&message);
            // The normalised view is clean, and reading it again gives the same bytes.
            let again = parse(message.bytes().to_vec())
                .unwrap_or_else(|error| panic!("{name} again: {error}"));
            assert_eq!(again.bytes(), message.bytes(), "{name}");
            let head = &again.bytes()[..again.bytes().len() - again.body().len()];
            assert!(
                !head
                    .windows(2)
                    .any(|pair| pair[1] == b'\n' && pair[0] != b'\r'),
                "{name}"
            );
        }
        (Err(error), Refuse(reason, status)) => {
            assert!(reason(error.reason()), "{name}: {:?}", error.reason());
            assert_eq!(error.status(), *status, "{name}: {error}");
            let response = error.response(b"t1");
            assert_eq!(response.is_some(), status.is_some(), "{name}");
            if let (Some(response), Some(status)) = (response, status) {
                assert!(
                    response.starts_with(format!("SIP/2.0 {status} ").as_bytes()),
                    "{name}"
                );
            }
        }
        (Ok(message), Refuse(..)) => panic!("{name} was accepted with {:?}", message.anomalies()),
        (Err(error), Accept(..)) => panic!("{name} was refused: {error}"),
    }
}

fn run(folder: &str, rows: &[(&str, Expect)], read: fn(Vec<u8>) -> Vec<u8>) {
    let known: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(known.len(), rows.len(), "a row stands twice");
    let Some(path) = corpus(folder) else { return };
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&path).expect("the corpus can be listed") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a plain name");
        assert!(known.contains(name.as_str()), "{folder}/{name} has no row");
        files.insert(name);
    }
    for (name, expect) in rows {
        assert!(
            files.contains(*name),
            "{folder}/{name} has a row and no file"
        );
        check(
            name,
            read(fs::read(path.join(name)).expect("the file can be read")),
            expect,
        );
    }
}

#[test]
fn rfc4475() {
    let rows = rows_4475();
    assert_eq!(rows.len(), 50);
    run("rfc4475", &rows, |bytes| bytes);
}

#[test]
fn rfc5118_as_published_with_bare_line_feeds() {
    let rows = rows_5118(FEED);
    assert_eq!(rows.len(), 12);
    run("rfc5118", &rows, |bytes| bytes);
}

#[test]
fn rfc5118_with_the_line_ends_and_lengths_it_means() {
    run("rfc5118", &rows_5118(NONE), |bytes| {
        let text = String::from_utf8(bytes)
            .expect("text")
            .replace('\n', "\r\n");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return text.into_bytes();
        };
        let lines = head
            .split("\r\n")
            .filter(|line| !line.starts_with("Content-Length"));
        let head = lines.collect::<Vec<_>>().join("\r\n");
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
}

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

fn rows_4475() -> Vec<(&'static str, Expect)> {
    let mut rows = valid_4475();
    rows.extend(invalid_4475());
    rows.extend(application_4475());
    rows
}

fn v6(text: &str) -> Host<'static> {
    Host::V6(text.parse().unwrap())
}

/// `line_ends` is what the line ends of the copy being read add to every accepted message. As
/// published, two bodies are shorter than their Content-Length.
fn rows_5118(line_ends: Anomalies) -> Vec<(&'static str, Expect)> {
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
