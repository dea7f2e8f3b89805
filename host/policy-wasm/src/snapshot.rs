//! A component that begins with the memory that `configure` left in another: so an
//! instance is configured as soon as it is made.
//!
//! The component is rewritten twice. First it gets functions that show its memories and
//! globals; an instance of that is configured like any other, in our store, within the
//! plugin's limits and with what it was granted. Then what they show becomes the
//! initial memory of a component that is otherwise the original. The rewriting was made for
//! components that one trusts and panics where it meets what it does not know, so a
//! panic there counts as a refusal.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::instance::{Instance, one_line};
use crate::limits::SNAPSHOT_BYTES;

/// Bytes of a reason that are kept. 256: one line of `sipward status`.
const REASON_BYTES: usize = 256;

/// Why a component's memory cannot be kept.
pub(crate) type Refusal = String;

/// A component with functions that show its memory.
pub(crate) struct Uncovered<'w> {
    context: ComponentContext<'w>,
    wasm: Vec<u8>,
}

impl<'w> Uncovered<'w> {
    /// Adds the functions.
    pub(crate) fn new(wasm: &'w [u8]) -> Result<Self, Refusal> {
        let (context, wasm) = guarded(|| Wizer::new().instrument_component(wasm))?;
        Ok(Self { context, wasm })
    }

    /// What is to be run.
    pub(crate) fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// The component with the memory of this instance of it.
    pub(crate) fn snapshot(&self, mut instance: Instance) -> Result<Vec<u8>, Refusal> {
        if let Some(what) = instance.passing_answers() {
            return Err(format!("its configure {what}"));
        }
        instance.uncover();
        let mut view = View {
            instance: &mut instance,
            memories: HashMap::new(),
            failure: None,
        };
        let wasm = guarded(|| {
            let wasm = at_once(Wizer::new().snapshot_component(&self.context, &mut view))?;
            match view.failure.take() {
                Some(failure) => Err(failure),
                None => Ok(wasm),
            }
        })?;
        if wasm.len() > SNAPSHOT_BYTES {
            return Err(format!(
                "with its memory it has {} bytes; at most {SNAPSHOT_BYTES} are kept",
                wasm.len()
            ));
        }
        Ok(wasm)
    }
}

fn guarded<T>(rewrite: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, Refusal> {
    match catch_unwind(AssertUnwindSafe(rewrite)) {
        Ok(done) => done.map_err(|error| one_line(&format!("{error:#}"), REASON_BYTES)),
        Err(_) => Err("it is built in a way that cannot be rewritten".to_owned()),
    }
}

/// What never has to wait for anything.
fn at_once<T>(work: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(wasmtime::Error::msg("rewriting waits for something")),
    }
}

/// Memories and globals of an instance. Nothing here can fail, so the first failure is
/// kept and told when it is over.
struct View<'i> {
    instance: &'i mut Instance,
    /// Each is asked for twice, and showing one makes it larger.
    memories: HashMap<String, Vec<u8>>,
    failure: Option<wasmtime::Error>,
}

impl View<'_> {
    fn value<R: Lift + Default + 'static>(&mut self, interface: &str, function: &str) -> R {
        let shown = self
            .instance
            .shown(interface, function, |_, value: R| value);
        shown.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            R::default()
        })
    }
}

impl ComponentInstanceState for View<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        interface: &str,
        function: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        if let Some(memory) = self.memories.get(function) {
            return contents(memory);
        }
        let shown = self
            .instance
            .shown(interface, function, |store, list: WasmList<u8>| {
                list.as_le_slice(store).to_vec()
            });
        let memory = shown.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            Vec::new()
        });
        contents(self.memories.entry(function.to_owned()).or_insert(memory));
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.value(interface, function)
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.value(interface, function)
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.value::<f32>(interface, function).to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.value::<f64>(interface, function).to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_rewriting_is_a_refusal() {
        let refusal = guarded::<()>(|| panic!("not foreseen")).unwrap_err();
        assert!(refusal.contains("cannot be rewritten"), "{refusal}");
        assert_eq!(guarded(|| Ok(7)), Ok(7));
        let refusal = guarded::<()>(|| Err(wasmtime::Error::msg("one\ntwo"))).unwrap_err();
        assert_eq!(refusal, "one two");
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for wasm in [
            &b""[..],
            b"text",
            b"\0asm\x01\0\0\0",
            b"\0asm\x0d\0\x01\0\x01",
        ] {
            assert!(Uncovered::new(wasm).is_err(), "{wasm:?}");
        }
    }

    #[test]
    fn what_would_wait_is_an_error() {
        assert!(at_once(std::future::pending::<wasmtime::Result<()>>()).is_err());
    }
}
