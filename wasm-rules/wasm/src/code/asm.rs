//! Writing functions.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Function, Instruction as I, MemArg, ValType};
use weir_engine::plan::{Num, NumOp};

/// Functions and globals of the runtime, by their names in `runtime.wat`.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) functions: HashMap<String, u32>,
    pub(super) globals: HashMap<String, u32>,
    /// The number of the first function behind the runtime.
    pub(super) first: u32,
}

/// A function in the making. All have no parameters and one result: whether something holds.
pub(super) struct Asm<'n> {
    names: &'n Names,
    function: Function,
    /// Names that the runtime does not have; the compiler is wrong then.
    pub(super) unknown: Vec<String>,
}

/// The locals that every function has.
#[derive(Clone, Copy)]
pub(super) enum Local {
    /// The cursor: the end of the last match.
    Cursor,
    /// The step that is taken up again.
    Step,
    /// Where its next match may start; -1 where it is not taken up again.
    Again,
    From,
    To,
    Found,
    /// Of 64 bits.
    Number,
    /// Of 64 bits: a place before its limits are known.
    Place,
}

impl<'n> Asm<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            function: Function::new([(6, ValType::I32), (2, ValType::I64)]),
            unknown: Vec::new(),
        }
    }

    pub(super) fn op(&mut self, instruction: I<'_>) -> &mut Self {
        self.function.instruction(&instruction);
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.op(I::I32Const(value))
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.op(I::I64Const(value))
    }

    pub(super) fn get(&mut self, local: Local) -> &mut Self {
        self.op(I::LocalGet(local as u32))
    }

    pub(super) fn set(&mut self, local: Local) -> &mut Self {
        self.op(I::LocalSet(local as u32))
    }

    pub(super) fn tee(&mut self, local: Local) -> &mut Self {
        self.op(I::LocalTee(local as u32))
    }

    fn named(&mut self, known: Option<u32>, name: &str) -> u32 {
        known.unwrap_or_else(|| {
            self.unknown.push(name.to_owned());
            0
        })
    }

    pub(super) fn call(&mut self, name: &str) -> &mut Self {
        let function = self.named(self.names.functions.get(name).copied(), name);
        self.op(I::Call(function))
    }

    pub(super) fn global_get(&mut self, name: &str) -> &mut Self {
        let global = self.named(self.names.globals.get(name).copied(), name);
        self.op(I::GlobalGet(global))
    }

    pub(super) fn global_set(&mut self, name: &str) -> &mut Self {
        let global = self.named(self.names.globals.get(name).copied(), name);
        self.op(I::GlobalSet(global))
    }

    /// Consumes a truth: what follows up to [`Self::end`] is done where it holds.
    pub(super) fn then(&mut self) -> &mut Self {
        self.op(I::If(BlockType::Empty))
    }

    pub(super) fn end(&mut self) -> &mut Self {
        self.op(I::End)
    }

    pub(super) fn return_now(&mut self, value: i32) -> &mut Self {
        self.i32(value).op(I::Return)
    }

    /// Consumes a truth: returns `value` where it holds.
    pub(super) fn return_if(&mut self, value: i32) -> &mut Self {
        self.then().return_now(value).end()
    }

    /// The length of the buffer at hand, as 64 bits.
    pub(super) fn length(&mut self) -> &mut Self {
        self.global_get("len").op(I::I64ExtendI32U)
    }

    /// Leaves whether the number in a local passes.
    pub(super) fn compare(&mut self, num: &Num, local: Local) -> &mut Self {
        let (a, b) = (num.a as i64, num.b as i64);
        let one = |asm: &mut Self, how: I<'_>| {
            asm.get(local).i64(a).op(how);
        };
        let two = |asm: &mut Self, above: I<'_>, below: I<'_>| {
            asm.get(local).i64(a).op(above);
            asm.get(local).i64(b).op(below).op(I::I32And);
        };
        match num.op {
            NumOp::Eq => one(self, I::I64Eq),
            NumOp::Ne => one(self, I::I64Ne),
            NumOp::Lt => one(self, I::I64LtU),
            NumOp::Le => one(self, I::I64LeU),
            NumOp::Gt => one(self, I::I64GtU),
            NumOp::Ge => one(self, I::I64GeU),
            NumOp::Between => two(self, I::I64GtU, I::I64LtU),
            NumOp::Within => two(self, I::I64GeU, I::I64LeU),
            NumOp::NotBetween => {
                two(self, I::I64GtU, I::I64LtU);
                self.op(I::I32Eqz);
            }
            NumOp::AnyBit => {
                one(self, I::I64And);
                self.i64(0).op(I::I64Ne);
            }
            NumOp::NoBit => {
                one(self, I::I64And);
                self.op(I::I64Eqz);
            }
            NumOp::Masked => {
                one(self, I::I64And);
                self.i64(b).op(I::I64Eq);
            }
            NumOp::NotMasked => {
                one(self, I::I64And);
                self.i64(b).op(I::I64Ne);
            }
        }
        self
    }

    /// The function, which ends with what is on the stack.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<String>) {
        self.op(I::End);
        (self.function.into_raw_body(), self.unknown)
    }
}

/// Where byte variables stand in memory.
pub(super) const VARIABLES: u64 = 1024;
/// Where literals begin.
pub(super) const LITERALS: u32 = 65_536;

/// A known place in memory.
pub(super) fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}
