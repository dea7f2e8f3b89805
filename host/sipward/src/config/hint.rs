//! What would be right: the nearest known word, or an example for a key.

/// Words further away than this are no misspelling of each other.
const DISTANCE_MAX: usize = 3;

/// Characters of a word that are compared; longer ones are no keys.
const WORD_CHARS: usize = 64;

/// The known word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let allowed = DISTANCE_MAX.min(word.chars().count() / 2);
    known
        .into_iter()
        .map(|candidate| {
            (
                distance(&word, &candidate.to_ascii_lowercase().replace('-', "_")),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean`, or all the words there are.
pub(super) fn among<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", list(known)),
    }
}

/// Words in backticks, joined by commas.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
fn distance(one: &str, two: &str) -> usize {
    let one: Vec<char> = one.chars().take(WORD_CHARS).collect();
    let two: Vec<char> = two.chars().take(WORD_CHARS).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=two.len()).collect()];
    let cell = |rows: &[Vec<usize>], row: usize, column: usize| -> usize {
        rows.get(row)
            .and_then(|row| row.get(column))
            .copied()
            .unwrap_or(usize::MAX / 2)
    };
    for (above, left) in one.iter().enumerate() {
        let mut row = vec![above + 1];
        for (column, right) in two.iter().enumerate() {
            let substituted = cell(&rows, above, column) + usize::from(left != right);
            let removed = cell(&rows, above, column + 1) + 1;
            let inserted = row.last().copied().unwrap_or_default() + 1;
            let swapped = match (above.checked_sub(1), column.checked_sub(1)) {
                (Some(up), Some(back))
                    if one.get(up) == Some(right) && two.get(back) == Some(left) =>
                {
                    cell(&rows, up, back) + 1
                }
                _ => usize::MAX,
            };
            row.push(substituted.min(removed).min(inserted).min(swapped));
        }
        rows.push(row);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or_default()
}

/// One address of an interface, or two.
pub(super) const ADDRESSES: &str =
    "an address of this machine, such as \"192.0.2.1\" or [\"192.0.2.1\", \"2001:db8::1\"]";

/// Modes of a peer's media.
pub(super) const MODES: &str = "modes, most wanted first, such as [\"sdes\", \"plain\"]";

/// What is written under a key, with an example.
///
/// The same word may mean another thing in `[media]`, so the section counts.
pub(super) fn example(path: &[String]) -> Option<&'static str> {
    let key = path
        .iter()
        .rev()
        .find(|step| step.parse::<usize>().is_err())?;
    if path.first().is_some_and(|section| section == "groups") {
        return Some("the identities of its members, such as [\"alice\", \"bob\"]");
    }
    if path.first().is_some_and(|section| section == "media") {
        match key.as_str() {
            "bind" | "advertised" => return Some(ADDRESSES),
            "ports" => return Some("first and last port, such as \"20000-29999\""),
            _ => {}
        }
    }
    let about_calls = path
        .first()
        .is_some_and(|section| section == "records" || section == "alerts");
    match key.as_str() {
        "url" if about_calls => {
            return Some("an address in quotes, such as \"https://chat.example.com/hook\"");
        }
        "template" if about_calls => {
            return Some("JSON in quotes with fields, such as '{\"text\": \"{{text}}\"}'");
        }
        "headers" if about_calls => {
            return Some("tables, such as [{ name = \"Authorization\", value_env = \"TOKEN\" }]");
        }
        "arguments" if about_calls => return Some("texts, such as [\"--page\", \"night-shift\"]"),
        "enabled" | "durable" | "challenges" | "log" if about_calls => {
            return Some("true or false");
        }
        "program" | "url_file" | "value_file" | "spool_path" if about_calls => {
            return Some("a path in quotes");
        }
        _ => {}
    }
    Some(match key.as_str() {
        "bind" => "an address and a port, such as \"0.0.0.0:5060\" or \"[::]:5061\"",
        "sources" => "networks, such as [\"192.0.2.0/24\", \"2001:db8::1/128\"]",
        "targets" => "SIP URIs, such as [\"sip:192.0.2.10:5060;transport=tcp\"]",
        "certificate_names" => "names, such as [\"pbx.example.com\"]",
        "modes" => MODES,
        "networks" => "networks, such as [\"10.0.0.0/8\", \"2001:db8::/32\"]",
        "domains" => "domains, such as [\"example.com\"]",
        "plugins" => "names of [[plugin]] entries, such as [\"ip-acl\", \"rate-limit\"]",
        "peers" => "names of [[pbx]] and [[trunk]] entries, such as [\"main-pbx\"]",
        "methods" => "SIP methods, such as [\"INVITE\", \"REGISTER\"]",
        "signers" => "names of [[signer]] entries, such as [\"acme\"]",
        "public_key" => "the line of the `.pub` file that begins with `RW`, in quotes",
        "capabilities" => "capabilities, such as [\"counters\", \"keyvalue\"]",
        "name" | "user" | "realm" | "advertised" | "route_to" | "password_env" | "key_env"
        | "log_level" => "a text in quotes",
        "path" | "certificate" | "key" | "client_ca" | "ca" | "password_file" | "ha1_file"
        | "admin_socket" | "state_dir" | "cache_dir" | "file" | "key_file" | "country" | "asn"
        | "city" => "a path in quotes",
        "watch" | "nat" | "required" => "true or false",
        "share" | "deny_min" | "deny_max" => "a part of the whole, such as 0.05",
        "settings" | "tls" | "limits" | "candidate" | "rollback" | "breaker" => "a table",
        key if key.ends_with("_seconds") => "a whole number of seconds",
        key if key.ends_with("_days") => "a whole number of days",
        key if key.ends_with("_ms") => "a whole number of milliseconds",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspellings_and_nothing_far_fetched() {
        let known = ["listener", "pipeline", "plugin", "pbx", "on_failure"];
        assert_eq!(nearest("lisener", known), Some("listener"));
        assert_eq!(nearest("pulgin", known), Some("plugin"));
        assert_eq!(nearest("on-failure", known), Some("on_failure"));
        assert_eq!(nearest("pbxs", known), Some("pbx"));
        assert_eq!(nearest("Lisener", ["LISTENER"]), Some("LISTENER"));
        assert_eq!(nearest("database", known), None);
        assert_eq!(nearest("x", known), None);
    }

    #[test]
    fn distances() {
        for (one, two, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, two), expected, "{one} {two}");
            assert_eq!(distance(two, one), expected, "{two} {one}");
        }
    }
}
