//! The plans of a module's rules, and what becomes of them among others.

use std::collections::HashMap;
use std::sync::Arc;

use weir_engine::app::AppBuffer;
use weir_engine::plan::{Buffer, ModuleRule, Rule, RuleSet};

use super::job::{Job, Unusable};
use super::{Declaration, buffer_named};
use crate::compile::{Compiler, Loaded, Refused, Skipped, Warned, Warning};
use crate::syntax::ast::{MAX_MESSAGE, Place, Problem, ProblemKind, clipped};

/// What became of a module's rules.
#[derive(Clone, Debug, Default)]
pub struct ModuleRules {
    /// Rules that can be evaluated.
    pub rules: Vec<Rule>,
    /// What is wrong with the others: the rule's index, and its problems.
    pub refused: Vec<(usize, Vec<Problem>)>,
    /// Rules that say themselves (`requires`) that they are not for this engine, and why.
    pub skipped: Vec<(usize, String)>,
    /// What the author should know.
    pub warnings: Vec<Warning>,
}

/// A rule's place, by its index: there are no lines, so its number stands for one.
fn place_of(index: usize) -> Place {
    Place {
        line: u32::try_from(index + 1).unwrap_or(u32::MAX),
        column: 1,
    }
}

impl Compiler {
    /// Makes plans of a module's rules. The module stands in the file `origin`, is number `module` of the rule set, and
    /// may give verdicts where `verdicts` says so.
    ///
    /// A problem's line is the rule's number, from 1, and its message says where in the declaration it is.
    pub fn module(
        &self,
        declaration: &Declaration,
        module: u16,
        verdicts: bool,
        origin: &Arc<str>,
    ) -> ModuleRules {
        let buffers = declaration
            .buffers
            .iter()
            .filter_map(|name| buffer_named(name));
        let looks_at: Arc<[AppBuffer]> = buffers
            .filter_map(|buffer| match buffer {
                Buffer::App(buffer) => Some(buffer),
                _ => None,
            })
            .collect();
        let mut done = ModuleRules::default();
        for (index, declared) in declaration.rules.iter().enumerate() {
            let label = format!("module {}, rules[{index}]", declaration.name);
            let job = Job {
                compiler: self,
                declaration,
                declared,
                verdicts,
                place: place_of(index),
                origin,
            };
            match job.compile() {
                Ok((mut rule, warnings)) => {
                    rule.module = Some(ModuleRule {
                        module,
                        index: index as u32,
                        looks_at: Arc::clone(&looks_at),
                        crosses_flows: declaration.crosses_flows(),
                    });
                    done.rules.push(rule);
                    done.warnings
                        .extend(warnings.into_iter().map(|warning| Warning {
                            place: place_of(index),
                            message: format!("{label}: {}", warning.message),
                        }));
                }
                Err(Unusable::Refused(problems)) => {
                    let named = |problem: Problem| Problem {
                        message: clipped(format!("{label}{}", problem.message), MAX_MESSAGE),
                        ..problem
                    };
                    let problems = problems.into_iter().map(named).collect();
                    done.refused.push((index, problems));
                }
                Err(Unusable::Skipped(reason)) => done.skipped.push((index, reason)),
            }
        }
        done
    }
}

impl Loaded {
    /// Adds the rules of modules, each with its file. One whose `gid` and `sid` are there already is refused.
    pub fn add_modules(&mut self, modules: impl IntoIterator<Item = (Arc<str>, ModuleRules)>) {
        let (mut rules, data_sets) = std::mem::take(&mut self.rules).into_parts();
        let key = |rule: &Rule| (rule.meta.gid, rule.meta.sid);
        let mut known: HashMap<(u32, u32), (Arc<str>, u32)> = (rules.iter())
            .map(|rule| (key(rule), rule.meta.origin.clone()))
            .collect();
        for (file, of_module) in modules {
            for (index, problems) in of_module.refused {
                self.counts.read += 1;
                let place = place_of(index);
                let problems = problems
                    .into_iter()
                    .map(|problem| Problem { place, ..problem });
                self.refuse_rule(&file, problems.collect());
            }
            for (index, reason) in of_module.skipped {
                self.counts.read += 1;
                self.counts.skipped += 1;
                self.skipped.push(Skipped {
                    file: Arc::clone(&file),
                    place: place_of(index),
                    reason,
                });
            }
            let warnings = of_module.warnings.into_iter();
            self.warnings.extend(warnings.map(|warning| Warned {
                file: Arc::clone(&file),
                rule: warning.place.line,
                warning,
            }));
            for rule in of_module.rules {
                self.counts.read += 1;
                let (gid, sid) = key(&rule);
                if let Some((other, line)) = known.get(&(gid, sid)) {
                    let message = format!("the rule {gid}:{sid} is already there ({other}:{line})");
                    let index = rule
                        .module
                        .as_ref()
                        .map_or(0, |module| module.index as usize);
                    let problem = Problem::syntax(place_of(index), message).about("sid");
                    self.refuse_rule(&file, vec![problem]);
                    continue;
                }
                known.insert((gid, sid), rule.meta.origin.clone());
                self.counts.evaluated += 1;
                rules.push(rule);
            }
        }
        self.rules = RuleSet::new(rules).with_data_sets(data_sets);
    }

    /// Counts a file that should have been a module, and is none, as a rule that is wrong.
    pub fn refuse_module(&mut self, file: &Arc<str>, message: &str) {
        self.counts.read += 1;
        let problem = Problem::syntax(place_of(0), message).about("module");
        self.refuse_rule(file, vec![problem]);
    }

    fn refuse_rule(&mut self, file: &Arc<str>, problems: Vec<Problem>) {
        let refused = Refused {
            file: Arc::clone(file),
            problems,
        };
        match refused.kind() {
            ProblemKind::Syntax => self.counts.syntax += 1,
            ProblemKind::Unsupported => self.counts.unsupported += 1,
        }
        self.refused.push(refused);
    }
}
