//! The table of admitted calls, found by Call-ID and tags.

use std::hash::Hasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use policy::DialogState;

use crate::dialog::{Call, Side};
use crate::entropy::HashKey;
use crate::output::CallId;

/// A dialog that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DialogRef {
    pub(crate) call: CallId,
    pub(crate) dialog: u32,
    /// The end that the request comes from.
    pub(crate) side: Side,
    pub(crate) state: DialogState,
}

/// All calls of this core. The limit `calls` is kept by whoever admits.
#[derive(Debug)]
pub(crate) struct Calls {
    calls: HashMap<CallId, Call, FixedState>,
    /// Calls by the hash of Call-ID and caller's tag. Peers choose both, so the hash is
    /// keyed; several calls may have the same.
    index: HashTable<(u64, CallId)>,
    key: HashKey,
    next: u64,
}

impl Calls {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            calls: HashMap::default(),
            index: HashTable::new(),
            key,
            next: 1,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = CallId> {
        self.calls.keys().copied()
    }

    pub(crate) fn insert(&mut self, call: Call) -> CallId {
        let id = CallId(self.next);
        self.next += 1;
        let hash = self.hash(&call.call_id, &call.caller_tag);
        self.index.insert_unique(hash, (hash, id), |entry| entry.0);
        self.calls.insert(id, call);
        id
    }

    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        let hash = self.hash(&call.call_id, &call.caller_tag);
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.1 == id) {
            entry.remove();
        }
        Some(call)
    }

    /// The dialog of a request with these fields.
    pub(crate) fn find(&self, call_id: &[u8], from_tag: &[u8], to_tag: &[u8]) -> Option<DialogRef> {
        self.find_from(Side::Caller, call_id, from_tag, to_tag)
            .or_else(|| self.find_from(Side::Callee, call_id, to_tag, from_tag))
    }

    fn find_from(
        &self,
        side: Side,
        call_id: &[u8],
        caller_tag: &[u8],
        callee_tag: &[u8],
    ) -> Option<DialogRef> {
        let hash = self.hash(call_id, caller_tag);
        self.index
            .iter_hash(hash)
            .filter(|entry| entry.0 == hash)
            .find_map(|(_, id)| {
                let call = self.calls.get(id)?;
                if *call.call_id != *call_id || *call.caller_tag != *caller_tag {
                    return None;
                }
                let dialog = call
                    .dialogs
                    .iter()
                    .find(|dialog| *dialog.callee_tag == *callee_tag)?;
                Some(DialogRef {
                    call: *id,
                    dialog: dialog.serial,
                    side,
                    state: dialog.state,
                })
            })
    }

    fn hash(&self, call_id: &[u8], caller_tag: &[u8]) -> u64 {
        let mut hash = self.key.hasher();
        hash.field(call_id).field(caller_tag);
        hash.finish()
    }
}
