//! `dataset` and `datarep`: sets that rules ask about buffers.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use weir_engine::plan::{Compare, DataSet, DatasetOp, Name, NumOp, SetFormat, SetKind, StateTest};

use super::args::{self, Text};
use super::draft::{Draft, Latest, Target};
use super::state::name;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list};

/// Longest name of a set.
const MAX_NAME: usize = 63;

/// What a rule says of a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub(super) set: DataSet,
    /// `type` is there.
    pub(super) kind: bool,
    pub(super) name: Text,
}

/// `dataset:COMMAND,NAME[,settings]`
pub(super) fn dataset(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::value(option)?;
    let parts = split_list(text);
    let [command, of, settings @ ..] = parts.as_slice() else {
        return Err(args::expected(text, "a command and the name of a set"));
    };
    let op = match command.value.as_slice() {
        b"isset" => DatasetOp::IsSet,
        b"isnotset" => DatasetOp::IsNotSet,
        b"set" => DatasetOp::Set,
        b"unset" => DatasetOp::Unset,
        _ => {
            let what = "`isset`, `isnotset`, `set` or `unset`";
            return Err(args::expected(command, what));
        }
    };
    let declared = declared(draft, of, settings, false)?;
    if op.changes() && declared.set.format != SetFormat::Csv {
        let message = "a set from JSON cannot be changed: it goes with `isset` and `isnotset`";
        return Err(Problem::syntax(command.place, message));
    }
    let test = StateTest::Dataset {
        buffer: 0,
        set: declared.set.name.clone(),
        op,
    };
    ask(draft, option, test, declared)
}

/// `datarep:NAME,OPERATOR,VALUE[,settings]`
pub(super) fn datarep(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::value(option)?;
    let parts = split_list(text);
    let [of, operator, value, settings @ ..] = parts.as_slice() else {
        return Err(args::expected(
            text,
            "the name of a set, an operator and a value",
        ));
    };
    let compare = match operator.value.as_slice() {
        b">" => Compare::Gt,
        b"<" => Compare::Lt,
        b"==" => Compare::Eq,
        _ => return Err(args::expected(operator, "`>`, `<` or `==`")),
    };
    let value = args::integer(value, 0, u16::MAX.into())? as u16;
    let declared = declared(draft, of, settings, true)?;
    let test = StateTest::DataRep {
        buffer: 0,
        set: declared.set.name.clone(),
        compare,
        value,
    };
    ask(draft, option, test, declared)
}

/// Puts a test on the current buffer into the draft.
fn ask(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    test: StateTest,
    declared: Declared,
) -> Result<(), Problem> {
    let place = option.name.place;
    let at = draft.current();
    match draft.sticky.as_ref().map(|selected| &selected.target) {
        None => {
            let message = "sets are about a sticky buffer, and there is none before it";
            return Err(Problem::syntax(place, message));
        }
        Some(Target::Base64) => {
            let message = "decoded data cannot be looked up in sets (`from_base64` can)";
            return Err(Problem::unsupported(place, "", message));
        }
        Some(_) => {}
    }
    if let Some(list) = draft.lists.get_mut(at) {
        list.tests.push(test);
    }
    draft.latest = Some(Latest::Test);
    draft.data_sets.push(declared);
    Ok(())
}

/// What the settings of an option say of the set `of`.
fn declared(
    draft: &Draft<'_>,
    of: &Text,
    settings: &[Text],
    reputation: bool,
) -> Result<Declared, Problem> {
    if of.value.is_empty() || of.value.len() > MAX_NAME {
        let what = format!("the name of a set, of at most {MAX_NAME} letters");
        return Err(args::expected(of, &what));
    }
    let (mut kind, mut load, mut save, mut state) = (None, None, None, None);
    let (mut format, mut value_key, mut array_key) = (None, None, None);
    let (mut context_key, mut remove_key, mut memcap) = (None, false, None);
    for part in settings {
        let (key, rest) = args::pair(part);
        let word = key.value.as_slice();
        if word == b"remove_key" && rest.is_none() {
            remove_key = true;
            continue;
        }
        let rest = rest.ok_or_else(|| args::expected(&key, "a setting and its value"))?;
        let (slot, text): (&mut Option<Text>, Text) = match word {
            b"type" => (&mut kind, rest),
            b"load" => (&mut load, rest),
            b"save" if !reputation => (&mut save, rest),
            b"state" if !reputation => (&mut state, rest),
            b"memcap" => (&mut memcap, rest),
            b"format" if !reputation => (&mut format, rest),
            b"value_key" if !reputation => (&mut value_key, rest),
            b"array_key" if !reputation => (&mut array_key, rest),
            b"context_key" | b"enrichment_key" if !reputation => (&mut context_key, rest),
            // How large Suricata's hash table is. Weir's grows.
            b"hashsize" => continue,
            _ if reputation => {
                let what = "`type`, `load`, `memcap` or `hashsize`";
                return Err(args::expected(&key, what));
            }
            _ => {
                let what = "`type`, `load`, `save`, `state`, `memcap`, `hashsize`, `format`, `value_key`, `array_key`, \
                    `context_key` or `remove_key`";
                return Err(args::expected(&key, what));
            }
        };
        if slot.replace(text).is_some() {
            return Err(args::expected(&key, "each setting once"));
        }
    }
    if let (Some(state), true) = (&state, load.is_some() || save.is_some()) {
        let message = "`state` says where to load and save: it goes without `load` and `save`";
        return Err(Problem::syntax(state.place, message));
    }
    let string = |text: Text| args::string(&text);
    let lines = match &format {
        None => None,
        Some(text) => match text.value.as_slice() {
            b"csv" => None,
            b"json" => Some(false),
            b"jsonline" | b"ndjson" => Some(true),
            _ => {
                return Err(args::expected(
                    text,
                    "`csv`, `json`, `jsonline` or `ndjson`",
                ));
            }
        },
    };
    let format = match lines {
        None => SetFormat::Csv,
        Some(lines) => SetFormat::Json {
            lines,
            value_key: value_key.map(string),
            array_key: array_key.map(string),
            context_key: context_key.map(string),
            remove_key,
        },
    };
    let kept = state.as_ref().or(save.as_ref());
    Ok(Declared {
        kind: kind.is_some(),
        name: of.clone(),
        set: DataSet {
            name: name(of),
            kind: kind.as_ref().map_or(Ok(SetKind::String), self::kind)?,
            reputation,
            load: load
                .map(|load| found(&load, &draft.meta.origin.0))
                .transpose()?,
            save: kept.map(below_state).transpose()?,
            restore: state.is_some(),
            format,
            memcap: memcap.as_ref().map(size).transpose()?,
            contents: None,
        },
    })
}

fn kind(text: &Text) -> Result<SetKind, Problem> {
    Ok(match text.value.as_slice() {
        b"string" => SetKind::String,
        b"md5" => SetKind::Md5,
        b"sha256" => SetKind::Sha256,
        b"ipv4" => SetKind::Ipv4,
        b"ip" => SetKind::Ip,
        _ => {
            let what = "`string`, `md5`, `sha256`, `ipv4` or `ip`";
            return Err(args::expected(text, what));
        }
    })
}

/// A number of bytes, perhaps with a unit.
fn size(text: &Text) -> Result<u64, Problem> {
    let num = parse_number(text, u64::MAX)?;
    match num.op {
        NumOp::Eq => Ok(num.a),
        _ => Err(args::expected(text, "a number of bytes")),
    }
}

/// The file that a rule of `origin` names: beside the rule file, else in the working folder.
fn found(text: &Text, origin: &str) -> Result<PathBuf, Problem> {
    let written = args::string(text);
    beside(&written, origin).ok_or_else(|| {
        let message =
            format!("the file {written} is neither beside the rule file nor in the working folder");
        Problem::syntax(text.place, message)
    })
}

/// The file of this name beside the rule file `origin`, else in the working folder. What is no file is not there:
/// reading a device or a pipe might never end.
pub(super) fn beside(name: &str, origin: &str) -> Option<PathBuf> {
    let beside = Path::new(origin).parent().map(|folder| folder.join(name));
    let places = beside.into_iter().chain([PathBuf::from(name)]);
    places.into_iter().find(|path| path.is_file())
}

/// A file for state: rules may not name one outside of the folder for state.
fn below_state(text: &Text) -> Result<PathBuf, Problem> {
    let path = PathBuf::from(args::string(text));
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside && path.file_name().is_some() {
        return Ok(path);
    }
    let what = "a file below the folder for state (not absolute, without `..`)";
    Err(args::expected(text, what))
}

/// The sets of a rule set, while rules are added.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: Vec<DataSet>,
    by_name: HashMap<Name, usize>,
}

impl Sets {
    /// Adds what a rule says of its sets.
    ///
    /// # Errors
    ///
    /// When it contradicts what another rule says, or no rule says what is in a set.
    pub(super) fn add(&mut self, declared: &[Declared]) -> Result<(), Problem> {
        let before = self.sets.len();
        for Declared { set, kind, name } in declared {
            let added = self.add_one(set, *kind);
            if let Err(message) = added {
                for new in self.sets.drain(before..) {
                    self.by_name.remove(&new.name);
                }
                return Err(Problem::syntax(name.place, message).about("dataset"));
            }
        }
        Ok(())
    }

    /// Adds a set of which everything is known.
    ///
    /// # Errors
    ///
    /// When it is known otherwise.
    pub(super) fn add_known(&mut self, set: &DataSet) -> Result<(), String> {
        self.add_one(set, true)
    }

    fn add_one(&mut self, set: &DataSet, kind: bool) -> Result<(), String> {
        let name = &set.name;
        let known = self.by_name.get(name).copied();
        let Some(known) = known.and_then(|at| self.sets.get_mut(at)) else {
            if !kind {
                return Err(format!("the set {name} is new, and needs a `type`"));
            }
            self.by_name.insert(name.clone(), self.sets.len());
            self.sets.push(set.clone());
            return Ok(());
        };
        if kind && known.kind != set.kind {
            return Err(format!(
                "an earlier rule gives the set {name} another `type`"
            ));
        }
        // A rule that says nothing of files takes the set as it is.
        let (files, before) = (
            (&set.load, &set.save, set.restore),
            (&known.load, &known.save, known.restore),
        );
        let silent = set.load.is_none() && set.save.is_none();
        if !silent && (files != before || set.format != known.format) {
            return Err(format!(
                "an earlier rule names other files for the set {name}"
            ));
        }
        known.reputation |= set.reputation;
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<DataSet> {
        self.sets
    }
}
