//! As much of bencode as rtpengine's control protocol needs: dictionaries and lists of
//! strings to it, dictionaries with strings from it.

/// A value to be written.
pub(crate) enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// A list of strings.
    List(&'a [&'a str]),
}

/// A dictionary with these entries.
pub(crate) fn dictionary(entries: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut out = String::from("d");
    let text = |out: &mut String, it: &str| out.push_str(&format!("{}:{it}", it.len()));
    for (key, value) in entries {
        text(&mut out, key);
        match value {
            Value::Text(it) => text(&mut out, it),
            Value::List(items) => {
                out.push('l');
                for item in *items {
                    text(&mut out, item);
                }
                out.push('e');
            }
        }
    }
    out.push('e');
    out.into_bytes()
}

/// The string under `key` in a dictionary; other values are passed over.
pub(crate) fn string<'a>(dictionary: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut rest = dictionary.strip_prefix(b"d")?;
    while rest.first().is_some_and(|it| *it != b'e') {
        let (name, after) = text(rest)?;
        if name == key.as_bytes() {
            return text(after).map(|(value, _)| value);
        }
        rest = skip(after, 0)?;
    }
    None
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().take(8).position(|it| *it == b':')?;
    let (length, rest) = bytes.split_at(colon);
    let length = std::str::from_utf8(length).ok()?.parse().ok()?;
    rest.get(1..)?.split_at_checked(length)
}

/// What follows one value.
fn skip(bytes: &[u8], depth: u8) -> Option<&[u8]> {
    match bytes.first()? {
        b'i' => {
            let end = bytes.iter().position(|it| *it == b'e')?;
            bytes.get(end + 1..)
        }
        b'd' | b'l' if depth < 16 => {
            let mut rest = bytes.get(1..)?;
            while *rest.first()? != b'e' {
                rest = skip(rest, depth + 1)?;
            }
            rest.get(1..)
        }
        _ => text(bytes).map(|(_, rest)| rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = dictionary(&[
            ("command", Value::Text("ping")),
            ("replace", Value::List(&["origin", "c"])),
            ("sdp", Value::Text("v=0\r\n")),
        ]);
        assert_eq!(
            bytes,
            b"d7:command4:ping7:replacel6:origin1:ce3:sdp5:v=0\r\ne"
        );
        assert_eq!(string(&bytes, "sdp"), Some(&b"v=0\r\n"[..]));
        assert_eq!(string(&bytes, "origin"), None);
    }

    #[test]
    fn numbers_and_nested_dictionaries_are_passed_over() {
        let bytes = b"d1:ai12e1:bd1:cli1e1:xee6:result2:oke";
        assert_eq!(string(bytes, "result"), Some(&b"ok"[..]));
        assert_eq!(string(b"d1:a9:shorte", "a"), None);
        assert_eq!(string(b"d1:ai12", "b"), None);
    }
}
