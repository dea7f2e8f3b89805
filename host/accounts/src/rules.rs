//! Which passwords are taken, and how they are generated.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::secret::Secret;

/// Characters that a chosen password has at least.
pub const CHARACTERS: usize = 12;

/// Bytes of the longest password. Far beyond what phones take; bounds the work.
pub const PASSWORD_BYTES: usize = 256;

/// The score of zxcvbn that a chosen password needs: `safely unguessable`, more than
/// 10^8 guesses by who knows how people choose.
pub const SCORE: u8 = 3;

/// User names shorter than this may be a part of a password: one or two letters are
/// in almost every one.
const NAME_CHARACTERS: usize = 3;

/// Characters of a generated password, of six bits each.
const GENERATED: usize = 24;

/// Randomness of a generated password, in bits.
pub const GENERATED_BITS: u32 = 144;

/// Nothing that a phone's menu or a configuration file would need to escape.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes of the mark that tells whether a password is in use.
pub(crate) const MARK_BYTES: usize = 32;

/// A rule that a chosen password breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Fewer than [`CHARACTERS`].
    Short {
        /// How many it has.
        characters: usize,
    },
    /// More than [`PASSWORD_BYTES`].
    Long,
    /// Control characters, which no phone can be given.
    Control,
    /// Some of the four classes are missing.
    Classes {
        /// What is missing, in words.
        missing: Vec<&'static str>,
    },
    /// It is the user name.
    IsUserName,
    /// The user name is in it.
    HasUserName,
    /// A guesser would have it soon.
    Common {
        /// The score of zxcvbn, 0 to 4.
        score: u8,
        /// What zxcvbn has to say about it; never a part of the password.
        why: Option<String>,
    },
    /// Another account has it.
    InUse,
    /// It is the one that is to be replaced.
    Unchanged,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { characters } => write!(
                formatter,
                "it has {characters} characters, and {CHARACTERS} are needed"
            ),
            Self::Long => write!(formatter, "it is longer than {PASSWORD_BYTES} bytes"),
            Self::Control => formatter.write_str("it has control characters"),
            Self::Classes { missing } => write!(formatter, "it has no {}", missing.join(", no ")),
            Self::IsUserName => formatter.write_str("it is the user name"),
            Self::HasUserName => formatter.write_str("the user name is in it"),
            Self::Common { score, why } => {
                write!(
                    formatter,
                    "it is too common (score {score} of 4, and {SCORE} is needed)"
                )?;
                why.iter().try_for_each(|why| write!(formatter, ": {why}"))
            }
            Self::InUse => formatter.write_str("another account has it"),
            Self::Unchanged => formatter.write_str("it is the password that it should replace"),
        }
    }
}

/// Whom a password is for.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) user: &'a str,
    pub(crate) realms: &'a [&'a str],
    pub(crate) password: &'a str,
}

/// All rules that a password breaks by itself; whether it is in use the book knows.
pub(crate) fn broken(candidate: Candidate<'_>) -> Vec<Broken> {
    let Candidate {
        user,
        realms,
        password,
    } = candidate;
    if password.len() > PASSWORD_BYTES {
        return vec![Broken::Long];
    }
    let mut broken = Vec::new();
    let characters = password.chars().count();
    if characters < CHARACTERS {
        broken.push(Broken::Short { characters });
    }
    if password.chars().any(char::is_control) {
        broken.push(Broken::Control);
    }
    let missing = missing_classes(password);
    if !missing.is_empty() {
        broken.push(Broken::Classes { missing });
    }
    let folded = Zeroizing::new(password.to_lowercase());
    let name = user.to_lowercase();
    if *folded == name {
        broken.push(Broken::IsUserName);
    } else if name.chars().count() >= NAME_CHARACTERS && folded.contains(&name) {
        broken.push(Broken::HasUserName);
    }
    let inputs: Vec<&str> = std::iter::once(user)
        .chain(realms.iter().copied())
        .chain(["sipward", "asterisk", "pbx", "trunk", "sip"])
        .collect();
    let guess = zxcvbn::zxcvbn(password, &inputs);
    let score = u8::from(guess.score());
    if score < SCORE {
        let why = guess.feedback().and_then(|feedback| feedback.warning());
        broken.push(Broken::Common {
            score,
            why: why.map(|why| why.to_string()),
        });
    }
    broken
}

fn missing_classes(password: &str) -> Vec<&'static str> {
    let is_other = |character: char| !character.is_alphanumeric() && !character.is_control();
    [
        ("small letter", password.chars().any(char::is_lowercase)),
        ("capital letter", password.chars().any(char::is_uppercase)),
        ("digit", password.chars().any(char::is_numeric)),
        ("other character", password.chars().any(is_other)),
    ]
    .into_iter()
    .filter_map(|(class, there)| (!there).then_some(class))
    .collect()
}

/// A password that nobody guesses: 24 characters of A-Z, a-z, 0-9, `-` and `_`,
/// [`GENERATED_BITS`] bits.
///
/// # Errors
/// The system has no randomness.
pub fn generate_password() -> Result<Zeroizing<String>, NoRandomness> {
    let random = Secret::random(GENERATED)?;
    let mut password = Zeroizing::new(String::with_capacity(GENERATED));
    // 64 divides 256, so that all characters are equally likely.
    let letters = random
        .bytes()
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
    password.extend(letters.copied().map(char::from));
    Ok(password)
}

/// What is kept of a password to find it again: HMAC-SHA256 under a key of the store.
/// The hashes of digest authentication cannot serve, as the user name is in them.
pub(crate) fn mark(key: &Secret, password: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
    Secret::copy_of(hmac::sign(&key, password.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn told(user: &str, password: &str) -> Vec<Broken> {
        broken(Candidate {
            user,
            realms: &["pbx.example.com"],
            password,
        })
    }

    #[test]
    fn a_good_one_is_taken() {
        for password in [
            "Vq7!mzR2pLx#",
            "grau-Kessel 41 Pfoten",
            "Über-7-Brücken gehn",
        ] {
            assert_eq!(told("alice", password), [], "{password}");
        }
    }

    #[test]
    fn eleven_characters_are_short_and_twelve_are_not() {
        assert_eq!(
            told("alice", "Vq7!mzR2pLx"),
            [Broken::Short { characters: 11 }]
        );
        assert_eq!(told("alice", "Vq7!mzR2pLxä"), []);
    }

    #[test]
    fn too_long_is_told_without_looking_further() {
        let long = "Vq7!".repeat(64);
        assert!(!told("alice", &long).contains(&Broken::Long));
        assert_eq!(told("alice", &format!("{long}x")), [Broken::Long]);
    }

    #[test]
    fn each_class_is_missed_by_name() {
        for (password, class) in [
            ("VQ7!MZR2PLX#TW", "small letter"),
            ("vq7!mzr2plx#tw", "capital letter"),
            ("Vqx!mzRapLx#tw", "digit"),
            ("Vq7xmzR2pLxdtw", "other character"),
        ] {
            let expected = Broken::Classes {
                missing: vec![class],
            };
            assert_eq!(told("alice", password), [expected], "{password}");
        }
        assert_eq!(
            Broken::Classes {
                missing: vec!["digit", "other character"]
            }
            .to_string(),
            "it has no digit, no other character"
        );
    }

    #[test]
    fn the_user_name_is_neither_it_nor_in_it() {
        assert!(told("Vq7!mzR2pLx#", "vq7!MZr2plx#").contains(&Broken::IsUserName));
        assert!(told("alice", "Vq7!mzR2-ALICE-pLx#").contains(&Broken::HasUserName));
        // Two letters are in many passwords by chance.
        assert_eq!(told("mz", "Vq7!mzR2pLx#"), []);
    }

    #[test]
    fn common_ones_are_found_however_they_are_decorated() {
        for password in [
            "Password123!",
            "Qwertyuiop1!",
            "Asterisk2024!",
            "Welcome-2024",
        ] {
            let broken = told("alice", password);
            let common = broken
                .iter()
                .any(|broken| matches!(broken, Broken::Common { .. }));
            assert!(common, "{password}: {broken:?}");
            let text: Vec<String> = broken.iter().map(Broken::to_string).collect();
            assert!(!text.join(" ").contains(password), "{text:?}");
        }
    }

    #[test]
    fn control_characters_cannot_be_typed() {
        assert_eq!(told("alice", "Vq7!mzR2\tpLx#"), [Broken::Control]);
    }

    #[test]
    fn generated_ones_differ_and_use_the_whole_alphabet() {
        let mut seen = BTreeSet::new();
        let mut letters = BTreeSet::new();
        for _ in 0..200 {
            let password = generate_password().unwrap();
            assert_eq!(password.len(), GENERATED);
            letters.extend(password.bytes());
            assert!(seen.insert(password.to_string()));
        }
        assert_eq!(letters, ALPHABET.iter().copied().collect());
        assert_eq!(GENERATED_BITS as usize, GENERATED * 6);
    }

    #[test]
    fn a_mark_tells_the_password_and_nothing_else() {
        let (one, two) = (
            Secret::random(MARK_BYTES).unwrap(),
            Secret::random(MARK_BYTES).unwrap(),
        );
        assert!(mark(&one, "a") == mark(&one, "a"));
        assert!(mark(&one, "a") != mark(&one, "b"));
        assert!(mark(&one, "a") != mark(&two, "a"));
        assert_eq!(mark(&one, "a").bytes().len(), MARK_BYTES);
    }
}
