//! Glue that `bindgen!` makes from `wit/policy.wit`, the file the SDK uses too.
//!
//! The world with both hooks is bound; which hooks a component has is found out
//! by its exports, interface by interface.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "full-plugin",
    ownership: Borrowing { duplicate_if_necessary: false },
    imports: { default: trappable },
    with: {
        "sipward:policy/messages.message": crate::host::LentMessage,
    },
});

pub(crate) use exports::sipward::policy::{call_policy, lifecycle, response_policy};
pub(crate) use sipward::policy::{
    clock, counters, credentials, geo, identity, keyvalue, leases, lists, log, numbers, outcomes,
    random, types,
};
