//! Rules, indexed so that a certificate costs a few look-ups however many there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Certificate, Uri, decode_escapes};

use crate::names::{Pattern, distinguished, domain_of, fingerprint};
use crate::settings;

/// Bytes of an identity: what the host accepts.
const IDENTITY_BYTES: usize = 256;

/// All rules.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Rules that want a fingerprint.
    by_fingerprint: BTreeMap<String, Vec<usize>>,
    /// Rules that want a name and no fingerprint.
    by_name: BTreeMap<Pattern, Vec<usize>>,
    /// Rules that want nothing but an issuer.
    by_issuer: BTreeMap<String, Vec<usize>>,
    /// Whether the issuer matters to any rule.
    issuers_matter: bool,
}

/// One rule.
struct Rule {
    names: BTreeSet<Pattern>,
    issuers: BTreeSet<String>,
    identity: Option<String>,
    rights: Rights,
}

/// What the holder may do.
pub(crate) struct Rights {
    methods: Vec<Vec<u8>>,
    inside: bool,
    outside: bool,
    users: BTreeSet<Vec<u8>>,
    user_prefixes: Vec<Vec<u8>>,
    domains: BTreeSet<Pattern>,
}

/// A certificate that a rule matches.
pub(crate) struct Holder<'a> {
    /// Who that is.
    pub(crate) identity: Cow<'a, str>,
    /// What they may do.
    pub(crate) rights: &'a Rights,
}

impl Rules {
    pub(crate) fn new(certificates: Vec<settings::Certificate>) -> Result<Self, SettingsError> {
        let mut rules = Self {
            rules: Vec::with_capacity(certificates.len()),
            by_fingerprint: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_issuer: BTreeMap::new(),
            issuers_matter: false,
        };
        for (index, certificate) in certificates.into_iter().enumerate() {
            rules.add(index, certificate).map_err(|(field, message)| {
                SettingsError::new(format!("certificates[{index}]{field}"), message)
            })?;
        }
        Ok(rules)
    }

    fn add(
        &mut self,
        index: usize,
        certificate: settings::Certificate,
    ) -> Result<(), (String, String)> {
        check(&certificate)?;
        let names = patterns("names", &certificate.names)?;
        let issuers: BTreeSet<_> = certificate
            .issuers
            .iter()
            .map(|name| distinguished(name))
            .collect();
        for (at, text) in certificate.fingerprints.iter().enumerate() {
            let fingerprint = fingerprint(text).ok_or_else(|| {
                let message = "is no SHA-256: write 64 hexadecimal digits".to_owned();
                (format!(".fingerprints[{at}]"), message)
            })?;
            self.by_fingerprint
                .entry(fingerprint)
                .or_default()
                .push(index);
        }
        self.issuers_matter |= !issuers.is_empty();
        let wanted = certificate.fingerprints.is_empty();
        match (wanted, names.is_empty()) {
            (false, _) => {}
            (true, false) => {
                for name in patterns("names", &certificate.names)? {
                    self.by_name.entry(name).or_default().push(index);
                }
            }
            (true, true) => {
                for issuer in &issuers {
                    let rules = self.by_issuer.entry(issuer.clone()).or_default();
                    rules.push(index);
                }
            }
        }
        let rights = Rights::new(&certificate)?;
        self.rules.push(Rule {
            names,
            issuers,
            identity: certificate.identity,
            rights,
        });
        Ok(())
    }

    /// Who the holder of a certificate is, by the first rule that it matches.
    pub(crate) fn holder<'a>(&'a self, certificate: &Certificate<'a>) -> Option<Holder<'a>> {
        let issuer = match self.issuers_matter {
            true => distinguished(certificate.issuer()),
            false => String::new(),
        };
        let names = || {
            certificate
                .names()
                .flat_map(|name| Pattern::of(name).map(move |pattern| (name, pattern)))
        };
        let by_fingerprint = self.by_fingerprint.get(certificate.fingerprint());
        let by_issuer = self.by_issuer.get(&issuer);
        let by_name = names().filter_map(|(_, pattern)| self.by_name.get(&pattern));
        let candidates = by_name
            .chain(by_fingerprint)
            .chain(by_issuer)
            .flatten()
            .copied();
        let matched = candidates.filter_map(|index| {
            let rule = self.rules.get(index)?;
            let issued = rule.issuers.is_empty() || rule.issuers.contains(&issuer);
            let name = names()
                .find(|(_, pattern)| rule.names.contains(pattern))
                .map(|(name, _)| name);
            let named = rule.names.is_empty() || name.is_some();
            (issued && named).then_some((index, name, rule))
        });
        let (_, name, rule) = matched.min_by_key(|(index, ..)| *index)?;
        let identity = match &rule.identity {
            Some(identity) => Cow::Borrowed(identity.as_str()),
            // One spelling, so that groups and counters know one holder.
            None => Cow::Owned(domain_of(name?)),
        };
        Some(Holder {
            identity,
            rights: &rule.rights,
        })
    }
}

impl Rights {
    fn new(certificate: &settings::Certificate) -> Result<Self, (String, String)> {
        let zone = |zone| certificate.zones.is_empty() || certificate.zones.contains(&zone);
        let mut users = BTreeSet::new();
        let mut user_prefixes = Vec::new();
        for (at, user) in certificate.users.iter().enumerate() {
            match user.strip_suffix('*') {
                Some(prefix) if !prefix.is_empty() && !prefix.contains('*') => {
                    user_prefixes.push(prefix.as_bytes().to_vec());
                }
                None if !user.is_empty() && !user.contains('*') => {
                    users.insert(user.as_bytes().to_vec());
                }
                _ => {
                    let message = "has to be a user, or its beginning and one `*`".to_owned();
                    return Err((format!(".users[{at}]"), message));
                }
            }
        }
        Ok(Self {
            methods: certificate
                .methods
                .iter()
                .map(|method| method.as_bytes().to_vec())
                .collect(),
            inside: zone(settings::Zone::Inside),
            outside: zone(settings::Zone::Outside),
            users,
            user_prefixes,
            domains: patterns("domains", &certificate.domains)?,
        })
    }

    /// Why the holder may not send this request; `None` if they may.
    pub(crate) fn objection(&self, request: &Request<'_>) -> Option<String> {
        let allowed = match request.peer().zone() {
            Zone::Inside => self.inside,
            Zone::Outside => self.outside,
        };
        if !allowed {
            return Some("may not come from this zone".to_owned());
        }
        let method = request.method_name();
        if !self.methods.is_empty() && !self.methods.iter().any(|allowed| allowed == method) {
            let method = String::from_utf8_lossy(method);
            return Some(format!("may not send {method}"));
        }
        // Inside a dialog the Request-URI is a Contact that was learnt.
        if request.dialog() != Dialog::None {
            return None;
        }
        let uri = request.request_uri();
        if request.method() == Method::Register {
            // The Request-URI of a REGISTER names the registrar, To whom it binds.
            let to = request.to().uri();
            return self
                .objection_to_domain("Request-URI", &uri)
                .or_else(|| self.objection_to_user("To", &to))
                .or_else(|| self.objection_to_domain("To", &to));
        }
        self.objection_to_user("Request-URI", &uri)
            .or_else(|| self.objection_to_domain("Request-URI", &uri))
    }

    fn objection_to_user(&self, place: &str, uri: &Uri<'_>) -> Option<String> {
        if self.users.is_empty() && self.user_prefixes.is_empty() {
            return None;
        }
        let user = uri.user().unwrap_or_default();
        let allowed = decode_escapes(user).is_some_and(|user| {
            self.users.contains(&*user)
                || self
                    .user_prefixes
                    .iter()
                    .any(|prefix| user.starts_with(prefix))
        });
        let user = || String::from_utf8_lossy(user);
        (!allowed).then(|| format!("may not reach the user `{}` in {place}", user()))
    }

    fn objection_to_domain(&self, place: &str, uri: &Uri<'_>) -> Option<String> {
        if self.domains.is_empty() {
            return None;
        }
        let host = String::from_utf8_lossy(uri.host());
        // The root's dot names the same domain.
        let domain = host.strip_suffix('.').unwrap_or(&host);
        let allowed = Pattern::of(domain).any(|pattern| self.domains.contains(&pattern));
        (!allowed).then(|| format!("may not reach the domain `{host}` in {place}"))
    }
}

/// Lengths and what has no better place; names the wrong field.
fn check(certificate: &settings::Certificate) -> Result<(), (String, String)> {
    let wrong = |field: &str, message: String| Err((field.to_owned(), message));
    for (field, length, most) in [
        (".names", certificate.names.len(), 256),
        (".issuers", certificate.issuers.len(), 16),
        (".fingerprints", certificate.fingerprints.len(), 256),
        (".methods", certificate.methods.len(), 32),
        (".users", certificate.users.len(), 1_024),
        (".domains", certificate.domains.len(), 256),
    ] {
        if length > most {
            return wrong(
                field,
                format!("has {length} entries; at most {most} are possible"),
            );
        }
    }
    let nothing = certificate.names.is_empty() && certificate.fingerprints.is_empty();
    if nothing && certificate.issuers.is_empty() {
        let message = "matches every certificate; write `names`, `issuers` or `fingerprints`";
        return wrong("", message.to_owned());
    }
    for (at, issuer) in certificate.issuers.iter().enumerate() {
        if !issuer.contains('=') {
            let message = "is no distinguished name; write CN=Example CA,O=Example,C=DE";
            return wrong(&format!(".issuers[{at}]"), message.to_owned());
        }
    }
    match &certificate.identity {
        None if certificate.names.is_empty() => {
            let message = "is missing; without `names` there is none to take";
            return wrong(".identity", message.to_owned());
        }
        Some(identity)
            if identity.is_empty()
                || identity.len() > IDENTITY_BYTES
                || identity.chars().any(char::is_control) =>
        {
            let message = format!("has to be one line of 1 to {IDENTITY_BYTES} bytes");
            return wrong(".identity", message);
        }
        _ => {}
    }
    for (at, method) in certificate.methods.iter().enumerate() {
        if method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase()) {
            let message = format!("`{method}` is no method; write upper case, as in INVITE");
            return wrong(&format!(".methods[{at}]"), message);
        }
    }
    Ok(())
}

fn patterns(field: &str, names: &[String]) -> Result<BTreeSet<Pattern>, (String, String)> {
    let read = |(at, name): (usize, &String)| {
        Pattern::new(name)
            .map_err(|problem| (format!(".{field}[{at}]"), format!("`{name}` {problem}")))
    };
    names.iter().enumerate().map(read).collect()
}
