//! Which window of a literal the filter should know it by.
//!
//! This decides speed only, never an answer.

/// Where the window of a literal stands by which the filter and the exact stage know it: the rarest three bytes of one of 3
/// or 4, the rarest five, which are two neighbouring 4-grams, of one of 5 to 7. In others there is no choice.
pub(super) fn place(literal: &[u8]) -> usize {
    let width = match literal.len() {
        3..5 => 3,
        5..8 => 5,
        _ => return 0,
    };
    (0..=literal.len() - width)
        .min_by_key(|&at| {
            let pairs = literal[at..at + width].array_windows::<2>();
            pairs.map(|&pair| commonness(pair)).sum::<u32>()
        })
        .unwrap_or(0)
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
