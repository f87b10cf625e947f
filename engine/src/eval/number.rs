//! Numbers in buffers, binary and as text: what `byte_test`, `byte_jump`, `byte_extract` and `byte_math` read.

use crate::plan::{Endian, NumberBase};

/// Most bytes of a binary number.
const BINARY_MAX: usize = 8;
/// Most bytes of a number in text: a 64-bit octal number with its leading zero.
const TEXT_MAX: usize = 23;

/// Reads the number that `count` bytes at `at` hold, and says how many of them it took.
///
/// `None` when the bytes are not all in the buffer, are more than a number of the base can have, or hold no number. A
/// binary number of no bytes is 0.
pub(super) fn read(buffer: &[u8], at: i64, count: u64, base: NumberBase) -> Option<(u64, usize)> {
    let count = usize::try_from(count).ok()?;
    let at = usize::try_from(at).ok()?;
    let bytes = buffer.get(at..at.checked_add(count)?)?;
    match base {
        NumberBase::Binary(endian) => Some((binary(bytes, endian)?, count)),
        NumberBase::Dec => text(bytes, 10),
        NumberBase::Hex => text(bytes, 16),
        NumberBase::Oct => text(bytes, 8),
        NumberBase::Guessed => text(bytes, 0),
    }
}

fn binary(bytes: &[u8], endian: Endian) -> Option<u64> {
    if bytes.len() > BINARY_MAX {
        return None;
    }
    let shift_in = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    match endian {
        Endian::Big => Some(bytes.iter().fold(0, shift_in)),
        Endian::Little => Some(bytes.iter().rev().fold(0, shift_in)),
        // The byte order of a DCE/RPC header is known only where one was parsed.
        Endian::Dce => None,
    }
}

/// Reads as C's `strtoull` does: white space, a sign, `0x` before hexadecimal digits, then digits up to the first byte
/// that is none. With base 0, what stands before the digits says which it is. A number that does not fit 64 bits is none; one with a minus sign wraps around.
fn text(bytes: &[u8], base: u32) -> Option<(u64, usize)> {
    if bytes.len() > TEXT_MAX {
        return None;
    }
    let digit = |at: usize, base: u32| {
        bytes
            .get(at)
            .and_then(|&byte| char::from(byte).to_digit(base))
    };
    let mut at = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'))
        .count();
    let negative = bytes.get(at) == Some(&b'-');
    if negative || bytes.get(at) == Some(&b'+') {
        at += 1;
    }
    let prefixed = bytes.get(at) == Some(&b'0')
        && bytes
            .get(at + 1)
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'x'));
    let hex = prefixed && digit(at + 2, 16).is_some();
    let base = match base {
        0 if hex => 16,
        0 if bytes.get(at) == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    if base == 16 && hex {
        at += 2;
    }
    let first = at;
    let mut value = 0u64;
    while let Some(digit) = digit(at, base) {
        value = value
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))?;
        at += 1;
    }
    (at > first).then_some((
        if negative {
            value.wrapping_neg()
        } else {
            value
        },
        at,
    ))
}

/// Applies a bit mask and moves what is left down to bit 0.
pub(super) fn mask(value: u64, bitmask: Option<u32>) -> u64 {
    match bitmask {
        None => value,
        Some(0) => 0,
        Some(mask) => (value & u64::from(mask)) >> mask.trailing_zeros(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_numbers() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let big = NumberBase::Binary(Endian::Big);
        let little = NumberBase::Binary(Endian::Little);
        assert_eq!(read(&bytes, 0, 2, big), Some((0x0102, 2)));
        assert_eq!(read(&bytes, 1, 3, little), Some((0x04_0302, 3)));
        assert_eq!(read(&bytes, 1, 8, big), Some((0x0203_0405_0607_0809, 8)));
        assert_eq!(read(&[0xff; 8], 0, 8, little), Some((u64::MAX, 8)));
        assert_eq!(read(&bytes, 0, 9, big), None);
        assert_eq!(read(&bytes, 8, 2, big), None);
        assert_eq!(read(&bytes, -1, 1, big), None);
        assert_eq!(read(&bytes, i64::MAX, u64::MAX, big), None);
        assert_eq!(read(&bytes, 9, 0, big), Some((0, 0)));
        assert_eq!(read(&bytes, 10, 0, big), None);
        assert_eq!(read(&bytes, 0, 2, NumberBase::Binary(Endian::Dce)), None);
    }

    #[test]
    fn numbers_in_text() {
        for (text, base, expected) in [
            (&b"123"[..], NumberBase::Dec, Some((123, 3))),
            (b"12a4", NumberBase::Dec, Some((12, 2))),
            (b"  +42;", NumberBase::Dec, Some((42, 5))),
            (b"\r\n7", NumberBase::Dec, Some((7, 3))),
            (b"-1", NumberBase::Dec, Some((u64::MAX, 2))),
            (b"abc", NumberBase::Dec, None),
            (b"- 1", NumberBase::Dec, None),
            (
                b"18446744073709551615",
                NumberBase::Dec,
                Some((u64::MAX, 20)),
            ),
            (b"18446744073709551616", NumberBase::Dec, None),
            (b"fF", NumberBase::Hex, Some((255, 2))),
            (b"0x1f", NumberBase::Hex, Some((31, 4))),
            (b"0xg", NumberBase::Hex, Some((0, 1))),
            (b"0x1f", NumberBase::Dec, Some((0, 1))),
            (b"0778", NumberBase::Oct, Some((63, 3))),
            (
                b"01777777777777777777777",
                NumberBase::Oct,
                Some((u64::MAX, 23)),
            ),
            (b"000000000000000000000001", NumberBase::Dec, None),
            (b"1\x002", NumberBase::Dec, Some((1, 1))),
            (b"123", NumberBase::Guessed, Some((123, 3))),
            (b" 0x1Fg", NumberBase::Guessed, Some((31, 5))),
            (b"0xg", NumberBase::Guessed, Some((0, 1))),
            (b"0778", NumberBase::Guessed, Some((63, 3))),
            (b"08", NumberBase::Guessed, Some((0, 1))),
        ] {
            let count = text.len() as u64;
            assert_eq!(
                read(text, 0, count, base),
                expected,
                "{}",
                text.escape_ascii()
            );
        }
        assert_eq!(read(b"1", 0, 0, NumberBase::Dec), None);
    }

    #[test]
    fn masks_are_shifted_down() {
        assert_eq!(mask(0xabcd, None), 0xabcd);
        assert_eq!(mask(0xabcd, Some(0x0ff0)), 0xbc);
        assert_eq!(mask(0xabcd, Some(0x8000_0000)), 0);
        assert_eq!(mask(u64::MAX, Some(0)), 0);
    }
}
