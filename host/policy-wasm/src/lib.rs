//! Policies as WebAssembly components: engine, instances, host functions, hot swap.
