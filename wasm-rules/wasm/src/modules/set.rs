//! The modules of a rule set, and what all workers share of them.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Component;
use weir_engine::eval::Evaluator;
use weir_engine::plan::RuleSet;
use weir_engine::state::Names;
use weir_rules::compile::Compiler;
use weir_rules::compile::module::ModuleRules;

use super::counters::{Counts, ModuleCounters};
use super::hosted::Hosted;
use super::load::{Module, ModuleError, Unusable};
use super::policy::{Grant, Offences, Policy};
use super::state::Tables;
use crate::runtime::{Limits, Runtime};

/// Most modules of a rule set.
const MOST: usize = 1024;

/// Modules, and the rules that were made of what they declare.
#[derive(Clone, Debug, Default)]
pub struct ModuleSet {
    /// The modules, by the numbers that rules have.
    pub modules: Vec<Module>,
    /// What became of each module's rules.
    pub rules: Vec<ModuleRules>,
}

/// Makes the rules of modules.
///
/// # Errors
/// When two modules have the same name, or there are too many.
pub fn compile(modules: Vec<Module>, compiler: &Compiler) -> Result<ModuleSet, ModuleError> {
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(modules.len());
    for (at, module) in modules.iter().enumerate() {
        let error = |why| ModuleError {
            file: Arc::clone(module.file()),
            why,
        };
        let declaration = module.declaration();
        if !names.insert(declaration.name.as_str()) {
            return Err(error(Unusable::Name(declaration.name.clone())));
        }
        let number = u16::try_from(at).ok().filter(|_| at < MOST);
        let number = number.ok_or_else(|| error(Unusable::TooMany(MOST)))?;
        let verdicts = module.may(Grant::Verdict);
        rules.push(compiler.module(declaration, number, verdicts, module.file()));
    }
    Ok(ModuleSet { modules, rules })
}

/// Modules of a rule set that is in force: what workers share.
pub struct Modules {
    pub(super) runtime: Runtime,
    pub(super) limits: Limits,
    pub(super) offences: Offences,
    pub(super) loaded: Vec<Arc<Loaded>>,
}

/// One of them.
pub(super) struct Loaded {
    pub(super) module: Module,
    pub(super) tables: Tables,
    counted: Arc<Mutex<Counted>>,
    record: Mutex<Record>,
    quarantined: AtomicBool,
}

/// What workers count, and what workers counted that are gone.
#[derive(Default)]
struct Counted {
    gone: ModuleCounters,
    workers: Vec<Arc<Counts>>,
}

/// Offences so far.
#[derive(Default)]
struct Record {
    /// When the latest happened, nanoseconds of packet time.
    latest: VecDeque<u64>,
    total: u64,
}

impl Modules {
    /// The modules of a set that takes the place of `before`: what a module of the same name and state version has kept
    /// goes on, and so do its counters.
    pub fn new(
        runtime: &Runtime,
        policy: &Policy,
        modules: &[Module],
        before: Option<&Self>,
    ) -> Arc<Self> {
        let load = |module: &Module| {
            let declaration = module.declaration();
            let old = before.and_then(|before| before.named(&declaration.name));
            let same_state = |old: &&Arc<Loaded>| {
                old.module.declaration().state_version == declaration.state_version
            };
            Arc::new(Loaded {
                tables: Tables::new(declaration, old.filter(same_state).map(|old| &old.tables)),
                counted: old.map(|old| Arc::clone(&old.counted)).unwrap_or_default(),
                record: Mutex::default(),
                quarantined: AtomicBool::new(false),
                module: module.clone(),
            })
        };
        Arc::new(Self {
            runtime: runtime.clone(),
            limits: policy.limits,
            offences: policy.offences,
            loaded: modules.iter().map(load).collect(),
        })
    }

    /// An evaluator that asks them about what `inner` lets through. `names` are those of the rule set's state.
    pub fn evaluator(
        self: &Arc<Self>,
        inner: Box<dyn Evaluator>,
        rules: &RuleSet,
        names: &Names,
    ) -> Hosted {
        Hosted::new(Arc::clone(self), inner, rules, names)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty()
    }

    /// The modules.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.loaded.iter().map(|loaded| &loaded.module)
    }

    /// What they run in.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What was compiled of these bytes, where one of the modules came from the same and runs in this runtime: for
    /// [`Module::with_component`] when modules are loaded again.
    pub fn component(&self, runtime: &Runtime, bytes: &[u8]) -> Option<Component> {
        if !self.runtime.is_same(runtime) {
            return None;
        }
        let same = self.modules().find(|module| **module.bytes() == *bytes)?;
        Some(same.component().clone())
    }

    /// What was counted so far, module by module.
    pub fn counters(&self) -> Vec<ModuleCounters> {
        self.loaded.iter().map(|loaded| loaded.counters()).collect()
    }

    fn named(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.loaded
            .iter()
            .find(|loaded| loaded.module.declaration().name == name)
    }
}

impl Loaded {
    /// Counters for a worker.
    pub(super) fn counts(&self) -> Arc<Counts> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { gone, workers } = &mut *counted;
        workers.retain(|worker| {
            let is_gone = Arc::strong_count(worker) == 1;
            if is_gone {
                gone.add(worker);
            }
            !is_gone
        });
        let counts = Arc::new(Counts::default());
        workers.push(Arc::clone(&counts));
        counts
    }

    fn counters(&self) -> ModuleCounters {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = counted.gone.clone();
        for worker in &counted.workers {
            all.add(worker);
        }
        all.name = self.module.declaration().name.clone();
        all.version = self.module.declaration().version.clone();
        all.quarantined = self.is_quarantined();
        (all.state_entries, all.state_evicted) = self.tables.counts();
        all
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::Relaxed)
    }

    /// Takes an offence down; how many there are by now, and whether this one puts the module into quarantine.
    pub(super) fn offence(&self, now_ns: u64, offences: Offences) -> (u64, bool) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.total += 1;
        record.latest.push_back(now_ns);
        if record.latest.len() > offences.burst as usize {
            record.latest.pop_front();
        }
        let within = u64::from(offences.seconds).saturating_mul(1_000_000_000);
        let first = record.latest.front().copied().unwrap_or(0);
        let burst = record.latest.len() == offences.burst as usize
            && now_ns.saturating_sub(first) <= within;
        let ends = burst || record.total >= u64::from(offences.total);
        // One of the workers says so.
        let now = ends && !self.quarantined.swap(true, Ordering::Relaxed);
        (record.total, now)
    }
}
