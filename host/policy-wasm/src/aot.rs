//! From a component's bytes to code that can run: out of the cache if this
//! installation compiled it before with the same settings, else compiled now.

use std::hash::{Hash, Hasher};

use wasmtime::component::Component;

use crate::engine::Engine;

/// Compiles a component or takes it from the cache.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
    let Some(cache) = &engine.cache else {
        return Component::from_binary(&engine.wasmtime, wasm);
    };
    let name = cache_name(&engine.wasmtime, wasm);
    if let Some(code) = cache.read(&name) {
        match deserialize(&engine.wasmtime, &code) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(%error, "a cached component does not fit; compiling anew");
            }
        }
    }
    let component = Component::from_binary(&engine.wasmtime, wasm)?;
    cache.write(&name, &component.serialize()?);
    Ok(component)
}

#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; the caller has it from the cache, which hands out only what this installation serialized and authenticated with its own key"
)]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is unchanged output of `Component::serialize`: `Cache::read`
    // has checked its keyed hash, and the name under it contains the engine's
    // compatibility hash.
    unsafe { Component::deserialize(engine, code) }
}

/// Names the code by what it was made from: the component, the compiler's
/// version and every setting that changes its output.
fn cache_name(engine: &wasmtime::Engine, wasm: &[u8]) -> String {
    let mut hasher = Blake3Hasher(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(wasm);
    hasher.0.finalize().to_hex().to_string()
}

/// Feeds what `Hash` writes into BLAKE3.
struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        let first = digest.as_bytes().first_chunk::<8>().copied();
        u64::from_le_bytes(first.unwrap_or_default())
    }
}
