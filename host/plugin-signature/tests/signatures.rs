//! Signatures that are good, and every way in which one is not.

#![expect(clippy::expect_used, reason = "a failed step ends a test")]

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plugin_signature::{
    NewKeys, PublicKey, SIGNATURE_BYTES, SecretKey, SignatureError, Signer, SigningError,
    signature_path, verify,
};
use secrecy::SecretString;

const PLUGIN: &[u8] = b"\0asm, or what a plugin is made of";

fn keys() -> (SecretKey, Signer) {
    let keys = NewKeys::generate(None).expect("keys");
    let secret = SecretKey::open(&keys.secret_file, None).expect("not locked");
    assert_eq!(secret.public(), &keys.public);
    let signer = Signer {
        name: "me".into(),
        key: keys.public_file.parse().expect("its own file"),
    };
    (secret, signer)
}

fn lines(signature: &str) -> Vec<String> {
    signature.lines().map(str::to_owned).collect()
}

#[test]
fn a_good_signature_names_its_signer() {
    let (secret, me) = keys();
    let (_, other) = keys();
    let signature = secret.sign(PLUGIN, "ip-acl 1.0.0").expect("signed");
    let signed = verify(&[other, me.clone()], PLUGIN, signature.as_bytes()).expect("good");
    assert_eq!(signed.signer, me);
    assert_eq!(signed.comment, "ip-acl 1.0.0");
}

#[test]
fn other_bytes_are_refused() {
    let (secret, me) = keys();
    let signature = secret.sign(PLUGIN, "x").expect("signed");
    let wrong = Err(SignatureError::Wrong {
        signer: "me".into(),
    });
    for bytes in [&b""[..], &PLUGIN[1..], b"something else"] {
        let verified = verify(std::slice::from_ref(&me), bytes, signature.as_bytes());
        assert_eq!(verified, wrong);
    }
    let mut flipped = PLUGIN.to_vec();
    flipped[7] ^= 1;
    assert_eq!(verify(&[me], &flipped, signature.as_bytes()), wrong);
}

#[test]
fn a_key_that_is_not_accepted_is_named() {
    let (secret, me) = keys();
    let (_, mut other) = keys();
    other.name = "acme".into();
    let signature = secret.sign(PLUGIN, "x").expect("signed");
    let error = verify(&[other.clone()], PLUGIN, signature.as_bytes()).expect_err("not accepted");
    let text = error.to_string();
    assert!(text.contains(&me.key.id()), "{text}");
    assert!(
        text.contains("`acme`") && text.contains(&other.key.id()),
        "{text}"
    );
}

#[test]
fn a_key_with_an_accepted_number_is_not_that_key() {
    let (secret, me) = keys();
    let (_, other) = keys();
    // The number is free to choose: give the other key the number of ours.
    let decode = |key: &PublicKey| STANDARD.decode(key.to_string()).expect("base64");
    let mut forged = decode(&other.key);
    forged[2..10].copy_from_slice(&decode(&me.key)[2..10]);
    let forged = Signer {
        name: Arc::clone(&other.name),
        key: STANDARD.encode(forged).parse().expect("a key"),
    };
    let signature = secret.sign(PLUGIN, "x").expect("signed");
    let verified = verify(std::slice::from_ref(&forged), PLUGIN, signature.as_bytes());
    assert!(matches!(verified, Err(SignatureError::Wrong { .. })));
    // It does not hide the right one.
    assert!(verify(&[forged, me], PLUGIN, signature.as_bytes()).is_ok());
}

#[test]
fn a_forged_comment_is_refused() {
    let (secret, me) = keys();
    let signature = secret.sign(PLUGIN, "version 1").expect("signed");
    let forged = signature.replace("version 1", "version 2");
    assert_ne!(signature, forged);
    let verified = verify(std::slice::from_ref(&me), PLUGIN, forged.as_bytes());
    assert!(matches!(verified, Err(SignatureError::Wrong { .. })));
    // The comment of another signature of the same key, with its own proof.
    let second = lines(&secret.sign(b"other", "version 2").expect("signed"));
    let mut mixed = lines(&signature);
    mixed[2].clone_from(&second[2]);
    mixed[3].clone_from(&second[3]);
    let verified = verify(&[me], PLUGIN, mixed.join("\n").as_bytes());
    assert!(matches!(verified, Err(SignatureError::Wrong { .. })));
}

#[test]
fn a_signature_that_is_cut_off_is_damaged() {
    let (secret, me) = keys();
    let signature = secret.sign(PLUGIN, "x").expect("signed");
    let whole = signature.trim_end().len();
    for length in 0..whole {
        let verified = verify(
            std::slice::from_ref(&me),
            PLUGIN,
            &signature.as_bytes()[..length],
        );
        assert_eq!(verified, Err(SignatureError::Damaged), "{length}");
    }
    let verified = verify(&[me], PLUGIN, &signature.as_bytes()[..whole]);
    assert!(verified.is_ok());
}

#[test]
fn other_files_are_no_signatures() {
    let (secret, me) = keys();
    let mut large = secret.sign(PLUGIN, "x").expect("signed").into_bytes();
    large.resize(SIGNATURE_BYTES + 1, b'\n');
    let me = [me];
    assert_eq!(
        verify(&me, PLUGIN, &large),
        Err(SignatureError::TooLarge {
            bytes: SIGNATURE_BYTES + 1
        })
    );
    for other in [&b""[..], b"\xff\xfe", b"\n\n\n\n", b"a\nb\nc\nd", PLUGIN] {
        assert_eq!(verify(&me, PLUGIN, other), Err(SignatureError::Damaged));
    }
    // The form without a digest, as minisign 0.6 made it.
    let old = "untrusted comment: signature from minisign secret key\n\
        RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
        trusted comment: timestamp:1555779966\tfile:test\n\
        QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n";
    let theirs = Signer {
        name: "them".into(),
        key: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
            .parse()
            .expect("a key"),
    };
    let verified = verify(&[theirs], b"test", old.as_bytes());
    assert_eq!(verified, Err(SignatureError::OldForm));
}

#[test]
fn without_keys_nothing_is_accepted() {
    let (secret, _) = keys();
    let signature = secret.sign(PLUGIN, "x").expect("signed");
    let verified = verify(&[], PLUGIN, signature.as_bytes());
    assert_eq!(verified, Err(SignatureError::NobodyAccepted));
}

#[test]
fn what_minisign_signed_is_accepted() {
    let theirs = Signer {
        name: "them".into(),
        key: "untrusted comment: minisign public key E7620F1842B4E81F\n\
            RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n"
            .parse()
            .expect("a key"),
    };
    assert_eq!(theirs.key.id(), "E7620F1842B4E81F");
    let signature = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1556193335\tfile:test\n\
        y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";
    let signed = verify(&[theirs], b"test", signature.as_bytes()).expect("good");
    assert_eq!(signed.comment, "timestamp:1556193335\tfile:test");
}

#[test]
fn a_locked_key_opens_with_its_password_only() {
    let password = SecretString::from("correct horse");
    let keys = NewKeys::generate(Some(&password)).expect("keys");
    let opened = SecretKey::open(&keys.secret_file, Some(&password)).expect("opens");
    assert_eq!(opened.public(), &keys.public);
    let wrong = SecretString::from("wrong horse");
    assert!(matches!(
        SecretKey::open(&keys.secret_file, Some(&wrong)),
        Err(SigningError::WrongPassword)
    ));
    assert!(matches!(
        SecretKey::open(&keys.secret_file, None),
        Err(SigningError::Locked)
    ));
    let nonsense = SecretString::from("untrusted comment: x\nRWRTY0IyAAAA\n");
    assert!(matches!(
        SecretKey::open(&nonsense, None),
        Err(SigningError::NoKey)
    ));
    let shown = format!("{keys:?} {opened:?}");
    let secret = lines(secrecy::ExposeSecret::expose_secret(&keys.secret_file));
    assert!(!shown.contains(&secret[1]));
}

#[test]
fn comments_are_single_lines() {
    let (secret, _) = keys();
    for comment in ["two\nlines".to_owned(), "x".repeat(1001)] {
        assert!(matches!(
            secret.sign(PLUGIN, &comment),
            Err(SigningError::Comment)
        ));
    }
}

#[test]
fn texts_that_are_no_keys() {
    for text in [
        "",
        "RW",
        "untrusted comment: x",
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvW",
    ] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
}

#[test]
fn a_signature_lies_beside_its_plugin() {
    assert_eq!(
        signature_path(Path::new("plugins/ip-acl.wasm")),
        Path::new("plugins/ip-acl.wasm.minisig")
    );
}
