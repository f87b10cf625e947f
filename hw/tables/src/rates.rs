//! How much passes the filter.

use card_protocol::register::table;

use crate::filter::{CLASSES, Filters};
use crate::golden::scan;
use crate::key::Hash;

/// Candidates of so many ends, by the length of what passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PassRates {
    /// Ends that were looked at.
    pub ends: u64,
    /// Ends of which at least one length passed and that are not repeated.
    pub passing: u64,
    /// Candidates of length `n` at place `n - 1`.
    pub candidates: [u64; 8],
}

impl PassRates {
    /// Counts what passes of these buffers.
    pub fn measure<'a>(
        hash: &Hash,
        filters: &Filters,
        buffers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut rates = Self::default();
        for buffer in buffers {
            rates.ends += buffer.len() as u64;
            scan(hash, filters, buffer, 0, &mut |_, lengths| {
                rates.passing += 1;
                for (n, count) in rates.candidates.iter_mut().enumerate() {
                    *count += u64::from(lengths >> n & 1);
                }
                true
            });
        }
        rates
    }

    /// Candidates per end, all lengths together.
    pub fn rate(&self) -> f64 {
        self.candidates.iter().sum::<u64>() as f64 / self.ends.max(1) as f64
    }
}

/// The share of a memory's bits that are set.
pub fn density(words: &[u32]) -> f64 {
    let ones: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
    ones as f64 / (32 * words.len()).max(1) as f64
}

/// The chance that the last `n` bytes pass, at place `n - 1`, where all bytes are equally likely. That of lengths 1 and 2 is exact, since there are few
/// texts of them; for longer ones hashes are taken to be independent: for each memory the mean of its words' squared densities, since
/// a length asks for two bits of a word.
pub fn expected(hash: &Hash, filters: &Filters) -> [f64; 8] {
    let mut chances = [0.0; 8];
    for class in &CLASSES {
        let chance = class
            .selects
            .iter()
            .map(|&select| passes(filters.words(select)));
        let chance: f64 = chance.product();
        for &n in class.lengths {
            chances[n - 1] = chance;
        }
    }
    let single = filters.single().iter().filter(|&&bit| bit == 1);
    chances[0] = single.count() as f64 / 256.0;
    let pairs = (0..=u16::MAX).filter(|pair| filters.passes(hash, &pair.to_le_bytes()));
    chances[1] = pairs.count() as f64 / 65_536.0;
    chances
}

fn passes(words: &[u32]) -> f64 {
    let squares = words.iter().map(|word| {
        let density = f64::from(word.count_ones()) / 32.0;
        density * density
    });
    squares.sum::<f64>() / words.len().max(1) as f64
}

/// The memories, for reports: name, and what it is selected by.
pub const MEMORIES: [(&str, u32); 8] = [
    ("8A", table::FILTER_8A),
    ("8B", table::FILTER_8B),
    ("6A", table::FILTER_6A),
    ("6B", table::FILTER_6B),
    ("4A", table::FILTER_4A),
    ("4B", table::FILTER_4B),
    ("3", table::FILTER_3),
    ("2", table::FILTER_2),
];
