//! URIs: which host they name, which are refused, which are the same.

#![cfg(test)]

use sip_message::{Host, NameAddr, Scheme, Uri, UriError};

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> UriError {
    Uri::parse(text.as_bytes())
        .map(|uri| uri.host.to_string())
        .expect_err(text)
}

#[test]
fn the_parts_of_a_uri() {
    let all = uri(
        "sips:alice.smith:pw@Example.COM:5061;transport=tcp;lr;x=%20?Subject=a%20b&Priority=urgent",
    );
    assert_eq!(
        (all.scheme, all.user, all.password),
        (Scheme::Sips, Some(&b"alice.smith"[..]), Some(&b"pw"[..]))
    );
    assert_eq!(
        (all.host, all.port),
        (Host::Name(b"Example.COM"), Some(5061))
    );
    assert_eq!(all.host_port(), b"Example.COM:5061");
    assert_eq!(
        (
            all.transport(),
            all.is_lr(),
            all.param(b"LR"),
            all.param(b"y")
        ),
        (Some(&b"tcp"[..]), true, Some(None), None)
    );
    assert_eq!(all.headers, b"Subject=a%20b&Priority=urgent");
    assert_eq!(uri("sip:[::1]:5070").host_port(), b"[::1]:5070");
    assert_eq!(
        uri("sip:192.0.2.1").host,
        Host::V4("192.0.2.1".parse().unwrap())
    );
    assert_eq!(uri("sip:a@pbx").host, Host::Name(b"pbx"));
    assert_eq!(uri("SIP:a@b").scheme, Scheme::Sip);
    assert_eq!(uri("sip:a:@b").password, Some(&b""[..]));
    assert_eq!(uri("sip:#31#123@b").user, Some(&b"#31#123"[..]));
}

#[test]
fn the_at_sign_decides_the_host() {
    let hidden = uri("sip:evil.com;x=@trusted.com");
    assert_eq!(
        (hidden.user, hidden.host),
        (Some(&b"evil.com;x="[..]), Host::Name(b"trusted.com"))
    );
    let asked = uri("sip:evil.com?x@trusted.com");
    assert_eq!(asked.host, Host::Name(b"trusted.com"));
    for text in [
        "sip:a@trusted.com@evil.com",
        "sip:a@b;x=@c",
        "sip:a@b?x=c@d",
        "sip:@b",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a b@c",
        "sip:a<b@c",
        "sip:a:b:c@d",
        "sip:[a]@b",
        "sip:a\\b@c",
    ] {
        assert_eq!(error(text), UriError::User, "{text}");
    }
}

#[test]
fn hosts_that_readers_read_differently_are_refused() {
    for text in [
        "sip:",
        "sip:a@",
        "sip:127.1",
        "sip:010.0.0.1",
        "sip:0x7f.0.0.1",
        "sip:1.2.3.0x4",
        "sip:2130706433",
        "sip:256.1.1.1",
        "sip:1.2.3.4.",
        "sip:2001:db8::10",
        "sip:[::1",
        "sip:[::1]x",
        "sip:[fe80::1%25eth0]",
        "sip:[2001:db8:::192.0.2.1]",
        "sip:[127.0.0.1]",
        "sip:a..b",
        "sip:.a",
        "sip:-a",
        "sip:a b",
        "sip:a/b",
        "sip:ex\u{e4}mple",
        "sip:a,b",
        "sip:a..",
    ] {
        assert_eq!(error(text), UriError::Host, "{text}");
    }
    for text in [
        "sip:a:",
        "sip:a:0",
        "sip:a:65536",
        "sip:a:x",
        "sip:a:-1",
        "sip:[::1]:",
    ] {
        assert_eq!(error(text), UriError::Port, "{text}");
    }
    assert_eq!(uri("sip:a:65535").port, Some(65_535));
    assert_eq!(uri("sip:1.example").host, Host::Name(b"1.example"));
    assert_eq!(uri("sip:example.com.").host, Host::Name(b"example.com."));
    assert_eq!(uri("sip:a_b.example").host, Host::Name(b"a_b.example"));
}

#[test]
fn parameters_and_headers() {
    for text in [
        "sip:a;",
        "sip:a;;b",
        "sip:a;=b",
        "sip:a;b=",
        "sip:a;lr;lr",
        "sip:a;transport=udp;Transport=tcp",
        "sip:a;maddr=b;maddr=c",
        "sip:a;b=\"c\"",
        "sip:a;b=c=d",
        "sip:a;b=%",
    ] {
        let expected = if text == "sip:a;b=" {
            None
        } else {
            Some(UriError::Params)
        };
        assert_eq!(Uri::parse(text.as_bytes()).err(), expected, "{text}");
    }
    for text in [
        "sip:a?",
        "sip:a?b",
        "sip:a?=b",
        "sip:a?b=c&",
        "sip:a?b=c;d",
        "sip:a?b=c&d",
    ] {
        assert_eq!(error(text), UriError::Headers, "{text}");
    }
    assert_eq!(uri("sip:a?b=").headers, b"b=");
}

#[test]
fn other_schemes() {
    let tel = uri("tel:+1-212-555-0101;phone-context=example.com");
    assert_eq!(
        (tel.scheme, tel.number(), tel.user, tel.host),
        (
            Scheme::Tel,
            Some(&b"+1-212-555-0101"[..]),
            None,
            Host::Name(b"")
        )
    );
    assert_eq!(tel.param(b"phone-context"), Some(Some(&b"example.com"[..])));
    assert_eq!(error("tel:"), UriError::User);
    assert_eq!(error("tel:+"), UriError::User);
    assert_eq!(error("tel:alice"), UriError::User);
    let urn = uri("urn:service:sos");
    assert_eq!(
        (urn.scheme, urn.scheme_name(), urn.number()),
        (Scheme::Other, &b"urn"[..], None)
    );
    for text in ["", "sip", ":a", "1a:b", "s\u{e4}p:a", "<sip:a"] {
        assert_eq!(error(text), UriError::Scheme, "{text}");
    }
    assert_eq!(error("urn:a b"), UriError::Character);
}

#[test]
fn equality_follows_rfc_3261_section_19_1_4() {
    let same = [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        ("sip:a@b.", "sip:a@B"),
    ];
    for (one, two) in same {
        assert!(
            uri(one).equivalent(&uri(two)) && uri(two).equivalent(&uri(one)),
            "{one} {two}"
        );
    }
    let different = [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com;transport=udp",
            "sip:bob@biloxi.com;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b;security=on", "sip:a@b;security=off"),
        ("sip:a%3Bb@c", "sip:a;b@c"),
        ("sip:a@b", "sips:a@b"),
        ("tel:+12015550123", "tel:12015550123"),
        ("urn:a:B", "urn:a:b"),
    ];
    for (one, two) in different {
        assert!(
            !uri(one).equivalent(&uri(two)) && !uri(two).equivalent(&uri(one)),
            "{one} {two}"
        );
    }
}

#[test]
fn addresses() {
    let parse = |text: &'static str| NameAddr::parse(text.as_bytes()).unwrap();
    let bare = parse("sip:a@b;tag=1;x");
    assert_eq!(
        (bare.uri.raw, bare.tag(), bare.param(b"X")),
        (&b"sip:a@b"[..], Some(&b"1"[..]), Some(None))
    );
    let quoted = parse("\"<sip:evil@x>\" <sip:a@b;lr> ; tag = 2 ");
    assert_eq!(
        (quoted.display, quoted.uri.raw, quoted.tag()),
        (
            Some(&b"\"<sip:evil@x>\""[..]),
            &b"sip:a@b;lr"[..],
            Some(&b"2"[..])
        )
    );
    assert_eq!(quoted.params, b"; tag = 2");
    let tokens = parse("Bob Smith (desk) <sip:b@c>");
    assert_eq!(tokens.display, Some(&b"Bob Smith (desk)"[..]));
    assert_eq!(
        parse("<tel:+123;ext=4>;tag=9").uri.number(),
        Some(&b"+123"[..])
    );
}

#[test]
fn a_uri_that_contradicts_itself_is_the_same_as_itself_only() {
    let text = b"sip:a@b;x=1;x=2";
    let twice = Uri::parse(text).unwrap();
    assert!(twice.equivalent(&Uri::parse(text).unwrap()));
    assert!(!twice.equivalent(&Uri::parse(b"sip:a@b;x=2;x=1").unwrap()));
    assert!(!twice.equivalent(&Uri::parse(b"sip:a@b;x=2").unwrap()));
}
