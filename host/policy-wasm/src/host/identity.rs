//! `identity`: who is behind a request, as far as the host knows: the TLS session,
//! the users that the host verified for it, and the groups of an identity. Limits:
//! `host_calls`, `host_bytes`.

use crate::bindings::identity::{DigestUser, Host, TlsSession};
use crate::host::HostState;
use crate::services::Reading;

impl Host for HostState {
    fn tls(&mut self) -> wasmtime::Result<Option<TlsSession>> {
        self.charge_call(0)?;
        self.note(Reading::Tls(self.consultation.tls));
        let Some(session) = self.consultation.tls else {
            return Ok(None);
        };
        self.charge_bytes(session.version.len().saturating_add(session.cipher.len()))?;
        Ok(Some(TlsSession {
            version: session.version.to_owned(),
            cipher: session.cipher.to_owned(),
        }))
    }

    fn verified(&mut self) -> wasmtime::Result<Vec<DigestUser>> {
        self.charge_call(0)?;
        let mut users: Vec<DigestUser> = Vec::new();
        for (user, realm) in self.consultation.verified.users() {
            // Two plugins may have asked with different algorithms.
            let known = users.iter().any(|it| it.user == user && it.realm == realm);
            if !known {
                users.push(DigestUser {
                    user: user.to_owned(),
                    realm: realm.to_owned(),
                });
            }
        }
        self.note(Reading::Verified(users.len()));
        let bytes = users.iter().map(|it| it.user.len() + it.realm.len()).sum();
        self.charge_bytes(bytes)?;
        Ok(users)
    }

    fn groups(&mut self, identity: String) -> wasmtime::Result<Vec<String>> {
        self.charge_call(identity.len())?;
        let groups = self.services.groups.groups(&identity);
        self.charge_bytes(groups.iter().map(String::len).sum())?;
        Ok(groups)
    }
}
