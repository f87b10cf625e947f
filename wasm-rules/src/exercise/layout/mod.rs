//! From the operations on a buffer to bytes that satisfy them.
//!
//! Every place of the buffer is a set of bytes. Operations are taken in order and narrow sets down; each has a few places
//! and numbers that it could have, which are tried in turn, with the rest of the operations behind each. What comes out at
//! the end is filled up and shown to the engine's evaluator ([`super::checker`]): it alone decides.

mod contents;
mod numbers;
mod show;

use weir_engine::plan::{Base64Decode, IsDataAt, Num, Op};

use numbers::value;

use super::set::ByteSet;
use super::strings::{Made, overlay};

/// Longest buffer that is made.
pub(super) const LONGEST: usize = 32 * 1024;
/// Operations that are tried in one search.
const STEPS: u32 = 6_000;
/// Operations on one buffer at most: each is a step down.
const MOST_OPERATIONS: usize = 256;
/// Buffers that are shown to the evaluator in one search.
const SHOWN: u32 = 48;

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
        if steps.len() > MOST_OPERATIONS {
            return None;
        }
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
