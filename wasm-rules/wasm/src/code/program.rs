//! The steps of a buffer as a function, with their backtracking.
//!
//! A step that matched and may match elsewhere leaves a choice behind (`$push`); one that fails takes the last choice up
//! (`$pop`) and jumps there. Where no step of a list leaves choices, failing is returning 0, and none of that is written.
//!
//! ```text
//! loop $again
//!   block $failed
//!     block $step_2  block $step_1  block $step_0     those that can be taken up again
//!       br_table (the step)
//!     end  step 0 …  a failure branches to $failed
//!     end  step 1 …
//!     end  step 2 …
//!     return 1
//!   end
//!   take up the last choice, or return 0
//!   br $again
//! end
//! ```

use wasm_encoder::{BlockType, Instruction as I};
use weir_engine::eval::parts::{BASE64_MAX, STEP_LIMIT};
use weir_engine::eval::program::{Program, Step};
use weir_engine::plan::{Base64Decode, Pcre};

use super::asm::{Asm, Local};
use super::bytes;
use super::rule::Unit;

/// The numbers that the next expression and the next test of entropy have in the catalogue.
pub(super) struct Numbers {
    pub(super) regex: u32,
    pub(super) entropy: u32,
}

/// What a step does when it does not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// An earlier step may be tried elsewhere.
    Again,
    /// Whatever earlier steps do.
    ForGood,
}

/// A list of steps in the making.
pub(super) struct Steps<'p> {
    program: &'p Program,
    /// The global that says where the buffer begins in its stream, if it does.
    start: &'static str,
    /// False inside decoded base64.
    outer: bool,
    /// Some step leaves choices.
    choices: bool,
    /// So many steps are run that they have to be counted.
    counted: bool,
}

/// True for a step that may leave a choice behind.
fn leaves_choice(step: &Step) -> bool {
    match step {
        Step::Content(step) => step.retry && !step.negated,
        Step::Pcre { pcre, retry } => *retry && !pcre.negated,
        _ => false,
    }
}

impl<'p> Steps<'p> {
    /// `start`: the global that says where the buffer begins in its stream; empty where it is in none.
    pub(super) fn new(program: &'p Program, start: &'static str, outer: bool) -> Self {
        let choices = program.steps.iter().any(leaves_choice);
        let decodes = |step: &Step| matches!(step, Step::Base64 { .. });
        let decodes = program.steps.iter().any(decodes);
        Self {
            program,
            start,
            outer,
            choices,
            counted: choices || !outer || decodes || program.steps.len() >= STEP_LIMIT as usize,
        }
    }

    /// Compiles them; the function's number.
    pub(super) fn compile(&self, unit: &mut Unit<'_>, numbers: &mut Numbers) -> u32 {
        let mut asm = Asm::new(unit.names);
        let steps = &self.program.steps;
        if self.outer {
            if self.start.is_empty() {
                asm.i64(0);
            } else {
                asm.global_get(self.start);
            }
            asm.i32(steps.len() as i32).call("begin");
        }
        asm.i32(-1).set(Local::Again);
        let taken_up: Vec<usize> = (0..steps.len())
            .filter(|&at| steps.get(at).is_some_and(leaves_choice))
            .collect();
        if self.choices {
            // The first is where it all begins.
            let targets: Vec<usize> = [0].into_iter().chain(taken_up).collect();
            asm.op(I::Loop(BlockType::Empty))
                .op(I::Block(BlockType::Empty));
            for _ in &targets {
                asm.op(I::Block(BlockType::Empty));
            }
            let depths: Vec<u32> = (0..targets.len() as u32).collect();
            asm.get(Local::Step).op(I::BrTable(depths.into(), 0)).end();
            let mut rest = targets.get(1..).unwrap_or_default();
            for (at, step) in steps.iter().enumerate() {
                let mut number = None;
                if let Some((_, others)) = rest.split_first().filter(|(next, _)| **next == at) {
                    // Choices name it by its place among the targets.
                    number = Some((targets.len() - rest.len()) as i32);
                    rest = others;
                    asm.end();
                }
                // Inside the block of `$failed`, and of those targets that are still to come.
                self.step(&mut asm, step, (number, rest.len() as u32), unit, numbers);
            }
            asm.return_now(1).end();
            asm.call("pop").op(I::I32Eqz).return_if(0);
            let choice = |offset: u64| I::I32Load(super::asm::at(offset));
            asm.global_get("sp").op(choice(0)).set(Local::Step);
            asm.global_get("sp").op(choice(4)).set(Local::Cursor);
            asm.global_get("sp").op(choice(8)).set(Local::Again);
            asm.op(I::Br(0)).end();
            asm.op(I::Unreachable);
        } else {
            for step in steps {
                self.step(&mut asm, step, (None, 0), unit, numbers);
            }
            asm.i32(1);
        }
        unit.function(asm)
    }

    /// One step. `number`: what choices call it; `depth`: how many blocks are around it inside of `$failed`.
    fn step(
        &self,
        asm: &mut Asm<'_>,
        step: &Step,
        (number, depth): (Option<i32>, u32),
        unit: &mut Unit<'_>,
        numbers: &mut Numbers,
    ) {
        if self.counted {
            if number.is_some() {
                // One that is taken up again has been counted.
                asm.get(Local::Again).i32(0).op(I::I32LtS).then();
                asm.call("tick").return_if(0);
                asm.end();
            } else {
                asm.call("tick").return_if(0);
            }
        }
        let at = At {
            steps: self,
            number,
            depth,
        };
        match step {
            Step::Content(step) => super::content::content(asm, step, &at, unit),
            Step::Pcre { pcre, .. } => {
                at.pcre(asm, pcre, numbers.regex as i32);
                numbers.regex += 1;
            }
            Step::ByteTest(test) => bytes::test(asm, test, &at),
            Step::ByteJump(jump) => bytes::jump(asm, jump, &at),
            Step::ByteExtract(extract) => bytes::extract(asm, extract, &at),
            Step::ByteMath(math) => bytes::math(asm, math, &at),
            Step::IsDataAt(test) => bytes::is_data_at(asm, test, &at),
            Step::BSize(size) => {
                asm.length().set(Local::Number);
                asm.compare(size, Local::Number).op(I::I32Eqz);
                at.fail_if(asm, Failure::ForGood);
            }
            Step::Base64 { decode, data } => {
                if self.outer {
                    let inner = Steps::new(data, "", false).compile(unit, numbers);
                    at.base64(asm, decode, data.steps.is_empty(), inner);
                } else {
                    // Base64 in base64 is not decoded a second time.
                    at.fail(asm, Failure::Again);
                }
            }
            Step::Entropy(_) => {
                asm.global_get("len").call("charge");
                asm.i32(numbers.entropy as i32);
                numbers.entropy += 1;
                asm.global_get("buf").global_get("len").call("entropy");
                at.exhausted(asm);
                asm.op(I::I32Eqz);
                at.fail_if(asm, Failure::Again);
            }
            // The buffer is there, since this runs.
            Step::Absent { or_else: true } => {}
            Step::Absent { or_else: false } => at.fail(asm, Failure::Again),
        }
    }
}

/// The step at hand.
pub(super) struct At<'s, 'p> {
    steps: &'s Steps<'p>,
    /// What choices call it, where it leaves some.
    number: Option<i32>,
    /// Blocks around it inside of `$failed`.
    depth: u32,
}

impl At<'_, '_> {
    /// The step does not hold.
    pub(super) fn fail(&self, asm: &mut Asm<'_>, failure: Failure) {
        self.fail_in(asm, failure, 0);
    }

    /// The same inside of so many blocks of the step's own.
    pub(super) fn fail_in(&self, asm: &mut Asm<'_>, failure: Failure, blocks: u32) {
        if failure == Failure::Again && self.steps.choices {
            asm.op(I::Br(self.depth + blocks));
        } else {
            asm.return_now(0);
        }
    }

    /// Consumes a truth: the step does not hold where it does.
    pub(super) fn fail_if(&self, asm: &mut Asm<'_>, failure: Failure) {
        if failure == Failure::Again && self.steps.choices {
            asm.op(I::BrIf(self.depth));
        } else {
            asm.return_if(0);
        }
    }

    /// True where the step can be taken up again.
    pub(super) fn is_taken_up(&self) -> bool {
        self.number.is_some()
    }

    /// Gives the buffer up where too much has been looked at. Leaves the stack as it is.
    pub(super) fn exhausted(&self, asm: &mut Asm<'_>) {
        asm.global_get("work").op(I::I64Eqz).then();
        if self.steps.outer {
            // What was reached inside decoded base64 is reached again outside.
            asm.i32(1).call("limit");
        }
        asm.return_now(0).end();
    }

    /// The step matched from `Local::Found` on, the cursor comes to what is on the stack: leaves a choice to go on one byte
    /// later.
    pub(super) fn hold_or_later(&self, asm: &mut Asm<'_>) {
        if let Some(number) = self.number {
            asm.i32(number).get(Local::Cursor);
            asm.get(Local::Found).i32(1).op(I::I32Add).call("push");
            // What comes next is not taken up again.
            asm.i32(-1).set(Local::Again);
        }
        asm.set(Local::Cursor);
    }

    /// The step matched, and what fails later is not to be tried again; the cursor comes to what is on the stack.
    pub(super) fn hold_for_good(&self, asm: &mut Asm<'_>) {
        if self.steps.choices {
            asm.global_get("floor").global_set("sp");
        }
        asm.set(Local::Cursor);
    }

    fn pcre(&self, asm: &mut Asm<'_>, pcre: &Pcre, regex: i32) {
        if pcre.relative {
            asm.get(Local::Cursor).set(Local::From);
            asm.get(Local::From).global_get("len").op(I::I32GtU);
            self.fail_if(asm, Failure::Again);
        } else {
            asm.i32(0).set(Local::From);
        }
        // From where in the part it is looked for.
        asm.i32(0).set(Local::To);
        if self.is_taken_up() {
            asm.get(Local::Again).i32(0).op(I::I32GeS).then();
            asm.get(Local::Again).get(Local::From).op(I::I32Sub);
            asm.set(Local::To);
            asm.get(Local::Again).get(Local::From).op(I::I32LtS).then();
            asm.i32(0).set(Local::To).end();
            asm.i32(-1).set(Local::Again);
            asm.end();
        }
        asm.i32(regex);
        asm.global_get("buf").get(Local::From).op(I::I32Add);
        asm.global_get("len").get(Local::From).op(I::I32Sub);
        asm.get(Local::To).call("pcre").set(Local::Number);
        // What was looked at: up to the end of the match, or all.
        asm.get(Local::Number).i64(0).op(I::I64GeS);
        asm.op(I::If(BlockType::Result(wasm_encoder::ValType::I32)));
        asm.get(Local::Number).op(I::I32WrapI64);
        asm.op(I::Else);
        asm.global_get("len").get(Local::From).op(I::I32Sub);
        asm.end();
        asm.get(Local::To).op(I::I32Sub);
        // A start beyond the subject looks at nothing.
        asm.set(Local::Found);
        asm.get(Local::Found).i32(0);
        asm.get(Local::Found).i32(0).op(I::I32GtS).op(I::Select);
        asm.call("charge");
        self.exhausted(asm);
        if pcre.negated {
            // Given up is no match either way.
            asm.get(Local::Number).i64(-1).op(I::I64Ne);
            self.fail_if(asm, Failure::Again);
            return;
        }
        asm.get(Local::Number).i64(0).op(I::I64LtS);
        self.fail_if(asm, Failure::Again);
        asm.get(Local::Number).i64(32).op(I::I64ShrU);
        asm.op(I::I32WrapI64).get(Local::From).op(I::I32Add);
        asm.set(Local::Found);
        asm.get(Local::Number).op(I::I32WrapI64);
        asm.get(Local::From).op(I::I32Add);
        self.hold_or_later(asm);
    }

    fn base64(&self, asm: &mut Asm<'_>, decode: &Base64Decode, nothing: bool, inner: u32) {
        if decode.relative {
            asm.get(Local::Cursor);
            asm.i32(decode.offset as i32).call("sum");
        } else {
            asm.i32(decode.offset as i32);
        }
        asm.tee(Local::From).global_get("len").op(I::I32GtU);
        self.fail_if(asm, Failure::Again);
        let most = decode.bytes.unwrap_or(u32::MAX).min(BASE64_MAX as u32);
        asm.global_get("len").get(Local::From).op(I::I32Sub);
        asm.i32(most as i32).call("min").tee(Local::To);
        asm.call("charge");
        asm.global_get("buf").get(Local::From).op(I::I32Add);
        asm.get(Local::To).global_get("top").call("base64");
        asm.tee(Local::Found).op(I::I32Eqz);
        if nothing {
            // As in Suricata: no match where nothing looks at what was decoded.
            asm.op(I::Drop).i32(1);
        }
        asm.then();
        self.exhausted(asm);
        // One block of the step's own is open.
        self.fail_in(asm, Failure::Again, 1);
        asm.end();
        // The decoded bytes are the buffer at hand for a while, and choices before them are out of reach.
        asm.global_get("buf").global_get("len");
        asm.global_get("top").global_get("floor");
        asm.global_get("top").global_set("buf");
        asm.get(Local::Found).global_set("len");
        asm.get(Local::Found).call("take");
        asm.global_get("sp").global_set("floor");
        asm.op(I::Call(inner)).set(Local::Found);
        asm.global_get("floor").global_set("sp");
        asm.global_set("floor").global_set("top");
        asm.global_set("len").global_set("buf");
        self.exhausted(asm);
        asm.get(Local::Found).return_if(1);
        // Nothing after `base64_decode` is looked at: its data comes last.
        self.fail(asm, Failure::Again);
    }
}
