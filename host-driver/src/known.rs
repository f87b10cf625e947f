//! Known-answer records: payloads made of the loaded probes, so that every entry is asked for at every lane.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use card_protocol::record::MAX_LENGTH;
use weir_engine::matcher::Probe;
use weir_tables::split::Split;

/// Texts that are put off until the next payload at most: those that stand in what is there already.
const PUT_OFF: usize = 4096;

/// A payload, but for where it starts.
struct Chunk {
    group: u8,
    /// A byte that is in none of its probes.
    filler: u8,
    text: Vec<u8>,
}

/// Payloads that have every entry of a table, and where the asking stands. Payload `index` is text `index % chunks`, moved by
/// `index / chunks` lanes.
pub(crate) struct Plan {
    lanes: usize,
    chunks: Vec<Chunk>,
    next: AtomicU64,
    /// For each index, the number of the record before it was answered rightly last.
    good: Vec<AtomicU64>,
}

impl Plan {
    /// For a table with these entries. `rotation` chooses, for each entry, which of its groups it is asked for in.
    pub fn new(probes: &[Probe], split: &Split, lanes: usize, bytes: usize, rotation: u32) -> Self {
        let most = bytes.clamp(16, MAX_LENGTH - lanes);
        let mut by_group: Vec<VecDeque<&Probe>> = vec![VecDeque::new(); 64];
        for entry in &split.entries {
            let Some(probe) = entry.first().and_then(|&(at, _)| probes.get(at as usize)) else {
                continue;
            };
            let groups = entry.iter().fold(0, |all, &(_, groups)| all | groups);
            if let Some(list) = nth_bit(groups, rotation).and_then(|bit| by_group.get_mut(bit)) {
                list.push_back(probe);
            }
        }
        let mut chunks = Vec::new();
        for (group, mut left) in (0..).zip(by_group) {
            while !left.is_empty() {
                chunks.push(Chunk::take(group, &mut left, most));
            }
        }
        let places = chunks.len() * lanes;
        Self {
            lanes,
            chunks,
            next: AtomicU64::new(0),
            good: (0..places).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Records until every entry was asked for at every lane.
    pub fn cycle(&self) -> usize {
        self.good.len()
    }

    /// Records that have every entry once in every slice.
    pub fn by_slice(&self) -> impl Iterator<Item = u32> + '_ {
        let chunks = self.chunks.len();
        (0..self.cycle() as u32).filter(move |&index| (index as usize / chunks).is_multiple_of(8))
    }

    /// The index that is to be asked for next; `None` when there is nothing to ask for.
    pub fn next(&self) -> Option<u32> {
        let cycle = self.cycle() as u64;
        if cycle == 0 {
            return None;
        }
        Some((self.next.fetch_add(1, Relaxed) % cycle) as u32)
    }

    /// Adds the payload of an index to `out`, and returns its group.
    pub fn payload(&self, index: u32, out: &mut Vec<u8>) -> u8 {
        let Some(chunk) = self.chunks.get(index as usize % self.chunks.len().max(1)) else {
            return 0;
        };
        let shift = index as usize / self.chunks.len().max(1) % self.lanes;
        out.resize(out.len() + shift, chunk.filler);
        out.extend_from_slice(&chunk.text);
        chunk.group
    }

    /// All is as it was written, when so many records had been sent.
    pub fn fresh(&self, records: u64) {
        for good in &self.good {
            good.fetch_max(records, Relaxed);
        }
    }

    /// The answer was right, when so many records had been sent.
    pub fn right(&self, index: u32, records: u64) {
        if let Some(good) = self.good.get(index as usize) {
            good.fetch_max(records, Relaxed);
        }
    }

    /// The answer was wrong, when so many records had been sent: how many have passed since it was right.
    pub fn exposure(&self, index: u32, records: u64) -> u64 {
        let good = self.good.get(index as usize);
        records.saturating_sub(good.map_or(0, |good| good.load(Relaxed)))
    }

    /// The lane that the byte before `end` of a payload goes through.
    #[cfg(test)]
    fn lane(&self, end: usize) -> usize {
        (card_protocol::record::HEADER + end - 1) % self.lanes
    }
}

impl Chunk {
    /// Takes probes from the front of `left` while there is room. One that stands in the text already would be found there, and not
    /// where it is to be: it goes to the next chunk.
    fn take(group: u8, left: &mut VecDeque<&Probe>, most: usize) -> Self {
        let mut text: Vec<u8> = Vec::with_capacity(most);
        let mut used = [false; 256];
        let mut put_off = Vec::new();
        while let Some(probe) = left.pop_front() {
            let before = text.len();
            if before + probe.bytes().len() > most && before > 0 {
                left.push_front(probe);
                break;
            }
            text.extend_from_slice(probe.bytes());
            if occurs(probe, &text) && put_off.len() < PUT_OFF {
                text.truncate(before);
                put_off.push(probe);
                continue;
            }
            for &byte in probe.bytes() {
                used[usize::from(byte.to_ascii_lowercase())] = true;
                used[usize::from(byte.to_ascii_uppercase())] = true;
            }
        }
        for probe in put_off.into_iter().rev() {
            left.push_front(probe);
        }
        // Upper values first: they are rare in probes. Where all are used, an entry may be found before its place.
        let filler = (0..=u8::MAX)
            .rev()
            .find(|&byte| !used[usize::from(byte)])
            .unwrap_or(0);
        Self {
            group,
            filler,
            text,
        }
    }
}

/// True when a probe stands in a text before its end.
fn occurs(probe: &Probe, text: &[u8]) -> bool {
    let Some(&last) = probe.bytes().last() else {
        return false;
    };
    let folded = probe.folded();
    let upto = text.len().saturating_sub(1);
    text.iter().take(upto).enumerate().any(|(at, &byte)| {
        (byte == last || folded && byte.to_ascii_lowercase() == last)
            && probe.ends(text.get(..=at).unwrap_or_default())
    })
}

/// The place of a set bit: the first, the second and so on, round and round.
fn nth_bit(mask: u64, nth: u32) -> Option<usize> {
    let nth = nth.checked_rem(mask.count_ones())?;
    let rest = (0..nth).fold(mask, |rest, _| rest & rest.wrapping_sub(1));
    Some(rest.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use weir_engine::matcher::Request;
    use weir_engine::matcher::testing::{naive, random_cases};
    use weir_tables::{Geometry, Key, Size};

    #[test]
    fn every_entry_is_asked_for_at_every_lane() {
        for case in random_cases(11, 40) {
            let geometry = Geometry::new(16, Size::Compact);
            let guide = Default::default();
            let (_, split) =
                weir_tables::split::fill(&case.probes, geometry, Key::from_seed(1), 0, &guide);
            let plan = Plan::new(&case.probes, &split, 16, 256, 0);
            let mut asked = HashSet::new();
            let mut payload = Vec::new();
            for index in 0..plan.cycle() as u32 {
                payload.clear();
                let group = plan.payload(index, &mut payload);
                let request = Request {
                    tag: 0,
                    group,
                    carry: 0,
                    data: &payload,
                };
                for hit in naive(&case.probes, &request) {
                    asked.insert((hit.probe, plan.lane(hit.end as usize)));
                }
            }
            for entry in &split.entries {
                let any = |lane| {
                    entry
                        .iter()
                        .any(|&(probe, _)| asked.contains(&(probe, lane)))
                };
                let lanes = (0..16).filter(|&lane| any(lane)).count();
                assert!(entry.is_empty() || lanes == 16, "{}: {entry:?}", case.name);
            }
        }
    }

    #[test]
    fn groups_take_turns() {
        assert_eq!(nth_bit(0, 3), None);
        let bits: Vec<_> = (0..4).filter_map(|nth| nth_bit(0b1010_0100, nth)).collect();
        assert_eq!(bits, [2, 5, 7, 2]);
    }
}
