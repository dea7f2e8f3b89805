//! Registries that do what they should not: written by hand, so that they can.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where it fails"
)]

mod fake;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fake::{Fake, Heard, Reply};
use plugin_registry::{
    CONFIG_TYPE, Credentials, Digest, LAYER_TYPE, MANIFEST_TYPE, Options, REDIRECTS, Registry,
    RegistryError, SIGNATURE_ANNOTATION, Source,
};
use serde_json::{Value, json};

/// The smallest component.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
/// What the system may have taken off a fake before it was cut off.
const BUFFERS: u64 = 32 << 20;

fn options() -> Options {
    Options {
        plain_http: false,
        authorities: None,
        component_bytes: 1 << 20,
        time: Duration::from_secs(20),
    }
}

fn me() -> Credentials {
    Credentials::Password {
        user: "me".to_owned(),
        password: "secret".into(),
    }
}

/// A manifest, and its configuration.
fn plugin() -> (Vec<u8>, Vec<u8>) {
    let component = Digest::of(EMPTY).to_string();
    let config = serde_json::to_vec(&json!({ "layerDigests": [component] })).unwrap();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "digest": Digest::of(&config).to_string(),
            "size": config.len(),
        },
        "layers": [{ "mediaType": LAYER_TYPE, "digest": component, "size": EMPTY.len() }],
        "annotations": { SIGNATURE_ANNOTATION: "text" },
    });
    (serde_json::to_vec(&manifest).unwrap(), config)
}

fn typed(body: &[u8]) -> Reply {
    Reply::ok(body).with("Content-Type", MANIFEST_TYPE)
}

/// Answers as a registry that has this plugin.
fn sound(heard: &Heard) -> Reply {
    let (manifest, config) = plugin();
    let blob = |bytes: &[u8]| format!("blobs/{}", Digest::of(bytes));
    if heard.path.contains("/manifests/") {
        typed(&manifest)
    } else if heard.path.ends_with(&blob(&config)) {
        Reply::ok(&config)
    } else if heard.path.ends_with(&blob(EMPTY)) {
        Reply::ok(EMPTY)
    } else {
        Reply::status(404)
    }
}

/// The outcome of fetching from a fake, in the way that `options` say.
fn fetch_with(
    fake: &Fake,
    credentials: Credentials,
    options: &Options,
) -> Result<(), RegistryError> {
    let reference = format!("{}/acme/a:1", fake.address).parse()?;
    let fetched = Registry::open(reference, credentials, options)?.fetch()?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    let kept = fetched.accept_from_anybody().keep(&path, false)?;
    assert_eq!(std::fs::read(&kept.component).unwrap(), EMPTY);
    assert_eq!(std::fs::read(kept.signature.unwrap()).unwrap(), b"text");
    assert_eq!(kept.digest, Digest::of(&plugin().0));
    Ok(())
}

fn fetch(fake: &Fake) -> Result<(), RegistryError> {
    fetch_with(fake, Credentials::None, &options())
}

#[test]
fn a_sound_plugin_is_fetched() {
    let fake = Fake::start(sound);
    fetch(&fake).unwrap();
    let paths: Vec<String> = fake.heard().into_iter().map(|it| it.path).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    assert_eq!(paths[0], "/v2/acme/a/manifests/1");
}

#[test]
fn endless_bodies_are_cut_off() {
    for endless in ["manifests", "blobs"] {
        for status in [200, 500] {
            let fake = Fake::start(move |heard| {
                if heard.path.contains(endless) {
                    Reply::endless(status).with("Content-Type", MANIFEST_TYPE)
                } else {
                    sound(heard)
                }
            });
            let error = fetch(&fake).unwrap_err();
            let expected = match (status, &error) {
                (200, RegistryError::TooLarge { limit, .. }) => *limit <= options().component_bytes,
                (500, RegistryError::Status { told, .. }) => told.is_empty(),
                _ => false,
            };
            assert!(expected, "{endless} {status}: {error}");
            assert!(fake.sent() < BUFFERS, "{}", fake.sent());
        }
    }
}

#[test]
fn what_is_announced_as_too_large_is_not_read() {
    let fake = Fake::start(|_| {
        Reply::endless(200)
            .with("Content-Type", MANIFEST_TYPE)
            .with("Content-Length", "1000000000000")
    });
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");

    let fake = Fake::start(|_| {
        let (manifest, _) = plugin();
        let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["layers"][0]["size"] = json!(options().component_bytes + 1);
        typed(&serde_json::to_vec(&manifest).unwrap())
    });
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
    assert_eq!(fake.heard().len(), 1, "nobody asked for the component");
}

#[test]
fn whoever_takes_his_time_has_no_more_than_there_is() {
    let fake = Fake::start(|_| Reply::dripping().with("Content-Type", MANIFEST_TYPE));
    let options = Options {
        time: Duration::from_millis(400),
        ..options()
    };
    let began = Instant::now();
    let error = fetch_with(&fake, Credentials::None, &options).unwrap_err();
    assert!(matches!(error, RegistryError::Time { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    // A time that no clock reaches is not too long to begin with.
    let options = Options {
        time: Duration::MAX,
        ..options
    };
    fetch_with(&Fake::start(sound), Credentials::None, &options).unwrap();
}

#[test]
fn bytes_that_are_not_what_their_digest_names_are_refused() {
    let other = |bytes: &[u8]| {
        let mut other = bytes.to_vec();
        *other.last_mut().unwrap() ^= 1;
        other
    };
    for (what, end) in [("the component", 0), ("the component", 1)] {
        let fake = Fake::start(move |heard| {
            if heard.path.ends_with(&Digest::of(EMPTY).to_string()) {
                Reply::ok(&other(EMPTY)[end..])
            } else {
                sound(heard)
            }
        });
        let error = fetch(&fake).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(what), "{message}");
        assert!(
            matches!(
                (end, &error),
                (0, RegistryError::Digest { .. }) | (1, RegistryError::Short { .. })
            ),
            "{message}"
        );
    }
    // The manifest, by the reference and by what the registry says of itself.
    let fake = Fake::start(sound);
    let reference = format!("{}/acme/a@{}", fake.address, Digest::of(b"other"));
    let mut registry =
        Registry::open(reference.parse().unwrap(), Credentials::None, &options()).unwrap();
    let error = registry.fetch().unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
    let fake = Fake::start(|heard| {
        sound(heard).with("Docker-Content-Digest", &Digest::of(b"x").to_string())
    });
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
}

#[test]
fn something_else_is_no_plugin() {
    let fake = Fake::start(|_| {
        Reply::ok(b"{}").with("Content-Type", "application/vnd.oci.image.index.v1+json")
    });
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::MediaType { .. }), "{error}");
    let fake = Fake::start(|_| Reply::ok(b"<html>").with("Content-Type", "text/html"));
    assert!(
        fetch(&fake)
            .unwrap_err()
            .to_string()
            .contains("`text/html`")
    );
    let fake = Fake::start(|_| typed(b"\x1b[2J"));
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::Manifest { .. }), "{error}");
}

#[test]
fn failures_are_told_in_the_registry_s_words_made_harmless() {
    let words = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no\u001b[2J such"}]}"#;
    let fake = Fake::start(move |_| Reply::status(404).body(words.as_bytes()));
    let error = fetch(&fake).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("MANIFEST_UNKNOWN no [2J such"),
        "{message}"
    );
    assert!(message.contains(&fake.address), "{message}");

    let gone = fake.address.clone();
    drop(fake);
    let reference = format!("{gone}/a:1").parse().unwrap();
    let mut registry = Registry::open(reference, Credentials::None, &options()).unwrap();
    let error = registry.fetch().unwrap_err();
    assert!(
        matches!(error, RegistryError::Unreachable { .. }),
        "{error}"
    );
}

#[test]
fn redirects_are_followed_for_a_while() {
    for (steps, good) in [(REDIRECTS, true), (REDIRECTS + 1, false)] {
        let fake = Fake::start(move |heard| {
            let (path, step) = heard.path.split_once('#').unwrap_or((&heard.path, ""));
            let (path, step) = path.split_once("?step=").unwrap_or((path, step));
            let step: usize = step.parse().unwrap_or_default();
            if step == steps {
                let heard = Heard {
                    path: path.to_owned(),
                    ..heard.clone()
                };
                return sound(&heard);
            }
            Reply::status(307).with("Location", &format!("{path}?step={}", step + 1))
        });
        match fetch(&fake) {
            Ok(()) => assert!(good),
            Err(error) => {
                assert!(matches!(error, RegistryError::Redirects { .. }), "{error}");
                assert!(!good);
            }
        }
    }
}

#[test]
fn redirects_do_not_leave_encryption_or_lead_anywhere() {
    for (location, expected) in [
        ("http://registry.example.com/x", "without encryption"),
        ("https://registry.example.com/x", "authorities"),
        ("file:///etc/passwd", "does not say where to"),
        ("//registry.example.com/x", "does not say where to"),
        ("", "does not say where to"),
    ] {
        let fake = Fake::start(move |_| Reply::status(302).with("Location", location));
        let error = fetch(&fake).unwrap_err().to_string();
        assert!(error.contains(expected), "{location}: {error}");
    }
    for reference in [
        "http://registry.example.com/a:1",
        "http://192.0.2.1:5000/a:1",
    ] {
        let reference = reference.parse().unwrap();
        let error = Registry::open(reference, me(), &options()).unwrap_err();
        assert!(matches!(error, RegistryError::PlainHttp { .. }), "{error}");
    }
    // With encryption, somebody has to vouch for the registry.
    let reference = "registry.example.com/a:1".parse().unwrap();
    let error = Registry::open(reference, me(), &options()).unwrap_err();
    assert!(matches!(error, RegistryError::NoAuthorities), "{error}");
}

#[test]
fn a_password_goes_to_the_registry_alone() {
    let storage = Fake::start(sound);
    let elsewhere = storage.address.clone();
    let fake = Fake::start(move |heard| {
        if heard.authorization.is_none() {
            return Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\"");
        }
        let location = format!("http://{elsewhere}{}", heard.path);
        Reply::status(307).with("Location", &location)
    });
    fetch_with(&fake, me(), &options()).unwrap();
    let heard = fake.heard();
    assert_eq!(heard[0].authorization, None, "nobody asked yet");
    // RFC 7617: `me:secret`.
    let basic = Some("Basic bWU6c2VjcmV0".to_owned());
    assert!(
        heard[1..].iter().all(|it| it.authorization == basic),
        "{heard:?}"
    );
    assert_eq!(storage.heard().len(), 3);
    assert!(storage.heard().iter().all(|it| it.authorization.is_none()));
}

#[test]
fn a_refused_password_is_not_tried_again_and_not_shown() {
    let fake = Fake::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\""));
    let error = fetch_with(&fake, me(), &options()).unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    let message = format!("{error} {error:?}");
    assert!(
        message.contains("`me`") && !message.contains("secret"),
        "{message}"
    );
    assert!(!message.contains("bWU6"), "{message}");
    assert_eq!(fake.heard().len(), 2);
    let message = fetch(&fake).unwrap_err().to_string();
    assert!(message.contains("SIPWARD_REGISTRY_PASSWORD"), "{message}");
    assert_eq!(fake.heard().len(), 3);
}

#[test]
fn a_token_is_fetched_where_the_registry_says() {
    for (credentials, shown) in [
        (me(), Some("Basic bWU6c2VjcmV0")),
        (Credentials::None, None),
    ] {
        let tokens = Fake::start(|_| Reply::ok(br#"{"access_token":"abc"}"#));
        let realm = format!("http://{}/t", tokens.address);
        let fake = Fake::start(move |heard| {
            if heard.authorization.as_deref() == Some("Bearer abc") {
                return sound(heard);
            }
            let challenge =
                format!("Bearer realm=\"{realm}\",service=\"r\",scope=\"repository:acme/a:pull\"");
            Reply::status(401).with("WWW-Authenticate", &challenge)
        });
        fetch_with(&fake, credentials, &options()).unwrap();
        let asked = tokens.heard();
        assert_eq!(asked.len(), 1, "one token for all");
        assert_eq!(asked[0].path, "/t?service=r&scope=repository:acme/a:pull");
        assert_eq!(asked[0].authorization.as_deref(), shown);
    }
}

#[test]
fn services_that_give_no_token_are_no_way_in() {
    let deaf: Arc<dyn Fn() -> Reply + Send + Sync> = Arc::new(|| Reply::endless(200));
    let refusing: Arc<dyn Fn() -> Reply + Send + Sync> = Arc::new(|| Reply::status(401));
    let silly: Arc<dyn Fn() -> Reply + Send + Sync> = Arc::new(|| Reply::ok(b"{}"));
    let cutting: Arc<dyn Fn() -> Reply + Send + Sync> =
        Arc::new(|| Reply::ok(br#"{"token":"a\r\nX-Y: z"}"#));
    for (service, expected) in [
        (deaf, "more than"),
        (refusing, "401"),
        (silly, "gives no token"),
        (cutting, "cannot be sent"),
    ] {
        let tokens = Fake::start(move |_| service());
        let realm = format!("http://{}/t", tokens.address);
        let fake = Fake::start(move |_| {
            let challenge = format!("Bearer realm=\"{realm}\"");
            Reply::status(401).with("WWW-Authenticate", &challenge)
        });
        let error = fetch_with(&fake, me(), &options()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // The password would go to another machine without encryption.
    let fake = Fake::start(|_| {
        let challenge = "Bearer realm=\"http://tokens.example.com/t\"";
        Reply::status(401).with("WWW-Authenticate", challenge)
    });
    let error = fetch_with(&fake, me(), &options()).unwrap_err();
    assert!(matches!(error, RegistryError::PlainHttp { .. }), "{error}");
}

fn source(signature: Option<&str>) -> Source<'_> {
    Source {
        title: "a.wasm",
        component: EMPTY,
        signature,
        created: SystemTime::UNIX_EPOCH,
    }
}

fn push(fake: &Fake, options: &Options) -> Result<Digest, RegistryError> {
    let reference = format!("{}/acme/a:1", fake.address).parse()?;
    Registry::open(reference, me(), options)?.push(source(Some("text")), false)
}

#[test]
fn a_push_sends_blobs_before_the_manifest_that_names_them() {
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "POST" => Reply::status(202).with("Location", "/elsewhere?state=1"),
        "PUT" => Reply::status(201),
        _ => Reply::status(404),
    });
    let digest = push(&fake, &options()).unwrap();
    let heard = fake.heard();
    let steps: Vec<String> = heard
        .iter()
        .map(|it| format!("{} {}", it.method, it.path.split("sha256").next().unwrap()))
        .collect();
    let blob = [
        "HEAD /v2/acme/a/blobs/",
        "POST /v2/acme/a/blobs/uploads/",
        "PUT /elsewhere?state=1&digest=",
    ];
    let expected = [
        &["GET /v2/acme/a/manifests/1"][..],
        &blob,
        &blob,
        &["PUT /v2/acme/a/manifests/1"],
    ];
    assert_eq!(steps, expected.concat());
    assert_eq!(heard[6].body, EMPTY);
    assert_eq!(Digest::of(&heard[7].body), digest);
}

#[test]
fn blobs_that_are_there_are_not_sent_wherever_there_is() {
    let fake = Fake::start(|heard| match (heard.method.as_str(), heard.path.as_str()) {
        ("HEAD", "/there") => Reply::status(200),
        ("HEAD", _) => Reply::status(307).with("Location", "/there"),
        ("PUT", _) => Reply::status(201),
        _ => Reply::status(404),
    });
    push(&fake, &options()).unwrap();
    assert!(fake.heard().iter().all(|it| it.method != "POST"));
}

#[test]
fn a_tag_that_names_something_else_stays() {
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "GET" => typed(b"something else"),
        _ => Reply::status(500),
    });
    let error = push(&fake, &options()).unwrap_err();
    assert!(
        matches!(error, RegistryError::Taken { there, .. } if there == Digest::of(b"something else")),
        "{error}"
    );
    assert_eq!(fake.heard().len(), 1);
}

#[test]
fn a_push_goes_nowhere_without_encryption_and_not_by_digest() {
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "POST" => Reply::status(202).with("Location", "http://registry.example.com/x"),
        _ => Reply::status(404),
    });
    let error = push(&fake, &options()).unwrap_err();
    assert!(matches!(error, RegistryError::PlainHttp { .. }), "{error}");
    let small = Options {
        component_bytes: 7,
        ..options()
    };
    let error = push(&fake, &small).unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
    let reference = format!("{}/a:1@{}", fake.address, Digest::of(b""));
    let reference = reference.parse().unwrap();
    let mut registry = Registry::open(reference, me(), &options()).unwrap();
    let error = registry.push(source(None), false).unwrap_err();
    assert!(matches!(error, RegistryError::WantsTag), "{error}");
}
