//! Operations on numbers in a buffer: which numbers to write, and how.

use weir_engine::plan::{
    ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, JumpFrom, MathOp, NumberBase,
    Value,
};

use super::{LONGEST, Search, State, Step, put};
use crate::exercise::set::ByteSet;

/// Most bytes of a number, as rules may have it.
const MOST_DIGITS: usize = 23;

impl Search<'_, '_> {
    pub(super) fn byte_jump(
        &mut self,
        jump: &ByteJump,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let at = place(jump.offset, jump.relative, &state)?;
        let count = count(jump.bytes, &state)?;
        let numbers: Vec<u64> = match read(&state.cells, at, count, jump.base) {
            Some(known) => vec![known],
            None => {
                let ahead = (state.cells.len() as u64).saturating_sub(at as u64);
                vec![
                    0,
                    4,
                    1,
                    8,
                    ahead,
                    ahead + 4,
                    state.cells.len() as u64 + 4,
                    16,
                    32,
                    64,
                ]
            }
        };
        for number in numbers {
            let mut state = state.clone();
            if count > 0 && write(&mut state.cells, at, count, jump.base, number).is_none() {
                continue;
            }
            let by = masked(number, jump.bitmask).wrapping_mul(u64::from(jump.multiplier));
            let Some(by) = by.checked_next_multiple_of(if jump.align { 4 } else { 1 }) else {
                continue;
            };
            let post = signed(jump.post_offset, &state);
            let from = match jump.from {
                JumpFrom::Here => (at + count) as i64,
                JumpFrom::Beginning => 0,
                JumpFrom::End => state.cells.len() as i64,
            };
            let to = from.saturating_add(by as i64).saturating_add(post).max(0) as usize;
            if to > state.max {
                continue;
            }
            if matches!(jump.from, JumpFrom::End) {
                state.max = state.max.min(state.cells.len().max(state.min));
            }
            state.min = state.min.max(to);
            state.cursor = to;
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }

    pub(super) fn byte_extract(
        &mut self,
        extract: &ByteExtract,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let (at, count) = (
            offset(extract.offset, extract.relative, &state)?,
            usize::from(extract.bytes),
        );
        for number in numbers(&state, at, count, extract.base) {
            let mut state = state.clone();
            if write(&mut state.cells, at, count, extract.base, number).is_none() {
                continue;
            }
            let value = number.wrapping_mul(u64::from(extract.multiplier));
            let Some(value) = value.checked_next_multiple_of(extract.align.max(1).into()) else {
                continue;
            };
            *state.vars.get_mut(usize::from(extract.var))? = value;
            state.cursor = at + count;
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }

    pub(super) fn byte_math(
        &mut self,
        math: &ByteMath,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let at = offset(math.offset, math.relative, &state)?;
        let count = count(math.bytes, &state)?;
        let right = value(math.rvalue, &state) as u64;
        for number in numbers(&state, at, count, math.base) {
            let mut state = state.clone();
            if write(&mut state.cells, at, count, math.base, number).is_none() {
                continue;
            }
            let shift = u32::try_from(right).unwrap_or(u32::MAX);
            let result = match math.op {
                MathOp::Add => number.wrapping_add(right),
                MathOp::Sub => number.wrapping_sub(right),
                MathOp::Mul => number.wrapping_mul(right),
                MathOp::Div => number.checked_div(right)?,
                MathOp::Shl => number.checked_shl(shift).unwrap_or(0),
                MathOp::Shr => number.checked_shr(shift).unwrap_or(0),
            };
            *state.vars.get_mut(usize::from(math.var))? = masked(result, math.bitmask);
            state.cursor = at + count;
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }

    pub(super) fn byte_test(
        &mut self,
        test: &ByteTest,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let at = place(test.offset, test.relative, &state)?;
        let count = count(test.bytes, &state)?;
        if read(&state.cells, at, count, test.base).is_some() {
            return self.next(rest, state);
        }
        let with = value(test.value, &state) as u64;
        if let (1, NumberBase::Binary(_)) = (count, test.base) {
            let mut set = ByteSet::NONE;
            let passing =
                (0..=u8::MAX).filter(|&byte| passes(test, masked(byte.into(), test.bitmask), with));
            passing.for_each(|byte| set.add(byte));
            let mut state = state;
            put(&mut state.cells, at, &[set])?;
            return self.next(rest, state);
        }
        let wanted: Vec<u64> = match (test.op, test.negated) {
            (ByteTestOp::Eq, false) => vec![with],
            (ByteTestOp::Lt, false) | (ByteTestOp::Ge, true) => vec![with.saturating_sub(1), 0, 1],
            (ByteTestOp::Le, false) | (ByteTestOp::Gt, true) => vec![with, 0, 1],
            (ByteTestOp::Gt, false) | (ByteTestOp::Le, true) => {
                vec![with.saturating_add(1), with.saturating_add(64)]
            }
            (ByteTestOp::Ge, false) | (ByteTestOp::Lt, true) => vec![with, with.saturating_add(1)],
            (ByteTestOp::And, false) => vec![with & with.wrapping_neg(), with],
            (ByteTestOp::And, true) => vec![0, !with],
            (ByteTestOp::Xor, false) | (ByteTestOp::Eq, true) => {
                vec![with.wrapping_add(1), 0, with ^ 1]
            }
            (ByteTestOp::Xor, true) => vec![with],
        };
        for number in wanted {
            let number = match test.bitmask {
                Some(mask) if mask != 0 => (number << mask.trailing_zeros()) & u64::from(mask),
                _ => number,
            };
            let mut state = state.clone();
            if write(&mut state.cells, at, count, test.base, number).is_none() {
                continue;
            }
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }
}

/// True when a number passes a `byte_test` against another.
fn passes(test: &ByteTest, number: u64, with: u64) -> bool {
    let holds = match test.op {
        ByteTestOp::Lt => number < with,
        ByteTestOp::Le => number <= with,
        ByteTestOp::Eq => number == with,
        ByteTestOp::Ge => number >= with,
        ByteTestOp::Gt => number > with,
        ByteTestOp::And => number & with != 0,
        ByteTestOp::Xor => number ^ with != 0,
    };
    holds != test.negated
}

/// Of how many bytes a number is; `None` where none is so long.
fn count(bytes: Value, state: &State) -> Option<usize> {
    usize::try_from(value(bytes, state))
        .ok()
        .filter(|&count| count <= MOST_DIGITS)
}

pub(super) fn value(value: Value, state: &State) -> i64 {
    match value {
        Value::Const(value) => value,
        Value::Var(var) => state.vars.get(usize::from(var)).copied().unwrap_or(0) as i64,
    }
}

pub(super) fn signed(of: Value, state: &State) -> i64 {
    match of {
        Value::Const(value) => value,
        Value::Var(_) => i64::from(value(of, state) as u32 as i32),
    }
}

fn place(at: Value, relative: bool, state: &State) -> Option<usize> {
    let from = if relative { state.cursor as i64 } else { 0 };
    usize::try_from(signed(at, state) + from)
        .ok()
        .filter(|&at| at < LONGEST)
}

fn offset(at: i32, relative: bool, state: &State) -> Option<usize> {
    place(Value::Const(at.into()), relative, state)
}

fn masked(value: u64, mask: Option<u32>) -> u64 {
    match mask {
        Some(mask) if mask != 0 => (value & u64::from(mask)) >> mask.trailing_zeros(),
        _ => value,
    }
}

/// Numbers that may do where a later operation depends on them.
fn numbers(state: &State, at: usize, count: usize, base: NumberBase) -> Vec<u64> {
    match read(&state.cells, at, count, base) {
        Some(known) => vec![known],
        None => {
            let ahead = state.cells.len().saturating_sub(at + count) as u64;
            vec![4, ahead, 1, 8, 16, 32, 0, 64, 100, 200]
        }
    }
}

/// The number that stands there, where every byte of it is settled.
fn read(cells: &[ByteSet], at: usize, count: usize, base: NumberBase) -> Option<u64> {
    let cells = cells.get(at..at.checked_add(count)?)?;
    let settled = |cell: &ByteSet| cell.pick(b"").filter(|&byte| *cell == ByteSet::of(byte));
    let bytes: Vec<u8> = cells.iter().map(settled).collect::<Option<_>>()?;
    let text = || std::str::from_utf8(&bytes).ok().map(str::trim);
    match base {
        NumberBase::Binary(Endian::Big) => Some(
            bytes
                .iter()
                .fold(0, |all, &byte| all << 8 | u64::from(byte)),
        ),
        NumberBase::Binary(_) => Some(
            bytes
                .iter()
                .rev()
                .fold(0, |all, &byte| all << 8 | u64::from(byte)),
        ),
        NumberBase::Dec | NumberBase::Guessed => text()?.parse().ok(),
        NumberBase::Hex => u64::from_str_radix(text()?, 16).ok(),
        NumberBase::Oct => u64::from_str_radix(text()?, 8).ok(),
    }
}

/// Writes a number; `None` where it does not fit, or other bytes must stand there.
fn write(
    cells: &mut Vec<ByteSet>,
    at: usize,
    count: usize,
    base: NumberBase,
    number: u64,
) -> Option<()> {
    let bytes: Vec<u8> = match base {
        NumberBase::Binary(endian) => {
            if count < 8 && number >> (8 * count) != 0 {
                return None;
            }
            let all = number.to_be_bytes();
            let mut bytes = all.get(8usize.checked_sub(count)?..)?.to_vec();
            if endian != Endian::Big {
                bytes.reverse();
            }
            bytes
        }
        NumberBase::Dec => format!("{number:0count$}").into_bytes(),
        NumberBase::Hex => format!("{number:0count$x}").into_bytes(),
        NumberBase::Oct => format!("{number:0count$o}").into_bytes(),
        NumberBase::Guessed => format!("{number:>count$}").into_bytes(),
    };
    if bytes.len() != count {
        return None;
    }
    let sets: Vec<ByteSet> = bytes.iter().map(|&byte| ByteSet::of(byte)).collect();
    put(cells, at, &sets)
}
