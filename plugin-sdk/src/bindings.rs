//! Rust types and glue that wit-bindgen makes of `wit/policy.wit`.
//!
//! The types and imports are generated once, in `host`; each hook only adds its
//! exports, so that a component has the hooks its author wrote.

#![expect(
    missing_docs,
    reason = "wit-bindgen documents what wit/policy.wit has, not the modules and traits it adds"
)]

/// Types and host functions: the world `host`.
mod host {
    wit_bindgen::generate!({
        path: "wit",
        world: "host",
        additional_derives: [PartialEq],
        generate_unused_types: true,
    });
}

#[cfg(target_arch = "wasm32")]
pub(crate) use host::sipward::policy::messages;
#[cfg(target_arch = "wasm32")]
pub(crate) use host::sipward::policy::{clock, log, random};
pub(crate) use host::sipward::policy::{
    counters, credentials, geo, identity, keyvalue, leases, lists, numbers,
};
pub(crate) use host::sipward::policy::{outcomes, types};

/// Generates the exports of one interface over the types of `host`.
///
/// The macros that wit-bindgen exports are named after interfaces, so each
/// interface may be generated once only and the worlds of `wit/policy.wit`
/// cannot be used as they stand. A plugin invokes the macro of `lifecycle` and
/// those of its hooks; the encoder unites their sections to one world. Interfaces
/// that the exported one uses are named after it. A hook that is named in brackets is
/// exported by `glue.rs`: its macro then only adds what the encoder has to know.
macro_rules! exported_interface {
    ($(#[$doc:meta])* $module:ident, $world:literal, $export:literal, [$($written:literal)?], $($used:literal: $path:ident),+) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                inline: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                skip: [$($written)?],
                with: {
                    $($used: crate::bindings::host::sipward::policy::$path,)+
                },
            });
        }
    };
}

/// `describe` and `configure`, which every plugin has.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package sipward:lifecycle; world lifecycle { export sipward:policy/lifecycle@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
    });
}

exported_interface!(
    /// `on-request`, with facts in one piece.
    request_policy,
    "package sipward:request; world request { export sipward:policy/packed-request-policy@0.1.0; }",
    "export_request_policy",
    ["on-request"],
    "sipward:policy/outcomes@0.1.0": outcomes
);
exported_interface!(
    /// `on-response`.
    response_policy,
    "package sipward:response; world response { export sipward:policy/response-policy@0.1.0; }",
    "export_response_policy",
    ["on-response"],
    "sipward:policy/types@0.1.0": types,
    "sipward:policy/messages@0.1.0": messages,
    "sipward:policy/outcomes@0.1.0": outcomes
);
exported_interface!(
    /// `on-call-event`.
    call_policy,
    "package sipward:call; world call { export sipward:policy/call-policy@0.1.0; }",
    "export_call_policy",
    [],
    "sipward:policy/types@0.1.0": types,
    "sipward:policy/outcomes@0.1.0": outcomes
);
