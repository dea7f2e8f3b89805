//! The client's side of digest authentication: RFC 7616, with MD5 for older proxies.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::campaign::to_hex;

/// An answer to a challenge.
#[derive(Debug)]
pub struct Answer {
    /// The value of Proxy-Authorization.
    pub value: String,
    /// The algorithm that was chosen.
    pub algorithm: &'static str,
}

type Hash = fn(&str) -> String;

/// Algorithms that we know, best first.
const KNOWN: [(&str, Hash); 2] = [
    ("SHA-256", |text| to_hex(&Sha256::digest(text))),
    ("MD5", |text| to_hex(&Md5::digest(text))),
];

/// Answer the best of the challenges for a request with this method and URI.
///
/// # Panics
/// None of them is one that we know.
#[must_use]
pub fn answer(
    offers: &[impl AsRef<str> + std::fmt::Debug],
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
) -> Answer {
    for (algorithm, hash) in KNOWN {
        for offer in offers.iter().map(AsRef::as_ref) {
            // A challenge that names no algorithm means MD5.
            if parameter(offer, "algorithm")
                .unwrap_or("MD5")
                .eq_ignore_ascii_case(algorithm)
            {
                let value = respond(offer, algorithm, hash, [user, password, method, uri]);
                return Answer { value, algorithm };
            }
        }
    }
    panic!("no algorithm that we know is offered: {offers:?}")
}

fn respond(offer: &str, algorithm: &str, hash: Hash, request: [&str; 4]) -> String {
    let [user, password, method, uri] = request;
    let realm = parameter(offer, "realm").expect("a realm");
    let nonce = parameter(offer, "nonce").expect("a nonce");
    let (count, client_nonce) = ("00000001", "ZGVtbw");
    let secret = hash(&format!("{user}:{realm}:{password}"));
    let subject = hash(&format!("{method}:{uri}"));
    let response = hash(&format!(
        "{secret}:{nonce}:{count}:{client_nonce}:auth:{subject}"
    ));
    let opaque =
        parameter(offer, "opaque").map_or_else(String::new, |it| format!(", opaque=\"{it}\""));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={algorithm}, qop=auth, nc={count}, cnonce=\"{client_nonce}\"{opaque}"
    )
}

/// One parameter of a challenge, without its quotes.
fn parameter<'a>(offer: &'a str, name: &str) -> Option<&'a str> {
    let parameters = offer.trim().strip_prefix("Digest ")?;
    let mut inside = false;
    let split = |it: char| {
        inside ^= it == '"';
        it == ',' && !inside
    };
    parameters.split(split).find_map(|part| {
        let (its_name, value) = part.trim().split_once('=')?;
        its_name
            .eq_ignore_ascii_case(name)
            .then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str =
        "Digest realm=\"a, b\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256, opaque=\"o\"";

    #[test]
    fn commas_inside_quotes_do_not_split() {
        assert_eq!(parameter(OFFER, "realm"), Some("a, b"));
        assert_eq!(parameter(OFFER, "algorithm"), Some("SHA-256"));
        assert_eq!(parameter(OFFER, "stale"), None);
    }

    #[test]
    fn the_better_algorithm_is_chosen() {
        let md5 = "Digest realm=\"r\", nonce=\"n\", algorithm=MD5";
        let chosen = answer(&[md5, OFFER], "u", "p", "INVITE", "sip:a");
        assert_eq!(chosen.algorithm, "SHA-256");
    }

    #[test]
    fn the_response_is_that_of_rfc_7616_section_3_4_1() {
        let offer = "Digest realm=\"r\", nonce=\"n\", algorithm=MD5";
        let answer = answer(&[offer], "u", "p", "INVITE", "sip:a");
        let hash = |text: &str| to_hex(&Md5::digest(text));
        let wanted = hash(&format!(
            "{}:n:00000001:ZGVtbw:auth:{}",
            hash("u:r:p"),
            hash("INVITE:sip:a")
        ));
        assert!(answer.value.contains(&format!("response=\"{wanted}\"")));
    }
}
