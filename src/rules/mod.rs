//! Loading rules, and what to say about those that cannot be used.

pub mod build;
pub mod check;
mod evaluators;
pub mod exercise;
mod inputs;
pub mod learn;
pub mod modules;
mod plan;
pub mod project;
pub mod ranges;
pub mod times;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_events::stats::RuleCounts;
use weir_rules::compile::{self, Compiler, Counts, Loaded, Summary};
use weir_rules::syntax::{SourceFile, load_paths};
use weir_wasm::built::keys::{self, PublicKey};
use weir_wasm::built::{Built, BuiltError, Trust};
use weir_wasm::compiled::Code;
use weir_wasm::modules::Modules;

use crate::config::Config;
use crate::failure::Failure;
use crate::run::settings::Context;
use crate::ui::figures;
pub use evaluators::{Evaluation, Evaluators};
use inputs::Inputs;

/// How many reasons are named when rules were refused.
const REASONS: usize = 8;

/// Rules that were loaded.
#[derive(Debug)]
pub struct Set {
    /// The rules, and what was said about them.
    pub loaded: Loaded,
    /// What some of them were compiled to, in built sets that they came from.
    pub code: Vec<Arc<Code>>,
    /// The modules that decide some of them, where there are such.
    pub modules: Option<modules::Host>,
}

/// Whose rule sets are taken without a question.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// Keys.
    pub trust: Trust,
    /// What none of the operator's keys signed is refused.
    pub required: bool,
}

impl Trusted {
    /// The keys of the configuration, and that of this machine's user. `required`: the command line asks for signatures.
    ///
    /// # Errors
    /// When a key of the configuration cannot be used, or there is none and signatures are required.
    pub fn new(config: &Config, required: bool) -> Result<Self, Failure> {
        let keys = config.trusted_keys.iter().map(|key| {
            let read = if PublicKey::is_text(key) {
                key.parse()
            } else {
                PublicKey::read(Path::new(key)).map_err(|error| error.to_string())
            };
            read.map_err(|why| {
                Failure::Usage(format!(
                    "trusted-keys in [rules] of the configuration: {why}"
                ))
            })
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if required && keys.is_empty() {
            return Err(Failure::Usage(
                "--require-signature: no key is trusted; name some as trusted-keys in [rules] of the configuration"
                    .to_owned(),
            ));
        }
        let local = keys::folder().map_or(Ok(None), |folder| keys::local(&folder));
        let local = local.unwrap_or_else(|error| {
            tracing::warn!("native code that was made here is not run: {error}");
            None
        });
        Ok(Self {
            trust: Trust {
                local: local.map(|key| key.public()),
                keys,
            },
            required,
        })
    }

    /// Reads a built rule set.
    fn read(&self, path: &Path) -> Result<Built, Failure> {
        let named = |error| match error {
            BuiltError::Read { .. } => Failure::failed(error),
            error => Failure::Failed(format!("{}: {error}", path.display())),
        };
        let built = Built::read(path, &self.trust).map_err(named)?;
        if self.required {
            built.must_be_signed().map_err(named)?;
        }
        Ok(built)
    }
}

/// Reads the rules of files and folders, and compiles those that are text; for so many workers. `before`: the modules that
/// are in use.
///
/// # Errors
/// When a path cannot be read, is not what its name says, or is not signed and must be. Rules and modules that are refused
/// are no error here.
pub fn load(
    paths: &[PathBuf],
    context: Context,
    trusted: &Trusted,
    workers: usize,
    before: Option<&Modules>,
) -> Result<Set, Failure> {
    let inputs = Inputs::new(paths)?;
    if let (true, Some(path)) = (trusted.required, inputs.unsigned().next()) {
        return Err(Failure::Failed(format!(
            "{}: not signed: with --require-signature, rules and modules come as sets that `weir rules build --sign` made",
            path.display()
        )));
    }
    let policy = context.modules.clone();
    let variables = context.variables.clone();
    let mut sets = Vec::with_capacity(inputs.built.len() + 1);
    let (mut built, mut code) = (Vec::new(), Vec::new());
    for path in &inputs.built {
        let named = |error| Failure::Failed(format!("{}: {error}", path.display()));
        let set = trusted.read(path)?;
        let (rules, compiled) = evaluators::of_built(&set, &variables).map_err(named)?;
        sets.push(rules);
        code.extend(compiled);
        built.push((path, set));
    }
    let sources = load_paths(&inputs.text).map_err(Failure::failed)?;
    let compiler = compiler(context);
    if !sources.is_empty() {
        sets.push(compile::load(&sources, &compiler));
    }
    let mut loaded = compile::combine(sets).map_err(Failure::failed)?;
    let mut sources = modules::Sources::new(policy, workers, before);
    for path in &inputs.modules {
        sources.file(path)?;
    }
    for (path, set) in &built {
        sources.built(path, set)?;
    }
    Ok(Set {
        modules: sources.load(&compiler, &mut loaded)?,
        loaded,
        code,
    })
}

fn compiler(context: Context) -> Compiler {
    let compiler = Compiler::new(context.variables, context.classification);
    compiler.with_frequency(context.frequency)
}

/// Compiles the rules of files that have been read.
pub fn compile(sources: &[SourceFile], context: Context) -> Loaded {
    compile::load(sources, &compiler(context))
}

/// A literal as it is shown: in quotation marks, escaped, with an `i` behind it where case does not matter.
pub fn literal(bytes: &[u8], folded: bool) -> String {
    let mark = if folded { "i" } else { "" };
    format!("\"{}\"{mark}", bytes.escape_ascii())
}

/// `3 of 10 rules refused: reasons`, or `None` when none were.
pub fn why_refused(loaded: &Loaded) -> Option<String> {
    if loaded.refused.is_empty() {
        return None;
    }
    let summary = Summary::new(loaded);
    let mut reasons: Vec<(&str, usize)> = summary
        .rows()
        .iter()
        .map(|(subject, refusals)| (subject.as_str(), refusals.first))
        .collect();
    reasons.retain(|&(_, rules)| rules > 0);
    reasons.sort_by_key(|&(_, rules)| std::cmp::Reverse(rules));
    let mut named: Vec<String> = reasons
        .iter()
        .take(REASONS)
        .map(|(reason, rules)| format!("{reason} {}", figures::count(*rules as u64)))
        .collect();
    if reasons.len() > REASONS {
        named.push(figures::counted(
            (reasons.len() - REASONS) as u64,
            "more reason",
        ));
    }
    Some(format!(
        "{} of {} rules refused ({}); `weir rules check` lists them all",
        figures::count(loaded.refused.len() as u64),
        figures::count(loaded.counts.read as u64),
        named.join(", ")
    ))
}

/// The counts, as the figures of a run have them.
pub fn counts(counts: Counts) -> RuleCounts {
    let Counts {
        read,
        evaluated,
        unsupported,
        syntax,
        skipped,
    } = counts;
    let [read, evaluated, unsupported, syntax, skipped] =
        [read, evaluated, unsupported, syntax, skipped].map(|count| count as u64);
    RuleCounts {
        read,
        evaluated,
        unsupported,
        syntax,
        skipped,
    }
}
