//! What an evaluator is made of, for evaluators that run rules another way than [`super::Plain`] does: the same tests on
//! packets and transactions, the same limits.

pub use super::needle::commonness;

use super::Subject;
use crate::app::{AppBuffer, AppField, Way};
use crate::plan::{AppPlan, Buffer, Endian, Entropy, PacketTest, Rule};

/// Steps of one buffer before it is given up (Suricata's `detect.inspection-recursion-limit`).
pub const STEP_LIMIT: u32 = 3000;
/// Bytes of one buffer that may be looked at beyond once for each step. It is what a payload that is made for it can cost:
/// about 4 ns for each byte. A packet of ordinary size runs into [`STEP_LIMIT`] first.
pub const WORK_LIMIT: u64 = 4 << 20;
/// Most bytes that `base64_decode` takes.
pub const BASE64_MAX: usize = 65_535;
/// From here on, `isdataat` takes a variable to be beyond any buffer.
pub const ISDATAAT_FAR: u64 = 100_000_000;

/// True when the packet passes a test.
pub fn packet_test(test: &PacketTest, subject: &Subject<'_>) -> bool {
    super::header::test(test, subject)
}

/// True when all that a rule asks of the application layer beside its buffers holds.
pub fn app_holds(plan: &AppPlan, subject: &Subject<'_>) -> bool {
    super::app::holds(plan, subject)
}

/// True when the entropy of the bytes that the test names passes.
pub fn entropy(test: &Entropy, buffer: &[u8]) -> bool {
    super::entropy::test(test, buffer)
}

/// Decodes the start of `text` onto the end of `out`, as `base64_decode` does.
pub fn base64(text: &[u8], out: &mut Vec<u8>) {
    super::base64::decode(text, out);
}

/// What `dce` stands for in the transaction at hand.
pub fn byte_order(subject: &Subject<'_>) -> Option<Endian> {
    let tx = subject.app.transaction?;
    let of_way = |way| tx.numbers(way, AppField::DceLittleEndian).next();
    let own = of_way(subject.app.way());
    let little = own.or_else(|| of_way(subject.app.way().other()))?;
    Some(match little {
        1 => Endian::Little,
        _ => Endian::Big,
    })
}

/// A buffer of transactions, and the direction that a rule about the subject looks for it in; `None` for other buffers.
pub fn of_transaction(buffer: Buffer, subject: &Subject<'_>) -> Option<(AppBuffer, Way)> {
    match buffer {
        Buffer::App(buffer) => Some((buffer, super::app::way_of(buffer.ways(), subject.app.way()))),
        Buffer::AppOf(buffer, to_server) => Some((buffer, Way::of(usize::from(!to_server)))),
        _ => None,
    }
}

/// True for a rule that asks for a decoder event, and so may match packets that are otherwise too broken.
pub fn takes_broken(rule: &Rule) -> bool {
    let asks = |test: &PacketTest| matches!(test, PacketTest::DecodeEvent(_));
    rule.tests.iter().any(asks)
}
