//! Loading rules, and what to say about those that cannot be used.

pub mod build;
pub mod check;
pub mod exercise;
mod inputs;
pub mod learn;
mod plan;
pub mod ranges;

use std::path::{Path, PathBuf};

use weir_events::stats::RuleCounts;
use weir_rules::compile::{self, Compiler, Counts, Loaded, Summary};
use weir_rules::syntax::{SourceFile, load_paths};

use weir_wasm::built::keys::{self, PublicKey};
use weir_wasm::built::{Built, BuiltError, Trust};

use crate::config::Config;
use crate::failure::Failure;
use crate::run::settings::Context;
use crate::ui::figures;
use inputs::Inputs;

/// How many reasons are named when rules were refused.
const REASONS: usize = 8;

/// Rules that were loaded.
#[derive(Debug)]
pub struct Set {
    /// The rules, and what was said about them.
    pub loaded: Loaded,
    /// The file that all of them came from, if it was one built file: what it was compiled to knows them by their numbers.
    pub built: Option<Built>,
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

/// Reads the rules of files and folders, and compiles those that are text.
///
/// # Errors
/// When a path cannot be read, is not what its name says, or is not signed and must be. Rules that are refused are no error
/// here.
pub fn load(paths: &[PathBuf], context: Context, trusted: &Trusted) -> Result<Set, Failure> {
    let inputs = Inputs::new(paths)?;
    if let (true, Some(path)) = (trusted.required, inputs.unsigned().next()) {
        return Err(Failure::Failed(format!(
            "{}: not signed: with --require-signature, rules and modules come as sets that `weir rules build --sign` made",
            path.display()
        )));
    }
    let built: Vec<Built> = (inputs.built.iter())
        .map(|path| trusted.read(path))
        .collect::<Result<_, _>>()?;
    let modules = (inputs.built.iter().zip(&built))
        .filter(|(_, built)| built.counts().modules > 0)
        .map(|(path, _)| path);
    if let Some(path) = inputs.modules.iter().chain(modules).next() {
        return Err(Failure::Failed(format!(
            "{}: rule modules are not supported by this version",
            path.display()
        )));
    }
    let mut sets = Vec::with_capacity(built.len() + 1);
    for (path, built) in inputs.built.iter().zip(&built) {
        let rules = built.rules(&context.variables);
        sets.push(rules.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?);
    }
    if !inputs.text.is_empty() {
        let sources = load_paths(&inputs.text).map_err(Failure::failed)?;
        sets.push(compile(&sources, context));
    }
    let mut built = built;
    Ok(Set {
        built: built.pop().filter(|_| sets.len() == 1 && built.is_empty()),
        loaded: compile::combine(sets).map_err(Failure::failed)?,
    })
}

/// Compiles the rules of files that have been read.
pub fn compile(sources: &[SourceFile], context: Context) -> Loaded {
    let compiler = Compiler::new(context.variables, context.classification);
    compile::load(sources, &compiler.with_frequency(context.frequency))
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
