//! Which window of a literal the filter should know it by.
//!
//! This decides speed only, never an answer.

/// Where a literal's windows stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset in the literal of what the filter looks for: one pair in a literal of 2 or 3 bytes, the whole of one of 4, the
    /// first of two neighbouring 4-grams in a longer one.
    pub(super) sampled: usize,
    /// Offset in the literal of what the exact stage files it under; the same, or one less.
    pub(super) filed: usize,
}

/// The rarest place: for the filter first, which more bytes reach.
pub(super) fn place(literal: &[u8]) -> Place {
    let rarest = |width: usize, places: std::ops::RangeInclusive<usize>| {
        places
            .min_by_key(|&at| {
                let pairs = literal[at..at + width].array_windows::<2>();
                pairs.map(|&pair| commonness(pair)).sum::<u32>()
            })
            .unwrap_or(0)
    };
    match literal.len() {
        3 => Place {
            sampled: rarest(2, 0..=1),
            filed: 0,
        },
        // The five bytes that both 4-grams cover.
        len @ 5..8 => {
            let sampled = rarest(5, 0..=len - 5);
            Place {
                sampled,
                filed: sampled,
            }
        }
        _ => Place {
            sampled: 0,
            filed: 0,
        },
    }
}

/// How common a pair of bytes is, on a logarithmic scale.
pub(super) fn commonness([first, second]: [u8; 2]) -> u32 {
    byte(first) + byte(second) + if first == second { 4 } else { 0 }
}

/// How common a byte is in traffic, on a logarithmic scale of about a bit a step; the case bit may be set.
pub(super) fn byte(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        0 | b' ' => 7,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b'c' => 7,
        b'l' | b'd' | b'p' | b'm' | b'u' | b'h' | b'0' | b'1' | b'.' | b'/' | b'-' | 0xFF => 6,
        b'g' | b'b' | b'f' | b'y' | b'w' | b'v' | b'2'..=b'9' | b':' | b'\r' | b'\n' | b'=' => 5,
        b'k' | b'x' | b'"' | b';' | b',' | b'_' | 1 => 4,
        b'j' | b'q' | b'z' | 2..=8 | 0x80 => 3,
        b'!'..=b'~' => 2,
        _ => 1,
    }
}
