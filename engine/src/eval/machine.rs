//! The machine that runs the steps of one buffer, with a cursor and with backtracking.
//!
//! It decides as Suricata's content inspection does, but without recursion. Every `content` and `pcre` that could match
//! elsewhere leaves a [`Choice`] behind. A step that fails takes the last choice up again at its next place. A match
//! that nothing later depends on in a way that another place could help discards all choices: what fails after it fails
//! for good.

use super::entropy;
use super::number;
use super::parts::{BASE64_MAX, ISDATAAT_FAR, STEP_LIMIT, WORK_LIMIT, byte_order};
use super::program::{ContentStep, Program, Step};
use super::{EvalCounters, Subject, base64};
use crate::pcre;
use crate::plan::{
    Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, IsDataAt,
    JumpFrom, MathOp, NumberBase, Pcre, Value, VarId,
};

/// A step that matched and may match elsewhere.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// The step.
    step: usize,
    /// The cursor before it.
    cursor: u32,
    /// Where its next match may start.
    from: u32,
}

/// Where a content is looked for.
enum Window {
    /// From one place to another.
    Part(u32, u32),
    /// Nowhere: it is not there.
    Empty,
    /// In a part of the stream that has gone by: nothing is said about it, not even that it is not there.
    Passed,
}

/// How a step ended.
enum Outcome {
    /// It holds; the cursor is here now.
    Holds(u32),
    /// It holds; the cursor is at `cursor`, and a later match may start at `from`.
    HoldsOrLater { cursor: u32, from: u32 },
    /// It holds, and what fails later is not to be tried again.
    HoldsForGood(u32),
    /// It fails here; an earlier step may be tried elsewhere.
    Fails,
    /// It fails, whatever earlier steps do.
    Never,
    /// The whole buffer matches, whatever follows.
    Accepts,
}

impl Outcome {
    fn holds_if(holds: bool, cursor: u32) -> Self {
        if holds {
            Self::Holds(cursor)
        } else {
            Self::Fails
        }
    }
}

/// What running steps writes to; nothing here is allocated for each packet.
#[derive(Debug)]
pub(super) struct Machine {
    /// Byte variables of the rule at hand. Suricata keeps 64-bit numbers without sign.
    vars: [u64; 256],
    choices: Vec<Choice>,
    pcre: pcre::Scratch,
    decoded: Vec<u8>,
    /// Steps taken in the buffer at hand.
    steps: u32,
    /// Bytes that may still be looked at in the buffer at hand.
    work: u64,
    /// Where the first byte of the buffer at hand stands in its stream; 0 for what is no stream.
    start: u64,
    /// The byte order of the DCE/RPC request at hand.
    dce: Option<Endian>,
    pub(super) counters: EvalCounters,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            vars: [0; 256],
            choices: Vec::with_capacity(64),
            pcre: pcre::Scratch::new(),
            decoded: Vec::with_capacity(BASE64_MAX.div_ceil(4) * 3),
            steps: 0,
            work: 0,
            start: 0,
            dce: None,
            counters: EvalCounters::default(),
        }
    }

    /// What `dce` stands for in the transaction at hand.
    pub(super) fn byte_order(&mut self, subject: &Subject<'_>) {
        self.dce = byte_order(subject);
    }

    /// The base of a number, with the byte order of the transaction at hand.
    fn base(&self, base: NumberBase) -> NumberBase {
        match (base, self.dce) {
            (NumberBase::Binary(Endian::Dce), Some(order)) => NumberBase::Binary(order),
            (base, _) => base,
        }
    }

    /// Forgets the variables of the last rule.
    pub(super) fn start_rule(&mut self, variables: u8) {
        if let Some(vars) = self.vars.get_mut(..usize::from(variables)) {
            vars.fill(0);
        }
    }

    /// True when the steps hold in `buffer`, whose first byte stands at `start` in its stream: a `depth` counts from the
    /// start of the stream.
    pub(super) fn run(&mut self, program: &Program, buffer: &[u8], start: u64) -> bool {
        self.start = start;
        self.steps = 0;
        self.work = (program.steps.len() as u64)
            .saturating_mul(buffer.len() as u64)
            .saturating_add(WORK_LIMIT);
        self.choices.clear();
        self.run_from(program, buffer, 0, true)
    }

    /// Runs the steps with the choices from `floor` on; `outer` is false inside decoded base64.
    fn run_from(&mut self, program: &Program, buffer: &[u8], floor: usize, outer: bool) -> bool {
        // Places in a buffer are 32-bit numbers, here as in Suricata, and some of its arithmetic is signed.
        let buffer = buffer.get(..i32::MAX as usize).unwrap_or(buffer);
        let (mut at, mut cursor, mut again) = (0, 0, None);
        loop {
            let Some(step) = program.steps.get(at) else {
                self.choices.truncate(floor);
                return true;
            };
            if again.is_none() {
                self.steps += 1;
                if self.steps >= STEP_LIMIT {
                    // A limit reached inside decoded base64 is reached again outside: count it once.
                    self.counters.recursion_limits += u64::from(self.steps == STEP_LIMIT);
                    self.choices.truncate(floor);
                    return false;
                }
            }
            let outcome = self.step(step, buffer, cursor, again.take(), outer);
            if self.work == 0 {
                // As with steps: counted once, outside.
                self.counters.work_limits += u64::from(outer);
                self.choices.truncate(floor);
                return false;
            }
            match outcome {
                Outcome::Holds(next) => (at, cursor) = (at + 1, next),
                Outcome::HoldsOrLater { cursor: next, from } => {
                    self.choices.push(Choice {
                        step: at,
                        cursor,
                        from,
                    });
                    (at, cursor) = (at + 1, next);
                }
                Outcome::HoldsForGood(next) => {
                    self.choices.truncate(floor);
                    (at, cursor) = (at + 1, next);
                }
                Outcome::Fails if self.choices.len() > floor => {
                    let Some(choice) = self.choices.pop() else {
                        return false;
                    };
                    (at, cursor, again) = (choice.step, choice.cursor, Some(choice.from));
                }
                Outcome::Fails | Outcome::Never => {
                    self.choices.truncate(floor);
                    return false;
                }
                Outcome::Accepts => {
                    self.choices.truncate(floor);
                    return true;
                }
            }
        }
    }

    /// Runs one step; `again` is where its next match may start when it is tried once more.
    fn step(
        &mut self,
        step: &Step,
        buffer: &[u8],
        cursor: u32,
        again: Option<u32>,
        outer: bool,
    ) -> Outcome {
        match step {
            Step::Content(step) => self.content(step, buffer, cursor, again),
            Step::Pcre { pcre, retry } => self.pcre(pcre, *retry, buffer, cursor, again),
            Step::ByteTest(test) => Outcome::holds_if(self.byte_test(test, buffer, cursor), cursor),
            Step::ByteJump(jump) => moved(self.byte_jump(jump, buffer, cursor)),
            Step::ByteExtract(extract) => moved(self.byte_extract(extract, buffer, cursor)),
            Step::ByteMath(math) => moved(self.byte_math(math, buffer, cursor)),
            Step::IsDataAt(test) => self.is_data_at(test, buffer, cursor),
            Step::BSize(size) => {
                if size.test(buffer.len() as u64) {
                    Outcome::Holds(cursor)
                } else {
                    Outcome::Never
                }
            }
            Step::Base64 { decode, data } if outer => self.base64(decode, data, buffer, cursor),
            // Base64 in base64 is not decoded a second time.
            Step::Base64 { .. } => Outcome::Fails,
            Step::Entropy(test) => {
                self.charge(buffer.len());
                Outcome::holds_if(entropy::test(test, buffer), cursor)
            }
            // The buffer is there, since this runs.
            Step::Absent { or_else } => Outcome::holds_if(*or_else, cursor),
        }
    }

    fn content(
        &mut self,
        step: &ContentStep,
        buffer: &[u8],
        cursor: u32,
        again: Option<u32>,
    ) -> Outcome {
        let otherwise = if step.negated {
            Outcome::Holds(cursor)
        } else {
            Outcome::Fails
        };
        let (mut from, to) = match self.window(step, buffer.len() as u32, cursor) {
            Window::Part(from, to) => (from, to),
            Window::Empty => return otherwise,
            Window::Passed => return Outcome::Fails,
        };
        if let Some(again) = again {
            from = again;
        }
        if from > to || to == 0 {
            return otherwise;
        }
        let Some(part) = buffer.get(from as usize..to as usize) else {
            return otherwise;
        };
        let found = if !step.endswith {
            step.needle.find(part, &mut self.work)
        } else if (to as usize) < buffer.len() {
            None
        } else if step.negated {
            step.needle.find(part, &mut self.work)
        } else {
            // Of all places only the last one counts.
            let ends = step.needle.ends(part);
            ends.then(|| part.len() - step.needle.len())
        };
        let Some(found) = found else {
            return match (step.negated, step.relative) {
                (true, _) => Outcome::Holds(cursor),
                (false, true) => Outcome::Fails,
                // Nothing before it has a say in where it is looked for.
                (false, false) => Outcome::Never,
            };
        };
        let start = from + found as u32;
        let end = start + step.needle.len() as u32;
        if step.negated {
            // Suricata compares the length of the part with a place in the buffer, and looks at the first place only.
            if step.endswith && part.len() != end as usize {
                return Outcome::Holds(cursor);
            }
            return if step.single {
                Outcome::Never
            } else {
                Outcome::Fails
            };
        }
        if step.retry {
            Outcome::HoldsOrLater {
                cursor: end,
                from: start + 1,
            }
        } else {
            Outcome::HoldsForGood(end)
        }
    }

    /// The part of the buffer where a content is looked for.
    ///
    /// Places wrap around at 32 bits as Suricata's do. That is seen: `within` from a cursor near the start, together
    /// with a large negative `distance`, gives an end before the start, which as a number without sign is past the
    /// end, and so no limit.
    fn window(&self, step: &ContentStep, length: u32, cursor: u32) -> Window {
        let variable = |value: Option<Value>| matches!(value, Some(Value::Var(_)));
        let offset_limit = step.offset.map_or(0, |value| self.low_bits(value));
        let depth_limit = step.depth.map_or(0, |value| self.low_bits(value));
        // A variable `depth` is looked at before `offset` is added, a constant one after.
        let depth_given = if variable(step.depth) {
            Some(depth_limit)
        } else if depth_limit != 0 && !variable(step.offset) {
            Some(depth_limit.saturating_add(offset_limit))
        } else {
            (depth_limit != 0).then_some(depth_limit)
        };
        let (mut from, mut to);
        if step.relative {
            (from, to) = (cursor, length);
            let distance = step.distance.map_or(0, |value| self.low_bits(value) as i32);
            if distance < 0 && distance.unsigned_abs() > from {
                from = 0;
            } else {
                from = from.wrapping_add_signed(distance);
            }
            if let Some(within) = step.within {
                let end = cursor
                    .wrapping_add(self.low_bits(within))
                    .wrapping_add_signed(distance);
                if to as i32 > end as i32 {
                    to = end;
                }
            }
            if let Some(depth) = depth_given {
                to = to.min(cursor.saturating_add(depth));
            }
            from = from.max(offset_limit);
        } else {
            (from, to) = (offset_limit, depth_given.unwrap_or(length));
            if depth_given.is_some() && self.start != 0 {
                match u64::from(to).checked_sub(self.start) {
                    None | Some(0) => return Window::Passed,
                    Some(rest) if rest < u64::from(length) => to = rest as u32,
                    Some(_) => {}
                }
            }
        }
        if variable(step.offset) || variable(step.depth) {
            to = to.saturating_add(from);
        }
        let to = to.min(length);
        if from <= to && to != 0 {
            Window::Part(from, to)
        } else {
            Window::Empty
        }
    }

    fn pcre(
        &mut self,
        pcre: &Pcre,
        retry: bool,
        buffer: &[u8],
        cursor: u32,
        again: Option<u32>,
    ) -> Outcome {
        let base = if pcre.relative { cursor } else { 0 };
        let Some(subject) = buffer.get(base as usize..) else {
            return Outcome::Fails;
        };
        let start = again.map_or(0, |from| from.saturating_sub(base));
        let found = pcre.regex.find(subject, start as usize, &mut self.pcre);
        let seen = match found {
            Ok(Some((_, end))) => end,
            _ => subject.len(),
        };
        self.charge(seen.saturating_sub(start as usize));
        match found {
            Err(pcre::MatchLimit) => {
                self.counters.pcre_limits += 1;
                Outcome::Fails
            }
            Ok(None) => Outcome::holds_if(pcre.negated, cursor),
            Ok(Some(_)) if pcre.negated => Outcome::Fails,
            Ok(Some((start, end))) => {
                let cursor = base + end as u32;
                if retry {
                    Outcome::HoldsOrLater {
                        cursor,
                        from: base + start as u32 + 1,
                    }
                } else {
                    Outcome::Holds(cursor)
                }
            }
        }
    }

    fn byte_test(&self, test: &ByteTest, buffer: &[u8], cursor: u32) -> bool {
        let at = self.place(test.offset, test.relative, cursor);
        let count = self.bits(test.bytes);
        if buffer.is_empty() || (test.relative && at >= buffer.len() as i64) {
            return false;
        }
        let Some((value, _)) = number::read(buffer, at, count, self.base(test.base)) else {
            return false;
        };
        let value = number::mask(value, test.bitmask);
        let with = self.bits(test.value);
        let holds = match test.op {
            ByteTestOp::Lt => value < with,
            ByteTestOp::Le => value <= with,
            ByteTestOp::Eq => value == with,
            ByteTestOp::Ge => value >= with,
            ByteTestOp::Gt => value > with,
            ByteTestOp::And => value & with != 0,
            ByteTestOp::Xor => value ^ with != 0,
        };
        holds != test.negated
    }

    /// Where the cursor jumps to; `None` when the number cannot be read or the jump leads past the end. A jump to
    /// before the start leads to the start.
    fn byte_jump(&self, jump: &ByteJump, buffer: &[u8], cursor: u32) -> Option<u32> {
        let at = self.place(jump.offset, jump.relative, cursor);
        let count = self.bits(jump.bytes);
        let length = buffer.len() as i64;
        let outside = jump.relative && count != 0 && at >= length;
        if buffer.is_empty() || at < 0 || outside {
            return None;
        }
        let (value, taken) = number::read(buffer, at, count, self.base(jump.base))?;
        let mut value = number::mask(value, jump.bitmask).wrapping_mul(u64::from(jump.multiplier));
        if jump.align {
            value = align(value, 4);
        }
        let post_offset = self.signed(jump.post_offset);
        let from = match jump.from {
            JumpFrom::Here => at.saturating_add(taken as i64),
            JumpFrom::Beginning => 0,
            JumpFrom::End => length,
        };
        let to = from
            .saturating_add(value.wrapping_add_signed(post_offset) as i64)
            .max(0);
        if to > length {
            None
        } else {
            u32::try_from(to).ok()
        }
    }

    fn byte_extract(&mut self, extract: &ByteExtract, buffer: &[u8], cursor: u32) -> Option<u32> {
        let (value, end) = read_at(
            buffer,
            extract.offset,
            extract.relative,
            cursor,
            u64::from(extract.bytes),
            self.base(extract.base),
        )?;
        let value = value.wrapping_mul(u64::from(extract.multiplier));
        self.set(extract.var, align(value, u64::from(extract.align)));
        Some(end)
    }

    fn byte_math(&mut self, math: &ByteMath, buffer: &[u8], cursor: u32) -> Option<u32> {
        let count = self.bits(math.bytes);
        let (value, end) = read_at(
            buffer,
            math.offset,
            math.relative,
            cursor,
            count,
            self.base(math.base),
        )?;
        let right = self.bits(math.rvalue);
        let shift = u32::try_from(right).unwrap_or(u32::MAX);
        let value = match math.op {
            MathOp::Add => value.wrapping_add(right),
            MathOp::Sub => value.wrapping_sub(right),
            MathOp::Mul => value.wrapping_mul(right),
            MathOp::Div => value.checked_div(right)?,
            MathOp::Shl => value.checked_shl(shift).unwrap_or(0),
            MathOp::Shr => value.checked_shr(shift).unwrap_or(0),
        };
        self.set(math.var, number::mask(value, math.bitmask));
        Some(end)
    }

    fn is_data_at(&self, test: &IsDataAt, buffer: &[u8], cursor: u32) -> Outcome {
        let variable = matches!(test.at, Value::Var(_));
        let at = self.bits(test.at);
        let there = if variable && at >= ISDATAAT_FAR {
            false
        } else if test.relative {
            at.saturating_add(u64::from(cursor)) <= buffer.len() as u64
        } else {
            at < buffer.len() as u64
        };
        if there != test.negated {
            return Outcome::Holds(cursor);
        }
        // A place that is fixed and missing stays missing; one that is there and must not be may move out of reach.
        let fixed = !variable && (!there || !test.relative);
        if fixed {
            Outcome::Never
        } else {
            Outcome::Fails
        }
    }

    fn base64(
        &mut self,
        decode: &Base64Decode,
        data: &Program,
        buffer: &[u8],
        cursor: u32,
    ) -> Outcome {
        let from = if decode.relative { cursor } else { 0 };
        let from = usize::try_from(from.saturating_add(decode.offset)).unwrap_or(usize::MAX);
        let Some(text) = buffer.get(from..) else {
            return Outcome::Fails;
        };
        let most = decode
            .bytes
            .map_or(BASE64_MAX, |bytes| bytes.min(BASE64_MAX as u32) as usize);
        let text = text.get(..most).unwrap_or(text);
        self.charge(text.len());
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        base64::decode(text, &mut decoded);
        let floor = self.choices.len();
        // Suricata has no match where nothing looks at what was decoded, and none where nothing was.
        let holds = !data.steps.is_empty()
            && !decoded.is_empty()
            && self.run_from(data, &decoded, floor, false);
        self.decoded = decoded;
        // Nothing after `base64_decode` is looked at: its data comes last.
        if holds {
            Outcome::Accepts
        } else {
            Outcome::Fails
        }
    }

    /// Takes bytes that were looked at off what may be.
    fn charge(&mut self, bytes: usize) {
        self.work = self.work.saturating_sub(bytes as u64);
    }

    /// Offset from the start, or the cursor.
    fn place(&self, offset: Value, relative: bool, cursor: u32) -> i64 {
        self.signed(offset)
            .saturating_add(if relative { i64::from(cursor) } else { 0 })
    }

    /// A value as the 64 bits that Suricata has it in.
    fn bits(&self, value: Value) -> u64 {
        match value {
            Value::Const(value) => value as u64,
            Value::Var(var) => self.get(var),
        }
    }

    /// A value as the 32 bits that Suricata cuts it to for places in a buffer.
    fn low_bits(&self, value: Value) -> u32 {
        self.bits(value) as u32
    }

    /// An offset: the low 32 bits of a variable, taken with their sign.
    fn signed(&self, value: Value) -> i64 {
        match value {
            Value::Const(value) => value,
            Value::Var(var) => i64::from(self.get(var) as u32 as i32),
        }
    }

    fn get(&self, var: VarId) -> u64 {
        self.vars.get(usize::from(var)).copied().unwrap_or(0)
    }

    fn set(&mut self, var: VarId, value: u64) {
        if let Some(slot) = self.vars.get_mut(usize::from(var)) {
            *slot = value;
        }
    }
}

fn moved(cursor: Option<u32>) -> Outcome {
    cursor.map_or(Outcome::Fails, Outcome::Holds)
}

/// Reads the number of `byte_extract` and `byte_math`: its value, and the place just after it.
fn read_at(
    buffer: &[u8],
    offset: i32,
    relative: bool,
    cursor: u32,
    count: u64,
    base: NumberBase,
) -> Option<(u64, u32)> {
    let at = i64::from(offset) + if relative { i64::from(cursor) } else { 0 };
    if buffer.is_empty() || at < 0 || (relative && at >= buffer.len() as i64) {
        return None;
    }
    let (value, taken) = number::read(buffer, at, count, base)?;
    Some((value, u32::try_from(at.saturating_add(taken as i64)).ok()?))
}

/// Up to a multiple of `to`; as it is when `to` is 0.
fn align(value: u64, to: u64) -> u64 {
    match value.checked_rem(to) {
        None | Some(0) => value,
        Some(over) => value.wrapping_add(to - over),
    }
}
