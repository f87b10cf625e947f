//! The filter: small tables that say of most offsets that nothing can stand there.

use super::hash::{Key, gram_bits, seven_bits, window};
use super::rarity;
use super::single::Singles;
use super::tables::Literal;
use crate::matcher::{MAX_GROUPS, Probe};

/// Fewest and most words, as powers of two: 512 KiB at most, which is half of a second-level cache.
const WORD_BITS: std::ops::RangeInclusive<u32> = 6..=17;

/// Probes of 5 to 8 bytes, looked for at even offsets.
///
/// The hash of the 4-gram at an offset chooses a word. A literal of 8 bytes has set two of the word's bits by the hash of 7
/// bytes, a shorter one two by the hash of the 4-gram alone, and both have done so for two neighbouring windows, of which
/// one stands at an even offset.
pub(super) struct Words {
    words: Vec<u32>,
    /// The upper bits of the hash that are left choose the word.
    shift: u32,
}

impl Words {
    fn new(literals: &[&Literal], key: Key) -> Option<Self> {
        let grams = 2 * literals.len();
        if grams == 0 {
            return None;
        }
        // A word a gram: half as many let more through than the smaller table saves.
        let bits = grams
            .next_power_of_two()
            .ilog2()
            .clamp(*WORD_BITS.start(), *WORD_BITS.end());
        let mut words = vec![0u32; 1 << bits];
        let shift = 32 - bits;
        for literal in literals {
            let bytes = literal.bytes();
            for back in [literal.place, literal.place + 1] {
                let text = window(&bytes[..literal.len], back);
                let gram = key.gram(text);
                words[(gram >> shift) as usize] |= if literal.len == 8 {
                    seven_bits(key.seven(gram, text))
                } else {
                    gram_bits(gram)
                };
            }
        }
        Some(Self { words, shift })
    }

    /// The table: `1 << (32 - shift)` words.
    #[inline]
    pub(super) fn table(&self) -> (&[u32], u32) {
        (&self.words, self.shift)
    }

    #[inline(always)]
    pub(super) fn word(&self, gram: u32) -> u32 {
        self.words
            .get((gram >> self.shift) as usize)
            .copied()
            .unwrap_or(0)
    }
}

/// Bytes of the second of a pair that share a bit in [`Matrix`].
const COLUMNS: usize = 64;
/// Rows of [`Matrix`], of which the last is empty.
const ROWS: usize = 64;

/// Probes of 3 and 4 bytes, looked for at every offset by three bytes.
pub(super) struct Triples {
    /// By the hash of the three.
    bitmap: Vec<u32>,
    shift: u32,
    /// The first pair of them, and the second.
    matrices: Box<[Matrix; 2]>,
}

/// Bits per probe of [`Triples`], and fewest: 4 KiB.
const TRIPLES_SPARSE: usize = 32;
const TRIPLES_FEWEST: usize = 1 << 15;

impl Triples {
    fn new(literals: &[&Literal], key: Key) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let windows = || {
            literals
                .iter()
                .map(|literal| window(&literal.bytes(), literal.place))
        };
        let bits = (literals.len() * TRIPLES_SPARSE).max(TRIPLES_FEWEST);
        let bits = bits.next_power_of_two().ilog2().min(22);
        let mut triples = Self {
            bitmap: vec![0u32; (1 << bits) / 32],
            shift: 32 - bits,
            matrices: Box::new([0, 8].map(|shift| {
                Matrix::new(windows().map(|text| ((text >> shift) as u16).to_le_bytes()))
            })),
        };
        for text in windows() {
            let slot = key.triple(text) >> triples.shift;
            triples.bitmap[(slot / 32) as usize] |= 1 << (slot % 32);
        }
        Some(triples)
    }

    /// `1 << (32 - shift)` bits: bit `hash >> shift` is set if three bytes have that hash ([`Key::triple`]).
    #[inline(always)]
    pub(super) fn bitmap(&self) -> (&[u32], u32) {
        (&self.bitmap, self.shift)
    }

    /// 1 if three bytes with this hash may be a probe's.
    #[inline(always)]
    pub(super) fn has(&self, hash: u32) -> u32 {
        let slot = hash >> self.shift;
        let word = self.bitmap.get((slot / 32) as usize).copied().unwrap_or(0);
        word >> (slot % 32) & 1
    }

    #[inline(always)]
    pub(super) fn matrices(&self) -> &[Matrix; 2] {
        &self.matrices
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.bitmap) + size_of_val(&*self.matrices)
    }
}

/// Probes of 2 bytes, looked for at every offset.
pub(super) struct Pairs {
    /// Bit `first | second << 8`, in either case of each.
    bitmap: Box<[u32; 2048]>,
    matrix: Box<Matrix>,
}

impl Pairs {
    fn new(literals: &[&Literal]) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let pairs = || {
            literals
                .iter()
                .map(|literal| (literal.value as u16).to_le_bytes())
        };
        let mut bitmap = Box::new([0; 2048]);
        for [first, second] in pairs() {
            for first in cases(first) {
                for second in cases(second) {
                    let number = usize::from(u16::from_le_bytes([first, second]));
                    bitmap[number / 32] |= 1 << (number % 32);
                }
            }
        }
        Some(Self {
            bitmap,
            matrix: Box::new(Matrix::new(pairs())),
        })
    }

    #[inline(always)]
    pub(super) fn bitmap(&self) -> &[u32; 2048] {
        &self.bitmap
    }

    #[inline(always)]
    pub(super) fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.bitmap) + size_of_val(&*self.matrix)
    }
}

/// Pairs of bytes, coarsely: a matrix of 64 rows (classes of first bytes) by 64 columns (classes of second bytes), in the form
/// that `vpermi2b` looks it up.
#[repr(C, align(64))]
pub(super) struct Matrix {
    /// Row of a first byte, below 64.
    pub(super) row: [u8; 256],
    /// Column of a second byte. Bits 0 to 2 say which bit of a byte of `cells`; bit 6 which half of a table of 128,
    /// bits 4 and 5 which of the four tables.
    pub(super) column: [u8; 256],
    /// Four tables of two halves of 64 rows.
    pub(super) cells: [[u8; 128]; 4],
}

impl Matrix {
    /// Both bytes of the pairs may have the case bit set, or not.
    fn new(pairs: impl Iterator<Item = [u8; 2]>) -> Self {
        let mut pairs: Vec<[u8; 2]> = pairs.map(|pair| pair.map(|byte| byte | 0x20)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        // Bytes that are in no pair share the last class.
        let classes = |at: usize, count: usize| {
            classes(
                pairs.iter().map(|pair| pair[at]),
                count - 1,
                count as u8 - 1,
            )
        };
        let mut matrix = Self {
            row: classes(0, ROWS),
            column: classes(1, COLUMNS).map(place_of_column),
            cells: [[0; 128]; 4],
        };
        for &[first, second] in &pairs {
            // Either case of either byte is in the same class.
            let (table, index, bit) = matrix.cell(first, second);
            matrix.cells[table][index] |= bit;
        }
        matrix
    }

    fn cell(&self, first: u8, second: u8) -> (usize, usize, u8) {
        let column = self.column[usize::from(second)];
        let table = usize::from(column >> 4 & 3);
        let index = usize::from(self.row[usize::from(first)] | column & 0x40);
        (table, index, 1 << (column & 7))
    }
}

/// Spreads a column number over the bits that the lookup needs them in.
fn place_of_column(column: u8) -> u8 {
    column & 7 | (column >> 3 & 1) << 6 | (column >> 4 & 3) << 4
}

/// Both bytes that the case bit makes the same.
fn cases(byte: u8) -> [u8; 2] {
    [byte, byte & !0x20]
}

/// Gives bytes (case bit set) classes `0..count`; those that do not occur get `none`. Where there are more bytes than
/// classes, the least common ones share.
fn classes(bytes: impl Iterator<Item = u8>, count: usize, none: u8) -> [u8; 256] {
    let mut bytes: Vec<u8> = bytes.collect();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.sort_by_key(|&byte| std::cmp::Reverse(rarity::byte(byte)));
    let mut classes = [none; 256];
    // The common ones keep classes of their own.
    let own = if bytes.len() <= count {
        count
    } else {
        count * 3 / 4
    };
    for (at, &byte) in bytes.iter().enumerate() {
        let class = if at < own {
            at
        } else {
            own + (at - own) % (count - own)
        };
        for byte in cases(byte) {
            classes[usize::from(byte)] = class as u8;
        }
    }
    classes
}

/// What a buffer of a group is filtered by.
pub(super) struct Filter {
    pub(super) words: Option<Words>,
    pub(super) triples: Option<Triples>,
    pub(super) pairs: Option<Pairs>,
    pub(super) singles: Option<Singles>,
    /// Length of the shortest probe.
    pub(super) shortest: usize,
}

impl Filter {
    fn new(literals: &[Literal], probes: &[Probe], groups: u64, key: Key) -> Self {
        let of = |lengths: std::ops::Range<usize>| -> Vec<&Literal> {
            literals
                .iter()
                .filter(|literal| literal.groups & groups != 0 && lengths.contains(&literal.len))
                .collect()
        };
        let wanted = || probes.iter().filter(|probe| probe.groups & groups != 0);
        Self {
            words: Words::new(&of(5..9), key),
            triples: Triples::new(&of(3..5), key),
            pairs: Pairs::new(&of(2..3)),
            singles: Singles::new(wanted().filter_map(|probe| match *probe.bytes() {
                [byte] => Some(byte.to_ascii_lowercase()),
                _ => None,
            })),
            shortest: wanted()
                .map(|probe| probe.bytes().len())
                .min()
                .unwrap_or(usize::MAX),
        }
    }

    /// False when all probes are single bytes.
    #[inline]
    pub(super) fn looks_at_blocks(&self) -> bool {
        self.words.is_some() || self.triples.is_some() || self.pairs.is_some()
    }

    fn bytes(&self) -> usize {
        let words = self
            .words
            .as_ref()
            .map_or(0, |words| size_of_val(&*words.words));
        let triples = self.triples.as_ref().map_or(0, Triples::bytes);
        let pairs = self.pairs.as_ref().map_or(0, Pairs::bytes);
        size_of::<Self>() + words + triples + pairs
    }
}

/// The filters of all groups.
///
/// Groups whose probes are mostly the same share one: what it lets through too much, the exact stage refutes by the
/// probe's own groups, and a filter that stays in the cache is worth more than one that is a little sharper.
#[derive(Default)]
pub(super) struct Filters {
    filters: Vec<Filter>,
    of_group: Vec<Option<u8>>,
}

impl Filters {
    pub(super) fn new(literals: &[Literal], probes: &[Probe], key: Key) -> Self {
        let sets = merge(probes);
        let mut of_group = vec![None; MAX_GROUPS.into()];
        for (number, &groups) in (0u8..).zip(&sets) {
            for group in 0..MAX_GROUPS {
                if groups >> group & 1 == 1 {
                    of_group[usize::from(group)] = Some(number);
                }
            }
        }
        let filters = sets
            .iter()
            .map(|&groups| Filter::new(literals, probes, groups, key))
            .collect();
        Self { filters, of_group }
    }

    #[inline]
    pub(super) fn of(&self, group: u8) -> Option<&Filter> {
        let number = (*self.of_group.get(usize::from(group))?)?;
        self.filters.get(usize::from(number))
    }

    pub(super) fn bytes(&self) -> usize {
        self.filters.iter().map(Filter::bytes).sum()
    }
}

/// Sets of groups that share a filter: those of which two share at least half of their probes, the largest first.
fn merge(probes: &[Probe]) -> Vec<u64> {
    let mut counts = [[0u32; 64]; 64];
    for probe in probes {
        let mut left = probe.groups;
        while left != 0 {
            let group = left.trailing_zeros() as usize;
            left &= left - 1;
            let mut others = probe.groups;
            while others != 0 {
                counts[group][others.trailing_zeros() as usize] += 1;
                others &= others - 1;
            }
        }
    }
    let mut order: Vec<usize> = (0..64).filter(|&group| counts[group][group] > 0).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(counts[group][group]));
    let mut sets: Vec<(usize, u64)> = Vec::new();
    for group in order {
        let own = counts[group][group];
        // Against the first, and so largest, group of each set.
        let similar = sets
            .iter_mut()
            .find(|(first, _)| counts[*first][group] * 2 >= own.max(counts[*first][*first] / 2));
        match similar {
            Some((_, groups)) => *groups |= 1 << group,
            None => sets.push((group, 1 << group)),
        }
    }
    sets.into_iter().map(|(_, groups)| groups).collect()
}
