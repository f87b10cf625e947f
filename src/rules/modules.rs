//! Rule modules: loading them beside text rules, and what `weir rules check` says of one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use weir_rules::compile::module::{Declaration, DeclaredAction};
use weir_rules::compile::{Compiler, Loaded};
use weir_wasm::built::Built;
use weir_wasm::modules::{Grant, Module, Modules, Policy, Work, compile};
use weir_wasm::runtime::{Runtime, RuntimeConfig};

use crate::failure::Failure;
use crate::ui::figures;
use crate::ui::table::clean;

/// Columns for what a module says of itself.
const WIDTH: usize = 100;

/// Modules, and what they run in.
#[derive(Clone, Debug)]
pub struct Host {
    /// What they run in.
    pub runtime: Runtime,
    /// What they may.
    pub policy: Policy,
    /// The modules, by the numbers that rules have.
    pub modules: Vec<Module>,
}

/// Where modules come from.
pub struct Sources<'b> {
    policy: Policy,
    workers: usize,
    /// Those that are in use, which these are to replace.
    before: Option<&'b Modules>,
    all: Vec<Source<'b>>,
}

struct Source<'b> {
    file: Arc<str>,
    bytes: Cow<'b, [u8]>,
    /// The built set that it is in, and its number there.
    built: Option<(&'b Built, u16)>,
}

impl<'b> Sources<'b> {
    /// None yet; for so many workers. What is also among those in use, `before`, is not compiled again.
    pub fn new(policy: Policy, workers: usize, before: Option<&'b Modules>) -> Self {
        Self {
            policy,
            workers,
            before,
            all: Vec::new(),
        }
    }

    /// A file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let file: Arc<str> = path.display().to_string().into();
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::Failed(format!("{file}: cannot read the module: {error}")))?;
        self.all.push(Source {
            file,
            bytes: bytes.into(),
            built: None,
        });
        Ok(())
    }

    /// Those of a built set.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn built(&mut self, path: &Path, set: &'b Built) -> Result<(), Failure> {
        let modules = set
            .modules()
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        for (number, (name, bytes)) in (0..).zip(modules) {
            self.all.push(Source {
                file: name.into(),
                bytes,
                built: Some((set, number)),
            });
        }
        Ok(())
    }

    /// Loads them, and adds their rules to those that were loaded; `None` where there are none. What is no module that can be
    /// used is among the refused rules then.
    ///
    /// # Errors
    /// When Wasm cannot be run.
    pub fn load(self, compiler: &Compiler, loaded: &mut Loaded) -> Result<Option<Host>, Failure> {
        let Self {
            policy,
            workers,
            before,
            all,
        } = self;
        if all.is_empty() {
            return Ok(None);
        }
        let mut config = if policy.limits.budget_per_second.is_some() {
            RuntimeConfig::inline(all.len(), workers)
        } else {
            RuntimeConfig::offline(all.len(), workers)
        };
        config.memory = policy.limits.memory;
        let runtime = match before {
            Some(before) => before.runtime().with_room(config),
            None => Runtime::new(config),
        };
        let runtime = runtime.map_err(Failure::failed)?;
        if !runtime.is_pooled() {
            tracing::warn!(
                "no address space for a pool of Wasm instances: they are made one by one"
            );
        }
        let mut modules: Vec<Module> = Vec::with_capacity(all.len());
        let mut names = HashSet::new();
        for source in &all {
            let file = &source.file;
            match source.load(&runtime, &policy, before) {
                Ok(module) if !names.insert(module.declaration().name.clone()) => {
                    let name = &module.declaration().name;
                    let why = format!("there is already a module with the name {name}");
                    tracing::warn!("{file}: {why}");
                    loaded.refuse_module(file, &why);
                }
                Ok(module) => modules.push(module),
                Err(why) => {
                    tracing::warn!("{file}: {why}");
                    loaded.refuse_module(file, &why);
                }
            }
        }
        let set = compile(modules, compiler).map_err(Failure::failed)?;
        let files = set.modules.iter().map(|module| Arc::clone(module.file()));
        loaded.add_modules(files.zip(set.rules));
        Ok(Some(Host {
            runtime,
            policy,
            modules: set.modules,
        }))
    }
}

impl Source<'_> {
    fn load(
        &self,
        runtime: &Runtime,
        policy: &Policy,
        before: Option<&Modules>,
    ) -> Result<Module, String> {
        if let Some(component) = before.and_then(|before| before.component(runtime, &self.bytes)) {
            return Module::with_component(runtime, &self.file, &self.bytes, component, policy)
                .map_err(|error| error.why.to_string());
        }
        let module = match self.built {
            None => Module::load(runtime, &self.file, &self.bytes, policy),
            Some((set, number)) => {
                let made = set.component(runtime.engine(), number);
                let (component, why) = made.map_err(|error| error.to_string())?;
                if let Some(why) = why {
                    tracing::warn!("{}: compiled again, as {why}", self.file);
                }
                Module::with_component(runtime, &self.file, &self.bytes, component, policy)
            }
        };
        module.map_err(|error| error.why.to_string())
    }
}

/// What the operator may want to know of a module before it runs.
pub fn print(out: &mut dyn Write, module: &Module, policy: &Policy) -> io::Result<()> {
    let Declaration {
        name,
        version,
        state_version,
        rules,
        buffers,
        flow_bits,
        state,
    } = module.declaration();
    let report = module.report();
    let version = clean(version, WIDTH);
    writeln!(
        out,
        "{}: module {name} {version}, {}",
        module.file(),
        figures::counted(rules.len() as u64, "rule")
    )?;
    let listed = |what: &[String]| match what {
        [] => "nothing".to_owned(),
        what => clean(&what.join(", "), 4 * WIDTH),
    };
    for import in &report.imports {
        let functions = listed(&import.functions);
        writeln!(out, "  imports  {}: {functions}", import.name)?;
    }
    writeln!(out, "  exports  {}", listed(&report.exports))?;
    let granted: Vec<String> = Grant::ALL
        .into_iter()
        .filter(|grant| module.may(*grant))
        .map(|grant| grant.name().to_owned())
        .collect();
    writeln!(out, "  granted  {}", listed(&granted))?;
    writeln!(
        out,
        "  reads    buffers: {}; flow bits: {}",
        listed(buffers),
        listed(flow_bits)
    )?;
    for kept in state {
        let life = match kept.seconds {
            0 => String::new(),
            seconds => format!(", for {seconds} s"),
        };
        writeln!(
            out,
            "  keeps    up to {} of {} bytes for each {:?}{life} (state version {state_version})",
            figures::counted(kept.entries.into(), "value"),
            kept.bytes,
            kept.scope,
        )?;
    }
    if let Some(memory) = report.memory {
        let most = match memory.most {
            Some(most) => figures::bytes(most),
            None => "not said".to_owned(),
        };
        writeln!(
            out,
            "  memory   begins with {}, most: {most}; the policy allows {}",
            figures::bytes(memory.initial),
            figures::bytes(policy.limits.memory as u64)
        )?;
    }
    for (name, work) in [("evaluate", &report.work), ("declare", &report.at_load)] {
        let words = match work {
            Some(work) => ends(work),
            None => "its code cannot be found: nothing is known of how long it runs".to_owned(),
        };
        writeln!(out, "  {name:<8} {words}")?;
    }
    for rule in rules {
        let action = match rule.action {
            DeclaredAction::Alert => "alert",
            DeclaredAction::Drop => "drop",
            DeclaredAction::Reject => "reject",
            DeclaredAction::Pass => "pass",
        };
        writeln!(
            out,
            "  rule     {}: {action} {} \"{}\"{}",
            rule.sid,
            clean(&rule.header, WIDTH),
            clean(&rule.message, WIDTH),
            match rule.patterns.len() {
                0 => ", looked at wherever header and options hold".to_owned(),
                patterns => format!(
                    ", where {} occurs",
                    figures::counted(patterns as u64, "pattern")
                ),
            }
        )?;
    }
    Ok(())
}

/// What is known of how long a call can run, in words.
fn ends(work: &Work) -> String {
    let reach = figures::counted(work.functions as u64, "function");
    if work.is_bounded() {
        return format!(
            "always ends: it reaches {reach}, without a loop, recursion or indirect call"
        );
    }
    let mut words = format!("reaches {reach}; no end can be told of");
    let mut first = true;
    for (what, names) in [
        ("loops", &work.loops),
        ("recursion", &work.recursion),
        ("indirect calls", &work.indirect),
    ] {
        if !names.is_empty() {
            let comma = if std::mem::take(&mut first) { "" } else { ";" };
            // Writing to a string does not fail.
            let _ = write!(
                words,
                "{comma} {what} in {}",
                clean(&names.join(", "), 4 * WIDTH)
            );
        }
    }
    words.push_str(" (the deadline ends what does not)");
    words
}

/// The same as an object.
pub fn json(module: &Module) -> serde_json::Value {
    let report = module.report();
    let declaration = module.declaration();
    let work = |work: &Option<Work>| {
        work.as_ref().map(|work| {
            json!({
                "bounded": work.is_bounded(),
                "functions": work.functions,
                "loops": work.loops,
                "recursion": work.recursion,
                "indirect_calls": work.indirect,
            })
        })
    };
    let imports = report
        .imports
        .iter()
        .map(|import| json!({"name": import.name, "functions": import.functions}));
    let rules = declaration.rules.iter().map(|rule| {
        json!({"sid": rule.sid, "rev": rule.rev, "message": rule.message, "header": rule.header})
    });
    json!({
        "file": &**module.file(),
        "name": declaration.name,
        "version": declaration.version,
        "imports": imports.collect::<Vec<_>>(),
        "exports": report.exports,
        "memory": report.memory.map(|memory| json!({"initial": memory.initial, "most": memory.most})),
        "evaluate": work(&report.work),
        "declare": work(&report.at_load),
        "rules": rules.collect::<Vec<_>>(),
    })
}
