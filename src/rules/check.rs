//! `weir rules check`: every problem with its place, a summary by keyword, and what the matcher makes of the rules.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use serde_json::json;
use weir_rules::compile::{Loaded, Summary};
use weir_rules::syntax::ast::ProblemKind;
use weir_wasm::modules::Module;

use super::plan::Plan;
use crate::cli::CheckOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::run::settings::Context;
use crate::ui::figures;
use crate::ui::table::{Align, Table, clean};

/// Columns for the name of a keyword.
const SUBJECT_WIDTH: usize = 60;

/// Prints what is wrong with rules.
pub fn check(options: &CheckOptions) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?
        .with_frequency(options.frequency.as_deref());
    let context = Context::new(&config)?;
    let frequency = Arc::clone(&context.frequency);
    let policy = context.modules.clone();
    let trusted = super::Trusted::new(&config, false)?;
    let set = super::load(&options.paths, context, &trusted, 1, None)?;
    let super::Set {
        loaded, modules, ..
    } = set;
    let modules: Vec<Module> = modules.map(|host| host.modules).unwrap_or_default();
    let plan = options.plan.then(|| Plan::new(&loaded.rules, &frequency));
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        print_json(&mut out, &loaded, plan.as_ref(), &modules)
    } else {
        let told: &[Module] = match options.summary {
            true => &[],
            false => modules.as_slice(),
        };
        let printed = told
            .iter()
            .try_for_each(|module| super::modules::print(&mut out, module, &policy));
        printed.and_then(|()| print_text(&mut out, &loaded, plan.as_ref(), options.summary))
    }
    .and_then(|()| out.flush())
    .map_err(Failure::stdout)?;
    if loaded.refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused)
    }
}

/// Every problem and every warning, a line each.
pub fn print_problems(out: &mut dyn Write, loaded: &Loaded) -> io::Result<()> {
    for refused in &loaded.refused {
        writeln!(out, "{refused}")?;
    }
    for warned in &loaded.warnings {
        writeln!(out, "{warned}")?;
    }
    Ok(())
}

fn print_text(
    out: &mut dyn Write,
    loaded: &Loaded,
    plan: Option<&Plan<'_>>,
    summary_only: bool,
) -> io::Result<()> {
    if !summary_only {
        print_problems(out, loaded)?;
    }
    if !loaded.refused.is_empty() {
        let mut table = Table::new([
            ("because of", Align::Left),
            ("rules refused", Align::Right),
            ("for this alone", Align::Right),
        ]);
        for (subject, refusals) in Summary::new(loaded).rows() {
            let all = refusals.alone + refusals.with_others;
            table.row([
                clean(subject, SUBJECT_WIDTH),
                figures::count(all as u64),
                figures::count(refusals.alone as u64),
            ]);
        }
        if !summary_only {
            writeln!(out)?;
        }
        table.write(out, "")?;
        writeln!(out)?;
    }
    if let Some(plan) = plan {
        plan.print(out, summary_only)?;
    }
    if loaded.counts.skipped > 0 {
        let rules = figures::counted(loaded.counts.skipped as u64, "rule");
        writeln!(
            out,
            "{rules} left out: replaced by a later revision, or not for this engine by their own `requires`"
        )?;
    }
    writeln!(out, "{}", loaded.counts)
}

fn print_json(
    out: &mut dyn Write,
    loaded: &Loaded,
    plan: Option<&Plan<'_>>,
    modules: &[Module],
) -> io::Result<()> {
    let problems: Vec<_> = loaded
        .refused
        .iter()
        .flat_map(|refused| {
            refused
                .problems
                .iter()
                .map(move |problem| (refused, problem))
        })
        .map(|(refused, problem)| {
            json!({
                "file": &*refused.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "kind": match problem.kind {
                    ProblemKind::Syntax => "syntax",
                    ProblemKind::Unsupported => "unsupported",
                },
                "subject": problem.subject,
                "message": problem.message,
            })
        })
        .collect();
    let keywords: Vec<_> = Summary::new(loaded)
        .rows()
        .iter()
        .map(|(subject, refusals)| {
            json!({
                "subject": subject,
                "rules": refusals.alone + refusals.with_others,
                "alone": refusals.alone,
            })
        })
        .collect();
    let mut whole =
        json!({"rules": super::counts(loaded.counts), "keywords": keywords, "problems": problems});
    if !modules.is_empty() {
        whole["modules"] = modules.iter().map(super::modules::json).collect();
    }
    if let Some(plan) = plan {
        whole["plan"] = plan.json();
    }
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}
