//! Names as certificates and settings write them: RFC 5922 sections 4 and 7, RFC
//! 6125 section 6.4, RFC 4514.

/// A name or domain of the settings.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pattern {
    /// The whole name, in lower case.
    Exact(String),
    /// `example.com` of `*.example.com`: one label more.
    Below(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        let plain = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'*')
        };
        match text.strip_prefix("*.") {
            Some(parent) if plain(parent) && parent.contains('.') => {
                Ok(Self::Below(parent.to_ascii_lowercase()))
            }
            Some(_) => Err("has to have two labels after `*.`"),
            None if plain(text) => Ok(Self::Exact(text.to_ascii_lowercase())),
            None => Err("is no name; `*` may stand for the first label alone, as in *.example.com"),
        }
    }

    /// Both patterns that a name can match.
    pub(crate) fn of(name: &str) -> impl Iterator<Item = Self> {
        let name = domain_of(name);
        let below = name
            .split_once('.')
            .filter(|(label, _)| !label.is_empty() && !label.contains(':'))
            .map(|(_, parent)| Self::Below(parent.to_owned()));
        std::iter::once(Self::Exact(name)).chain(below)
    }
}

/// The domain that `sip:example.com` stands for, in lower case; any other name
/// itself. A URI with a user part is a person and no domain (RFC 5922 section 7.1).
pub(crate) fn domain_of(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let domain = name.strip_prefix("sip:").or(name.strip_prefix("sips:"));
    match domain {
        Some(domain) if !domain.contains(['@', ';', '?', ':']) => domain.to_owned(),
        _ => name,
    }
}

/// A distinguished name in one form: attribute types and values in lower case,
/// without spaces around the separators (RFC 4514, RFC 4517 section 4.2.11).
pub(crate) fn distinguished(name: &str) -> String {
    let mut form = String::with_capacity(name.len());
    let (mut escaped, mut at_start) = (false, true);
    for character in name.chars() {
        let separates = !escaped && matches!(character, ',' | '+' | '=');
        if separates {
            // An escaped space at the end of a value belongs to it.
            while form.ends_with(' ') && !form.ends_with("\\ ") {
                form.pop();
            }
        }
        if !(at_start && character == ' ') {
            form.extend(character.to_lowercase());
        }
        at_start = separates || (at_start && character == ' ');
        escaped = !escaped && character == '\\';
    }
    while form.ends_with(' ') && !form.ends_with("\\ ") {
        form.pop();
    }
    form
}

/// 64 hexadecimal digits in lower case; `None` if it is no fingerprint.
pub(crate) fn fingerprint(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|character| *character != ':')
        .map(|character| character.to_ascii_lowercase())
        .collect();
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let pattern = Pattern::new(pattern).unwrap();
        Pattern::of(name).any(|possible| possible == pattern)
    }

    #[test]
    fn a_star_is_one_label() {
        for (pattern, name, expected) in [
            ("pbx.example.com", "PBX.example.com", true),
            ("pbx.example.com", "sip:pbx.example.com", true),
            ("pbx.example.com", "sips:pbx.example.com", true),
            ("pbx.example.com", "sip:bob@pbx.example.com", false),
            ("pbx.example.com", "sip:pbx.example.com:5061", false),
            ("sip:bob@pbx.example.com", "sip:bob@pbx.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "sip:a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "sip:x@y.example.com", false),
            ("example.com", "*.example.com", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        for wrong in [
            "",
            "*",
            "*.com",
            "a*.example.com",
            "*.*.example.com",
            "a,b",
            "a b",
        ] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn issuers_have_one_form() {
        let form = distinguished("CN=Example CA, O = Example\\, Inc. ,C=DE ");
        assert_eq!(form, "cn=example ca,o=example\\, inc.,c=de");
        assert_eq!(distinguished("cn=example ca,o=Example\\, Inc.,c=de"), form);
        assert_ne!(distinguished("CN=Example CA,O=Example"), form);
        assert_eq!(distinguished("CN=a\\ "), "cn=a\\ ");
        assert_eq!(distinguished("CN=a\\\\,O=b"), "cn=a\\\\,o=b");
    }

    #[test]
    fn fingerprints_have_64_digits() {
        let digits = "ab".repeat(32);
        assert_eq!(fingerprint(&digits.to_uppercase()).as_ref(), Some(&digits));
        let colons = ["AB"; 32].join(":");
        assert_eq!(fingerprint(&colons).as_ref(), Some(&digits));
        assert_eq!(fingerprint(&"a".repeat(63)), None);
        assert_eq!(fingerprint(&"g".repeat(64)), None);
    }
}
