//! How often given windows of 1 to 8 bytes stand in traffic, counted exactly.

use std::collections::HashMap;

use weir_engine::matcher::MAX_PROBE;

/// Bits of a bitmap: a quarter of a million windows fill a sixteenth.
const BITS: u32 = 22;

/// Windows of one length.
struct Length {
    bitmap: Vec<u64>,
    counts: HashMap<u64, u64>,
}

/// Counts windows, case ignored.
pub struct Counter {
    lengths: Vec<Length>,
}

/// The window as a number, in lower case.
fn key(window: &[u8]) -> u64 {
    let mut bytes = [0; MAX_PROBE];
    for (to, from) in bytes.iter_mut().zip(window) {
        *to = from.to_ascii_lowercase();
    }
    u64::from_le_bytes(bytes)
}

fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)) as usize
}

impl Counter {
    /// Counts nothing yet.
    pub fn new() -> Self {
        let lengths = (0..MAX_PROBE).map(|_| Length {
            bitmap: vec![0; 1 << (BITS - 6)],
            counts: HashMap::new(),
        });
        Self {
            lengths: lengths.collect(),
        }
    }

    fn length(&mut self, window: &[u8]) -> Option<&mut Length> {
        self.lengths.get_mut(window.len().checked_sub(1)?)
    }

    /// Wants this window, of 1 to 8 bytes, counted.
    pub fn want(&mut self, window: &[u8]) {
        if let Some(length) = self.length(window) {
            let key = key(window);
            length.bitmap[slot(key) / 64] |= 1 << (slot(key) % 64);
            length.counts.insert(key, 0);
        }
    }

    /// Looks at every offset of a payload.
    pub fn count(&mut self, payload: &[u8]) {
        let folded = payload.to_ascii_lowercase();
        for (length, of_length) in (1..).zip(&mut self.lengths) {
            if of_length.counts.is_empty() {
                continue;
            }
            for window in folded.windows(length) {
                let key = key(window);
                if of_length.bitmap[slot(key) / 64] >> (slot(key) % 64) & 1 == 1
                    && let Some(count) = of_length.counts.get_mut(&key)
                {
                    *count += 1;
                }
            }
        }
    }

    /// At how many offsets a window that was wanted stood.
    pub fn hits(&self, window: &[u8]) -> u64 {
        let length = window.len().checked_sub(1);
        let length = length.and_then(|length| self.lengths.get(length));
        length
            .and_then(|length| length.counts.get(&key(window)))
            .copied()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_every_length_are_counted_in_any_case() {
        let mut counter = Counter::new();
        for window in [&b"a"[..], b"ab", b"ABC", b"abcdefgh", b"zz"] {
            counter.want(window);
        }
        counter.count(b"ABCDEFGHabcdefgx aAb");
        counter.count(b"abcdefgh");
        let hits = |window: &[u8]| counter.hits(window);
        assert_eq!((hits(b"A"), hits(b"ab"), hits(b"abc")), (5, 4, 3));
        assert_eq!((hits(b"abcdefgh"), hits(b"zz"), hits(b"bcd")), (2, 0, 0));
    }
}
