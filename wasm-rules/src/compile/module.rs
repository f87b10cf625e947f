//! Rules that authors' modules declare: from a declaration to plans.
//!
//! A module says of a rule what a text rule says in its header and options, and decides the rest itself. What it says
//! goes through the same compiler as text, so that variables, application layers, flow bits and thresholds mean the same.
//! Nothing here knows how a module is run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use weir_engine::app::AppBuffer;
use weir_engine::plan::{Buffer, ModuleRule, ProbeChoice, Rule, RuleSet};

use super::{
    Compiled, Compiler, Draft, Loaded, Refused, Skipped, Warned, Warning, apply, sticky_buffer,
};
use crate::probe::{self, Candidate};
use crate::syntax::ast::{
    At, MAX_MESSAGE, Place, Problem, ProblemKind, RuleOption, RuleText, clipped,
};
use crate::syntax::parse_rule;

/// Most rules of a module.
pub const MAX_RULES: usize = 4096;
/// Most buffers, and most flow bits, that a module may look at.
pub const MAX_NAMES: usize = 64;
/// Most patterns of a rule.
pub const MAX_PATTERNS: usize = 64;
/// Most bytes of a pattern.
pub const MAX_PATTERN: usize = 255;
/// Most bytes of a value that is kept.
pub const MAX_VALUE: u32 = 4096;
/// Most values that are kept in a scope.
pub const MAX_ENTRIES: u32 = 1_000_000;
/// Most bytes of a module's name.
const MAX_NAME: usize = 64;
/// Most bytes of any other text of a declaration.
const MAX_TEXT: usize = 8192;
/// Most references, and most pairs of metadata, of a rule.
const MAX_PAIRS: usize = 64;

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

/// A module, as it declares itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// What logs, counters and the operator's policy call it.
    pub name: String,
    /// The module's own version, for people.
    pub version: String,
    /// Version of the values that it keeps.
    pub state_version: u32,
    /// Its rules; what it is asked about are indexes of this.
    pub rules: Vec<DeclaredRule>,
    /// Names of the buffers that it may look at.
    pub buffers: Vec<String>,
    /// Names of the flow bits that it may look at.
    pub flow_bits: Vec<String>,
    /// State that it keeps.
    pub state: Vec<Kept>,
}

/// A rule of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredRule {
    /// `sid`
    pub sid: u32,
    /// `rev`
    pub rev: u32,
    /// `msg`
    pub message: String,
    /// What it does when the module says that it fires.
    pub action: DeclaredAction,
    /// Short name of a classtype.
    pub class: Option<String>,
    /// 1 (highest) to 255; else that of the class.
    pub priority: Option<u8>,
    /// Protocol, addresses, direction and ports, as in a text rule.
    pub header: String,
    /// Options of a text rule that must hold, or act.
    pub options: String,
    /// Literals of which one must occur.
    pub patterns: Vec<DeclaredPattern>,
    /// Names of buffers that must be there.
    pub buffers: Vec<String>,
    /// System and what follows it.
    pub references: Vec<(String, String)>,
    /// Keys and values.
    pub metadata: Vec<(String, String)>,
}

/// What a rule of a module does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclaredAction {
    /// Alert.
    #[default]
    Alert,
    /// Drop the packet and alert.
    Drop,
    /// Drop, alert and answer the sender.
    Reject,
    /// Let the packet through.
    Pass,
}

/// A literal that a rule of a module is looked for by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredPattern {
    /// Name of the buffer.
    pub buffer: String,
    /// The literal.
    pub bytes: Vec<u8>,
    /// ASCII letters stand for both cases.
    pub nocase: bool,
}

/// What state is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A flow.
    Flow,
    /// The packet's source address.
    Source,
    /// The packet's destination address.
    Destination,
    /// Both addresses, in either order.
    Pair,
    /// Everything.
    Everywhere,
}

/// State that a module keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// For what.
    pub scope: Scope,
    /// Most bytes of a value.
    pub bytes: u32,
    /// Most values.
    pub entries: u32,
    /// Seconds of packet time after which a value that was not written again is gone; 0: never.
    pub seconds: u32,
}

/// What is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct DeclarationError {
    /// Where: `rules[3].sid`.
    pub place: String,
    /// What is wrong and what was expected.
    pub message: String,
}

fn wrong(place: impl Into<String>, message: impl Into<String>) -> DeclarationError {
    DeclarationError {
        place: place.into(),
        message: clipped(message.into(), MAX_MESSAGE),
    }
}

/// A name as it is quoted in messages.
fn quoted(name: &str) -> String {
    clipped(format!("`{}`", name.escape_debug()), 80)
}

/// The buffer of a name in a declaration.
pub fn buffer_named(name: &str) -> Option<Buffer> {
    if name == "payload" {
        return Some(Buffer::Payload);
    }
    // Those in parentheses are for keywords that are no buffers themselves.
    let of_app = || AppBuffer::named(name).filter(|_| !name.starts_with('('));
    match sticky_buffer(name) {
        Some((buffer, _)) => Some(buffer),
        None => of_app().map(Buffer::App),
    }
}

impl Declaration {
    /// Checks everything that needs no compiler: names, counts, sizes.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn check(&self) -> Result<(), DeclarationError> {
        let of_name = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(of_name) {
            let found = quoted(&self.name);
            let message = format!("expected 1 to 64 of `a-z0-9-`, found {found}");
            return Err(wrong("name", message));
        }
        text("version", &self.version)?;
        count("rules", self.rules.len(), 1, MAX_RULES)?;
        names("buffers", &self.buffers)?;
        names("flow-bits", &self.flow_bits)?;
        for (at, name) in self.buffers.iter().enumerate() {
            known(&format!("buffers[{at}]"), name)?;
        }
        let mut scopes = HashSet::new();
        for (at, kept) in self.state.iter().enumerate() {
            let place = |field: &str| format!("state[{at}].{field}");
            if !scopes.insert(kept.scope) {
                let message = format!("a second state of the scope {:?}", kept.scope);
                return Err(wrong(place("scope"), message.to_lowercase()));
            }
            number(&place("bytes"), kept.bytes, 1, MAX_VALUE)?;
            number(&place("entries"), kept.entries, 1, MAX_ENTRIES)?;
        }
        let mut sids = HashSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            rule.check(&format!("rules[{at}]"))?;
            if !sids.insert(rule.sid) {
                let message = format!("a second rule with the sid {}", rule.sid);
                return Err(wrong(format!("rules[{at}].sid"), message));
            }
        }
        Ok(())
    }

    /// True when it keeps state for more than one flow.
    pub fn crosses_flows(&self) -> bool {
        self.state.iter().any(|kept| kept.scope != Scope::Flow)
    }

    /// What it keeps in a scope.
    pub fn kept(&self, scope: Scope) -> Option<&Kept> {
        self.state.iter().find(|kept| kept.scope == scope)
    }
}

impl DeclaredRule {
    fn check(&self, place: &str) -> Result<(), DeclarationError> {
        let at = |field: &str| format!("{place}.{field}");
        if self.sid == 0 {
            return Err(wrong(at("sid"), "expected a number from 1 on, found 0"));
        }
        if self.priority == Some(0) {
            return Err(wrong(
                at("priority"),
                "expected a number from 1 to 255, found 0",
            ));
        }
        text(&at("message"), &self.message)?;
        text(&at("header"), &self.header)?;
        text(&at("options"), &self.options)?;
        if let Some(class) = &self.class {
            text(&at("class"), class)?;
        }
        // What ends a header would let a rule say what its fields do not.
        if let Some(found) = self.header.chars().find(|letter| "();".contains(*letter)) {
            let message = format!("expected what stands before the options, found `{found}`");
            return Err(wrong(at("header"), message));
        }
        count(&at("patterns"), self.patterns.len(), 0, MAX_PATTERNS)?;
        for (number, pattern) in self.patterns.iter().enumerate() {
            let at = |field: &str| format!("{place}.patterns[{number}].{field}");
            count(&at("bytes"), pattern.bytes.len(), 1, MAX_PATTERN)?;
            known(&at("buffer"), &pattern.buffer)?;
            let first = self.patterns.first().map(|first| &first.buffer);
            if let Some(first) = first.filter(|first| **first != pattern.buffer) {
                let message = format!("expected the buffer of the first pattern, `{first}`");
                return Err(wrong(at("buffer"), message));
            }
        }
        names(&at("buffers"), &self.buffers)?;
        for (field, pairs) in [
            ("references", &self.references),
            ("metadata", &self.metadata),
        ] {
            count(&at(field), pairs.len(), 0, MAX_PAIRS)?;
            for (number, (key, value)) in pairs.iter().enumerate() {
                let at = format!("{place}.{field}[{number}]");
                text(&at, key)?;
                text(&at, value)?;
            }
        }
        Ok(())
    }
}

fn text(place: &str, text: &str) -> Result<(), DeclarationError> {
    if text.len() > MAX_TEXT {
        let message = format!("expected at most {MAX_TEXT} bytes, found {}", text.len());
        return Err(wrong(place, message));
    }
    match text.chars().find(|letter| letter.is_control()) {
        None => Ok(()),
        Some(found) => {
            let found = found.escape_default();
            Err(wrong(
                place,
                format!("expected one line of text, found `{found}`"),
            ))
        }
    }
}

fn count(place: &str, found: usize, least: usize, most: usize) -> Result<(), DeclarationError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let message = format!("expected {least} to {most}, found {found}");
    Err(wrong(place, message))
}

fn number(place: &str, found: u32, least: u32, most: u32) -> Result<(), DeclarationError> {
    count(place, found as usize, least as usize, most as usize)
}

/// Names, each once.
fn names(place: &str, names: &[String]) -> Result<(), DeclarationError> {
    count(place, names.len(), 0, MAX_NAMES)?;
    let mut seen = HashSet::new();
    for (at, name) in names.iter().enumerate() {
        let place = format!("{place}[{at}]");
        if name.is_empty() || name.len() > MAX_TEXT {
            return Err(wrong(place, "expected a name"));
        }
        text(&place, name)?;
        if !seen.insert(name) {
            return Err(wrong(place, format!("{} a second time", quoted(name))));
        }
    }
    Ok(())
}

/// A buffer that there is.
fn known(place: &str, name: &str) -> Result<(), DeclarationError> {
    if buffer_named(name).is_some() {
        return Ok(());
    }
    let message = format!(
        "no buffer {}; expected `payload` or a sticky buffer such as `http.uri`",
        quoted(name)
    );
    Err(wrong(place, message))
}

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

/// Why there is no plan.
enum Unusable {
    Refused(Vec<Problem>),
    Skipped(String),
}

/// One rule to compile.
struct Job<'a> {
    compiler: &'a Compiler,
    declaration: &'a Declaration,
    declared: &'a DeclaredRule,
    verdicts: bool,
    place: Place,
    origin: &'a Arc<str>,
}

/// The text of a rule, and where its parts are in it.
struct Written {
    text: String,
    header: std::ops::Range<usize>,
    options: std::ops::Range<usize>,
}

impl Job<'_> {
    fn compile(&self) -> Result<(Rule, Vec<Warning>), Unusable> {
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

#[cfg(test)]
mod tests;
