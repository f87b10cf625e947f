//! One rule of a declaration: from its fields to a plan.

use std::collections::HashSet;
use std::sync::Arc;

use weir_engine::plan::{Buffer, ProbeChoice, Rule};

use super::{Declaration, DeclaredAction, DeclaredPattern, DeclaredRule, buffer_named, quoted};
use crate::compile::{Compiled, Compiler, Draft, Warning, apply};
use crate::probe::{self, Candidate};
use crate::syntax::ast::{At, Place, Problem, RuleOption, RuleText};
use crate::syntax::parse_rule;

/// Options that are fields of their own in a declaration.
const FIELDS: [&str; 8] = [
    "sid",
    "gid",
    "rev",
    "msg",
    "classtype",
    "priority",
    "reference",
    "metadata",
];

/// Options that name files, or write to them: a module has no files.
const FILES: [&str; 7] = [
    "dataset",
    "datarep",
    "filemd5",
    "filesha1",
    "filesha256",
    "filestore",
    "lua",
];

/// Options that decide what becomes of packets: for modules that may give verdicts.
const VERDICTS: [&str; 2] = ["bypass", "replace"];

/// Why there is no plan.
pub(super) enum Unusable {
    Refused(Vec<Problem>),
    Skipped(String),
}

/// One rule to compile.
pub(super) struct Job<'a> {
    pub(super) compiler: &'a Compiler,
    pub(super) declaration: &'a Declaration,
    pub(super) declared: &'a DeclaredRule,
    pub(super) verdicts: bool,
    pub(super) place: Place,
    pub(super) origin: &'a Arc<str>,
}

/// The text of a rule, and where its parts are in it.
struct Written {
    text: String,
    header: std::ops::Range<usize>,
    options: std::ops::Range<usize>,
}

impl Job<'_> {
    pub(super) fn compile(&self) -> Result<(Rule, Vec<Warning>), Unusable> {
        let refused = |problem| Unusable::Refused(vec![problem]);
        if !self.verdicts && self.declared.action != DeclaredAction::Alert {
            return Err(refused(self.problem(
                "action",
                "expected `alert`: other actions are verdicts, for which the operator must grant `verdict`",
            )));
        }
        let written = self.write();
        let in_part = |problem: Problem| self.relate(&written, problem);
        let rule = parse_rule(
            written.text.as_bytes(),
            Place {
                line: self.place.line,
                column: 1,
            },
        )
        .map_err(|problem| refused(in_part(problem)))?;
        self.allowed(&rule).map_err(refused)?;
        let more = |draft: &mut Draft<'_>| self.want_buffers(draft);
        let compiled = self.compiler.compile_with(&rule, self.origin, &more);
        let (mut rule, mut warnings) = match compiled {
            Ok(Compiled::Rule { rule, warnings, .. }) => (*rule, warnings),
            Ok(Compiled::Skipped { reason }) => return Err(Unusable::Skipped(reason)),
            Err(problems) => {
                return Err(Unusable::Refused(
                    problems.into_iter().map(in_part).collect(),
                ));
            }
        };
        self.say(&mut rule, &mut warnings);
        self.find_by_patterns(&mut rule);
        Ok((rule, warnings))
    }

    /// A problem with a field.
    fn problem(&self, field: &str, message: &str) -> Problem {
        Problem::syntax(self.place, format!(".{field}: {message}")).about(field)
    }

    /// The rule as text: what is no text in a declaration (message, references and their like) is put into the plan, so
    /// that nothing in it has to be escaped.
    fn write(&self) -> Written {
        let DeclaredRule {
            sid,
            rev,
            header,
            options,
            patterns,
            ..
        } = self.declared;
        let action = match self.declared.action {
            DeclaredAction::Alert => "alert",
            DeclaredAction::Drop => "drop",
            DeclaredAction::Reject => "reject",
            DeclaredAction::Pass => "pass",
        };
        let mut text = format!("{action} ");
        let from = text.len();
        text.push_str(header);
        let header = from..text.len();
        text.push_str(" (");
        let from = text.len();
        text.push_str(options);
        let options = from..text.len();
        let ended = self.declared.options.trim_end();
        if !ended.is_empty() && !ended.ends_with(';') {
            text.push(';');
        }
        if let Some(first) = patterns.first() {
            let buffer = match first.buffer.as_str() {
                "payload" => "pkt_data",
                other => other,
            };
            text.push_str(&format!(" {buffer}; {}", searched(patterns)));
        }
        text.push_str(&format!(" sid:{sid}; rev:{rev};)"));
        Written {
            text,
            header,
            options,
        }
    }

    /// The problem, with where it is in the declaration instead of in the text that was made of it.
    fn relate(&self, written: &Written, problem: Problem) -> Problem {
        let at = (problem.place.column as usize).saturating_sub(1);
        let part = [("header", &written.header), ("options", &written.options)]
            .into_iter()
            // What is missing is missed at the end.
            .find(|(_, range)| (range.start..=range.end).contains(&at));
        let message = match part {
            Some((field, range)) => {
                format!(
                    ".{field}, column {}: {}",
                    at - range.start + 1,
                    problem.message
                )
            }
            None => format!(": {}", problem.message),
        };
        Problem {
            place: self.place,
            message,
            ..problem
        }
    }

    /// Options that are not for modules.
    fn allowed(&self, rule: &RuleText) -> Result<(), Problem> {
        // The last ones are written here.
        let own = rule.options.len().saturating_sub(2);
        for (at, option) in rule.options.iter().enumerate() {
            let name = option.name.value.as_str();
            let name = crate::keywords::lookup(name).map_or(name, |keyword| keyword.name);
            let message = if FIELDS.contains(&name) && at < own {
                format!("`{name}` is a field of the declaration, not an option")
            } else if FILES.contains(&name) {
                format!("`{name}` is not for modules: they have no files")
            } else if VERDICTS.contains(&name) && !self.verdicts {
                format!("`{name}` is a verdict, for which the operator must grant `verdict`")
            } else {
                continue;
            };
            return Err(self.problem("options", &message));
        }
        Ok(())
    }

    /// Has the buffers that the rule names asked for.
    fn want_buffers(&self, draft: &mut Draft<'_>) -> Result<(), Problem> {
        for (at, name) in self.declared.buffers.iter().enumerate() {
            let problem =
                |message: &str| Problem::syntax(self.place, message.to_owned()).about("buffers");
            if !self.declaration.buffers.contains(name) {
                let message = format!(
                    "buffers[{at}]: expected one of the module's buffers, found {}",
                    quoted(name)
                );
                return Err(problem(&message));
            }
            if name == "payload" {
                draft.deselect();
            } else {
                let option = RuleOption {
                    name: At {
                        value: name.clone(),
                        place: self.place,
                    },
                    value: None,
                };
                apply(draft, &option).map_err(|error| Problem {
                    message: format!("buffers[{at}]: {}", error.message),
                    ..error.about("buffers")
                })?;
            }
            draft.want();
        }
        Ok(())
    }

    /// Puts what alerts say into the plan.
    fn say(&self, rule: &mut Rule, warnings: &mut Vec<Warning>) {
        let DeclaredRule {
            message,
            class,
            priority,
            references,
            metadata,
            ..
        } = self.declared;
        let meta = &mut rule.meta;
        meta.msg.clone_from(message);
        meta.references.clone_from(references);
        meta.metadata.clone_from(metadata);
        if let Some(name) = class {
            match self.compiler.classification().get(name) {
                Some(class) => {
                    meta.category.clone_from(&class.description);
                    meta.priority = class.priority;
                }
                None => warnings.push(Warning {
                    place: self.place,
                    message: format!("the classtype {} is not known", quoted(name)),
                }),
            }
            meta.classtype = Some(name.clone());
        }
        if let Some(priority) = priority {
            meta.priority = *priority;
        }
    }

    /// Gives a rule with several patterns a probe for each; where one of them is none, or options have brought one that
    /// is needed in any case, it is as with any rule.
    fn find_by_patterns(&self, rule: &mut Rule) {
        if self.declared.patterns.len() < 2 || rule.probe.is_some() {
            return;
        }
        let frequency = self.compiler.frequency();
        let buffer = self
            .declared
            .patterns
            .first()
            .and_then(|pattern| buffer_named(&pattern.buffer));
        let choose = |pattern: &DeclaredPattern| {
            let bytes = match pattern.nocase {
                true => pattern.bytes.to_ascii_lowercase(),
                false => pattern.bytes.clone(),
            };
            let candidate = Candidate {
                bytes: &bytes,
                nocase: pattern.nocase,
                preferred: false,
            };
            match buffer? {
                Buffer::Payload if rule.tx_needs().is_none() => {
                    probe::choose(&[candidate], Buffer::Payload, frequency)
                }
                of_app @ Buffer::App(_) => {
                    probe::choose_buffer(&[(of_app, vec![candidate])], frequency)
                }
                _ => None,
            }
        };
        let chosen: Option<Vec<ProbeChoice>> = self.declared.patterns.iter().map(choose).collect();
        let Some(mut probes) = chosen else {
            return;
        };
        let mut seen = HashSet::new();
        probes.retain(|probe| seen.insert((probe.bytes.clone(), probe.folded)));
        let mut probes = probes.into_iter();
        rule.probe = probes.next();
        rule.other_probes = probes.collect();
    }
}

/// The options that look for patterns: a content, or for several an expression. Bytes are written as numbers, so that
/// none of them means anything.
fn searched(patterns: &[DeclaredPattern]) -> String {
    if let [only] = patterns {
        let bytes: Vec<String> = only.bytes.iter().map(|b| format!("{b:02x}")).collect();
        let nocase = if only.nocase { " nocase;" } else { "" };
        return format!("content:\"|{}|\";{nocase}", bytes.join(" "));
    }
    let of_pattern = |pattern: &DeclaredPattern| {
        let bytes: String = pattern
            .bytes
            .iter()
            .map(|b| format!("\\x{b:02x}"))
            .collect();
        match pattern.nocase {
            true => format!("(?i:{bytes})"),
            false => bytes,
        }
    };
    let all: Vec<String> = patterns.iter().map(of_pattern).collect();
    format!("pcre:\"/{}/s\";", all.join("|"))
}
