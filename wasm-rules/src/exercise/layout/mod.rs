//! From the operations on a buffer to bytes that satisfy them.
//!
//! Every place of the buffer is a set of bytes. Operations are taken in order and narrow sets down; each has a few places
//! and numbers that it could have, which are tried in turn, with the rest of the operations behind each. What comes out at
//! the end is filled up and shown to the engine's evaluator ([`super::checker`]): it alone decides.

mod numbers;

use weir_engine::plan::{Base64Decode, Content, IsDataAt, Num, Op, Value};

use numbers::{signed, value};

use super::set::ByteSet;
use super::strings::{Made, overlay};

/// Longest buffer that is made.
pub(super) const LONGEST: usize = 32 * 1024;
/// Operations that are tried in one search.
const STEPS: u32 = 6_000;
/// Buffers that are shown to the evaluator in one search.
const SHOWN: u32 = 48;
/// Places of a content that are tried.
const PLACES: usize = 10;

/// An operation, with what is known of it beforehand.
pub(super) struct Step<'a> {
    pub(super) op: &'a Op,
    /// Strings for a `pcre`.
    pub(super) strings: &'a [Made],
    /// The cursor begins anew: another plan for the same buffer.
    pub(super) anew: bool,
}

/// How a buffer is made where rules leave a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<'a> {
    /// What free places are filled with, in turn.
    pub(super) filler: &'a [u8],
    /// What stands between contents that may stand anywhere.
    pub(super) joiner: &'a [u8],
    /// Expressions that are not relative come before contents.
    pub(super) strings_first: bool,
    /// Prefer a place that overlaps what is there to one behind it.
    pub(super) overlap: bool,
    /// What follows another content at no fixed distance stands so far behind it.
    pub(super) apart: usize,
    /// Never shorter.
    pub(super) least: usize,
    /// Never longer.
    pub(super) most: usize,
}

#[derive(Clone)]
struct State {
    cells: Vec<ByteSet>,
    cursor: usize,
    vars: Vec<u64>,
    min: usize,
    max: usize,
    sizes: Vec<Num>,
    /// Where contents were put that may stand anywhere.
    places: Vec<usize>,
    avoid: Vec<Vec<u8>>,
}

/// A search for bytes.
pub(super) struct Search<'a, 'b> {
    pub(super) style: Style<'a>,
    /// What the buffer must be, once it is filled up.
    pub(super) accept: &'b mut dyn FnMut(&[u8]) -> bool,
    steps: u32,
    shown: u32,
}

impl<'a, 'b> Search<'a, 'b> {
    pub(super) fn new(style: Style<'a>, accept: &'b mut dyn FnMut(&[u8]) -> bool) -> Self {
        Self {
            style,
            accept,
            steps: STEPS,
            shown: SHOWN,
        }
    }

    /// Bytes that begin with what may stand in `seed`, and satisfy all steps.
    pub(super) fn run(
        &mut self,
        steps: &[Step<'_>],
        seed: &[ByteSet],
        variables: u8,
    ) -> Option<Vec<u8>> {
        let mut order: Vec<&Step<'_>> = steps.iter().collect();
        if self.style.strings_first {
            // Only those whose place hangs on nothing before them.
            order.sort_by_key(
                |step| !matches!(step.op, Op::Pcre(pcre) if !pcre.relative && !pcre.negated),
            );
        }
        let state = State {
            cells: seed.to_vec(),
            cursor: 0,
            vars: vec![0; usize::from(variables)],
            min: self.style.least,
            max: self.style.most,
            sizes: Vec::new(),
            places: Vec::new(),
            avoid: Vec::new(),
        };
        self.next(&order, state)
    }

    fn next(&mut self, steps: &[&Step<'_>], mut state: State) -> Option<Vec<u8>> {
        if self.shown == 0 || state.cells.len() > state.max || state.min > state.max {
            return None;
        }
        self.steps = self.steps.checked_sub(1)?;
        let Some((step, rest)) = steps.split_first() else {
            return self.show(&state);
        };
        if step.anew {
            state.cursor = 0;
        }
        match step.op {
            Op::Content(content) if content.negated => {
                state.avoid.push(content.bytes.clone());
                self.next(rest, state)
            }
            Op::Content(content) => self.content(content, rest, state),
            Op::Pcre(pcre) if pcre.negated => self.next(rest, state),
            Op::Pcre(pcre) => self.strings(step.strings, pcre.relative, rest, state),
            Op::BSize(size) => {
                state.sizes.push(*size);
                self.next(rest, state)
            }
            Op::IsDataAt(test) => {
                is_data_at(test, &mut state);
                self.next(rest, state)
            }
            Op::ByteTest(test) => self.byte_test(test, rest, state),
            Op::ByteJump(jump) => self.byte_jump(jump, rest, state),
            Op::ByteExtract(extract) => self.byte_extract(extract, rest, state),
            Op::ByteMath(math) => self.byte_math(math, rest, state),
            Op::Base64Decode(decode) => self.base64(decode, rest, state),
            // Nobody knows how to make bytes of a wanted entropy; perhaps it comes out right.
            _ => self.next(rest, state),
        }
    }

    fn content(&mut self, content: &Content, rest: &[&Step<'_>], state: State) -> Option<Vec<u8>> {
        let sets: Vec<ByteSet> = (content.bytes.iter())
            .map(|&byte| ByteSet::cased(byte, content.nocase))
            .collect();
        let limit = |at: Option<Value>| at.map(|at| signed(at, &state));
        let cursor = state.cursor as i64;
        let (mut low, mut high) = if content.relative() {
            let low = cursor + limit(content.distance).unwrap_or(0);
            (low, limit(content.within).map(|within| low + within))
        } else {
            (0, None)
        };
        let offset = limit(content.offset).unwrap_or(0);
        low = low.max(offset).max(0);
        if let Some(depth) = limit(content.depth).filter(|&depth| depth > 0) {
            let from = if content.relative() { cursor } else { offset };
            high = Some(high.unwrap_or(i64::MAX).min(from + depth));
        }
        if content.startswith {
            high = Some(sets.len() as i64);
        }
        let high = high.unwrap_or(i64::MAX).min(state.max as i64);
        let last = high - sets.len() as i64;
        let low = usize::try_from(low).ok()?;
        let last = usize::try_from(last).ok().filter(|&last| last >= low)?;
        for at in self.places(content, &sets, low, last, &state) {
            let mut state = state.clone();
            if put(&mut state.cells, at, &sets).is_none() {
                continue;
            }
            state.cursor = at + sets.len();
            if content.endswith {
                if state.cells.len() > state.cursor {
                    continue;
                }
                state.max = state.max.min(state.cursor);
            }
            if !content.relative() {
                state.places.push(at);
            }
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }

    /// Where a content could stand, the best first.
    fn places(
        &self,
        content: &Content,
        sets: &[ByteSet],
        low: usize,
        last: usize,
        state: &State,
    ) -> Vec<usize> {
        let used = state.cells.len();
        let mut all: Vec<usize> = Vec::with_capacity(PLACES);
        let mut add = |at: usize| {
            if (low..=last).contains(&at) && !all.contains(&at) && all.len() < PLACES {
                all.push(at);
            }
        };
        if content.endswith {
            // At the end of what there is, or behind it, or where the size says.
            if let Some(at) = used.checked_sub(sets.len()) {
                add(at);
            }
            for size in &state.sizes {
                if let (true, Some(at)) =
                    (size.test(size.a), (size.a as usize).checked_sub(sets.len()))
                {
                    add(at);
                }
            }
            for over in (0..sets.len()).rev() {
                if used >= over && fits(&state.cells, used - over, sets) {
                    add(used - over);
                }
            }
            add(used.max(low));
            return all;
        }
        let scan = last.min(used).min(low.saturating_add(LONGEST));
        // Where it stands already.
        let stands = |at: usize| {
            let cells = state.cells.get(at..at + sets.len());
            cells.is_some_and(|cells| cells.iter().zip(sets).all(|(cell, set)| cell.within(*set)))
        };
        for at in (low..=scan).filter(|&at| stands(at)).take(3) {
            add(at);
        }
        let behind = if content.relative() || used == 0 {
            low.max(used)
        } else {
            low.max(used) + self.style.joiner.len()
        };
        let overlaps = |add: &mut dyn FnMut(usize), count: usize| {
            for at in (low..=scan)
                .filter(|&at| fits(&state.cells, at, sets))
                .take(count)
            {
                add(at);
            }
        };
        if self.style.apart > 0 && content.relative() && content.within.is_none() {
            add(low.max(used) + self.style.apart);
        }
        if content.relative() || self.style.overlap {
            overlaps(&mut add, 3);
            add(behind);
            add(low.max(used));
        } else {
            add(behind);
            add(low.max(used));
            overlaps(&mut add, 3);
        }
        // Room before it, for what looks back from it.
        add(low.max(used) + 16);
        add(low.max(used) + 64);
        add(last);
        overlaps(&mut add, PLACES);
        all
    }

    fn strings(
        &mut self,
        strings: &[Made],
        relative: bool,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let used = state.cells.len();
        let cursor = if relative { state.cursor } else { 0 };
        // What is there may do.
        if used > 0 && !self.style.strings_first {
            let mut state = state.clone();
            state.cursor = used;
            if self.shown > 1
                && let Some(laid) = self.next(rest, state)
            {
                return Some(laid);
            }
        }
        for made in strings {
            let mut places = Vec::new();
            if made.at_start || relative && made.cells.is_empty() {
                places.push(cursor);
            } else {
                let scan = used.max(cursor);
                let behind = scan
                    + if used == 0 || relative {
                        0
                    } else {
                        self.style.joiner.len()
                    };
                let over = (cursor..scan)
                    .filter(|&at| fits(&state.cells, at, &made.cells))
                    .filter(|&at| !made.at_line || at == 0 || is(&state.cells, at - 1, b'\n'));
                let over: Vec<usize> = over.take(4).collect();
                if self.style.overlap || relative {
                    places.extend(over);
                    places.push(behind);
                } else {
                    places.push(behind);
                    places.extend(over);
                }
                places.push(scan);
                places.dedup();
            }
            for at in places {
                let mut state = state.clone();
                if made.at_line && at > 0 {
                    if state.cells.len() < at {
                        state.cells.resize(at, ByteSet::ALL);
                    }
                    if overlay(&mut state.cells, at - 1, &[ByteSet::of(b'\n')]).is_none() {
                        continue;
                    }
                }
                if put(&mut state.cells, at, &made.cells).is_none() {
                    continue;
                }
                state.cursor = at + made.cells.len() - made.ahead;
                if made.at_end {
                    if state.cells.len() > at + made.cells.len() {
                        continue;
                    }
                    state.max = state.max.min(at + made.cells.len());
                }
                if let Some(laid) = self.next(rest, state) {
                    return Some(laid);
                }
            }
        }
        None
    }

    fn base64(
        &mut self,
        decode: &Base64Decode,
        rest: &[&Step<'_>],
        mut state: State,
    ) -> Option<Vec<u8>> {
        let strings: Vec<Vec<Made>> = decode.data.iter().map(strings_of).collect();
        let steps: Vec<Step<'_>> = (decode.data.iter().zip(&strings))
            .map(|(op, strings)| Step {
                op,
                strings,
                anew: false,
            })
            .collect();
        let style = Style {
            joiner: b"",
            least: 0,
            most: decode.bytes.map_or(LONGEST, |bytes| bytes as usize / 4 * 3),
            ..self.style
        };
        let inner = Search::new(style, &mut |_| true).run(&steps, &[], state.vars.len() as u8)?;
        let text = super::transform::base64(&inner);
        let from = if decode.relative { state.cursor } else { 0 } + decode.offset as usize;
        let sets: Vec<ByteSet> = text.iter().map(|&byte| ByteSet::of(byte)).collect();
        put(&mut state.cells, from, &sets)?;
        self.next(rest, state)
    }

    /// Fills up what is free, and shows it to whom it is for.
    fn show(&mut self, state: &State) -> Option<Vec<u8>> {
        let used = state.cells.len().max(state.min);
        let sized = |length: usize| state.sizes.iter().all(|size| size.test(length as u64));
        let most = state.max.min(LONGEST);
        let length = (used..=most).find(|&length| sized(length))?;
        // Shorter is not possible, and much longer than wanted is no use.
        if length > used + 4096 {
            return None;
        }
        let mut cells = state.cells.clone();
        cells.resize(length, ByteSet::ALL);
        let fillers: [&[u8]; 3] = [self.style.filler, b"ab1c", b"\x01\x02\0"];
        for filler in fillers {
            if self.shown == 0 {
                return None;
            }
            let mut turn = filler.iter().cycle();
            let mut free = |cell: &ByteSet| {
                let wanted = if *cell == ByteSet::ALL {
                    turn.next()
                } else {
                    filler.first()
                };
                cell.pick(
                    wanted
                        .as_slice()
                        .iter()
                        .map(|&&byte| byte)
                        .collect::<Vec<u8>>()
                        .as_slice(),
                )
            };
            let bytes: Option<Vec<u8>> = cells.iter().map(&mut free).collect();
            let mut bytes = bytes?;
            self.join(&cells, state, &mut bytes);
            self.shown -= 1;
            if (self.accept)(&bytes) {
                return Some(bytes);
            }
        }
        None
    }

    /// Writes the joiner before contents where the places before them are free.
    fn join(&self, cells: &[ByteSet], state: &State, bytes: &mut [u8]) {
        let joiner = self.style.joiner;
        if joiner.is_empty() {
            return;
        }
        for &at in &state.places {
            let Some(from) = at.checked_sub(joiner.len()) else {
                continue;
            };
            let free = cells
                .get(from..at)
                .is_some_and(|cells| cells.iter().all(|cell| *cell == ByteSet::ALL));
            if let (true, Some(place)) = (free, bytes.get_mut(from..at)) {
                place.copy_from_slice(joiner);
            }
        }
    }
}

/// Strings for an expression, none for another operation.
fn strings_of(op: &Op) -> Vec<Made> {
    let Op::Pcre(pcre) = op else {
        return Vec::new();
    };
    let node = super::pattern::parse(pcre.regex.pattern(), pcre.regex.flags());
    node.map(|node| super::strings::variants(&node, 8, None))
        .unwrap_or_default()
}

fn is(cells: &[ByteSet], at: usize, byte: u8) -> bool {
    cells.get(at).is_some_and(|cell| *cell == ByteSet::of(byte))
}

/// True when the sets can stand there, at least partly over what is there.
fn fits(cells: &[ByteSet], at: usize, sets: &[ByteSet]) -> bool {
    let Some(there) = cells.get(at..) else {
        return false;
    };
    there
        .iter()
        .zip(sets)
        .all(|(cell, set)| !cell.and(*set).is_empty())
}

/// Narrows the places down; `None` where that is not possible, and then the cells are spoilt.
fn put(cells: &mut Vec<ByteSet>, at: usize, sets: &[ByteSet]) -> Option<()> {
    let end = at.checked_add(sets.len()).filter(|&end| end <= LONGEST)?;
    if cells.len() < end {
        cells.resize(end, ByteSet::ALL);
    }
    overlay(cells, at, sets)
}

fn is_data_at(test: &IsDataAt, state: &mut State) {
    let at = value(test.at, state);
    let from = if test.relative {
        state.cursor as i64
    } else {
        1
    };
    let Ok(there) = usize::try_from(at.saturating_add(from)) else {
        return;
    };
    if test.negated {
        state.max = state.max.min(there.saturating_sub(1));
    } else {
        state.min = state.min.max(there);
    }
}
