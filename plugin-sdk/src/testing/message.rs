//! A message as the virtual host holds it.

use crate::testing::Credentials;

/// Headers whose values contain commas that join nothing.
const NOT_LISTS: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "date",
    "subject",
    "from",
    "to",
    "user-agent",
    "refer-to",
];

/// Compact forms of RFC 3261 section 7.3.3 and its extensions.
const COMPACT: [(&str, &str); 13] = [
    ("i", "call-id"),
    ("m", "contact"),
    ("e", "content-encoding"),
    ("l", "content-length"),
    ("c", "content-type"),
    ("f", "from"),
    ("s", "subject"),
    ("k", "supported"),
    ("t", "to"),
    ("v", "via"),
    ("r", "refer-to"),
    ("b", "referred-by"),
    ("o", "event"),
];

/// Header lines and a body.
///
/// Tests make it as a request or a response and never touch it themselves:
///
/// ```
/// use sipward_plugin_sdk::testing::Request;
/// let sent = Request::new("MESSAGE", "sip:bob@example.com").header("Subject", "lunch");
/// assert_eq!(sent.seen(|request| request.header("subject")), Some(b"lunch".to_vec()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub(crate) start_line: String,
    pub(crate) lines: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) credentials: Option<Credentials>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers(name).into_iter().next()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<Vec<u8>> {
        let wanted = long_name(name);
        let lines = self
            .lines
            .iter()
            .filter(|(name, _)| long_name(name) == wanted);
        match NOT_LISTS.contains(&wanted.as_str()) {
            true => lines.map(|(_, value)| value.clone()).collect(),
            false => lines.flat_map(|(_, value)| split_list(value)).collect(),
        }
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        self.lines.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn present(&self, names: &str) -> u64 {
        let names = names.split(',').take(64).enumerate();
        names.fold(0, |all, (place, name)| {
            all | u64::from(self.header(name).is_some()) << place
        })
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.body.clone()
    }

    pub(crate) fn raw(&self) -> Vec<u8> {
        let mut raw = format!("{}\r\n", self.start_line).into_bytes();
        for (name, value) in &self.lines {
            raw.extend_from_slice(name.as_bytes());
            raw.extend_from_slice(b": ");
            raw.extend_from_slice(value);
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        raw.extend_from_slice(&self.body);
        raw
    }
}

fn long_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let long = COMPACT.iter().find(|(compact, _)| *compact == name);
    long.map_or(name, |(_, long)| (*long).to_owned())
}

/// The values of a comma-joined line: commas in quotes and angle brackets join
/// nothing.
fn split_list(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut values, mut value) = (Vec::new(), Vec::new());
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for byte in line {
        let joins = *byte == b',' && !quoted && !bracketed;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            _ => {}
        }
        match joins {
            true => values.push(std::mem::take(&mut value)),
            false => value.push(*byte),
        }
    }
    values.push(value);
    values
        .iter()
        .map(|value| value.trim_ascii().to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_where_commas_join() {
        let message = Message {
            lines: vec![
                ("m".into(), br#""a,b" <sip:a@h?x=1,2>, <sip:b@h>"#.to_vec()),
                ("Authorization".into(), b"Digest a=1, b=2".to_vec()),
                ("CONTACT".into(), b"<sip:c@h>".to_vec()),
            ],
            ..Message::default()
        };
        let contacts = message.headers("Contact");
        assert_eq!(
            contacts,
            [&br#""a,b" <sip:a@h?x=1,2>"#[..], b"<sip:b@h>", b"<sip:c@h>"]
        );
        assert_eq!(message.header("authorization").unwrap(), b"Digest a=1, b=2");
        assert_eq!(message.header("Expires"), None);
        assert_eq!(message.header_names(), ["m", "Authorization", "CONTACT"]);
    }
}
