//! The engine: compiler settings, the pool of instances, and the thread that
//! makes deadlines pass.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::cache::Cache;
use crate::compiled::CompiledFunctions;
use crate::error::EngineError;

/// How the engine is set up. Limits here hold for all plugins together; those
/// of one plugin are in [`PluginLimits`](crate::PluginLimits).
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where compiled components are kept; none compiles at every start. Made
    /// with mode 0700 if it is not there.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of a file that any plugin may be given. 64 MiB: an interpreter with
    /// its library twice over.
    pub wasm_bytes: usize,
    /// Instances alive at once, over all plugins and workers. 256: two workers with
    /// sixteen plugins that are used once, and as many again during a reload. Each
    /// reserves 4 GiB of addresses, not of memory. A quarter of them is never made
    /// ahead, so that there is one for whoever needs it now.
    pub instances: u32,
    /// Bytes of linear memory that any plugin may be given. 64 MiB.
    pub memory_bytes: usize,
    /// Elements of a table that any plugin may be given. 20,000.
    pub table_elements: usize,
    /// Bytes of stack for guest code. 512 KiB: half of what a worker's thread
    /// can spare.
    pub stack_bytes: usize,
    /// Bytes of a memory that stay mapped between instances. 128 KiB: what a
    /// small guest touches; the rest goes back to the system.
    pub keep_resident_bytes: usize,
    /// Whether what guests execute is counted, for observers. It makes them slower, so a
    /// proxy does not.
    pub count_fuel: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            wasm_bytes: 64 << 20,
            instances: 256,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            stack_bytes: 512 << 10,
            keep_resident_bytes: 128 << 10,
            count_fuel: false,
        }
    }
}

/// Core instances of one component, on average. Only a count, nothing is reserved:
/// more than the largest interpreter has, since all plugins may be of that kind.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Tables of one component, on average: the program's and the shim's.
const TABLES_PER_COMPONENT: u32 = 3;
/// Memories of one component, on average. Programs have one.
const MEMORIES_PER_COMPONENT: u32 = 1;
/// What counts a deadline down.
const TICK: Duration = Duration::from_millis(1);
/// How long the ticker sleeps while no guest runs: a thread that wakes every
/// millisecond costs more than the policies of a quiet proxy. The deadline of a
/// call that begins meanwhile is counted from the end of that sleep.
const IDLE_TICK: Duration = Duration::from_millis(16);

/// Compiles plugins and owns what their instances share.
#[derive(Debug)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) config: EngineConfig,
    pub(crate) cache: Option<Cache>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) occupancy: Arc<Occupancy>,
}

impl Engine {
    /// Sets up an engine and starts its ticker.
    ///
    /// # Errors
    /// The system refuses memory, threads or the cache directory.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let wasmtime = wasmtime_config(&config)
            .and_then(|settings| wasmtime::Engine::new(&settings))
            .map_err(|error| EngineError::Setup(format!("{error:#}")))?;
        let cache = match &config.cache_dir {
            Some(directory) => Some(Cache::open(directory)?),
            None => None,
        };
        compile_patiently();
        let ticker = Ticker::start(&wasmtime).map_err(EngineError::Ticker)?;
        Ok(Self {
            wasmtime,
            occupancy: Arc::new(Occupancy::new(config.instances)),
            config,
            cache,
            ticker: Arc::new(ticker),
        })
    }
}

/// Compilers work on threads that all engines of a process share and that live as long.
fn compile_patiently() {
    let pool = rayon::ThreadPoolBuilder::new().start_handler(|_| scheduling::patient());
    if let Err(error) = pool.build_global() {
        tracing::debug!(%error, "the threads of the compiler are those of an earlier engine");
    }
}

fn wasmtime_config(config: &EngineConfig) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::default();
    let instances = config.instances.max(1);
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .total_memories(instances.saturating_mul(MEMORIES_PER_COMPONENT))
        .max_memory_size(config.memory_bytes)
        .table_elements(config.table_elements)
        .linear_memory_keep_resident(config.keep_resident_bytes)
        .table_keep_resident(config.keep_resident_bytes)
        .pagemap_scan(Enabled::Auto);
    let mut settings = Config::new();
    settings
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(config.count_fuel)
        .max_wasm_stack(config.stack_bytes)
        .cranelift_opt_level(OptLevel::Speed)
        // Nothing here may differ between two machines or need a larger promise.
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .enable_incremental_compilation(Arc::new(CompiledFunctions::default()))?;
    Ok(settings)
}

/// How many instances there are, over all plugins and workers.
#[derive(Debug)]
pub(crate) struct Occupancy {
    live: AtomicU32,
    /// With fewer than these, some may be made ahead of need.
    ahead: u32,
}

/// One instance that is counted, for as long as it is there.
pub(crate) struct Occupant(Arc<Occupancy>);

impl Occupancy {
    fn new(instances: u32) -> Self {
        Self {
            live: AtomicU32::new(0),
            ahead: instances.saturating_sub(instances / 4),
        }
    }

    /// Whether there is room for an instance that nobody needs yet.
    pub(crate) fn has_room(&self) -> bool {
        self.live.load(Ordering::Relaxed) < self.ahead
    }

    /// Counts an instance.
    pub(crate) fn enter(self: &Arc<Self>) -> Occupant {
        self.live.fetch_add(1, Ordering::Relaxed);
        Occupant(Arc::clone(self))
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Advances the epoch of an engine every millisecond while a guest runs. Whoever
/// calls a guest must hold a [`Running`], or its deadline never comes.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    running: AtomicUsize,
}

/// A guest may be running.
pub(crate) struct Running<'t>(&'t Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ticker {
    /// Keeps deadlines coming until it is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        Running(&self.shared)
    }

    fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new()
            .name("policy-ticker".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                let engine = engine.weak();
                move || {
                    while !shared.stop.load(Ordering::Relaxed) {
                        let busy = shared.running.load(Ordering::Relaxed) > 0;
                        thread::park_timeout(if busy { TICK } else { IDLE_TICK });
                        match engine.upgrade() {
                            Some(engine) if busy => engine.increment_epoch(),
                            Some(_) => {}
                            None => return,
                        }
                    }
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only counts; a panic there has nothing to tell.
            let _ = thread.join();
        }
    }
}
