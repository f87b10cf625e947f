//! A rule as a function: its tests, then its buffers, in the order in which the plain evaluator goes through them.

use std::collections::HashMap;

use wasm_encoder::{BlockType, Instruction as I};
use weir_engine::app::{AppProto, AppSet};
use weir_engine::eval::program::{Program, Step};
use weir_engine::plan::{BitsMode, Buffer, BufferPlan, Num, NumOp, PacketTest, Rule, RuleId};

use super::asm::{Asm, LITERALS, Local, Names, VARIABLES};
use super::catalogue::{Catalogue, Field};
use super::program::{Numbers, Steps};

/// What rules were compiled to.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// Bodies of functions, with their locals.
    pub(super) functions: Vec<Vec<u8>>,
    /// The function of each rule, by its number in the module.
    pub(super) rules: Vec<u32>,
    /// Literals, one behind the other.
    pub(super) literals: Vec<u8>,
    /// Names that the runtime does not have.
    pub(super) unknown: Vec<String>,
}

/// Compiles rule after rule.
pub(super) struct Unit<'n> {
    pub(super) names: &'n Names,
    compiled: Compiled,
    /// Functions by their bodies: rules that ask the same share one.
    known: HashMap<Vec<u8>, u32>,
    literals: HashMap<Vec<u8>, u32>,
}

impl<'n> Unit<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            compiled: Compiled::default(),
            known: HashMap::new(),
            literals: HashMap::new(),
        }
    }

    pub(super) fn finish(self) -> Compiled {
        self.compiled
    }

    /// Adds a function; its number in the module.
    pub(super) fn function(&mut self, asm: Asm<'_>) -> u32 {
        let (body, unknown) = asm.finish();
        self.compiled.unknown.extend(unknown);
        let next = self.names.first + self.compiled.functions.len() as u32;
        *self.known.entry(body).or_insert_with_key(|body| {
            self.compiled.functions.push(body.clone());
            next
        })
    }

    /// The place of a literal in memory.
    pub(super) fn literal(&mut self, bytes: &[u8]) -> i32 {
        let all = &mut self.compiled.literals;
        let place = *self.literals.entry(bytes.to_vec()).or_insert_with(|| {
            let place = LITERALS + all.len() as u32;
            all.extend_from_slice(bytes);
            place
        });
        place as i32
    }

    /// Compiles a rule, the next one.
    pub(super) fn rule(&mut self, id: RuleId, rule: &Rule, catalogue: &Catalogue) {
        let mut asm = Asm::new(self.names);
        for (at, test) in (0..).zip(&rule.tests) {
            packet_test(&mut asm, id, at, test);
            asm.op(I::I32Eqz).return_if(0);
        }
        if !rule.app.protos.is_empty() {
            speaks(&mut asm, rule.app.protos);
        }
        if !rule.app.tests.is_empty() || !rule.app.protocols.is_empty() {
            asm.i32(id as i32).call("app").op(I::I32Eqz).return_if(0);
        }
        if rule.variables > 0 {
            asm.i32(VARIABLES as i32).i32(0);
            asm.i32(i32::from(rule.variables) * 8).op(I::MemoryFill(0));
        }
        let (regex, entropy) = catalogue.first_of(id);
        let mut numbers = Numbers { regex, entropy };
        for (plan, &view) in rule.buffers.iter().zip(catalogue.views_of(id)) {
            self.buffer(&mut asm, plan, view as i32, &mut numbers);
        }
        asm.i32(1);
        let number = self.function(asm);
        self.compiled.rules.push(number);
    }

    /// A buffer: returns 0 from the rule where it does not hold.
    fn buffer(&mut self, asm: &mut Asm<'_>, plan: &BufferPlan, view: i32, numbers: &mut Numbers) {
        let program = Program::new(&plan.ops, plan.buffer != Buffer::Payload);
        let absent = matches!(program.steps.first(), Some(Step::Absent { .. }));
        let several = matches!(plan.buffer, Buffer::App(_) | Buffer::AppOf(..));
        let start = match plan.buffer {
            Buffer::Payload => "stream",
            _ => "",
        };
        let steps = Steps::new(&program, start, true);
        let runs = steps.compile(self, numbers);
        // Where there is no such buffer, `absent` decides.
        asm.i32(view).call("load").op(I::I32Eqz);
        asm.op(I::If(BlockType::Empty));
        if !absent {
            asm.return_now(0);
        }
        asm.op(I::Else);
        if several {
            // One of them is enough.
            asm.i32(0).set(Local::Step);
            asm.op(I::Block(BlockType::Empty))
                .op(I::Loop(BlockType::Empty));
            asm.op(I::Call(runs)).op(I::BrIf(1));
            asm.i32(view).get(Local::Step).i32(1).op(I::I32Add);
            asm.tee(Local::Step).call("load_other").op(I::BrIf(0));
            asm.return_now(0).end().end();
        } else {
            asm.op(I::Call(runs)).op(I::I32Eqz).return_if(0);
        }
        asm.end();
    }
}

/// Returns 0 where the flow does not speak one of these.
fn speaks(asm: &mut Asm<'_>, protos: AppSet) {
    let mut masks = [0u64; 4];
    for &proto in AppProto::ALL.iter().filter(|&&proto| protos.has(proto)) {
        let number = proto as usize;
        if let Some(mask) = masks.get_mut(number / 64) {
            *mask |= 1 << (number % 64);
        }
    }
    // One mask for 64 protocols; -1 is in none.
    let used = AppProto::ALL.len().div_ceil(64);
    asm.i32(0);
    for (word, mask) in (0..).zip(masks).take(used) {
        asm.global_get("proto").i32(6).op(I::I32ShrU).i32(word);
        asm.op(I::I32Eq);
        asm.i64(mask as i64).global_get("proto");
        asm.op(I::I64ExtendI32U).op(I::I64ShrU);
        asm.op(I::I32WrapI64).i32(1).op(I::I32And);
        asm.op(I::I32And).op(I::I32Or);
    }
    asm.op(I::I32Eqz).return_if(0);
}

/// Leaves whether a test on the packet holds.
fn packet_test(asm: &mut Asm<'_>, rule: RuleId, at: i32, test: &PacketTest) {
    match test {
        &PacketTest::TcpFlags { mode, bits, ignore } => {
            bits_test(asm, Field::TcpFlags, mode, bits, ignore);
        }
        &PacketTest::FragBits { mode, bits } => bits_test(asm, Field::FragBits, mode, bits, 0),
        PacketTest::FragOffset(num) => number(asm, Field::FragOffset, num),
        PacketTest::IpId(id) => equal(asm, Field::IpId, (*id).into(), false),
        PacketTest::IpProto(num) => number(asm, Field::IpProto, num),
        PacketTest::L3 { v4 } => equal(asm, Field::IpVersion, if *v4 { 4 } else { 6 }, false),
        PacketTest::Ttl(num) => number(asm, Field::Ttl, num),
        PacketTest::Tos { value, negated } => equal(asm, Field::Tos, (*value).into(), *negated),
        PacketTest::IcmpType(num) => number(asm, Field::IcmpType, num),
        PacketTest::IcmpCode(num) => number(asm, Field::IcmpCode, num),
        PacketTest::IcmpId(id) => equal(asm, Field::IcmpId, (*id).into(), false),
        PacketTest::IcmpSeq(seq) => equal(asm, Field::IcmpSeq, (*seq).into(), false),
        PacketTest::Icmp6Mtu(num) => number(asm, Field::Icmp6Mtu, num),
        PacketTest::IgmpType(num) => number(asm, Field::IgmpType, num),
        PacketTest::TcpSeq(num) => number(asm, Field::TcpSeq, num),
        PacketTest::TcpAck(num) => number(asm, Field::TcpAck, num),
        PacketTest::TcpWindow { value, negated } => {
            equal(asm, Field::TcpWindow, (*value).into(), *negated);
        }
        PacketTest::TcpMss(num) => number(asm, Field::TcpMss, num),
        PacketTest::TcpWscale(num) => number(asm, Field::TcpWscale, num),
        PacketTest::Dsize(num) => dsize(asm, num),
        // Tests that are no comparison of one field.
        _ => {
            asm.i32(rule as i32).i32(at).call("packet");
        }
    }
}

/// The field as [`Local::Number`]; leaves whether the packet has it.
fn field(asm: &mut Asm<'_>, field: Field) {
    asm.i32(field as i32).call("field").tee(Local::Number);
    asm.i64(0).op(I::I64GeS);
}

fn number(asm: &mut Asm<'_>, of: Field, num: &Num) {
    field(asm, of);
    asm.compare(num, Local::Number).op(I::I32And);
}

fn equal(asm: &mut Asm<'_>, of: Field, value: u64, negated: bool) {
    let op = if negated { NumOp::Ne } else { NumOp::Eq };
    number(asm, of, &Num::one(op, value));
}

fn bits_test(asm: &mut Asm<'_>, of: Field, mode: BitsMode, bits: u8, ignore: u8) {
    field(asm, of);
    let seen = i64::from(!ignore);
    let bits = i64::from(bits);
    asm.get(Local::Number).i64(seen).op(I::I64And);
    match mode {
        BitsMode::Exact => asm.i64(bits).op(I::I64Eq),
        BitsMode::All => asm.i64(bits).op(I::I64And).i64(bits).op(I::I64Eq),
        BitsMode::Any => asm.i64(bits).op(I::I64And).i64(0).op(I::I64Ne),
        BitsMode::Not => asm.i64(bits).op(I::I64And).i64(bits).op(I::I64Ne),
    };
    asm.op(I::I32And);
}

/// Except with `<`, `<=` and 0, the payload has to be one that rules may look into, and not be empty.
fn dsize(asm: &mut Asm<'_>, num: &Num) {
    number(asm, Field::PayloadSize, num);
    match num {
        Num {
            op: NumOp::Lt | NumOp::Le,
            ..
        } => {}
        Num {
            op: NumOp::Eq,
            a: 0,
            ..
        } => {
            equal(asm, Field::Inspected, 0, false);
            asm.op(I::I32And);
        }
        _ => {
            equal(asm, Field::Inspected, 1, false);
            asm.op(I::I32And);
        }
    }
}
