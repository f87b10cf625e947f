//! A plain matcher in software: one look at every offset, then an exact comparison.
//!
//! Probes are keyed by their first four, two or one folded bytes. A bitmap says whether any probe has the key at an
//! offset; few do, and only then the bucket of that key is searched and each probe of it compared. It is the
//! reference that faster backends are held to, so it is kept simple.

use super::{Hit, MAX_GROUPS, Matcher, MatcherError, Outcome, Probe, Report, Request};

/// Bits of a hashed 4-gram: 2^18 bits are 32 KiB, which stay in the first-level cache.
const GRAM_BITS: u32 = 18;

/// Probes that share a key length.
#[derive(Default)]
struct Class {
    /// Whether any probe has this (hashed) key.
    bitmap: Vec<u64>,
    /// `starts[k]..starts[k + 1]` are the members of bucket `k`.
    starts: Vec<u32>,
    /// Probe numbers by bucket.
    members: Vec<u32>,
}

impl Class {
    /// Builds a class over `bits`-bit keys.
    fn new(bits: u32, keyed: &[(usize, u32)]) -> Self {
        if keyed.is_empty() {
            return Self::default();
        }
        let size = 1usize << bits;
        let mut bitmap = vec![0u64; size.div_ceil(64)];
        let mut starts = vec![0u32; size + 1];
        for &(key, _) in keyed {
            bitmap[key / 64] |= 1 << (key % 64);
            starts[key + 1] += 1;
        }
        for at in 0..size {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut members = vec![0; keyed.len()];
        for &(key, probe) in keyed {
            members[next[key] as usize] = probe;
            next[key] += 1;
        }
        Self { bitmap, starts, members }
    }

    /// The members of a bucket; empty for almost every key.
    fn bucket(&self, key: usize) -> &[u32] {
        match self.bitmap.get(key / 64) {
            Some(word) if word >> (key % 64) & 1 == 1 => {
                &self.members[self.starts[key] as usize..self.starts[key + 1] as usize]
            }
            _ => &[],
        }
    }
}

/// The plain software backend.
#[derive(Default)]
pub struct Plain {
    probes: Vec<Probe>,
    /// Probes of 4 bytes and more, of 2 and 3, and of 1.
    classes: [Class; 3],
    /// Probes per group, so that a group without any costs nothing.
    populated: u64,
    /// For each probe, the number of the buffer it was last seen in.
    seen: Vec<u32>,
    buffer: u32,
    folded: Vec<u8>,
    hits: Vec<Hit>,
    /// (tag, end of its hits) of finished buffers that were not polled yet.
    ready: Vec<(u64, usize)>,
}

impl Plain {
    /// A matcher without probes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares the probes of a bucket at `start` and notes the new ones.
    fn verify(&mut self, class: usize, key: usize, start: usize, request: &Request<'_>) {
        for &number in self.classes[class].bucket(key) {
            let probe = &self.probes[number as usize];
            let end = start + probe.bytes().len();
            if probe.groups >> request.group & 1 == 1
                && self.seen[number as usize] != self.buffer
                && end > usize::from(request.carry)
                && request.data.get(..end).is_some_and(|text| probe.ends(text))
            {
                self.seen[number as usize] = self.buffer;
                self.hits.push(Hit { probe: number, end: end as u32 });
            }
        }
    }

    /// Looks at every offset of the folded copy.
    fn scan(&mut self, request: &Request<'_>) {
        let folded = std::mem::take(&mut self.folded);
        let [long, short, single] = [0, 1, 2].map(|class| !self.classes[class].members.is_empty());
        for at in 0..folded.len() {
            if long && let Some(gram) = folded.get(at..at + 4) {
                let key = gram_key(gram);
                self.verify(0, key, at, request);
            }
            if short && let Some(&[a, b]) = folded.get(at..at + 2) {
                self.verify(1, pair_key(a, b), at, request);
            }
            if single {
                self.verify(2, folded[at].into(), at, request);
            }
        }
        self.folded = folded;
    }
}

fn gram_key(gram: &[u8]) -> usize {
    let value = gram.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
    // Multiplicative hashing (Knuth): the upper bits of the product depend on all bits of the gram.
    (value.wrapping_mul(0x9E37_79B1) >> (32 - GRAM_BITS)) as usize
}

fn pair_key(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

impl Matcher for Plain {
    fn name(&self) -> &'static str {
        "software"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        const LIMIT: usize = 1 << 20;
        if probes.len() > LIMIT {
            return Err(MatcherError::TooManyProbes { got: probes.len(), limit: LIMIT });
        }
        let mut keyed: [Vec<(usize, u32)>; 3] = Default::default();
        for (number, probe) in probes.iter().enumerate() {
            let key = probe.bytes().to_ascii_lowercase();
            let (class, key) = match *key.as_slice() {
                [only] => (2, usize::from(only)),
                [a, b] | [a, b, _] => (1, pair_key(a, b)),
                ref longer => (0, gram_key(&longer[..4])),
            };
            keyed[class].push((key, number as u32));
        }
        self.classes = [
            Class::new(GRAM_BITS, &keyed[0]),
            Class::new(16, &keyed[1]),
            Class::new(8, &keyed[2]),
        ];
        self.populated = probes.iter().fold(0, |groups, probe| groups | probe.groups);
        self.seen = vec![0; probes.len()];
        self.buffer = 0;
        self.probes = probes.to_vec();
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        debug_assert!(request.group < MAX_GROUPS);
        if self.populated >> request.group & 1 == 1 {
            // When the numbers wrap, an old mark could pass for a new one.
            self.buffer = self.buffer.wrapping_add(1);
            if self.buffer == 0 {
                self.seen.fill(0);
                self.buffer = 1;
            }
            self.folded.clear();
            self.folded.extend_from_slice(request.data);
            self.folded.make_ascii_lowercase();
            self.scan(&request);
        }
        self.ready.push((request.tag, self.hits.len()));
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let mut start = 0;
        for &(tag, end) in &self.ready {
            deliver(Report { tag, outcome: Outcome::Done, hits: &self.hits[start..end] });
            start = end;
        }
        let count = self.ready.len();
        self.ready.clear();
        self.hits.clear();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word.
    fn naive(probes: &[Probe], request: &Request<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (number, probe) in probes.iter().enumerate() {
            if probe.groups >> request.group & 1 == 0 {
                continue;
            }
            let first = (1..=request.data.len())
                .find(|&end| end > usize::from(request.carry) && probe.ends(&request.data[..end]));
            hits.extend(first.map(|end| Hit { probe: number as u32, end: end as u32 }));
        }
        hits
    }

    fn probe() -> impl Strategy<Value = Probe> {
        (prop::collection::vec(prop::sample::select(b"abAB\0\xff".to_vec()), 1..=8), any::<bool>(), 1u64..8)
            .prop_map(|(bytes, folded, groups)| Probe::new(&bytes, folded, groups).expect("1 to 8 bytes"))
    }

    proptest! {
        #[test]
        fn finds_what_the_definition_finds(
            probes in prop::collection::vec(probe(), 0..40),
            buffers in prop::collection::vec((prop::collection::vec(prop::sample::select(b"abAB\0\xff".to_vec()), 0..60), 0u8..3, 0u8..8), 1..5),
        ) {
            let mut plain = Plain::new();
            plain.load(&probes).expect("fits");
            for (tag, (data, group, carry)) in buffers.iter().enumerate() {
                let carry = (*carry).min(data.len() as u8);
                plain.submit(Request { tag: tag as u64, group: *group, carry, data }).expect("room");
            }
            let mut got = Vec::new();
            plain.poll(&mut |report| {
                let mut hits = report.hits.to_vec();
                hits.sort();
                got.push((report.tag, report.outcome, hits));
            });
            let want: Vec<_> = buffers.iter().enumerate().map(|(tag, (data, group, carry))| {
                let carry = (*carry).min(data.len() as u8);
                (tag as u64, Outcome::Done, naive(&probes, &Request { tag: 0, group: *group, carry, data }))
            }).collect();
            prop_assert_eq!(got, want);
        }
    }
}
