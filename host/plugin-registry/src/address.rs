//! Addresses: whom one is, where it leads from another, and where tokens are asked for.

use ureq::http::{Uri, uri};

use crate::error::shown;

/// Host and port, without anything else that an address may have.
pub(crate) fn host_of(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    match url.port_u16() {
        Some(port) => shown(&format!("{host}:{port}")),
        None => shown(host),
    }
}

/// An address that another one refers to: a whole one, or a path on the same host.
pub(crate) fn joined(from: &Uri, location: &str) -> Option<Uri> {
    let url: Uri = location.parse().ok()?;
    let mut parts = url.into_parts();
    if parts.scheme.is_none() {
        // Two slashes would begin a host.
        if parts.authority.is_some() || !location.starts_with('/') || location.starts_with("//") {
            return None;
        }
        parts.scheme = from.scheme().cloned();
        parts.authority = from.authority().cloned();
    }
    let scheme = parts.scheme.as_ref().map(uri::Scheme::as_str);
    let named = parts
        .authority
        .as_ref()
        .is_some_and(|it| !it.host().is_empty() && !it.as_str().contains('@'));
    if !named || !matches!(scheme, Some("http" | "https")) {
        return None;
    }
    Uri::from_parts(parts).ok()
}

/// The address of a service that gives tokens, with what is asked of it.
pub(crate) fn token_url(realm: &str, service: Option<&str>, scope: &str) -> Option<Uri> {
    let mut url = realm.to_owned();
    let mut mark = if realm.contains('?') { '&' } else { '?' };
    let pairs = [("service", service), ("scope", Some(scope))];
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        url.push(mark);
        url.push_str(name);
        url.push('=');
        for byte in value.bytes() {
            // RFC 3986 section 2.3, and the separators that scopes consist of.
            if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
        mark = '&';
    }
    let url: Uri = url.parse().ok()?;
    url.scheme()?;
    joined(&url, &url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(from: &str, location: &str) -> Option<String> {
        joined(&from.parse().unwrap(), location).map(|it| it.to_string())
    }

    #[test]
    fn locations_are_whole_or_a_path() {
        let here = "https://a.example:5000/v2/x";
        for (location, expected) in [
            ("/y?z=1", Some("https://a.example:5000/y?z=1")),
            ("https://b.example/y", Some("https://b.example/y")),
            ("http://b.example/y", Some("http://b.example/y")),
            ("//b.example/y", None),
            ("y", None),
            ("", None),
            ("https://", None),
            ("https://me:secret@b.example/y", None),
            ("file:///etc/passwd", None),
            ("ftp://b.example/y", None),
        ] {
            assert_eq!(from(here, location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_service_and_scope() {
        let url = token_url(
            "https://a.example/t",
            Some("r s"),
            "repository:a/b:pull,push",
        );
        assert_eq!(
            url.unwrap().to_string(),
            "https://a.example/t?service=r%20s&scope=repository:a/b:pull,push"
        );
        let url = token_url("https://a.example/t?x=1", None, "a&b=c");
        assert_eq!(
            url.unwrap().to_string(),
            "https://a.example/t?x=1&scope=a%26b%3Dc"
        );
        for realm in [
            "",
            "/t",
            "a.example/t",
            "file:///t",
            "https://me@a.example/t",
        ] {
            assert!(token_url(realm, None, "x").is_none(), "{realm}");
        }
    }
}
