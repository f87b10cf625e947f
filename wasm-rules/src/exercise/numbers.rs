//! Numbers that pass a comparison.

use weir_engine::plan::{Num, NumOp};

/// Numbers up to `most` that pass, the likeliest first; `wanted` first of all if it passes.
pub(super) fn passing(num: &Num, most: u64, wanted: u64) -> Option<u64> {
    candidates(num, wanted)
        .into_iter()
        .find(|&value| value <= most && num.test(value))
}

fn candidates(num: &Num, wanted: u64) -> Vec<u64> {
    let Num { op, a, b } = *num;
    let mut all = vec![wanted];
    if matches!(
        op,
        NumOp::AnyBit | NumOp::NoBit | NumOp::Masked | NumOp::NotMasked
    ) {
        all.extend([a & a.wrapping_neg(), a, b, !a & 0xff, 0]);
    }
    for base in [a, b] {
        all.extend([
            base,
            base.saturating_add(1),
            base.saturating_sub(1),
            base.saturating_add(2),
        ]);
    }
    all.extend([a / 2 + b / 2, 0, 1, 2]);
    all
}
