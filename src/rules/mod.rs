//! Loading rules, and what to say about those that cannot be used.

pub mod check;
pub mod exercise;
pub mod learn;
pub mod modules;
mod plan;
pub mod project;
pub mod ranges;

use std::path::PathBuf;

use weir_events::stats::RuleCounts;
use weir_rules::compile::{self, Compiler, Counts, Loaded, Summary};
use weir_rules::syntax::{SourceFile, load_paths};

use crate::cli::BuildOptions;
use crate::failure::Failure;
use crate::run::settings::Context;
use crate::ui::figures;

/// How many reasons are named when rules were refused.
const REASONS: usize = 8;

/// Reads and compiles the rules of files and folders.
///
/// # Errors
/// When a path cannot be read. Rules that are refused are no error here.
pub fn load(paths: &[PathBuf], context: Context) -> Result<Loaded, Failure> {
    let sources = load_paths(paths).map_err(Failure::failed)?;
    Ok(compile(&sources, context))
}

/// Builds rules: a module from its source.
pub fn build(options: &BuildOptions) -> Result<(), Failure> {
    match options.paths.as_slice() {
        [source] if project::is_source(source) => project::build(source, options),
        paths => Err(Failure::Usage(format!(
            "{}: expected the source of one module: a folder with a Cargo.toml, or a core module (`weir rules new NAME` \
             makes such a folder)",
            paths
                .first()
                .map(|path| path.display().to_string())
                .unwrap_or_default()
        ))),
    }
}

/// Rules that were loaded.
#[derive(Debug)]
pub struct Set {
    /// The rules, and what was said about them.
    pub loaded: Loaded,
    /// The modules that decide some of them, where there are such.
    pub modules: Option<modules::Host>,
}

/// The same, where some of the files may be rule modules; for so many workers.
///
/// # Errors
/// When a path cannot be read, or Wasm cannot be run.
pub fn load_all(paths: &[PathBuf], context: Context, workers: usize) -> Result<Set, Failure> {
    let policy = context.modules.clone();
    let (files, paths): (Vec<PathBuf>, Vec<PathBuf>) = paths
        .iter()
        .cloned()
        .partition(|path| modules::is_module(path));
    let sources = load_paths(&paths).map_err(Failure::failed)?;
    let compiler = compiler(context);
    let mut loaded = compile::load(&sources, &compiler);
    let host =
        (!files.is_empty()).then(|| modules::load(&files, workers, policy, &compiler, &mut loaded));
    Ok(Set {
        modules: host.transpose()?,
        loaded,
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
