//! Listeners and TLS: sockets that would clash, files that cannot be read.

use std::net::SocketAddr;

use transport::tls::{cipher_names, is_tls13_cipher};

use super::{Checks, named, path};
use crate::config::model::{ClientAuth, Listener, TlsVersion, Transport};
use crate::config::place::{KeyPath, Part};

impl Checks<'_, '_, '_> {
    pub(super) fn listeners(&mut self) {
        let (listeners, numbers) = (&self.config.listeners, &self.numbers.listeners);
        self.unique(named(numbers, listeners, "listener", |listener| {
            &listener.name
        }));
        if listeners.is_empty() && self.findings.errors.is_empty() {
            self.wrong_at(
                &["listener".to_owned()],
                Part::Key,
                "there is none",
                "add a `[[listener]]` with name, transport and bind",
            );
        }
        for (index, (&number, listener)) in numbers.iter().zip(listeners).enumerate() {
            self.listener_tls(number, listener);
            let clash = listeners.iter().take(index).find(|earlier| {
                (earlier.transport == Transport::Udp) == (listener.transport == Transport::Udp)
                    && overlaps(earlier.bind, listener.bind)
            });
            if let Some(earlier) = clash {
                let problem = format!(
                    "{} clashes with listener `{}` on {}",
                    listener.bind, earlier.name, earlier.bind
                );
                self.wrong(
                    &path("listener", number, &["bind"]),
                    problem,
                    "choose another port or address",
                );
            }
        }
    }

    fn listener_tls(&mut self, number: usize, listener: &Listener) {
        let tls = match (listener.transport, &listener.tls) {
            (Transport::Tls, Some(tls)) => tls,
            (Transport::Tls, None) => {
                let path = path("listener", number, &["transport"]);
                self.wrong(
                    &path,
                    "TLS needs a certificate",
                    "add `tls = { certificate = \"...\", key = \"...\" }`",
                );
                return;
            }
            (_, Some(_)) => {
                let path = path("listener", number, &["tls"]);
                self.wrong_at(
                    &path,
                    Part::Key,
                    "is for TLS only",
                    "write `transport = \"tls\"`, or remove it",
                );
                return;
            }
            (_, None) => return,
        };
        let at = |name: &str| path("listener", number, &["tls", name]);
        self.readable(&at("certificate"), &tls.certificate);
        self.readable(&at("key"), &tls.key);
        for (index, more) in tls.more.iter().enumerate() {
            let index = index.to_string();
            self.readable(
                &path("listener", number, &["tls", "more", &index, "certificate"]),
                &more.certificate,
            );
            self.readable(
                &path("listener", number, &["tls", "more", &index, "key"]),
                &more.key,
            );
        }
        self.ciphers(&at("ciphers"), tls.min_version, &tls.ciphers);
        match &tls.client_ca {
            Some(authorities) => self.readable(&at("client_ca"), authorities),
            None if tls.client_auth != ClientAuth::None => {
                self.wrong(
                    &at("client_auth"),
                    "needs authorities to check clients against",
                    "add `client_ca = \"...\"`",
                );
            }
            None => {}
        }
    }

    /// Suites that we speak, and at least one for a version that may be spoken.
    fn ciphers(&mut self, at: &KeyPath, oldest: TlsVersion, ciphers: &[String]) {
        let known = || cipher_names();
        for (index, cipher) in ciphers.iter().enumerate() {
            if known().any(|name| name == cipher.as_str()) {
                continue;
            }
            let mut entry = at.clone();
            entry.push(index.to_string());
            let names: Vec<&str> = known().collect();
            self.wrong(
                &entry,
                format!("`{cipher}` is not a cipher suite that can be used"),
                format!("write one of {}", names.join(", ")),
            );
        }
        let modern = |cipher: &String| is_tls13_cipher(cipher);
        if oldest == TlsVersion::Tls13 && !ciphers.is_empty() && !ciphers.iter().any(modern) {
            self.wrong(
                at,
                "none of them belongs to TLS 1.3",
                "add `TLS_AES_256_GCM_SHA384`, or write `min_version = \"1.2\"`",
            );
        }
    }

    pub(super) fn outbound_tls(&mut self) {
        let Some(tls) = &self.config.outbound_tls else {
            return;
        };
        let key = |name: &str| vec!["outbound_tls".to_owned(), name.to_owned()];
        for (name, file) in [
            ("ca", &tls.ca),
            ("certificate", &tls.certificate),
            ("key", &tls.key),
        ] {
            if let Some(file) = file {
                self.readable(&key(name), file);
            }
        }
        self.ciphers(&key("ciphers"), tls.min_version, &tls.ciphers);
        match (&tls.certificate, &tls.key) {
            (Some(_), None) => self.wrong(&key("certificate"), "has no key", "add `key = \"...\"`"),
            (None, Some(_)) => self.wrong(
                &key("key"),
                "has no certificate",
                "add `certificate = \"...\"`",
            ),
            _ => {}
        }
    }
}

/// Whether two sockets cannot both be had, or would share what comes in. Port 0
/// is any free one.
fn overlaps(one: SocketAddr, two: SocketAddr) -> bool {
    let (first, second) = (one.ip(), two.ip());
    one.port() == two.port()
        && one.port() != 0
        && (first == second
            || first.is_ipv4() == second.is_ipv4()
                && (first.is_unspecified() || second.is_unspecified()))
}
