//! The evaluator that runs text rules as WebAssembly.
//!
//! [`Code`] is the compiled module of a rule set, shared by workers; [`Compiled`] is a worker's instance of it. One call
//! evaluates all candidates of a subject: their numbers are put into the instance's memory, the module fetches the buffers
//! that their rules ask for, and leaves the numbers of those that match.
//!
//! The rules that are evaluated may be more than those that were compiled, and stand in another order: a built set beside
//! rules of a file, or rules that modules decide. What was not compiled is evaluated by the plain evaluator.
//!
//! Text rules have an engine of their own ([`engine`]), without a clock: what a call can cost is bounded by the steps and
//! bytes that the module counts, just as in the plain evaluator, so that looking at a clock in every loop would buy nothing. A
//! call that traps all the same is a fault of the compiler's; its candidates are evaluated by the plain evaluator, so that
//! no alert is lost, and it is counted.
//!
//! ```
//! use std::sync::Arc;
//! use weir_engine::eval::{Beyond, Evaluator, Subject};
//! use weir_engine::packet::Packet;
//! use weir_engine::plan::RuleSet;
//! use weir_wasm::code;
//! use weir_wasm::compiled::{Code, Compiled, engine};
//!
//! let rules = Arc::new(RuleSet::default());
//! let wasm = code::compile(&rules)?;
//! let code = Code::new(&engine()?, &wasm, &rules)?;
//! let mut evaluator = Compiled::new(Arc::new(code), rules)?;
//! assert_eq!(evaluator.covered(), 0, "there is no rule");
//! let packet = Packet::new(0, 1, 0);
//! let mut matches = Vec::new();
//! evaluator.evaluate(&Subject::packet(&packet, b""), Beyond::default(), &[], &mut matches);
//! assert!(matches.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod host;

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::{
    Config, Engine, Global, InstancePre, Linker, Memory, Module, OptLevel, Store, TypedFunc, Val,
};
use weir_engine::eval::parts::takes_broken;
use weir_engine::eval::{Beyond, EvalCounters, Evaluator, Plain, Subject};
use weir_engine::plan::{Rule, RuleId, RuleSet};

use crate::code::{ABI, Catalogue};
use crate::lent::{self, Lender};
use host::{Asked, Host};

/// Most bytes of an instance's memory. Buffers of one call are all in it.
const MEMORY: usize = 512 << 20;

/// Why compiled rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompiledError {
    /// The machine cannot run them.
    #[error("cannot set up the Wasm runtime: {0}")]
    Engine(String),
    /// The module is none, or not one of these rules.
    #[error("not the compiled form of these rules: {0}")]
    Module(String),
}

/// The engine for text rules.
///
/// # Errors
/// When the machine cannot run compiled Wasm.
pub fn engine() -> Result<Engine, CompiledError> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        // Nobody reads back traces of rules, and the map for them is a large part of what has to be loaded.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    Engine::new(&config).map_err(|error| CompiledError::Engine(format!("{error:#}")))
}

/// What a rule is known by from one set to another: `gid`, `sid`, `rev`, and its line.
type Key = (u32, u32, u32, u32);

fn key(rule: &Rule) -> Key {
    let meta = &rule.meta;
    (meta.gid, meta.sid, meta.rev, meta.origin.1)
}

/// A rule set's module, compiled to native code.
pub struct Code {
    instance: InstancePre<Host>,
    catalogue: Arc<Catalogue>,
    rules: Box<[Key]>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    /// Compiles what [`crate::code::compile`] made of these rules.
    ///
    /// # Errors
    /// When it is no such module.
    pub fn new(engine: &Engine, wasm: &[u8], rules: &RuleSet) -> Result<Self, CompiledError> {
        let module = Module::new(engine, wasm);
        Self::of_module(
            &module.map_err(|error| CompiledError::Module(format!("{error:#}")))?,
            rules,
        )
    }

    /// Takes a module that has been compiled already.
    ///
    /// # Errors
    /// When it is not the module of these rules.
    pub fn of_module(module: &Module, rules: &RuleSet) -> Result<Self, CompiledError> {
        let not = |error: wasmtime::Error| CompiledError::Module(format!("{error:#}"));
        let mut linker = Linker::new(module.engine());
        host::link(&mut linker).map_err(not)?;
        let tables = module.resources_required().max_initial_table_size;
        let wanted = rules.rules().len().max(1) as u64;
        if tables != Some(wanted) {
            return Err(CompiledError::Module(format!(
                "it has {} rules, there are {wanted}",
                tables.unwrap_or(0)
            )));
        }
        Ok(Self {
            instance: linker.instantiate_pre(module).map_err(not)?,
            catalogue: Arc::new(Catalogue::new(rules)),
            rules: rules.rules().iter().map(key).collect(),
        })
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// No rule, or none that was compiled.
const NONE: u32 = u32::MAX;

/// Which rule of the set is which of the module.
#[derive(Debug)]
struct Places {
    /// For each rule of the set, its number in the module.
    compiled: Box<[u32]>,
    /// For each rule of the module, its number in the set.
    rules: Arc<[RuleId]>,
    /// Both are the same, for all of them.
    same: bool,
    /// Of the set: rules that may match packets that are otherwise too broken.
    broken: Box<[bool]>,
}

impl Places {
    fn new(code: &Code, rules: &RuleSet) -> Self {
        let keys = || rules.rules().iter().map(key);
        let same = keys().eq(code.rules.iter().copied());
        let count = rules.rules().len() as u32;
        let (compiled, to_rule) = if same {
            ((0..count).collect(), (0..count).collect())
        } else {
            let numbers: HashMap<Key, u32> = code.rules.iter().copied().zip(0..).collect();
            let find = |key: Key| numbers.get(&key).copied().unwrap_or(NONE);
            let compiled: Vec<u32> = keys().map(find).collect();
            let mut to_rule = vec![NONE; code.rules.len()];
            for (rule, number) in (0..).zip(&compiled) {
                if let Some(place) = to_rule.get_mut(*number as usize) {
                    *place = rule;
                }
            }
            (compiled.into(), to_rule.into())
        };
        Self {
            compiled,
            rules: to_rule,
            same,
            broken: rules.rules().iter().map(takes_broken).collect(),
        }
    }
}

/// A worker's evaluator.
pub struct Compiled {
    code: Arc<Code>,
    rules: Arc<RuleSet>,
    places: Arc<Places>,
    instance: Instance,
    /// For what was not compiled, and for candidates whose call failed.
    plain: Plain,
    lists: Lists,
    checks: u64,
    matches: u64,
    failures: u64,
}

/// Lists that are filled again and again.
#[derive(Default)]
struct Lists {
    /// Candidates that may match a broken packet.
    few: Vec<RuleId>,
    /// Candidates by their numbers in the module, and those of them that match.
    compiled: Vec<u32>,
    found: Vec<u32>,
    /// Candidates that were not compiled, and those of them that match.
    others: Vec<RuleId>,
    others_found: Vec<RuleId>,
}

struct Instance {
    lender: Lender<Asked>,
    store: Store<Host>,
    memory: Memory,
    evaluate: TypedFunc<(i32, i64, i32), i32>,
    /// Where candidates go in memory.
    candidates: usize,
}

impl Instance {
    fn new(code: &Code, rules: &Arc<RuleSet>, places: &Places) -> Result<Self, CompiledError> {
        let not = |error: wasmtime::Error| CompiledError::Module(format!("{error:#}"));
        let missing = |what: &str| CompiledError::Module(format!("it does not export `{what}`"));
        // SAFETY: the borrower goes into the store that stands beside the lender, and nothing but the closure that `call` gives
        // to `lend` calls into that store once the instance is made; until then nothing is lent.
        let (lender, borrower) = unsafe { lent::pair() };
        let host = Host::new(
            borrower,
            Arc::clone(rules),
            Arc::clone(&places.rules),
            Arc::clone(&code.catalogue),
            MEMORY,
        );
        let mut store = Store::new(code.instance.module().engine(), host);
        store.limiter(Host::limiter);
        let instance = code.instance.instantiate(&mut store).map_err(not)?;
        let memory = instance.get_memory(&mut store, "memory");
        let memory = memory.ok_or_else(|| missing("memory"))?;
        let number = |store: &mut Store<Host>, name: &str| -> Result<i32, CompiledError> {
            let global: Option<Global> = instance.get_global(&mut *store, name);
            match global.ok_or_else(|| missing(name))?.get(store) {
                Val::I32(value) => Ok(value),
                _ => Err(missing(name)),
            }
        };
        let abi = number(&mut store, "abi")?;
        if abi != ABI as i32 {
            return Err(CompiledError::Module(format!(
                "it is of version {abi}, this Weir has {ABI}"
            )));
        }
        let candidates = number(&mut store, "candidates")? as u32 as usize;
        let evaluate = instance
            .get_typed_func(&mut store, "evaluate")
            .map_err(not)?;
        store.data_mut().memory = Some(memory);
        Ok(Self {
            lender,
            store,
            memory,
            evaluate,
            candidates,
        })
    }

    /// Evaluates candidates, by their numbers in the module; false when the call failed.
    fn call(&mut self, subject: &Subject<'_>, candidates: &[u32], matches: &mut Vec<u32>) -> bool {
        let Some(count) = self.put(candidates) else {
            return false;
        };
        let stream = subject.stream_offset.unwrap_or(0) as i64;
        let proto = subject.app.flow.proto.map_or(-1, |proto| proto as i32);
        let Self {
            lender,
            store,
            evaluate,
            ..
        } = self;
        store.data_mut().begin();
        let found = lender.lend(subject, || evaluate.call(store, (count, stream, proto)));
        let Ok(found) = found else {
            return false;
        };
        let from = self.candidates;
        let all = self.memory.data(&self.store).get(from..);
        let found = usize::try_from(found).ok();
        let found = all.and_then(|all| all.get(..found?.checked_mul(4)?));
        let Some(found) = found else {
            return false;
        };
        let (words, _) = found.as_chunks::<4>();
        matches.extend(words.iter().map(|word| u32::from_le_bytes(*word)));
        true
    }

    /// Puts candidates into memory, and says how many there are.
    fn put(&mut self, candidates: &[u32]) -> Option<i32> {
        let end = self.candidates + candidates.len() * 4;
        let place = self
            .memory
            .data_mut(&mut self.store)
            .get_mut(self.candidates..end)?;
        let (words, _) = place.as_chunks_mut::<4>();
        for (word, rule) in words.iter_mut().zip(candidates) {
            *word = rule.to_le_bytes();
        }
        i32::try_from(candidates.len()).ok()
    }
}

impl Compiled {
    /// An evaluator for these rules, some or all of which `code` was compiled from.
    ///
    /// # Errors
    /// When the module cannot be instantiated.
    pub fn new(code: Arc<Code>, rules: Arc<RuleSet>) -> Result<Self, CompiledError> {
        let places = Arc::new(Places::new(&code, &rules));
        let plain = Plain::new(Arc::clone(&rules));
        Self::with(code, rules, places, plain)
    }

    /// The same for another worker.
    ///
    /// # Errors
    /// When the module cannot be instantiated.
    pub fn another(&self) -> Result<Self, CompiledError> {
        Self::with(
            Arc::clone(&self.code),
            Arc::clone(&self.rules),
            Arc::clone(&self.places),
            self.plain.another(),
        )
    }

    fn with(
        code: Arc<Code>,
        rules: Arc<RuleSet>,
        places: Arc<Places>,
        plain: Plain,
    ) -> Result<Self, CompiledError> {
        Ok(Self {
            instance: Instance::new(&code, &rules, &places)?,
            code,
            rules,
            places,
            plain,
            lists: Lists::default(),
            checks: 0,
            matches: 0,
            failures: 0,
        })
    }

    /// How many of the rules are compiled.
    pub fn covered(&self) -> usize {
        let compiled = self.places.compiled.iter();
        compiled.filter(|&&number| number != NONE).count()
    }

    /// Calls that failed; their candidates were evaluated by the plain evaluator.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// The call failed: the plain evaluator does it, and the instance is made anew.
    #[cold]
    fn fall_back(&mut self, subject: &Subject<'_>, candidates: &[RuleId], to: &mut Vec<RuleId>) {
        self.failures += 1;
        let counters = self.instance.store.data().counters();
        if let Ok(instance) = Instance::new(&self.code, &self.rules, &self.places) {
            self.instance = instance;
            self.instance.store.data_mut().go_on(counters);
        }
        self.plain
            .evaluate(subject, Beyond::default(), candidates, to);
    }

    /// Candidates of which some were not compiled, or whose numbers are others in the module.
    fn evaluate_mixed(
        &mut self,
        subject: &Subject<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        let mut lists = std::mem::take(&mut self.lists);
        let Lists {
            compiled,
            found,
            others,
            others_found,
            ..
        } = &mut lists;
        for list in [&mut *compiled, found, others, others_found] {
            list.clear();
        }
        for &rule in candidates {
            match self.places.compiled.get(rule as usize) {
                Some(&NONE) => others.push(rule),
                Some(&number) => compiled.push(number),
                None => {}
            }
        }
        if !compiled.is_empty() && !self.instance.call(subject, compiled, found) {
            self.lists = lists;
            return self.fall_back(subject, candidates, matches);
        }
        if !others.is_empty() {
            self.plain
                .evaluate(subject, Beyond::default(), others, others_found);
        }
        // Both are in the order of the candidates.
        let (mut found, mut others_found) = (found.as_slice(), others_found.as_slice());
        for &rule in candidates {
            let list = match self.places.compiled.get(rule as usize) {
                Some(&NONE) => (&mut others_found, rule),
                Some(&number) => (&mut found, number),
                None => continue,
            };
            if let ([first, rest @ ..], number) = (*list.0, list.1)
                && *first == number
            {
                *list.0 = rest;
                matches.push(rule);
            }
        }
        self.lists = lists;
    }
}

impl Evaluator for Compiled {
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        _beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        let before = matches.len();
        self.checks += candidates.len() as u64;
        let mut few = std::mem::take(&mut self.lists.few);
        let candidates = if subject.packet.invalid {
            few.clear();
            let takes = |rule: &RuleId| self.places.broken.get(*rule as usize) == Some(&true);
            few.extend(candidates.iter().copied().filter(takes));
            few.as_slice()
        } else {
            candidates
        };
        let known = |rule: &RuleId| (*rule as usize) < self.places.compiled.len();
        if candidates.is_empty() {
            // Nothing to ask.
        } else if !self.places.same || !candidates.iter().all(known) {
            self.evaluate_mixed(subject, candidates, matches);
        } else if !self.instance.call(subject, candidates, matches) {
            matches.truncate(before);
            self.fall_back(subject, candidates, matches);
        }
        self.lists.few = few;
        self.matches += (matches.len() - before) as u64;
    }

    fn counters(&self) -> EvalCounters {
        let of_plain = self.plain.counters();
        let counters = self.instance.store.data().counters();
        EvalCounters {
            checks: self.checks,
            matches: self.matches,
            pcre_limits: counters.pcre_limits + of_plain.pcre_limits,
            recursion_limits: counters.recursion_limits + of_plain.recursion_limits,
            work_limits: counters.work_limits + of_plain.work_limits,
            transform_limits: counters.transform_limits + of_plain.transform_limits,
        }
    }
}
