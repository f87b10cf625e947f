//! An instance of a module, and the functions of the host that it can call.
//!
//! `data` is what an instance's store holds and counts, `calls` what the functions of the world do with it, `world` turns the
//! world's words into the rule compiler's.

mod calls;
mod data;
mod world;

use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use super::bindings;
use crate::runtime::Timer;

pub(super) use data::{Data, Exceeded, Facts};
pub(super) use world::declaration;

/// A linker with all that the world has. What is granted is looked up when it is called.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    bindings::Rules::add_to_linker::<_, HasSelf<_>>(&mut linker, |data| data)?;
    Ok(linker)
}

/// An instance of a module.
pub(super) struct Live {
    pub(super) store: Store<Data>,
    bindings: bindings::Rules,
}

impl Live {
    /// Makes an instance, within `limits.load`.
    pub(super) fn new(
        runtime: &crate::runtime::Runtime,
        pre: &bindings::RulesPre<Data>,
        data: Data,
    ) -> wasmtime::Result<Self> {
        let limits = data.limits;
        let mut store = runtime.store(data);
        store.limiter(|data| data);
        store.set_hostcall_fuel(limits.taken_bytes);
        let bindings = Timer::bounded(&mut store, limits.load, |store| pre.instantiate(store))?;
        Ok(Self { store, bindings })
    }

    /// What the module says of itself.
    pub(super) fn declare(&mut self) -> wasmtime::Result<bindings::declaration::Module> {
        let Self { store, bindings } = self;
        let limits = store.data().limits;
        // Rules are long.
        store.set_hostcall_fuel(limits.taken_bytes.saturating_mul(32));
        let said = Timer::bounded(store, limits.load, |store| bindings.call_declare(store));
        store.set_hostcall_fuel(limits.taken_bytes);
        said
    }

    /// Which of these rules fire.
    pub(super) fn evaluate(&mut self, candidates: &[u32]) -> wasmtime::Result<Vec<u32>> {
        let Self { store, bindings } = self;
        let data = store.data_mut();
        data.begin();
        let limit = data.limits.call;
        Timer::bounded(store, limit, |store| {
            bindings.call_evaluate(store, candidates)
        })
    }
}
