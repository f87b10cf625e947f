//! From bytes to rules, with the variables of the day.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postcard::de_flavors::Slice;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use weir_engine::pcre::Regex;
use weir_engine::plan::{AddrSet, DataSet, PortSet, Rule, RuleSet};

use super::{PIECE, Row, Shared, StoredError};
use crate::compile::{Loaded, Refused, Variables, Warned};
use crate::syntax::ast::{Place, Problem};

/// Pieces of rules, which are got when they are read, by several threads.
pub trait Pieces: Sync {
    /// Why one cannot be got or read.
    type Error: From<StoredError> + Send;

    /// How many there are.
    fn count(&self) -> usize;

    /// The bytes of one, which may be put into the buffer.
    ///
    /// # Errors
    /// When it cannot be got.
    fn get<'b>(&'b self, at: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Self::Error>;
}

impl Pieces for [&[u8]] {
    type Error = StoredError;

    fn count(&self) -> usize {
        self.len()
    }

    fn get<'b>(&'b self, at: usize, _: &'b mut Vec<u8>) -> Result<&'b [u8], StoredError> {
        let piece = <[&[u8]]>::get(self, at).copied();
        piece.ok_or_else(|| StoredError::unreadable("a piece", "there is none"))
    }
}

/// The expressions of headers, each resolved once.
struct Resolved {
    /// Addresses, and whether any are negated.
    addresses: Vec<Result<(AddrSet, bool), Problem>>,
    ports: Vec<Result<PortSet, Problem>>,
    origins: Vec<Arc<str>>,
}

/// A piece that was read, or several of them.
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
    read_pieces(shared, pieces, variables)
}

/// As [`read`], with pieces that are got when they are read.
///
/// # Errors
/// As [`read`], and when a piece cannot be got.
pub fn read_pieces<P: Pieces + ?Sized>(
    shared: &[u8],
    pieces: &P,
    variables: &Variables,
) -> Result<Loaded, P::Error> {
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
    let Piece {
        rules,
        refused,
        dead,
    } = gather(pieces, &resolved)?;
    loaded.counts.evaluated = loaded.counts.evaluated.saturating_sub(refused.len());
    loaded.counts.syntax = loaded.counts.syntax.saturating_add(refused.len());
    loaded.refused.extend(refused);
    if !dead.is_empty() {
        // What was said of a rule is of no use to anyone when the rule is refused.
        let dead: HashSet<(Arc<str>, u32)> = dead.into_iter().collect();
        let of_dead = |of: &Warned| dead.contains(&(Arc::clone(&of.file), of.rule));
        loaded.warnings.retain(|of| !of_dead(of));
    }
    loaded.rules = RuleSet::in_order(rules).with_data_sets(shared.data_sets);
    Ok(loaded)
}

/// What has been read of all pieces, one behind the other.
struct Gathered<E> {
    all: Piece,
    /// Expressions of all these rules.
    known: HashSet<Arc<Regex>>,
    /// Which piece is next, and those behind it that were read before it.
    next: usize,
    waiting: BTreeMap<usize, Piece>,
    /// The first piece that cannot be read.
    failed: Option<(usize, E)>,
}

impl<E> Gathered<E> {
    /// Takes a piece; false when no other is wanted.
    fn take(&mut self, at: usize, piece: Result<Piece, E>) -> bool {
        match piece {
            Ok(piece) => {
                self.waiting.insert(at, piece);
            }
            Err(error) => {
                if self.failed.as_ref().is_none_or(|(first, _)| at < *first) {
                    self.failed = Some((at, error));
                }
            }
        }
        while let Some(mut piece) = self.waiting.remove(&self.next) {
            self.next += 1;
            share_expressions(&mut piece.rules, &mut self.known);
            self.all.rules.append(&mut piece.rules);
            self.all.refused.append(&mut piece.refused);
            self.all.dead.append(&mut piece.dead);
        }
        self.failed.is_none()
    }
}

/// Reads all pieces, by as many threads as there are cores, into one.
fn gather<P: Pieces + ?Sized>(pieces: &P, resolved: &Resolved) -> Result<Piece, P::Error> {
    let count = pieces.count();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let gathered = Mutex::new(Gathered {
        all: Piece::default(),
        known: HashSet::new(),
        next: 0,
        waiting: BTreeMap::new(),
        failed: None,
    });
    let work = || {
        let mut buffer = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let bytes = pieces.get(at, &mut buffer);
            let read = bytes.and_then(|bytes| Ok(resolved.piece(bytes)?));
            let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            if !gathered.take(at, read) {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let gathered = gathered
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match gathered.failed {
        Some((_, error)) => Err(error),
        None => Ok(gathered.all),
    }
}

impl Resolved {
    fn piece(&self, bytes: &[u8]) -> Result<Piece, StoredError> {
        let part = "a piece";
        let unreadable = |error| StoredError::unreadable(part, error);
        // One row after the other: a list of them would be moved once more.
        let mut rows = postcard::Deserializer::<Slice>::from_bytes(bytes);
        let count = usize::deserialize(&mut rows).map_err(unreadable)?;
        let mut piece = Piece {
            rules: Vec::with_capacity(count.min(PIECE)),
            ..Piece::default()
        };
        for _ in 0..count {
            let row = Row::deserialize(&mut rows).map_err(unreadable)?;
            let (rule, problems) = self.rule(row)?;
            if !problems.is_empty() {
                let file = Arc::clone(&rule.meta.origin.0);
                piece.dead.push((Arc::clone(&file), rule.meta.origin.1));
                piece.refused.push(Refused { file, problems });
            }
            piece.rules.push(rule);
        }
        nothing_behind(part, rows.finalize().map_err(unreadable)?)?;
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
    nothing_behind(part, rest)?;
    Ok(value)
}

fn nothing_behind(part: &'static str, rest: &[u8]) -> Result<(), StoredError> {
    if rest.is_empty() {
        Ok(())
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
fn share_expressions(rules: &mut [Rule], known: &mut HashSet<Arc<Regex>>) {
    for rule in rules {
        rule.each_expression(&mut |regex| match known.get(regex) {
            Some(first) => *regex = Arc::clone(first),
            None => {
                known.insert(Arc::clone(regex));
            }
        });
    }
}
