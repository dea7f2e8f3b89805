//! What a registry wants to know of us: the header `WWW-Authenticate` of RFC 9110
//! section 11.6.1, as far as registries use it.

/// Challenges and parameters that are looked at. 8: registries send one or two, with
/// three or four parameters.
const CHALLENGES: usize = 8;
const PARAMETERS: usize = 8;

/// One way to show who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user and a password, with the request.
    Basic,
    /// A token that another service gives.
    Bearer {
        /// Where that is.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
        /// What the token is for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Those of one header line that are understood, in their order.
    pub(crate) fn read(line: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for (scheme, parameters) in split(line) {
            let value = |name: &str| {
                let found = parameters
                    .iter()
                    .find(|(it, _)| it.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                found.push(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                found.push(Self::Bearer {
                    realm,
                    service: value("service"),
                    scope: value("scope"),
                });
            }
        }
        found
    }
}

/// A scheme and its parameters.
type Offered = (String, Vec<(String, String)>);

/// Schemes and their parameters. A word is a parameter's name if `=` follows, and a
/// scheme otherwise.
fn split(line: &str) -> Vec<Offered> {
    let mut offered: Vec<Offered> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|it: char| !is_token(it)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() {
            return offered;
        }
        if let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') {
            let Some((value, after)) = value_of(value) else {
                return offered;
            };
            if let Some((_, parameters)) = offered.last_mut()
                && parameters.len() < PARAMETERS
            {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            if offered.len() == CHALLENGES {
                return offered;
            }
            offered.push((word.to_owned(), Vec::new()));
            rest = after;
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|it: char| !is_token(it)).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end)?;
        return Some((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// RFC 9110 section 5.6.2.
fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_of_registries_are_read() {
        let docker = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/a:pull,push\"";
        for (line, expected) in [
            ("Basic realm=\"basic-realm\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                docker,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:acme/a:pull,push"),
                )],
            ),
            (
                "Digest realm=\"x\", nonce=y, bearer Realm = \"a\\\"b\" , Basic",
                vec![bearer("a\"b", None, None), Challenge::Basic],
            ),
        ] {
            assert_eq!(Challenge::read(line), expected, "{line}");
        }
    }

    #[test]
    fn nonsense_is_no_challenge_and_ends() {
        for line in [
            "",
            ",,,",
            "=",
            "\"",
            "Bearer",
            "Bearer realm",
            "Bearer realm=\"",
            "Bearer realm=\"a\\",
            "realm=\"a\"",
            "\u{e4}",
        ] {
            assert_eq!(Challenge::read(line), [], "{line}");
        }
        assert_eq!(Challenge::read(&"Basic ".repeat(100)).len(), CHALLENGES);
    }
}
