//! The model against the core's definition, written down once more, word for word and without any haste.

use std::collections::{BTreeSet, HashMap};

use card_protocol::register::{LIMIT, exact, table};
use proptest::prelude::*;
use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::{Rng, Shape, Sizes, random_case};
use weir_tables::{Geometry, Golden, Key, Loaded, Size, Write, entries};

/// Memories, by (select, address).
struct Defined {
    geometry: Geometry,
    words: HashMap<(u32, u32), u32>,
}

/// What the definition says of a payload.
#[derive(Debug, PartialEq)]
struct Answer {
    candidates: Vec<(usize, usize)>,
    examined: usize,
    overflow: bool,
    hits: BTreeSet<(u32, usize)>,
}

impl Defined {
    fn word(&self, select: u32, address: u32) -> u32 {
        self.words.get(&(select, address)).copied().unwrap_or(0)
    }

    fn t(&self, k: u32, byte: u8) -> u32 {
        let c = if byte.is_ascii_uppercase() {
            byte + 32
        } else {
            byte
        };
        let mut t = self.word(table::KEY, 16 * k + 8);
        for i in 0..8 {
            if c >> i & 1 == 1 {
                t ^= self.word(table::KEY, 16 * k + i);
            }
        }
        t
    }

    fn h(&self, k: u32, b: &[u8], n: usize, e: usize) -> u32 {
        (0..n).fold(0, |h, j| {
            h ^ self.t(k, b[e - 1 - j]).rotate_left((9 * j % 32) as u32)
        })
    }

    fn passes(&self, b: &[u8], n: usize, e: usize) -> bool {
        if n == 1 {
            let byte = u32::from(b[e - 1]);
            return self.word(table::SINGLE, byte / 32) >> (byte % 32) & 1 == 1;
        }
        let (class, place, selects) = match n {
            8 => (8, 0, &[table::FILTER_8A, table::FILTER_8B][..]),
            6 | 7 => (6, 1, &[table::FILTER_6A, table::FILTER_6B][..]),
            4 | 5 => (4, 2, &[table::FILTER_4A, table::FILTER_4B][..]),
            3 => (3, 3, &[table::FILTER_3][..]),
            _ => (2, 4, &[table::FILTER_2][..]),
        };
        (0..).zip(selects).all(|(k, &select)| {
            let address = self.h(k, b, class, e) & ((1 << self.geometry.filters[place]) - 1);
            let (word, h) = (self.word(select, address), self.h(k, b, n, e));
            word >> (h >> 14 & 31) & 1 == 1 && word >> (h >> 19 & 31) & 1 == 1
        })
    }

    fn repeated(b: &[u8], e: usize) -> bool {
        e > 24
            && [1, 9, 10, 11, 12, 13, 14, 15, 16]
                .iter()
                .any(|p| (0..8).all(|i| b[e - 1 - i] == b[e - 1 - i - p]))
    }

    fn hits(&self, b: &[u8], n: usize, e: usize, group: u32, parity: u32) -> Vec<u32> {
        let x = self.geometry.exact;
        let last = (1 << x) - 1;
        let (h0, h1) = (self.h(0, b, n, e), self.h(1, b, n, e));
        let slots = [h0 & last, h1 & last, h0 >> 16 & last, h1 >> 16 & last];
        let mut hits = Vec::new();
        for (way, slot) in (0..).zip(slots) {
            let word = |word| self.word(table::EXACT + 8 * way + word, slot);
            let key = u64::from(word(exact::KEY_LOW)) | u64::from(word(exact::KEY_HIGH)) << 32;
            let groups =
                u64::from(word(exact::GROUPS_LOW)) | u64::from(word(exact::GROUPS_HIGH)) << 32;
            let meta = word(exact::META);
            let folded = meta >> 23 & 1 == 1;
            let mut text = [0; 8];
            for j in 0..n {
                let byte = b[e - 1 - j];
                text[j] = if folded {
                    byte.to_ascii_lowercase()
                } else {
                    byte
                };
            }
            if (meta >> 20 & 7) + 1 == n as u32
                && key == u64::from_le_bytes(text)
                && meta >> (24 + parity) & 1 == 1
                && groups >> group & 1 == 1
            {
                hits.push(meta & 0xF_FFFF);
            }
        }
        hits
    }

    fn look(&self, b: &[u8], group: u32, parity: u32, carry: usize, limit: usize) -> Answer {
        let mut answer = Answer {
            candidates: Vec::new(),
            examined: 0,
            overflow: false,
            hits: BTreeSet::new(),
        };
        let mut first: HashMap<u32, usize> = HashMap::new();
        let lanes = self.geometry.lanes;
        let mut slices = vec![0; lanes / 8];
        for e in carry + 1..=b.len() {
            // With 64 lanes the payload starts in the upper half of the header's beat.
            let lane = (e - 1 + if lanes == 64 { 32 } else { 0 }) % lanes;
            for n in 1..=8.min(e) {
                if Self::repeated(b, e) || !self.passes(b, n, e) {
                    continue;
                }
                answer.candidates.push((e, n));
                if slices[lane / 8] == limit {
                    answer.overflow = true;
                    continue;
                }
                slices[lane / 8] += 1;
                answer.examined += 1;
                for entry in self.hits(b, n, e, group, parity) {
                    first.entry(entry).or_insert(e);
                }
            }
        }
        answer.hits = first.into_iter().collect();
        answer
    }
}

/// Model and definition with the same writes.
struct Pair {
    golden: Golden,
    defined: Defined,
}

impl Pair {
    fn new(geometry: Geometry, writes: impl IntoIterator<Item = Write>) -> Self {
        let mut pair = Self {
            golden: Golden::new(geometry),
            defined: Defined {
                geometry,
                words: HashMap::new(),
            },
        };
        for write in writes {
            pair.golden.table(write);
            pair.defined
                .words
                .insert((write.select, write.address), write.data);
        }
        pair
    }

    /// Both say the same; what they say.
    fn check(&mut self, payload: &[u8], group: u8, parity: u8, carry: u8, limit: u16) -> Answer {
        self.golden.write(LIMIT, limit.into());
        let expected = self.defined.look(
            payload,
            group.into(),
            parity.into(),
            carry.into(),
            limit.into(),
        );
        let mut hits = Vec::new();
        let look = self.golden.look(payload, group, parity, carry, &mut hits);
        let mut candidates = Vec::new();
        self.golden.candidates(payload, carry, &mut |end, length| {
            candidates.push((end, length))
        });
        let entries = hits.len();
        let answer = Answer {
            candidates,
            examined: look.candidates as usize,
            overflow: look.overflow,
            hits: hits
                .into_iter()
                .map(|hit| (hit.entry, hit.end.into()))
                .collect(),
        };
        assert_eq!(entries, answer.hits.len(), "an entry twice");
        assert_eq!(answer, expected, "{}", payload.escape_ascii());
        answer
    }
}

fn geometry(lanes: usize) -> Geometry {
    // So small that much passes by chance.
    Geometry {
        lanes,
        filters: [4, 3, 3, 3, 2],
        exact: 5,
        engines: 1,
    }
}

#[test]
fn random_tables() {
    let mut rng = Rng::new(5);
    let (mut overflows, mut hits, mut repeated) = (0, 0, 0);
    for round in 0..400u32 {
        let shape = Shape::ALL[round as usize % 3];
        let sizes = Sizes {
            probes: (1, 60),
            buffers: (1, 3),
            data: (0, 300),
        };
        let case = random_case(rng.draw(), shape, &sizes);
        let lanes = *rng.pick(&[8, 16, 32, 64]);
        let key = Key::from_seed(rng.draw());
        let generation = round as u16;
        let entries = entries(&case.probes);
        let (loaded, _) = Loaded::fill(geometry(lanes), key, &entries, generation);
        let mut pair = Pair::new(geometry(lanes), loaded.image(false));
        for ask in &case.asks {
            let limit = *rng.pick(&[0, 1, 7, 30, u16::MAX]);
            // Now and then the parity in which nothing lives.
            let parity = generation as u8 & 1 ^ u8::from(rng.one_in(8));
            let mut data = ask.data.clone();
            if rng.one_in(3) {
                // A period that repeats.
                let period = rng.range(1, 20);
                data.extend(rng.bytes(shape.alphabet(), period).repeat(6));
                repeated += 1;
            }
            let answer = pair.check(&data, ask.group, parity, ask.carry, limit);
            overflows += usize::from(answer.overflow);
            hits += answer.hits.len();
        }
    }
    assert!(
        overflows > 100 && hits > 500 && repeated > 100,
        "{overflows} {hits} {repeated}"
    );
}

/// Memories full of anything: what no host would write must be computed alike.
#[test]
fn random_memories() {
    let mut hits = 0;
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let lanes = *rng.pick(&[8, 16, 32, 64]);
        let geometry = geometry(lanes);
        let mut writes = Vec::new();
        let mut fill =
            |select: u32, addresses: std::ops::Range<u32>, rng: &mut Rng, dense: bool| {
                for address in addresses {
                    let data = if dense {
                        rng.draw() | rng.draw()
                    } else {
                        rng.draw()
                    };
                    writes.push(Write {
                        select,
                        address,
                        data: data as u32,
                    });
                }
            };
        fill(table::KEY, 0..9, &mut rng, false);
        fill(table::KEY, 16..25, &mut rng, false);
        fill(table::SINGLE, 0..8, &mut rng, false);
        let places = [0, 0, 1, 1, 2, 2, 3, 4];
        for (select, place) in (table::FILTER_8A..).zip(places) {
            fill(
                select,
                0..1 << geometry.filters[place],
                &mut rng,
                seed % 2 == 0,
            );
        }
        for way in 0..4 {
            for word in 0..exact::WORDS {
                fill(
                    table::EXACT + 8 * way + word,
                    0..1 << geometry.exact,
                    &mut rng,
                    false,
                );
            }
        }
        // Slots that stand for short texts, so that some hit.
        for write in &mut writes {
            if write.select >= table::EXACT {
                match (write.select - table::EXACT) % 8 {
                    exact::KEY_LOW => write.data &= 1,
                    exact::KEY_HIGH => write.data = 0,
                    exact::META => write.data &= !(7 << 20),
                    _ => {}
                }
            }
        }
        let mut pair = Pair::new(geometry, writes);
        for _ in 0..40 {
            let bytes: Vec<u8> = rng.bytes(&[0, 1, 1, 0, b'A', b'z', 0xFF], 400);
            let answer = pair.check(
                &bytes,
                rng.below(64) as u8,
                rng.below(2) as u8,
                rng.below(8) as u8,
                500,
            );
            hits += answer.hits.len();
        }
    }
    assert!(hits > 100, "{hits}");
}

proptest! {
    #[test]
    fn any_payload(
        literals in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..=8), any::<bool>()), 1..40),
        payload in prop::collection::vec(0u8..4, 0..500),
        seed: u64, limit in 0u16..200, carry in 0u8..8, lanes in 0usize..4,
    ) {
        let lanes = [8, 16, 32, 64][lanes];
        let probes: Vec<Probe> = literals.iter().filter_map(|(text, folded)| {
            let text: Vec<u8> = text.iter().map(|byte| byte & 3).collect();
            Probe::new(&text, *folded, u64::MAX)
        }).collect();
        let (loaded, _) = Loaded::fill(geometry(lanes), Key::from_seed(seed), &entries(&probes), 0);
        let mut pair = Pair::new(geometry(lanes), loaded.image(true));
        let carry = carry.min(payload.len() as u8);
        pair.check(&payload, 0, 0, carry, limit);
    }
}

/// Full-size memories and long payloads, too.
#[test]
fn large() {
    let mut rng = Rng::new(3);
    for size in [Size::Compact, Size::Full] {
        let geometry = Geometry::new(32, size);
        let probes: Vec<Probe> = (0..2000)
            .filter_map(|_| {
                let length = rng.range(1, 8);
                Probe::new(
                    &rng.bytes(b"abcdefgh \0", length),
                    rng.one_in(2),
                    rng.draw(),
                )
            })
            .collect();
        let (loaded, _) = Loaded::fill(geometry, Key::from_seed(rng.draw()), &entries(&probes), 1);
        let mut pair = Pair::new(geometry, loaded.image(true));
        let text = rng.bytes(b"abcdefghABCDEFGH \0", 3000);
        let answer = pair.check(&text, 9, 1, 5, u16::MAX);
        assert!(
            !answer.overflow && answer.hits.len() > 50,
            "{}",
            answer.hits.len()
        );
    }
}
