//! `entropy`: Shannon entropy of a part of a buffer.

use crate::plan::{Entropy, NumOp};

/// True when the entropy of the bytes that the test names passes. They must all be in the buffer.
pub(super) fn test(test: &Entropy, buffer: &[u8]) -> bool {
    let part = usize::try_from(test.offset)
        .ok()
        .and_then(|offset| buffer.get(offset..));
    let part = match (part, usize::try_from(test.bytes)) {
        (part, Ok(0)) => part,
        (Some(part), Ok(bytes)) => part.get(..bytes),
        _ => None,
    };
    part.is_some_and(|part| compare(test, bits_per_byte(part)))
}

fn bits_per_byte(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .fold(0.0, |entropy, &count| {
            let share = f64::from(count) / total;
            entropy - share * share.log2()
        })
}

fn compare(test: &Entropy, value: f64) -> bool {
    let (a, b) = (test.a, test.b);
    match test.op {
        NumOp::Eq => value == a,
        NumOp::Ne => value != a,
        NumOp::Lt => value < a,
        NumOp::Le => value <= a,
        NumOp::Gt => value > a,
        NumOp::Ge => value >= a,
        NumOp::Between => a < value && value < b,
        NumOp::Within => a <= value && value <= b,
        NumOp::NotBetween => value <= a || value >= b,
        // Bit tests mean nothing for fractions, and the keyword has none.
        NumOp::AnyBit | NumOp::NoBit | NumOp::Masked | NumOp::NotMasked => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(offset: u32, bytes: u32, op: NumOp, a: f64, b: f64, buffer: &[u8]) -> bool {
        test(
            &Entropy {
                offset,
                bytes,
                op,
                a,
                b,
            },
            buffer,
        )
    }

    #[test]
    fn measures_the_part_named() {
        assert!(holds(0, 0, NumOp::Eq, 2.0, 0.0, b"abcdabcd"));
        assert!(holds(0, 0, NumOp::Eq, 0.0, 0.0, b""));
        assert!(holds(4, 4, NumOp::Eq, 0.0, 0.0, b"abcdzzzz"));
        assert!(holds(4, 0, NumOp::Lt, 0.1, 0.0, b"abcdzzzz"));
        assert!(holds(0, 4, NumOp::Between, 1.9, 2.1, b"abcdzzzz"));
        assert!(!holds(0, 4, NumOp::NotBetween, 1.9, 2.1, b"abcdzzzz"));
        assert!(!holds(0, 9, NumOp::Ge, 0.0, 0.0, b"abcdzzzz"));
        assert!(!holds(9, 0, NumOp::Ge, 0.0, 0.0, b"abcdzzzz"));
        assert!(holds(8, 0, NumOp::Ge, 0.0, 0.0, b"abcdzzzz"));
    }
}
