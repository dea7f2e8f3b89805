//! A guest that asks for WASI below the component model. Encoding it must fail,
//! and the host must name `wasi_snapshot_preview1`.

use sipward_plugin_sdk::prelude::*;

/// Looks innocent.
pub struct Forbidden;

#[policy]
impl Policy for Forbidden {
    type Settings = Option<bool>;

    fn configure(_: Option<bool>) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    fn on_request(&self, _: &Request<'_>) -> Outcome {
        Outcome::next().because(format!("WASI said {}", wasi::yields()))
    }
}

#[cfg(target_arch = "wasm32")]
#[expect(
    unsafe_code,
    reason = "an import of a foreign module is what this guest is for"
)]
mod wasi {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn sched_yield() -> i32;
    }

    pub(super) fn yields() -> i32 {
        // SAFETY: the function takes nothing and touches no memory.
        unsafe { sched_yield() }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod wasi {
    pub(super) fn yields() -> i32 {
        0
    }
}
