//! What automata that know one case rule need beside them: which probes a folded literal stands for, and which were seen.

use std::collections::HashMap;

use weir_engine::matcher::{Hit, Probe};

/// Distinct folded literals and their probes.
pub(super) struct Folded {
    /// The literals, in lower case, none twice.
    pub literals: Vec<Vec<u8>>,
    /// The probes of each literal are `members[starts[i]..starts[i + 1]]`.
    starts: Vec<usize>,
    members: Vec<u32>,
    probes: Vec<Probe>,
    /// For each probe, the number of the buffer it was last seen in.
    seen: Vec<u32>,
    buffer: u32,
}

impl Folded {
    pub fn new(probes: &[Probe]) -> Self {
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut literals = Vec::new();
        let mut lists: Vec<Vec<u32>> = Vec::new();
        for (probe, number) in probes.iter().zip(0..) {
            let literal = probe.bytes().to_ascii_lowercase();
            let at = *numbers.entry(literal.clone()).or_insert_with(|| {
                literals.push(literal);
                lists.push(Vec::new());
                lists.len() - 1
            });
            lists[at].push(number);
        }
        let mut starts = vec![0];
        let mut members = Vec::with_capacity(probes.len());
        for list in lists {
            members.extend(list);
            starts.push(members.len());
        }
        Self {
            literals,
            starts,
            members,
            probes: probes.to_vec(),
            seen: vec![0; probes.len()],
            buffer: 0,
        }
    }

    /// Forgets what was seen.
    pub fn next_buffer(&mut self) {
        self.buffer = self.buffer.wrapping_add(1);
        if self.buffer == 0 {
            self.seen.fill(0);
            self.buffer = 1;
        }
    }

    /// Literal `number` ends at `end` of `data`: notes its probes that are new and agree in case.
    #[inline]
    pub fn note(&mut self, number: usize, end: usize, data: &[u8], found: &mut Vec<Hit>) {
        for &probe in &self.members[self.starts[number]..self.starts[number + 1]] {
            let seen = &mut self.seen[probe as usize];
            if *seen == self.buffer {
                continue;
            }
            let what = &self.probes[probe as usize];
            if what.folded() || what.ends(&data[..end]) {
                *seen = self.buffer;
                found.push(Hit {
                    probe,
                    end: end as u32,
                });
            }
        }
    }

    /// Bytes of what is here.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.starts)
            + size_of_val(&*self.members)
            + size_of_val(&*self.probes)
            + size_of_val(&*self.seen)
    }
}
