//! `messages`: the SIP message behind a borrowed resource. It is lent for one
//! call; a guest cannot keep it, and a number kept from an earlier call means
//! nothing later. Limits: `host_calls` and `host_bytes`, counted before copying.

use std::sync::Arc;

use policy::PolicyFailure;
use sip_message::Message;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType, WasmStr};

use crate::host::HostState;
use crate::services::Reading;

/// Type of the resource. Its representation is the ticket of the call.
#[expect(unreachable_pub, reason = "`bindgen!` re-exports it within this crate")]
pub enum LentMessage {}

/// Adds the interface to a linker; names are read in the guest's memory.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut messages = linker.instance("sipward:policy/messages@0.1.0")?;
    // The host's own reference ends the call; a guest that keeps the resource has a number.
    let lent = ResourceType::host::<LentMessage>();
    messages.resource("message", lent, |_, _| Ok(()))?;
    messages.func_wrap("current", |mut store: Store<'_>, ()| {
        Ok((store.data_mut().current()?,))
    })?;
    messages.func_wrap("[method]message.header", |store: Store<'_>, asked| {
        Ok((header(&store, asked)?,))
    })?;
    messages.func_wrap("[method]message.headers", |store: Store<'_>, asked| {
        Ok((headers(&store, asked)?,))
    })?;
    messages.func_wrap("[method]message.header-names", |store: Store<'_>, asked| {
        Ok((header_names(&store, asked)?,))
    })?;
    messages.func_wrap("[method]message.present", |store: Store<'_>, asked| {
        Ok((present(&store, asked)?,))
    })?;
    messages.func_wrap("[method]message.body", |store: Store<'_>, asked| {
        Ok((whole(&store, asked, |it| (Reading::Body(it), it.body()))?,))
    })?;
    messages.func_wrap("[method]message.raw", |store: Store<'_>, asked| {
        Ok((whole(&store, asked, |it| (Reading::Raw(it), it.bytes()))?,))
    })
}

/// Headers that are looked for at once: as many as an answer has bits.
const PRESENT: usize = 64;

type Store<'s> = StoreContextMut<'s, HostState>;
type Lent = Resource<LentMessage>;

fn header(
    store: &Store<'_>,
    (message, name): (Lent, WasmStr),
) -> wasmtime::Result<Option<Vec<u8>>> {
    let state = store.data();
    let name = name.to_str(store)?;
    state.charge_call(name.len())?;
    let lent = state.lent(&message)?;
    state.note(Reading::Header(lent, &name));
    let Some(value) = lent.header_named(name.as_bytes()) else {
        return Ok(None);
    };
    state.charge_bytes(value.len())?;
    Ok(Some(value.to_vec()))
}

fn headers(store: &Store<'_>, (message, name): (Lent, WasmStr)) -> wasmtime::Result<Vec<Vec<u8>>> {
    let state = store.data();
    let name = name.to_str(store)?;
    state.charge_call(name.len())?;
    let lent = state.lent(&message)?;
    state.note(Reading::Headers(lent, &name));
    let bytes = lent.values_named(name.as_bytes()).map(<[u8]>::len).sum();
    state.charge_bytes(bytes)?;
    let values = lent.values_named(name.as_bytes());
    Ok(values.map(<[u8]>::to_vec).collect())
}

fn header_names(store: &Store<'_>, (message,): (Lent,)) -> wasmtime::Result<Vec<String>> {
    let state = store.data();
    state.charge_call(0)?;
    let lent = state.lent(&message)?;
    state.note(Reading::HeaderNames(lent));
    let bytes = lent.headers().map(|header| header.name.len()).sum();
    state.charge_bytes(bytes)?;
    let names = lent.headers().map(|header| header.name);
    Ok(names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}

fn present(store: &Store<'_>, (message, names): (Lent, WasmStr)) -> wasmtime::Result<u64> {
    let state = store.data();
    let names = names.to_str(store)?;
    state.charge_call(names.len())?;
    let lent = state.lent(&message)?;
    let names = || names.split(',').take(PRESENT);
    let is_there = |name: &str| lent.header_named(name.as_bytes()).is_some();
    let bit = |(place, name)| u64::from(is_there(name)) << place;
    let found = names().enumerate().map(bit).fold(0, |all, bit| all | bit);
    for name in names() {
        state.note(Reading::Present(lent, name));
    }
    Ok(found)
}

/// The body, or all of it.
fn whole(
    store: &Store<'_>,
    (message,): (Lent,),
    part: fn(&Message) -> (Reading<'_>, &[u8]),
) -> wasmtime::Result<Vec<u8>> {
    let state = store.data();
    state.charge_call(0)?;
    let lent = state.lent(&message)?;
    let (reading, bytes) = part(lent);
    state.note(reading);
    state.charge_bytes(bytes.len())?;
    Ok(bytes.to_vec())
}

impl HostState {
    /// Once for each call: what a guest does not give back takes a place in its table.
    fn current(&mut self) -> wasmtime::Result<Lent> {
        self.charge_call(0)?;
        if self.message.is_none() || self.is_message_given {
            let why = "there is no message to be given".to_owned();
            return Err(wasmtime::Error::new(PolicyFailure::Trap(why)));
        }
        self.is_message_given = true;
        Ok(Resource::new_own(self.ticket))
    }

    pub(super) fn lent(&self, message: &Resource<LentMessage>) -> wasmtime::Result<&Arc<Message>> {
        match &self.message {
            Some(lent) if message.rep() == self.ticket => Ok(lent),
            _ => Err(wasmtime::Error::msg("the message is no longer lent")),
        }
    }
}
