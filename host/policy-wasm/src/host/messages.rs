//! `messages`: the SIP message behind a borrowed resource. It is lent for one
//! call; a guest cannot keep it, and a number kept from an earlier call means
//! nothing later. Limits: `host_calls` and `host_bytes`, counted before copying.

use std::sync::Arc;

use sip_message::Message;
use wasmtime::component::Resource;

use crate::bindings::messages::{Host, HostMessage};
use crate::host::HostState;
use crate::services::Reading;

/// Type of the resource. Its representation is the ticket of the call.
#[expect(unreachable_pub, reason = "`bindgen!` re-exports it within this crate")]
pub enum LentMessage {}

impl Host for HostState {}

impl HostMessage for HostState {
    fn header(
        &mut self,
        message: Resource<LentMessage>,
        name: String,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        self.charge_call(name.len())?;
        let lent = Arc::clone(self.lent(&message)?);
        self.note(Reading::Header(&lent, &name));
        let Some(value) = lent.header_named(name.as_bytes()) else {
            return Ok(None);
        };
        self.charge_bytes(value.len())?;
        Ok(Some(value.to_vec()))
    }

    fn headers(
        &mut self,
        message: Resource<LentMessage>,
        name: String,
    ) -> wasmtime::Result<Vec<Vec<u8>>> {
        self.charge_call(name.len())?;
        let lent = Arc::clone(self.lent(&message)?);
        self.note(Reading::Headers(&lent, &name));
        let bytes = lent.values_named(name.as_bytes()).map(<[u8]>::len).sum();
        self.charge_bytes(bytes)?;
        let values = lent.values_named(name.as_bytes());
        Ok(values.map(<[u8]>::to_vec).collect())
    }

    fn header_names(&mut self, message: Resource<LentMessage>) -> wasmtime::Result<Vec<String>> {
        self.charge_call(0)?;
        let lent = Arc::clone(self.lent(&message)?);
        self.note(Reading::HeaderNames(&lent));
        let bytes = lent.headers().map(|header| header.name.len()).sum();
        self.charge_bytes(bytes)?;
        let names = lent.headers().map(|header| header.name);
        Ok(names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    fn body(&mut self, message: Resource<LentMessage>) -> wasmtime::Result<Vec<u8>> {
        self.charge_call(0)?;
        self.note(Reading::Body(self.lent(&message)?));
        let bytes = self.lent(&message)?.body().len();
        self.charge_bytes(bytes)?;
        Ok(self.lent(&message)?.body().to_vec())
    }

    fn raw(&mut self, message: Resource<LentMessage>) -> wasmtime::Result<Vec<u8>> {
        self.charge_call(0)?;
        self.note(Reading::Raw(self.lent(&message)?));
        let bytes = self.lent(&message)?.bytes().len();
        self.charge_bytes(bytes)?;
        Ok(self.lent(&message)?.bytes().to_vec())
    }

    fn drop(&mut self, _message: Resource<LentMessage>) -> wasmtime::Result<()> {
        // Guests only ever borrow it; the host's own reference ends the call.
        Ok(())
    }
}

impl HostState {
    pub(super) fn lent(&self, message: &Resource<LentMessage>) -> wasmtime::Result<&Arc<Message>> {
        match &self.message {
            Some(lent) if message.rep() == self.ticket => Ok(lent),
            _ => Err(wasmtime::Error::msg("the message is no longer lent")),
        }
    }
}
