//! A plain matcher in software: one look at every offset, then an exact comparison.
//!
//! Every probe is filed under a key: four of its bytes, or two, or one, case folded. A bitmap says whether any probe
//! has the key at an offset; few do, and only then the bucket of that key is searched and each probe of it compared.
//! It is the reference that faster backends are held to, so it is kept simple.

use super::found::Found;
use super::{MAX_GROUPS, Matcher, MatcherError, Probe, Report, Request};

/// Bits of a hashed 4-gram: few enough that a table is quick to set up, as tests do a million times.
const GRAM_BITS: u32 = 16;
const PAIR_BITS: u32 = 16;
const BYTE_BITS: u32 = 8;

/// A probe in a bucket.
#[derive(Clone, Copy, Debug)]
struct Member {
    probe: u32,
    /// Bytes of the probe that stand before its key.
    before: u32,
}

/// Probes whose keys have the same length.
#[derive(Default)]
struct Class {
    /// Whether any probe has this key; empty when the class is.
    bitmap: Vec<u64>,
    /// `starts[k]..starts[k + 1]` are the members of bucket `k`.
    starts: Vec<u32>,
    members: Vec<Member>,
}

impl Class {
    /// Builds a class over `bits`-bit keys.
    fn new(bits: u32, keyed: &[(u32, Member)]) -> Self {
        if keyed.is_empty() {
            return Self::default();
        }
        let size = 1usize << bits;
        let mut bitmap = vec![0u64; size.div_ceil(64)];
        let mut starts = vec![0u32; size + 1];
        for &(key, _) in keyed {
            bitmap[key as usize / 64] |= 1 << (key % 64);
            starts[key as usize + 1] += 1;
        }
        for at in 0..size {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut members = vec![
            Member {
                probe: 0,
                before: 0
            };
            keyed.len()
        ];
        for &(key, member) in keyed {
            let slot = &mut next[key as usize];
            members[*slot as usize] = member;
            *slot += 1;
        }
        Self {
            bitmap,
            starts,
            members,
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn has(&self, key: u32) -> bool {
        self.bitmap
            .get(key as usize / 64)
            .is_some_and(|word| word >> (key % 64) & 1 == 1)
    }

    fn bucket(&self, key: u32) -> &[Member] {
        &self.members[self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize]
    }
}

/// The plain software backend.
#[derive(Default)]
pub struct Plain {
    probes: Vec<Probe>,
    grams: Class,
    pairs: Class,
    bytes: Class,
    /// Groups that have probes, so that a buffer of another group costs nothing.
    populated: u64,
    folded: Vec<u8>,
    found: Found,
}

/// Compares the probes of a bucket whose key stands at `at`, and notes those that are new.
fn verify(
    found: &mut Found,
    bucket: &[Member],
    probes: &[Probe],
    at: usize,
    request: &Request<'_>,
) {
    for &Member {
        probe: number,
        before,
    } in bucket
    {
        if found.end(number).is_some() {
            continue;
        }
        let probe = &probes[number as usize];
        let Some(start) = at.checked_sub(before as usize) else {
            continue;
        };
        let end = start + probe.bytes().len();
        if probe.groups >> request.group & 1 == 1
            && end > usize::from(request.carry)
            && request.data.get(..end).is_some_and(|text| probe.ends(text))
        {
            found.note(number, end as u32);
        }
    }
}

impl Plain {
    /// A matcher without probes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at every offset of the folded copy.
    fn scan(&mut self, request: &Request<'_>) {
        let Self {
            probes,
            grams,
            pairs,
            bytes,
            folded,
            found,
            ..
        } = self;
        let mut window = 0u32;
        if !grams.is_empty() {
            for (at, &byte) in folded.iter().enumerate() {
                window = window << 8 | u32::from(byte);
                // Before the fourth byte the window is not full; a hit there is refuted by the comparison.
                let key = gram_key(window);
                if grams.has(key) && at >= 3 {
                    verify(found, grams.bucket(key), probes, at - 3, request);
                }
            }
        }
        if !pairs.is_empty() {
            for (at, pair) in folded.array_windows::<2>().enumerate() {
                let key = u16::from_be_bytes(*pair).into();
                if pairs.has(key) {
                    verify(found, pairs.bucket(key), probes, at, request);
                }
            }
        }
        if !bytes.is_empty() {
            for (at, &byte) in folded.iter().enumerate() {
                if bytes.has(byte.into()) {
                    verify(found, bytes.bucket(byte.into()), probes, at, request);
                }
            }
        }
    }
}

/// Multiplicative hashing (Knuth): the upper bits of the product depend on all bits of the gram.
fn gram_key(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1) >> (32 - GRAM_BITS)
}

/// The window of a folded probe that is likely the rarest, and where it stands.
fn rarest<const N: usize>(probe: &[u8]) -> (usize, [u8; N]) {
    let commonness = |window: &[u8; N]| {
        let run = if window.iter().all(|byte| byte == &window[0]) {
            8
        } else {
            0
        };
        run + window.iter().map(|&byte| common(byte)).sum::<u32>()
    };
    let windows = probe.array_windows::<N>().copied().enumerate();
    windows
        .min_by_key(|(_, window)| commonness(window))
        .unwrap_or((0, [0; N]))
}

/// How common a folded byte is in traffic: a rough scale, for the choice of keys only.
fn common(byte: u8) -> u32 {
    match byte {
        0 => 7,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b' ' => 6,
        b'a'..=b'z' => 5,
        b'0'..=b'9' | b'.' | b'/' | b'-' | b':' | b'\r' | b'\n' | 0xFF => 4,
        1..=8 | 0x80 => 3,
        b'!'..=b'~' => 2,
        _ => 1,
    }
}

impl Matcher for Plain {
    fn name(&self) -> &'static str {
        "software"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        const LIMIT: usize = 1 << 20;
        if probes.len() > LIMIT {
            return Err(MatcherError::TooManyProbes {
                got: probes.len(),
                limit: LIMIT,
            });
        }
        let (mut grams, mut pairs, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (probe, literal) in (0..).zip(
            probes
                .iter()
                .map(|probe| probe.bytes().to_ascii_lowercase()),
        ) {
            let member = |before: usize| Member {
                probe,
                before: before as u32,
            };
            match *literal.as_slice() {
                [only] => bytes.push((only.into(), member(0))),
                [_, _] | [_, _, _] => {
                    let (before, pair) = rarest::<2>(&literal);
                    pairs.push((u16::from_be_bytes(pair).into(), member(before)));
                }
                _ => {
                    let (before, gram) = rarest::<4>(&literal);
                    grams.push((gram_key(u32::from_be_bytes(gram)), member(before)));
                }
            }
        }
        self.grams = Class::new(GRAM_BITS, &grams);
        self.pairs = Class::new(PAIR_BITS, &pairs);
        self.bytes = Class::new(BYTE_BITS, &bytes);
        self.populated = probes.iter().fold(0, |groups, probe| groups | probe.groups);
        self.found.reset(probes.len());
        self.probes = probes.to_vec();
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        debug_assert!(request.group < MAX_GROUPS);
        if self.populated >> request.group & 1 == 1 {
            self.found.next_buffer();
            self.folded.clear();
            self.folded.extend_from_slice(request.data);
            self.folded.make_ascii_lowercase();
            self.scan(&request);
        }
        self.found.finish(request.tag);
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.found.deliver(deliver)
    }
}
