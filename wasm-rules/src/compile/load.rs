//! Whole rule sets: files in, plans and problems out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_engine::plan::{Rule, RuleSet};

use super::dataset::Sets;
use super::{Compiled, Compiler, Warning, Written};
use crate::syntax::ast::{Place, Problem, ProblemKind};
use crate::syntax::{RuleFile, SourceFile};

/// A rule that will not be evaluated, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The file it is in.
    pub file: Arc<str>,
    /// All that is wrong, in the order of the text; never empty.
    pub problems: Vec<Problem>,
}

impl Refused {
    /// What the rule counts as: its text is wrong, or only not supported.
    pub fn kind(&self) -> ProblemKind {
        let wrong = self
            .problems
            .iter()
            .any(|problem| problem.kind == ProblemKind::Syntax);
        if wrong {
            ProblemKind::Syntax
        } else {
            ProblemKind::Unsupported
        }
    }
}

/// Each problem on a line of its own: `FILE:LINE:COL: text`.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            at,
            Problem {
                place,
                subject,
                message,
                ..
            },
        ) in self.problems.iter().enumerate()
        {
            let end = if at == 0 { "" } else { "\n" };
            write!(
                f,
                "{end}{}:{}:{}: {subject}: {message}",
                self.file, place.line, place.column
            )?;
        }
        Ok(())
    }
}

/// A rule that says itself that it is not for this engine (`requires`), or that a later revision replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file it is in.
    pub file: Arc<str>,
    /// Where it starts.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// How many rules became what. `read` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rules in the files.
    pub read: usize,
    /// Rules in the rule set.
    pub evaluated: usize,
    /// Rules that are right, but not evaluated.
    pub unsupported: usize,
    /// Rules that are wrong.
    pub syntax: usize,
    /// Rules that are not for this engine, or were replaced by a later revision.
    pub skipped: usize,
}

/// The last line of `weir rules check`, which scripts read: it says nothing of the rules that were skipped.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            read,
            evaluated,
            unsupported,
            syntax,
            skipped: _,
        } = self;
        write!(
            f,
            "rules: {read} read, {evaluated} evaluated, {unsupported} unsupported, {syntax} syntax errors"
        )
    }
}

/// A warning, and which rule it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warned {
    /// The rule's file.
    pub file: Arc<str>,
    /// The line on which the rule begins, from 1: the warning may be about one that it is continued on.
    pub rule: u32,
    /// What is to be known.
    pub warning: Warning,
}

impl fmt::Display for Warned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning { place, message } = &self.warning;
        let (line, column) = (place.line, place.column);
        write!(f, "{}:{line}:{column}: warning: {message}", self.file)
    }
}

/// A rule set and all that was noticed when it was loaded.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The rules that can be evaluated.
    pub rules: RuleSet,
    /// The others, in the order of the files.
    pub refused: Vec<Refused>,
    /// Rules that were left out on purpose, in the order of the files.
    pub skipped: Vec<Skipped>,
    /// What authors should know about rules that were loaded.
    pub warnings: Vec<Warned>,
    /// How many of each.
    pub counts: Counts,
    /// The headers of the rules as they were written, in the order of the rules, of a compiler that keeps variables.
    pub written: Vec<Written>,
    /// Lines that are comments: rules that were switched off, perhaps all of them.
    pub comments: usize,
}

/// What became of one rule of a file.
struct Line {
    place: Place,
    outcome: Result<Compiled, Vec<Problem>>,
}

/// Reads and compiles all rules of `sources`.
///
/// Of two rules with the same `gid` and `sid`, the one with the higher `rev` counts; a second one with the same or a
/// lower `rev` is refused (as in Suricata).
pub fn load(sources: &[SourceFile], compiler: &Compiler) -> Loaded {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = Assembly::default();
    for source in sources {
        let mut file = RuleFile::parse(&source.bytes);
        let texts: Vec<_> = file.by_ref().collect();
        set.loaded.comments += file.comments();
        let compile = |text: &Result<_, Problem>| match text {
            Ok(text) => {
                let text: &crate::syntax::ast::RuleText = text;
                Line {
                    place: text.place,
                    outcome: compiler.compile(text, &source.name),
                }
            }
            Err(problem) => Line {
                place: problem.place,
                outcome: Err(vec![problem.clone()]),
            },
        };
        // Below this many rules, starting threads costs more than it saves.
        const WORTHWHILE: usize = 500;
        let share = texts.len().div_ceil(threads).max(WORTHWHILE);
        if texts.len() <= share {
            texts
                .iter()
                .map(compile)
                .for_each(|line| set.add(&source.name, line));
            continue;
        }
        let compiled: Vec<Vec<Line>> = std::thread::scope(|scope| {
            let workers: Vec<_> = texts
                .chunks(share)
                .map(|chunk| {
                    (
                        chunk,
                        scope.spawn(move || chunk.iter().map(compile).collect::<Vec<_>>()),
                    )
                })
                .collect();
            // A worker that could not finish leaves its share to this thread.
            workers
                .into_iter()
                .map(|(chunk, worker)| {
                    worker
                        .join()
                        .unwrap_or_else(|_| chunk.iter().map(compile).collect())
                })
                .collect()
        });
        compiled
            .into_iter()
            .flatten()
            .for_each(|line| set.add(&source.name, line));
    }
    set.finish()
}

/// Makes one rule set of several that were loaded. Of rules that are in more than one, those count that count when they
/// stand in files one behind the other.
///
/// # Errors
/// When they do not agree on a data set.
pub fn combine(mut sets: Vec<Loaded>) -> Result<Loaded, String> {
    if sets.len() <= 1 {
        return Ok(sets.pop().unwrap_or_default());
    }
    let mut all = Assembly::default();
    for set in sets {
        let loaded = &mut all.loaded;
        loaded.refused.extend(set.refused);
        loaded.skipped.extend(set.skipped);
        loaded.warnings.extend(set.warnings);
        loaded.comments = loaded.comments.saturating_add(set.comments);
        let counts = &mut loaded.counts;
        for (count, more) in [
            (&mut counts.read, set.counts.read),
            (&mut counts.unsupported, set.counts.unsupported),
            (&mut counts.syntax, set.counts.syntax),
            (&mut counts.skipped, set.counts.skipped),
        ] {
            *count = count.saturating_add(more);
        }
        let (rules, data_sets) = set.rules.into_parts();
        for data_set in &data_sets {
            all.sets.add_known(data_set)?;
        }
        for rule in rules {
            // A rule that only keeps its place has nothing to keep here.
            if !rule.header.src.is_empty() {
                let (file, line) = rule.meta.origin.clone();
                all.add_rule(&file, Place { line, column: 1 }, rule, None);
            }
        }
    }
    Ok(all.finish())
}

/// Rules and problems, while files are read.
#[derive(Default)]
struct Assembly {
    rules: Vec<Option<(Rule, Option<Box<Written>>)>>,
    places: Vec<Place>,
    /// Index of the rule with a `gid` and `sid`.
    known: HashMap<(u32, u32), usize>,
    sets: Sets,
    loaded: Loaded,
}

impl Assembly {
    fn add(&mut self, file: &Arc<str>, line: Line) {
        self.loaded.counts.read += 1;
        match line.outcome {
            Ok(Compiled::Rule {
                rule,
                data_sets,
                warnings,
                written,
            }) => {
                if let Err(problem) = self.sets.add(&data_sets.0) {
                    return self.refuse(Refused {
                        file: Arc::clone(file),
                        problems: vec![problem],
                    });
                }
                let warned = warnings.into_iter().map(|warning| Warned {
                    file: Arc::clone(file),
                    rule: line.place.line,
                    warning,
                });
                self.loaded.warnings.extend(warned);
                self.add_rule(file, line.place, *rule, written);
            }
            Ok(Compiled::Skipped { reason }) => self.skip(Skipped {
                file: Arc::clone(file),
                place: line.place,
                reason,
            }),
            Err(problems) => self.refuse(Refused {
                file: Arc::clone(file),
                problems,
            }),
        }
    }

    fn add_rule(
        &mut self,
        file: &Arc<str>,
        place: Place,
        rule: Rule,
        written: Option<Box<Written>>,
    ) {
        let (gid, sid) = (rule.meta.gid, rule.meta.sid);
        let before = self.known.get(&(gid, sid)).copied();
        if let Some(slot) = before.and_then(|at| self.rules.get_mut(at)) {
            let (rev, origin) = slot
                .as_ref()
                .map(|(rule, _)| (rule.meta.rev, rule.meta.origin.clone()))
                .unwrap_or_default();
            if rev >= rule.meta.rev {
                let (name, line) = origin;
                let message = format!(
                    "the rule {gid}:{sid} is already there, in revision {rev} ({name}:{line})"
                );
                let problems = vec![Problem::syntax(place, message).about("sid")];
                return self.refuse(Refused {
                    file: Arc::clone(file),
                    problems,
                });
            }
            *slot = None;
            let reason = format!(
                "revision {} of the rule {gid}:{sid} replaces it ({file}:{})",
                rule.meta.rev, place.line
            );
            let place = before
                .and_then(|at| self.places.get(at))
                .copied()
                .unwrap_or_default();
            self.skip(Skipped {
                file: origin.0,
                place,
                reason,
            });
        }
        self.known.insert((gid, sid), self.rules.len());
        self.rules.push(Some((rule, written)));
        self.places.push(place);
    }

    fn skip(&mut self, skipped: Skipped) {
        self.loaded.counts.skipped += 1;
        self.loaded.skipped.push(skipped);
    }

    fn refuse(&mut self, refused: Refused) {
        match refused.kind() {
            ProblemKind::Syntax => self.loaded.counts.syntax += 1,
            ProblemKind::Unsupported => self.loaded.counts.unsupported += 1,
        }
        self.loaded.refused.push(refused);
    }

    fn finish(mut self) -> Loaded {
        let rules: Vec<_> = self.rules.into_iter().flatten().collect();
        self.loaded.counts.evaluated = rules.len();
        let (rules, written) = RuleSet::with_each(rules);
        self.loaded.rules = rules.with_data_sets(self.sets.finish());
        self.loaded.written = written.into_iter().flatten().map(|of| *of).collect();
        self.loaded
    }
}
