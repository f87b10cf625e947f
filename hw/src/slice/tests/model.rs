//! `hw/DESIGN.md` as loops.

/// What a slice is loaded with.
#[derive(Clone)]
pub struct Model {
    pub key: [[u32; 9]; 2],
    pub single: [u32; 8],
    /// 8A, 8B, 6A, 6B, 4A, 4B, 3, 2.
    pub filters: [Vec<u32>; 8],
}

/// A record as a slice sees it.
#[derive(Clone, Debug)]
pub struct Record {
    pub payload: Vec<u8>,
    pub carry: usize,
    /// Bytes of a beat, and which slice of it.
    pub lanes: usize,
    pub slice: usize,
    pub group: u8,
    pub parity: bool,
    pub serial: u16,
}

/// An end, a length, and the bytes, last first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub end: usize,
    pub length: usize,
    pub bytes: Vec<u8>,
}

impl Model {
    fn hash(&self, k: usize, n: usize, b: &[u8], e: usize) -> u32 {
        let mut hash = 0;
        for j in 0..n {
            let byte = b[e - 1 - j].to_ascii_lowercase();
            let mut term = self.key[k][8];
            for i in 0..8 {
                if byte >> i & 1 == 1 {
                    term ^= self.key[k][i];
                }
            }
            hash ^= term.rotate_left((9 * j % 32) as u32);
        }
        hash
    }

    fn passes(&self, b: &[u8], e: usize, n: usize) -> bool {
        let (class, memories) = match n {
            8 => (8, vec![0, 1]),
            6 | 7 => (6, vec![2, 3]),
            4 | 5 => (4, vec![4, 5]),
            3 => (3, vec![6]),
            2 => (2, vec![7]),
            _ => {
                let byte = b[e - 1] as usize;
                return self.single[byte / 32] >> (byte % 32) & 1 == 1;
            }
        };
        memories.into_iter().enumerate().all(|(k, memory)| {
            let words = &self.filters[memory];
            let word = words[self.hash(k, class, b, e) as usize % words.len()];
            let hash = self.hash(k, n, b, e);
            word >> (hash >> 14 & 31) & 1 == 1 && word >> (hash >> 19 & 31) & 1 == 1
        })
    }

    /// All candidates of a record, in order of beat, lane and length.
    pub fn candidates(&self, record: &Record) -> Vec<Candidate> {
        let b = &record.payload;
        let mut all = vec![];
        for e in record.carry + 1..=b.len() {
            if record.slice_of(e - 1) != record.slice || repeated(b, e) {
                continue;
            }
            for n in 1..=8.min(e) {
                if self.passes(b, e, n) {
                    let bytes = b[e - n..e].iter().rev().copied().collect();
                    all.push(Candidate {
                        end: e,
                        length: n,
                        bytes,
                    });
                }
            }
        }
        all
    }
}

impl Record {
    /// Lane 0's offset in the first beat: with 64 lanes the header takes half of it.
    pub fn start(&self) -> isize {
        if self.lanes == 64 { -32 } else { 0 }
    }

    fn slice_of(&self, offset: usize) -> usize {
        (offset as isize - self.start()) as usize % self.lanes / 8
    }
}

fn repeated(b: &[u8], e: usize) -> bool {
    e > 24
        && [1, 9, 10, 11, 12, 13, 14, 15, 16]
            .into_iter()
            .any(|p| (0..8).all(|i| b[e - 1 - i] == b[e - 1 - i - p]))
}
