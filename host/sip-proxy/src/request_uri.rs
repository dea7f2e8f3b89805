//! Writing Request-URIs: the host of a target in place of ours (RFC 3261 sections 16.5
//! and 16.6 step 2), `tel:` as SIP (section 19.1.6), and maddr that names us (16.4).
//!
//! A request for a static target keeps its user part, its password and those
//! parameters that speak about the user; the host, the port and all that tells how to
//! get there (`transport`, `maddr`, `ttl`, `lr`) become the target's.

use sip_message::{Scheme, Uri};

/// Parameters that tell the way and are the target's business.
const WAY: [&[u8]; 4] = [b"transport", b"maddr", b"ttl", b"lr"];

/// The URI with the target's host, `host[:port]`.
pub(crate) fn for_target(uri: &Uri<'_>, host: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(uri.raw.len() + host.len() + 16);
    match uri.scheme {
        Scheme::Tel => {
            out.extend_from_slice(b"sip:");
            let subscriber = uri.raw.get(4..).unwrap_or_default();
            for byte in subscriber {
                match byte {
                    // Allowed in a tel: parameter, not in a user part.
                    b'[' => out.extend_from_slice(b"%5B"),
                    b']' => out.extend_from_slice(b"%5D"),
                    b':' => out.extend_from_slice(b"%3A"),
                    byte => out.push(*byte),
                }
            }
            out.push(b'@');
            out.extend_from_slice(host.as_bytes());
            out.extend_from_slice(b";user=phone");
        }
        Scheme::Sip | Scheme::Sips | Scheme::Other => {
            out.extend_from_slice(if uri.scheme == Scheme::Sips {
                b"sips:"
            } else {
                b"sip:"
            });
            if let Some(user) = uri.user {
                out.extend_from_slice(user);
                if let Some(password) = uri.password {
                    out.push(b':');
                    out.extend_from_slice(password);
                }
                out.push(b'@');
            }
            out.extend_from_slice(host.as_bytes());
            keep_params(&mut out, uri, &WAY);
        }
    }
    out
}

/// The URI without maddr, port and transport: RFC 3261 section 16.4, for a maddr that
/// names us.
pub(crate) fn without_maddr(uri: &Uri<'_>) -> Vec<u8> {
    let host = String::from_utf8_lossy(uri.host_port()).into_owned();
    let bare = match uri.port {
        Some(_) => host
            .rsplit_once(':')
            .map_or(host.as_str(), |(host, _)| host),
        None => host.as_str(),
    };
    let mut out = Vec::with_capacity(uri.raw.len());
    out.extend_from_slice(uri.scheme_name());
    out.push(b':');
    if let Some(user) = uri.user {
        out.extend_from_slice(user);
        if let Some(password) = uri.password {
            out.push(b':');
            out.extend_from_slice(password);
        }
        out.push(b'@');
    }
    out.extend_from_slice(bare.as_bytes());
    keep_params(&mut out, uri, &[b"maddr", b"transport"]);
    out
}

fn keep_params(out: &mut Vec<u8>, uri: &Uri<'_>, dropped: &[&[u8]]) {
    for param in uri.params.split(|byte| *byte == b';').skip(1) {
        let name = param.split(|byte| *byte == b'=').next().unwrap_or_default();
        if !dropped.iter().any(|way| name.eq_ignore_ascii_case(way)) {
            out.push(b';');
            out.extend_from_slice(param);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(uri: &str, host: &str) -> String {
        String::from_utf8(for_target(&Uri::parse(uri.as_bytes()).unwrap(), host)).unwrap()
    }

    #[test]
    fn the_user_stays_and_the_way_goes() {
        for (uri, expected) in [
            (
                "sip:100@pbx.example;transport=tcp;user=phone",
                "sip:100@t.example:5070;user=phone",
            ),
            (
                "sip:100:secret@pbx.example:5080?Subject=x",
                "sip:100:secret@t.example:5070",
            ),
            ("sips:pbx.example;lr;maddr=192.0.2.1", "sips:t.example:5070"),
            ("sip:a;b=c@[2001:db8::1]", "sip:a;b=c@t.example:5070"),
        ] {
            assert_eq!(rewritten(uri, "t.example:5070"), expected);
        }
    }

    #[test]
    fn a_tel_uri_becomes_a_user_part() {
        assert_eq!(
            rewritten("tel:+1-201-555-0123;phone-context=a", "t.example"),
            "sip:+1-201-555-0123;phone-context=a@t.example;user=phone"
        );
    }

    #[test]
    fn a_maddr_that_names_us_goes_with_port_and_transport() {
        let uri =
            Uri::parse(b"sip:bob@biloxi.com:5090;maddr=192.0.2.1;transport=udp;user=ip").unwrap();
        assert_eq!(without_maddr(&uri), b"sip:bob@biloxi.com;user=ip");
    }
}
