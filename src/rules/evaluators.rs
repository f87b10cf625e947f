//! What evaluates rules: compiled to WebAssembly, interpreted, or decided by modules.

use std::sync::Arc;

use clap::ValueEnum;
use weir_engine::eval::{Evaluator, Plain};
use weir_engine::plan::RuleSet;
use weir_engine::state::Names;
use weir_rules::compile::{Loaded, Variables};
use weir_wasm::built::{Built, BuiltError};
use weir_wasm::code;
use weir_wasm::compiled::{Code, Compiled, engine};
use weir_wasm::modules::{ModuleCounters, Modules};

use super::modules::Host;
use super::times::{RuleTimes, Timed};
use crate::failure::Failure;

/// How text rules are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Evaluation {
    /// In WebAssembly where they come from a built set, else interpreted
    #[default]
    Auto,
    /// Interpreted
    Plain,
    /// In WebAssembly, compiled now where they were not built
    Wasm,
}

/// The rules of a built set, and what they were compiled to.
///
/// # Errors
/// When the set is damaged, or cannot be run here.
pub fn of_built(
    built: &Built,
    variables: &Variables,
) -> Result<(Loaded, Option<Arc<Code>>), BuiltError> {
    let native = |why: String| BuiltError::Native {
        what: "the rules".to_owned(),
        why,
    };
    let engine = engine().map_err(|error| native(error.to_string()))?;
    // Native code is most of the file, and to hold it to its hash takes as long as to read the rules.
    let (module, loaded) = std::thread::scope(|scope| {
        let module = scope.spawn(|| built.module(&engine));
        let loaded = built.rules(variables);
        let module = module.join();
        let module = module.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (module, loaded)
    });
    let (module, loaded) = (module?, loaded?);
    let Some((module, why)) = module else {
        return Ok((loaded, None));
    };
    if let Some(why) = why {
        tracing::warn!("the native code of the rule set is not used, it was compiled again: {why}");
    }
    let code = Code::of_module(&module, &loaded.rules);
    let code = code.map_err(|error| native(error.to_string()))?;
    Ok((loaded, Some(Arc::new(code))))
}

/// What evaluates text rules: one, which others are made after.
enum Text {
    Compiled(Box<Compiled>),
    Plain(Box<Plain>),
}

/// Makes evaluators for workers, all of the same rules.
pub struct Evaluators {
    rules: Arc<RuleSet>,
    text: Text,
    modules: Option<Arc<Modules>>,
    times: Option<Arc<RuleTimes>>,
}

impl Evaluators {
    /// For rules, what some of them were compiled to, and the modules that decide others; what these have kept goes on from
    /// those that were in force `before`.
    ///
    /// # Errors
    /// When compiled rules cannot be run here.
    pub fn new(
        rules: &Arc<RuleSet>,
        evaluation: Evaluation,
        code: &[Arc<Code>],
        host: Option<&Host>,
        before: Option<&Arc<Modules>>,
    ) -> Result<Self, Failure> {
        let largest = code.iter().max_by_key(|code| code.len());
        let code = match (evaluation, largest) {
            (Evaluation::Plain, _) | (Evaluation::Auto, None) => None,
            (_, Some(code)) => Some(Arc::clone(code)),
            (Evaluation::Wasm, None) => Some(Arc::new(compiled(rules)?)),
        };
        let text = match code {
            Some(code) => {
                let compiled = Compiled::new(code, Arc::clone(rules)).map_err(Failure::failed)?;
                Text::Compiled(Box::new(compiled))
            }
            None => Text::Plain(Box::new(Plain::new(Arc::clone(rules)))),
        };
        let modules = host.map(|host| {
            let before = before.map(AsRef::as_ref);
            Modules::new(&host.runtime, &host.policy, &host.modules, before)
        });
        Ok(Self {
            rules: Arc::clone(rules),
            text,
            modules,
            times: None,
        })
    }

    /// Measures how long each rule takes.
    pub fn timed(mut self, times: &Arc<RuleTimes>) -> Self {
        self.times = Some(Arc::clone(times));
        self
    }

    /// What evaluates text rules.
    pub fn name(&self) -> &'static str {
        match self.text {
            Text::Compiled(_) => "wasm",
            Text::Plain(_) => "plain",
        }
    }

    /// The modules.
    pub fn modules(&self) -> Option<&Arc<Modules>> {
        self.modules.as_ref()
    }

    /// What was counted of each module.
    pub fn module_counters(&self) -> Vec<ModuleCounters> {
        let counters = self.modules.as_ref().map(|modules| modules.counters());
        counters.unwrap_or_default()
    }

    /// One for a worker. `names` are those of the rule set's state.
    ///
    /// # Errors
    /// When compiled rules cannot be instantiated.
    pub fn one(&self, names: &Names) -> Result<Box<dyn Evaluator>, Failure> {
        let inner: Box<dyn Evaluator> = match &self.text {
            Text::Compiled(compiled) => Box::new(compiled.another().map_err(Failure::failed)?),
            Text::Plain(plain) => Box::new(plain.another()),
        };
        let whole: Box<dyn Evaluator> = match &self.modules {
            Some(modules) => Box::new(modules.evaluator(inner, &self.rules, names)),
            None => inner,
        };
        Ok(match &self.times {
            Some(times) => Box::new(Timed::new(whole, &self.rules, times)),
            None => whole,
        })
    }
}

/// Compiles rules now.
fn compiled(rules: &RuleSet) -> Result<Code, Failure> {
    let wasm = code::compile(rules).map_err(Failure::failed)?;
    let engine = engine().map_err(Failure::failed)?;
    Code::new(&engine, &wasm, rules).map_err(Failure::failed)
}
