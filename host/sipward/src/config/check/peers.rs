//! PBXs, trunks and users.

use std::collections::BTreeMap;

use sip_message::Uri;

use super::{Checks, path};
use crate::config::hint;
use crate::config::model::{Credential, Listener, Peer, Transport};
use crate::config::place::Part;

impl Checks<'_, '_, '_> {
    pub(super) fn peer(
        &mut self,
        list: &str,
        number: usize,
        peer: &Peer,
        all: &[(&str, usize, &Peer)],
    ) {
        for (index, target) in peer.targets.iter().enumerate() {
            if let Err(problem) = target_problem(target) {
                let path = path(list, number, &["targets", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("`{target}`: {problem}"),
                    "write `sip:host:port;transport=tls`, with udp, tcp or tls",
                );
            }
        }
        for (index, source) in peer.sources.iter().enumerate() {
            let earlier = all
                .iter()
                .take_while(|(_, _, other)| !std::ptr::eq(*other, peer))
                .find(|(_, _, other)| {
                    other.sources.contains(source)
                        && other.certificate_names == peer.certificate_names
                });
            if let Some((_, _, other)) = earlier {
                let path = path(list, number, &["sources", &index.to_string()]);
                let problem = format!("{source} belongs to `{}` already", other.name);
                self.wrong(
                    &path,
                    problem,
                    "a source must tell peers apart: narrow one network, or use certificate_names",
                );
            }
        }
        let listens_to_tcp = |listener: &Listener| listener.transport == Transport::Tcp;
        if peer.large_by_tcp
            && !self.config.listeners.iter().any(listens_to_tcp)
            && self.is_whole("listener")
        {
            self.wrong(
                &path(list, number, &["large_by_tcp"]),
                "there is no TCP listener to send from",
                "add a `[[listener]]` with `transport = \"tcp\"`, or remove it",
            );
        }
        let names: Vec<&str> = all
            .iter()
            .map(|(_, _, other)| other.name.as_str())
            .collect();
        if let Some(wanted) = peer
            .route_to
            .as_deref()
            .filter(|wanted| !names.contains(wanted))
            && self.is_whole("pbx")
            && self.is_whole("trunk")
        {
            let path = path(list, number, &["route_to"]);
            self.wrong(
                &path,
                format!("there is no peer `{wanted}`"),
                hint::among(wanted, names),
            );
        }
    }

    pub(super) fn credentials(&mut self) {
        let (credentials, numbers) = (&self.config.credentials, &self.numbers.credentials);
        let mut seen = BTreeMap::new();
        for (&number, credential) in numbers.iter().zip(credentials) {
            if seen
                .insert((&credential.realm, &credential.user), number)
                .is_some()
            {
                let problem = format!(
                    "`{}` is in realm `{}` already",
                    credential.user, credential.realm
                );
                self.wrong(
                    &path("credential", number, &["user"]),
                    problem,
                    "keep one of them",
                );
            }
            self.credential(number, credential);
        }
    }

    fn credential(&mut self, number: usize, credential: &Credential) {
        let Credential {
            password_file,
            password_env,
            ha1_file,
            ..
        } = credential;
        let given = [
            password_file.is_some(),
            password_env.is_some(),
            ha1_file.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let problem = "needs one source of its secret";
            let remedy = "write exactly one of `password_file`, `password_env` and `ha1_file`";
            self.wrong_at(&path("credential", number, &[]), Part::Key, problem, remedy);
        }
        for (name, file) in [("password_file", password_file), ("ha1_file", ha1_file)] {
            if let Some(file) = file {
                self.readable(&path("credential", number, &[name]), file);
            }
        }
        if let Some(name) = password_env
            && !self
                .environment
                .iter()
                .any(|(set, text)| set == name && !text.is_empty())
        {
            let path = path("credential", number, &["password_env"]);
            self.wrong(
                &path,
                format!("the environment variable {name} is not set"),
                "set it, or use `password_file`",
            );
        }
    }
}

fn target_problem(text: &str) -> Result<(), String> {
    let uri = Uri::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("sip:") && !lower.starts_with("sips:") {
        return Err("it is no SIP URI".to_owned());
    }
    match uri.transport() {
        None => Ok(()),
        Some(name)
            if [b"udp".as_slice(), b"tcp", b"tls"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name)) =>
        {
            Ok(())
        }
        Some(name) => Err(format!(
            "there is no transport `{}`",
            String::from_utf8_lossy(name)
        )),
    }
}
