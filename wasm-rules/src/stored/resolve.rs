//! From bytes to rules, with the variables of the day.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::DeserializeOwned;
use weir_engine::pcre::Regex;
use weir_engine::plan::{AddrSet, DataSet, PortSet, Rule, RuleSet};

use super::{Row, Shared, StoredError};
use crate::compile::{Loaded, Refused, Variables, Warned};
use crate::syntax::ast::{Place, Problem};

/// The expressions of headers, each resolved once.
struct Resolved {
    /// Addresses, and whether any are negated.
    addresses: Vec<Result<(AddrSet, bool), Problem>>,
    ports: Vec<Result<PortSet, Problem>>,
    origins: Vec<Arc<str>>,
}

/// A piece that was read.
#[derive(Default)]
struct Piece {
    rules: Vec<Rule>,
    /// Rules whose header has no value with these variables: they stay where they are, and match nothing.
    refused: Vec<Refused>,
    /// Where those rules begin: their files, and their lines.
    dead: Vec<(Arc<str>, u32)>,
}

/// Reads rules that [`super::write`] wrote, and resolves their headers.
///
/// A rule whose header has no value with these variables is refused as it would be as text, but keeps its place, where it
/// matches nothing: what was compiled along with the rules knows them by their places.
///
/// # Errors
/// When the bytes are not what this version of Weir writes.
pub fn read(shared: &[u8], pieces: &[&[u8]], variables: &Variables) -> Result<Loaded, StoredError> {
    let shared: Shared = whole("what all rules share", shared)?;
    for set in &shared.data_sets {
        DataSet::sound(set).map_err(|why| StoredError::unreadable("a data set", why))?;
    }
    let addresses = shared.addresses.iter();
    let ports = shared.ports.iter();
    let resolved = Resolved {
        addresses: addresses.map(|text| variables.addresses_of(text)).collect(),
        ports: ports.map(|text| variables.ports_of(text)).collect(),
        origins: shared
            .origins
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
    };
    let mut loaded = shared.report.into_loaded();
    let mut rules = Vec::new();
    let mut dead = HashSet::new();
    for piece in read_pieces(pieces, &resolved)? {
        rules.extend(piece.rules);
        loaded.counts.evaluated = loaded.counts.evaluated.saturating_sub(piece.refused.len());
        loaded.counts.syntax = loaded.counts.syntax.saturating_add(piece.refused.len());
        loaded.refused.extend(piece.refused);
        dead.extend(piece.dead);
    }
    if !dead.is_empty() {
        // What was said of a rule is of no use to anyone when the rule is refused.
        let of_dead = |of: &Warned| dead.contains(&(Arc::clone(&of.file), of.rule));
        loaded.warnings.retain(|of| !of_dead(of));
    }
    share_expressions(&mut rules);
    loaded.rules = RuleSet::in_order(rules).with_data_sets(shared.data_sets);
    Ok(loaded)
}

/// Reads all pieces, by as many threads as there are cores.
fn read_pieces(pieces: &[&[u8]], resolved: &Resolved) -> Result<Vec<Piece>, StoredError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let read: Vec<Mutex<Option<Result<Piece, StoredError>>>> =
        pieces.iter().map(|_| Mutex::default()).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(bytes), Some(slot)) = (pieces.get(at), read.get(at)) else {
                return;
            };
            let piece = resolved.piece(bytes);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    let of_slot = |slot: Mutex<_>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A slot without a result is one whose thread did not end well.
    let missing = || Err(StoredError::unreadable("a piece", "its reader gave up"));
    let pieces = read
        .into_iter()
        .map(|slot| of_slot(slot).unwrap_or_else(missing));
    pieces.collect()
}

impl Resolved {
    fn piece(&self, bytes: &[u8]) -> Result<Piece, StoredError> {
        let rows: Vec<Row> = whole("a piece", bytes)?;
        let mut piece = Piece {
            rules: Vec::with_capacity(rows.len()),
            ..Piece::default()
        };
        for row in rows {
            let (rule, problems) = self.rule(row)?;
            if !problems.is_empty() {
                let file = Arc::clone(&rule.meta.origin.0);
                piece.dead.push((Arc::clone(&file), rule.meta.origin.1));
                piece.refused.push(Refused { file, problems });
            }
            piece.rules.push(rule);
        }
        Ok(piece)
    }

    /// A rule with its header, and what is wrong with that.
    fn rule(&self, row: Row) -> Result<(Rule, Vec<Problem>), StoredError> {
        let Row {
            mut rule,
            addresses,
            ports,
            origin,
        } = row;
        let unsound = |why| StoredError::unreadable("a rule", why);
        rule.sound().map_err(unsound)?;
        let no_such = || unsound("it names an expression or a file that there is not");
        let mut problems = Vec::new();
        let place = Place {
            line: rule.meta.origin.1,
            column: 1,
        };
        let mut refuse = |problem: &Problem| {
            let placed = Problem {
                place,
                ..problem.clone()
            };
            if !problems.contains(&placed) {
                problems.push(placed);
            }
        };
        let header = &mut rule.header;
        header.negated_addresses = false;
        for (at, set) in addresses
            .into_iter()
            .zip([&mut header.src, &mut header.dst])
        {
            match self.addresses.get(at as usize).ok_or_else(no_such)? {
                Ok((of, negated)) => {
                    set.clone_from(of);
                    header.negated_addresses |= negated;
                }
                Err(problem) => refuse(problem),
            }
        }
        for (at, set) in ports
            .into_iter()
            .zip([&mut header.sport, &mut header.dport])
        {
            match self.ports.get(at as usize).ok_or_else(no_such)? {
                Ok(of) => set.clone_from(of),
                Err(problem) => refuse(problem),
            }
        }
        if !problems.is_empty() {
            // Nothing comes from nowhere.
            header.src = AddrSet::none();
            header.dst = AddrSet::none();
        }
        let origin = self.origins.get(origin as usize).ok_or_else(no_such)?;
        rule.meta.origin.0 = Arc::clone(origin);
        Ok((rule, problems))
    }
}

/// Reads a value that takes all of the bytes.
fn whole<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, StoredError> {
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|error| StoredError::unreadable(part, error))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        let why = format!("{} bytes are left over", rest.len());
        Err(StoredError::unreadable(part, why))
    }
}

/// Makes equal expressions one, so that each is compiled at most once.
#[expect(
    clippy::mutable_key_type,
    reason = "what an expression was compiled to is no part of its hash"
)]
fn share_expressions(rules: &mut [Rule]) {
    let mut known: HashSet<Arc<Regex>> = HashSet::new();
    for rule in rules {
        rule.each_expression(&mut |regex| match known.get(regex) {
            Some(first) => *regex = Arc::clone(first),
            None => {
                known.insert(Arc::clone(regex));
            }
        });
    }
}
