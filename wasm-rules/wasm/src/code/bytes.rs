//! Numbers in buffers: `byte_test`, `byte_jump`, `byte_extract`, `byte_math`, `isdataat`.

use wasm_encoder::{Instruction as I, MemArg};
use weir_engine::eval::parts::ISDATAAT_FAR;
use weir_engine::plan::{
    ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, IsDataAt, JumpFrom, MathOp,
    NumberBase, Value, VarId,
};

use super::asm::{self, Asm, Local, VARIABLES};
use super::program::{At, Failure};

fn place_of(var: VarId) -> MemArg {
    asm::at(VARIABLES + 8 * u64::from(var))
}

/// A value as 64 bits.
fn bits(asm: &mut Asm<'_>, value: Value) {
    match value {
        Value::Const(value) => asm.i64(value),
        Value::Var(var) => asm.i32(0).op(I::I64Load(place_of(var))),
    };
}

/// A value as the 32 bits that it is cut to for places in a buffer.
pub(super) fn low_bits(asm: &mut Asm<'_>, value: Value) {
    match value {
        Value::Const(value) => asm.i32(value as i32),
        Value::Var(var) => asm.i32(0).op(I::I32Load(place_of(var))),
    };
}

/// An offset: the low 32 bits of a variable, taken with their sign. No constant is so large that a sum overflows.
fn signed(asm: &mut Asm<'_>, value: Value) {
    const FAR: i64 = 1 << 40;
    match value {
        Value::Const(value) => asm.i64(value.clamp(-FAR, FAR)),
        Value::Var(var) => asm.i32(0).op(I::I64Load32S(place_of(var))),
    };
}

/// Offset from the start, or the cursor, as [`Local::Place`].
fn place(asm: &mut Asm<'_>, offset: Value, relative: bool) {
    signed(asm, offset);
    if relative {
        asm.get(Local::Cursor).op(I::I64ExtendI32U).op(I::I64Add);
    }
    asm.set(Local::Place);
}

/// A base as `$read` has it.
fn base(asm: &mut Asm<'_>, base: NumberBase) {
    match base {
        NumberBase::Binary(Endian::Big) => asm.i32(0),
        NumberBase::Binary(Endian::Little) => asm.i32(1),
        NumberBase::Binary(Endian::Dce) => asm.call("dce"),
        NumberBase::Dec => asm.i32(2),
        NumberBase::Hex => asm.i32(3),
        NumberBase::Oct => asm.i32(4),
        NumberBase::Guessed => asm.i32(5),
    };
}

/// Applies a bit mask to what is on the stack, and moves what is left down to bit 0.
fn mask(asm: &mut Asm<'_>, bitmask: Option<u32>) {
    match bitmask {
        None => {}
        Some(0) => {
            asm.op(I::Drop).i64(0);
        }
        Some(mask) => {
            asm.i64(mask.into()).op(I::I64And);
            asm.i64(mask.trailing_zeros().into()).op(I::I64ShrU);
        }
    }
}

/// Fails in an empty buffer, and where the place is relative and beyond the end.
fn outside(asm: &mut Asm<'_>, relative: bool, at: &At<'_, '_>) {
    asm.global_get("len").op(I::I32Eqz);
    if relative {
        asm.get(Local::Place).length().op(I::I64GeS).op(I::I32Or);
    }
    at.fail_if(asm, Failure::Again);
}

/// Reads the number of so many bytes at [`Local::Place`]; fails where there is none.
fn read(asm: &mut Asm<'_>, count: Value, of: NumberBase, at: &At<'_, '_>) {
    asm.get(Local::Place);
    bits(asm, count);
    base(asm, of);
    asm.call("read").op(I::I32Eqz);
    at.fail_if(asm, Failure::Again);
}

/// The place behind the number is the cursor.
fn behind(asm: &mut Asm<'_>) {
    asm.get(Local::Place).op(I::I32WrapI64);
    asm.global_get("taken").op(I::I32Add).set(Local::Cursor);
}

pub(super) fn test(asm: &mut Asm<'_>, test: &ByteTest, at: &At<'_, '_>) {
    place(asm, test.offset, test.relative);
    outside(asm, test.relative, at);
    read(asm, test.bytes, test.base, at);
    asm.global_get("value");
    mask(asm, test.bitmask);
    bits(asm, test.value);
    match test.op {
        ByteTestOp::Lt => asm.op(I::I64LtU),
        ByteTestOp::Le => asm.op(I::I64LeU),
        ByteTestOp::Eq => asm.op(I::I64Eq),
        ByteTestOp::Ge => asm.op(I::I64GeU),
        ByteTestOp::Gt => asm.op(I::I64GtU),
        ByteTestOp::And => asm.op(I::I64And).i64(0).op(I::I64Ne),
        ByteTestOp::Xor => asm.op(I::I64Ne),
    };
    if !test.negated {
        asm.op(I::I32Eqz);
    }
    at.fail_if(asm, Failure::Again);
}

pub(super) fn jump(asm: &mut Asm<'_>, jump: &ByteJump, at: &At<'_, '_>) {
    place(asm, jump.offset, jump.relative);
    asm.global_get("len").op(I::I32Eqz);
    asm.get(Local::Place).i64(0).op(I::I64LtS).op(I::I32Or);
    if jump.relative {
        // Without a number, only `post_offset` counts.
        bits(asm, jump.bytes);
        asm.i64(0).op(I::I64Ne);
        asm.get(Local::Place).length().op(I::I64GeS);
        asm.op(I::I32And).op(I::I32Or);
    }
    at.fail_if(asm, Failure::Again);
    read(asm, jump.bytes, jump.base, at);
    asm.global_get("value");
    mask(asm, jump.bitmask);
    asm.i64(jump.multiplier.into()).op(I::I64Mul);
    if jump.align {
        asm.i64(4).call("align");
    }
    signed_far(asm, jump.post_offset);
    asm.op(I::I64Add).set(Local::Number);
    // Further than any buffer is long: past the end, or before the start.
    const FAR: i64 = 1 << 40;
    asm.get(Local::Number).i64(FAR).op(I::I64GtS);
    at.fail_if(asm, Failure::Again);
    asm.get(Local::Number).i64(-FAR).op(I::I64LtS).then();
    asm.i64(-FAR).set(Local::Number).end();
    match jump.from {
        JumpFrom::Here => asm
            .get(Local::Place)
            .global_get("taken")
            .op(I::I64ExtendI32U)
            .op(I::I64Add),
        JumpFrom::Beginning => asm.i64(0),
        JumpFrom::End => asm.length(),
    };
    asm.get(Local::Number).op(I::I64Add).set(Local::Number);
    asm.get(Local::Number).length().op(I::I64GtS);
    at.fail_if(asm, Failure::Again);
    // A jump to before the start leads to the start.
    asm.get(Local::Number).op(I::I32WrapI64).i32(0);
    asm.get(Local::Number).i64(0).op(I::I64GtS).op(I::Select);
    asm.set(Local::Cursor);
}

/// As [`signed`], but a constant as it is: the sum wraps around.
fn signed_far(asm: &mut Asm<'_>, value: Value) {
    match value {
        Value::Const(value) => {
            asm.i64(value);
        }
        Value::Var(_) => signed(asm, value),
    }
}

pub(super) fn extract(asm: &mut Asm<'_>, extract: &ByteExtract, at: &At<'_, '_>) {
    place(asm, Value::Const(extract.offset.into()), extract.relative);
    outside(asm, extract.relative, at);
    read(asm, Value::Const(extract.bytes.into()), extract.base, at);
    asm.i32(0).global_get("value");
    asm.i64(extract.multiplier.into()).op(I::I64Mul);
    asm.i64(extract.align.into()).call("align");
    asm.op(I::I64Store(place_of(extract.var)));
    behind(asm);
}

pub(super) fn math(asm: &mut Asm<'_>, math: &ByteMath, at: &At<'_, '_>) {
    place(asm, Value::Const(math.offset.into()), math.relative);
    outside(asm, math.relative, at);
    read(asm, math.bytes, math.base, at);
    bits(asm, math.rvalue);
    asm.set(Local::Number);
    if math.op == MathOp::Div {
        asm.get(Local::Number).op(I::I64Eqz);
        at.fail_if(asm, Failure::Again);
    }
    asm.i32(0);
    let shift = |asm: &mut Asm<'_>, how: I<'_>| {
        // Nothing is left of a number that is shifted by 64 bits or more.
        asm.global_get("value").get(Local::Number).op(how).i64(0);
        asm.get(Local::Number).i64(64).op(I::I64LtU).op(I::Select);
    };
    let plain = |asm: &mut Asm<'_>, how: I<'_>| {
        asm.global_get("value").get(Local::Number).op(how);
    };
    match math.op {
        MathOp::Add => plain(asm, I::I64Add),
        MathOp::Sub => plain(asm, I::I64Sub),
        MathOp::Mul => plain(asm, I::I64Mul),
        MathOp::Div => plain(asm, I::I64DivU),
        MathOp::Shl => shift(asm, I::I64Shl),
        MathOp::Shr => shift(asm, I::I64ShrU),
    }
    mask(asm, math.bitmask);
    asm.op(I::I64Store(place_of(math.var)));
    behind(asm);
}

pub(super) fn is_data_at(asm: &mut Asm<'_>, test: &IsDataAt, at: &At<'_, '_>) {
    let variable = matches!(test.at, Value::Var(_));
    bits(asm, test.at);
    asm.set(Local::Number);
    if test.relative {
        // What is beyond any buffer must not wrap around.
        asm.get(Local::Number).i64(1 << 40).op(I::I64LtU);
        asm.get(Local::Number);
        asm.get(Local::Cursor).op(I::I64ExtendI32U).op(I::I64Add);
        asm.length().op(I::I64LeU).op(I::I32And);
    } else {
        asm.get(Local::Number).length().op(I::I64LtU);
    }
    if variable {
        asm.get(Local::Number)
            .i64(ISDATAAT_FAR as i64)
            .op(I::I64LtU);
        asm.op(I::I32And);
    }
    // There where it must not be, or missing: the former may move out of reach where it is relative, and a missing fixed
    // place stays missing.
    let failure = if variable || (test.negated && test.relative) {
        Failure::Again
    } else {
        Failure::ForGood
    };
    if !test.negated {
        asm.op(I::I32Eqz);
    }
    at.fail_if(asm, failure);
}
