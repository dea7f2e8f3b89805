//! `cargo xtask demo`: real SIP calls through the real proxy, its real plugins, and
//! plugins that change while calls go on. sipp plays the trunk and the PBXs.

mod phone;
mod scenes;
mod screen;

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sipward_tests::stage::{Proxy, Stage, Trunk};

use crate::scenes::{PREMIUM_PREFIX, SCENES};

/// The stage of the tests with TLS beside UDP.
struct Set {
    stage: Stage,
    /// Port of the proxy for PBXs, TLS.
    inside_tls: u16,
}

impl Deref for Set {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Set {
    fn new() -> Self {
        let stage = Stage::that_stays("demo");
        certificates(&stage);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self {
            stage,
            inside_tls: free.local_addr().expect("its address").port(),
        }
    }

    /// Write the configuration with these prefixes denied.
    fn configure(&self, denied: &[&str]) {
        let text = self.filled(include_str!("sipward.toml"), denied);
        self.write(&text.replace("@INSIDE_TLS@", &self.inside_tls.to_string()));
    }
}

/// An authority, and a certificate of it for the proxy.
fn certificates(stage: &Stage) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let key = key();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("good names");
    let certificate = certificate.signed_by(&key, &authority);
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("certificate.pem", certificate.expect("a certificate").pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(stage.path(name), text).expect("a file");
    }
}

fn main() {
    let set = Set::new();
    set.configure(&[PREMIUM_PREFIX]);
    let trunk = Trunk::answer(&set);
    let proxy = Proxy::start(&set);
    let folder = set.path("").display().to_string();
    screen::says("demo", &format!("everything is in {folder}"));
    let status = proxy.ask("status").stdout;
    screen::says("sipward", String::from_utf8_lossy(&status).trim());
    for (index, (title, play)) in SCENES.iter().enumerate() {
        screen::scene(index + 1, title);
        play(&set, &proxy);
    }
    let last = SCENES.len() + 1;
    screen::scene(last, "SIGTERM: the proxy drains and ends");
    proxy.signal("TERM");
    assert!(proxy.wait().success(), "sipward ended with an error");
    screen::says("sipward", "no call was left; ended with success");
    drop(trunk);
    println!("\nThe demo went as it should: {last} scenes.");
}
