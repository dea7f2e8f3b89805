//! Functions that were compiled in this process. A plugin is compiled once to be
//! configured and once more with the memory it then has, and again after each change
//! of its settings: its functions are the same each time.

use std::borrow::Cow;

use hashbrown::HashMap;
use parking_lot::Mutex;
use wasmtime::CacheStore;

/// Bytes of compiled functions that are kept. 32 MiB: those of thirty plugins. When they
/// are full they are emptied; the next plugin is compiled whole then.
const BYTES: usize = 32 << 20;

/// Compiled functions by the digest that the compiler gives them: of the function, the
/// compiler's version and its settings. They never leave the process.
#[derive(Debug, Default)]
pub(crate) struct CompiledFunctions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    functions: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl CacheStore for CompiledFunctions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let kept = self.0.lock();
        kept.functions.get(key).map(|code| Cow::Owned(code.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let bytes = key.len() + value.len();
        if bytes > BYTES {
            return false;
        }
        let mut kept = self.0.lock();
        if kept.bytes + bytes > BYTES {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        if let Some(old) = kept.functions.insert(key.to_vec(), value) {
            kept.bytes -= key.len() + old.len();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_kept_up_to_a_limit() {
        let functions = CompiledFunctions::default();
        assert!(functions.get(b"a").is_none());
        assert!(functions.insert(b"a", vec![1; BYTES / 2 - 1]));
        assert!(
            functions.insert(b"a", vec![2; BYTES / 2 - 1]),
            "the same again"
        );
        assert!(functions.insert(b"b", vec![3; BYTES / 2 - 1]), "just fits");
        assert_eq!(functions.get(b"a").as_deref().map(|it| it[0]), Some(2));
        assert!(functions.insert(b"c", vec![4]));
        assert!(functions.get(b"a").is_none() && functions.get(b"b").is_none());
        assert_eq!(functions.get(b"c").as_deref(), Some(&[4][..]));
        assert!(!functions.insert(b"d", vec![5; BYTES]), "larger than all");
        assert_eq!(functions.0.lock().bytes, 2);
    }
}
