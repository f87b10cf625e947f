//! What runs all Wasm of a sensor: one engine, a clock that ends calls, and limits.
//!
//! A [`Runtime`] is made once and cloned. Text rules that were compiled and authors' modules run in the same one, so that
//! they share the pool of instances. What is deterministic is allowed, what is not (threads, relaxed vector instructions,
//! NaN payloads) is off or made so: a capture gives the same alerts on every machine.
//!
//! **How a call ends.** Compiled code looks at an epoch at the head of each loop and function. A thread of the runtime
//! ([`Ticker`]) moves the epoch on while calls are under way, and sleeps when nobody has called for some milliseconds. At
//! each step the call's [`Timer`] asks how much processor time its thread has used since the first one, so that a
//! machine that is busy elsewhere does not make a module overrun. A call is ended after its limit at the earliest and two ticks
//! later at the latest.

mod limits;
mod ticker;
mod timer;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
};

pub use limits::Limits;
pub use ticker::Ticker;
pub use timer::{Timed, Timer};

/// Most Wasm stack of a call: what is deeper traps. Workers have stacks of 2 MiB.
const STACK: usize = 256 << 10;

/// Core instances, and tables, of one component: its own module, and what adapts its imports.
const PARTS: u32 = 8;

/// Bytes of a page that is given back to the pool without being returned to the system.
const WARM: usize = 64 << 10;

/// What a runtime must have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Modules and compiled rule sets.
    pub modules: usize,
    /// Threads that call them.
    pub workers: usize,
    /// Most bytes of an instance's memory.
    pub memory: usize,
    /// How often the epoch moves on while calls are under way.
    pub tick: Duration,
}

impl Default for RuntimeConfig {
    /// For a few modules, inspecting captures.
    fn default() -> Self {
        Self::offline(
            8,
            std::thread::available_parallelism().map_or(1, usize::from),
        )
    }
}

impl RuntimeConfig {
    /// For captures: nothing waits for an answer.
    pub fn offline(modules: usize, workers: usize) -> Self {
        Self {
            modules,
            workers,
            memory: Limits::offline().memory,
            tick: Duration::from_millis(5),
        }
    }

    /// For traffic: packets wait for answers.
    pub fn inline(modules: usize, workers: usize) -> Self {
        Self {
            tick: Duration::from_micros(125),
            memory: Limits::inline().memory,
            ..Self::offline(modules, workers)
        }
    }

    /// Instances at a time: during a reload there are two sets, and one that declares itself.
    fn instances(&self) -> u32 {
        let most = self
            .modules
            .saturating_add(1)
            .saturating_mul(self.workers.saturating_add(1))
            .saturating_mul(2);
        u32::try_from(most).unwrap_or(u32::MAX).clamp(4, 4096)
    }
}

/// Runs Wasm within bounds. Cheap to clone; the last one ends the ticker.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    ticker: Arc<Ticker>,
    config: RuntimeConfig,
    pooled: bool,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("pooled", &self.pooled)
            .finish_non_exhaustive()
    }
}

/// A runtime could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the Wasm runtime: {0}")]
pub struct RuntimeError(String);

impl Runtime {
    /// A runtime with room for so much.
    ///
    /// # Errors
    /// When the machine cannot run compiled Wasm, or a thread cannot be started.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        // Where address space is limited, there is no room for a pool.
        let (engine, pooled) = match Engine::new(&settings(Some(&config))) {
            Ok(engine) => (engine, true),
            Err(_) => match Engine::new(&settings(None)) {
                Ok(engine) => (engine, false),
                Err(error) => return Err(RuntimeError(format!("{error:#}"))),
            },
        };
        let ticker = Ticker::start(engine.clone(), config.tick)
            .map_err(|error| RuntimeError(format!("cannot start its ticker: {error}")))?;
        Ok(Self {
            engine,
            ticker: Arc::new(ticker),
            config,
            pooled,
        })
    }

    /// A runtime with room for so much: this one where it has that, else a new one. To reload modules in the runtime that they
    /// are in keeps its pool, and what was compiled for it ([`crate::modules::Modules::component`]).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_room(&self, config: RuntimeConfig) -> Result<Self, RuntimeError> {
        if self.has_room(&config) {
            Ok(self.clone())
        } else {
            Self::new(config)
        }
    }

    /// True where it could have been made for so much.
    fn has_room(&self, config: &RuntimeConfig) -> bool {
        let here = &self.config;
        here.instances() >= config.instances()
            && here.memory >= config.memory
            && here.tick == config.tick
    }

    /// True for clones of one runtime: what was compiled for one of them runs in the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Engine::same(&self.engine, &other.engine)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The clock that ends calls.
    pub fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// True where instances come from a pool; false where there was no room for one, so that each is made anew.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// A timer for a store of [`Runtime::store`].
    pub fn timer(&self) -> Timer {
        Timer::new(&self.ticker)
    }

    /// A store whose calls can be bounded ([`Timer::bounded`]). Calls outside of that end at the next tick.
    pub fn store<T: Timed + 'static>(&self, data: T) -> Store<T> {
        let mut store = Store::new(&self.engine, data);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().timer().tick()));
        store.set_epoch_deadline(1);
        store
    }
}

/// The engine's settings; with a pool for so much, or without one.
fn settings(pool: Option<&RuntimeConfig>) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(STACK)
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    if let Some(room) = pool {
        let instances = room.instances();
        let parts = instances.saturating_mul(PARTS);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(parts)
            .total_memories(instances)
            .total_tables(parts)
            .max_core_instances_per_component(PARTS)
            .max_tables_per_component(PARTS)
            .max_memories_per_component(1)
            .max_memory_size(room.memory)
            .table_elements(Limits::offline().table_elements)
            .linear_memory_keep_resident(WARM)
            .pagemap_scan(Enabled::No)
            .max_unused_warm_slots(instances);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

#[cfg(test)]
mod tests;
