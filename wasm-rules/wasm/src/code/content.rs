//! `content`: where it is looked for, how, and what follows from that.

use wasm_encoder::{BlockType, Instruction as I};
use weir_engine::eval::parts::commonness;
use weir_engine::eval::program::{ContentStep, Needle};
use weir_engine::plan::Value;

use super::asm::{Asm, Local};
use super::bytes::low_bits;
use super::program::{At, Failure};
use super::rule::Unit;

/// A literal as it stands in memory.
struct Literal {
    place: i32,
    length: i32,
    how: How,
}

enum How {
    Byte(u8),
    /// The places of its two rarest bytes.
    Exact(i32, i32),
    /// Where the byte is that is looked for first, and whether it is a letter.
    Folded(i32, bool),
}

impl Literal {
    fn new(needle: &Needle, unit: &mut Unit<'_>) -> Self {
        let bytes = needle.bytes();
        let length = bytes.len() as i32;
        if let Some(anchor) = needle.anchor() {
            let lower = bytes.to_ascii_lowercase();
            let letter = lower.get(anchor).is_some_and(u8::is_ascii_lowercase);
            return Self {
                place: unit.literal(&lower),
                length,
                how: How::Folded(anchor as i32, letter),
            };
        }
        let how = match bytes {
            &[byte] => How::Byte(byte),
            _ => {
                let mut places: Vec<usize> = (0..bytes.len()).collect();
                places.sort_by_key(|&at| bytes.get(at).copied().map(commonness));
                let place = |at: usize| places.get(at).copied().unwrap_or(0) as i32;
                How::Exact(place(0), place(1))
            }
        };
        Self {
            place: unit.literal(bytes),
            length,
            how,
        }
    }

    /// Leaves its first place between [`Local::From`] and [`Local::To`], or -1.
    fn find(&self, asm: &mut Asm<'_>) {
        match self.how {
            How::Byte(byte) => {
                asm.i32(byte.into());
            }
            How::Exact(first, second) => {
                asm.i32(self.place).i32(self.length).i32(first).i32(second);
            }
            How::Folded(anchor, letter) => {
                asm.i32(self.place).i32(self.length).i32(anchor);
                asm.i32(if letter { 32 } else { 0 });
            }
        }
        asm.get(Local::From).get(Local::To).call(match self.how {
            How::Byte(_) => "find_byte",
            How::Exact(..) => "find_exact",
            How::Folded(..) => "find_folded",
        });
    }

    /// Leaves where it begins at the end of the part, or -1.
    fn ends(&self, asm: &mut Asm<'_>) {
        asm.i32(self.place).i32(self.length);
        asm.i32(matches!(self.how, How::Folded(..)).into());
        asm.get(Local::From).get(Local::To).call("ends");
    }
}

/// A content.
pub(super) fn content(asm: &mut Asm<'_>, step: &ContentStep, at: &At<'_, '_>, unit: &mut Unit<'_>) {
    let literal = Literal::new(&step.needle, unit);
    // A negated one that is nowhere holds, and the cursor stays: out of this block.
    if step.negated {
        asm.op(I::Block(BlockType::Empty));
    }
    let own = u32::from(step.negated);
    window(asm, step, at, own);
    if at.is_taken_up() {
        asm.get(Local::Again).i32(0).op(I::I32GeS).then();
        asm.get(Local::Again).set(Local::From);
        asm.i32(-1).set(Local::Again);
        asm.end();
        asm.get(Local::From).get(Local::To).op(I::I32GtU);
        nowhere_if(asm, step, at);
    }
    if step.endswith && !step.negated {
        // Of all places only the last one counts.
        asm.get(Local::To).global_get("len").op(I::I32LtU);
        asm.op(I::If(BlockType::Result(wasm_encoder::ValType::I32)));
        asm.i32(-1).op(I::Else);
        literal.ends(asm);
        asm.end();
    } else if step.endswith {
        asm.get(Local::To).global_get("len").op(I::I32LtU);
        asm.op(I::If(BlockType::Result(wasm_encoder::ValType::I32)));
        asm.i32(-1).op(I::Else);
        literal.find(asm);
        asm.end();
    } else {
        literal.find(asm);
    }
    asm.set(Local::Found);
    at.exhausted(asm);
    asm.get(Local::Found).i32(0).op(I::I32LtS);
    if step.negated {
        // It is not there.
        asm.op(I::BrIf(0));
        if step.endswith {
            // Suricata compares the length of the part with a place in the buffer, and looks at the first place only.
            asm.get(Local::To).get(Local::From).op(I::I32Sub);
            asm.get(Local::Found).i32(literal.length).op(I::I32Add);
            asm.op(I::I32Ne).op(I::BrIf(0));
        }
        let failure = if step.single {
            Failure::ForGood
        } else {
            Failure::Again
        };
        at.fail_in(asm, failure, own);
        asm.end();
        return;
    }
    at.fail_if(
        asm,
        if step.relative {
            Failure::Again
        } else {
            // Nothing before it has a say in where it is looked for.
            Failure::ForGood
        },
    );
    asm.get(Local::Found).i32(literal.length).op(I::I32Add);
    if step.retry {
        at.hold_or_later(asm);
    } else {
        at.hold_for_good(asm);
    }
}

/// Consumes a truth: the content is nowhere where it holds.
fn nowhere_if(asm: &mut Asm<'_>, step: &ContentStep, at: &At<'_, '_>) {
    if step.negated {
        asm.op(I::BrIf(0));
    } else {
        at.fail_if(asm, Failure::Again);
    }
}

/// Sets [`Local::From`] and [`Local::To`].
fn window(asm: &mut Asm<'_>, step: &ContentStep, at: &At<'_, '_>, own: u32) {
    let constant = |value: Option<Value>| match value {
        None => Some(0),
        Some(Value::Const(value)) => Some(value as u32),
        Some(Value::Var(_)) => None,
    };
    match (constant(step.offset), constant(step.depth)) {
        (Some(offset), Some(depth)) if !step.relative => {
            asm.i32(offset as i32).set(Local::From);
            if depth == 0 {
                asm.global_get("len").set(Local::To);
            } else {
                let limit = depth.saturating_add(offset);
                asm.i32(limit as i32).call("depth").set(Local::To);
                asm.get(Local::To).i32(-1).op(I::I32Eq);
                // What stands where has gone by: nothing is said about it.
                if own == 0 {
                    at.fail_if(asm, Failure::Again);
                } else {
                    asm.then();
                    at.fail_in(asm, Failure::Again, own + 1);
                    asm.end();
                }
            }
            asm.get(Local::From).get(Local::To).op(I::I32GtU);
            asm.get(Local::To).op(I::I32Eqz).op(I::I32Or);
            nowhere_if(asm, step, at);
        }
        _ => {
            let variable = |value: Option<Value>| matches!(value, Some(Value::Var(_)));
            let flags = i32::from(step.relative)
                | i32::from(step.within.is_some()) << 1
                | i32::from(variable(step.depth)) << 2
                | i32::from(variable(step.offset)) << 3;
            asm.get(Local::Cursor).i32(flags);
            for value in [step.offset, step.depth, step.distance, step.within] {
                low_bits(asm, value.unwrap_or(Value::Const(0)));
            }
            asm.call("window").tee(Local::Found).i32(2).op(I::I32Eq);
            if own == 0 {
                at.fail_if(asm, Failure::Again);
            } else {
                asm.then();
                at.fail_in(asm, Failure::Again, own + 1);
                asm.end();
            }
            asm.get(Local::Found).op(I::I32Eqz);
            nowhere_if(asm, step, at);
            asm.global_get("from").set(Local::From);
            asm.global_get("to").set(Local::To);
        }
    }
}
