//! Which probes the core looks for, and which are left to software.

use std::collections::HashMap;

use weir_engine::matcher::Probe;

use crate::entries::{Entry, entries};
use crate::filter::Filters;
use crate::golden::scan;
use crate::key::{Hash, Key};
use crate::loaded::{DoesNotFit, Loaded};
use crate::rates::PassRates;
use crate::{Geometry, Switch};

/// What a split goes by.
#[derive(Clone, Debug, Default)]
pub struct Guide {
    /// Traffic as it is to be expected; without any, no probe is known to be worse than another.
    pub sample: Vec<Vec<u8>>,
    /// Most candidates per end, on the sample. Probes are left to software until it is met.
    pub rate: Option<f64>,
}

/// What came of a split.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// For each entry of the exact table, the probes that it stands for, and their groups.
    pub entries: Vec<Vec<(u32, u64)>>,
    /// Probes that are left to software.
    pub software: Vec<u32>,
}

/// Puts as many of the probes as fit into new tables. As few as can be are left out, and among choices those of which the
/// sample has the most.
pub fn fill(
    probes: &[Probe],
    geometry: Geometry,
    key: Key,
    generation: u16,
    guide: &Guide,
) -> (Loaded, Split) {
    let choice = Choice::new(probes, geometry, &Hash::new(&key), guide);
    let (loaded, ids) = Loaded::fill(geometry, key, &choice.kept, generation);
    (loaded, choice.split(&ids))
}

/// Begins a switch to as many of the probes as fit beside the old ones; chosen as by [`fill`].
///
/// # Errors
/// When a switch is under way.
pub fn begin(
    loaded: &mut Loaded,
    probes: &[Probe],
    guide: &Guide,
) -> Result<(Switch, Split), DoesNotFit> {
    let choice = Choice::new(probes, *loaded.geometry(), loaded.hash(), guide);
    let switch = loaded.begin_with(&choice.kept)?;
    let split = choice.split(&switch.ids);
    Ok((switch, split))
}

/// Entries, those first that matter most.
struct Choice {
    kept: Vec<Entry>,
    software: Vec<Entry>,
}

impl Choice {
    fn new(probes: &[Probe], geometry: Geometry, hash: &Hash, guide: &Guide) -> Self {
        let mut kept = entries(probes);
        let traffic = Traffic::new(hash, &geometry, &kept, &guide.sample);
        // Every entry that is left out leaves out all of its probes.
        kept.sort_by_key(|entry| {
            (
                std::cmp::Reverse(entry.probes.len()),
                traffic.of(hash, entry),
                entry.literal,
            )
        });
        let mut software = Vec::new();
        if let Some(rate) = guide.rate {
            bound(
                &mut kept,
                &mut software,
                geometry,
                hash,
                &guide.sample,
                rate,
            );
        }
        Self { kept, software }
    }

    fn split(self, ids: &[Option<u32>]) -> Split {
        let mut split = Split::default();
        let unplaced = self.kept.iter().zip(ids).filter(|(_, id)| id.is_none());
        let software = unplaced.map(|(entry, _)| entry).chain(&self.software);
        for entry in software {
            split
                .software
                .extend(entry.probes.iter().map(|&(probe, _)| probe));
        }
        split.software.sort_unstable();
        for (entry, id) in self.kept.into_iter().zip(ids) {
            let Some(id) = *id else { continue };
            let least = split.entries.len().max(id as usize + 1);
            split.entries.resize(least, Vec::new());
            if let Some(probes) = split.entries.get_mut(id as usize) {
                *probes = entry.probes;
            }
        }
        split
    }
}

/// How often the sample has what passes the filter on behalf of an entry alone.
struct Traffic(HashMap<(usize, [u32; 2]), u64>);

impl Traffic {
    /// Counts the candidates of a filter with all of these entries.
    fn new(hash: &Hash, geometry: &Geometry, entries: &[Entry], sample: &[Vec<u8>]) -> Self {
        let mut counts = HashMap::new();
        if sample.is_empty() {
            return Self(counts);
        }
        let mut filters = Filters::new(geometry);
        for entry in entries {
            filters.add(hash, &entry.literal);
        }
        for buffer in sample {
            scan(hash, &filters, buffer, 0, &mut |end, lengths| {
                for n in (1..=8).filter(|n| lengths >> (n - 1) & 1 == 1) {
                    let text = buffer.get(end - n..end).unwrap_or_default();
                    *counts.entry((n, hash.of(text))).or_default() += 1;
                }
                true
            });
        }
        Self(counts)
    }

    fn of(&self, hash: &Hash, entry: &Entry) -> u64 {
        let text = entry.literal.text();
        let key = (entry.literal.length(), hash.of(text.as_ref()));
        self.0.get(&key).copied().unwrap_or(0)
    }
}

/// Leaves entries to software until the sample has at most `rate` candidates per end.
fn bound(
    kept: &mut Vec<Entry>,
    software: &mut Vec<Entry>,
    geometry: Geometry,
    hash: &Hash,
    sample: &[Vec<u8>],
    rate: f64,
) {
    while !kept.is_empty() {
        let mut filters = Filters::new(&geometry);
        for entry in kept.iter() {
            filters.add(hash, &entry.literal);
        }
        let rates = PassRates::measure(hash, &filters, sample.iter().map(Vec::as_slice));
        let allowed = (rate.max(0.0) * rates.ends as f64) as u64;
        let Some(mut excess) = rates.candidates.iter().sum::<u64>().checked_sub(allowed) else {
            return;
        };
        if excess == 0 {
            return;
        }
        let traffic = Traffic::new(hash, &geometry, kept, sample);
        let mut costs: Vec<(u64, usize)> = kept
            .iter()
            .enumerate()
            .map(|(at, entry)| (traffic.of(hash, entry), at))
            .collect();
        costs.sort_unstable_by(|a, b| b.cmp(a));
        let mut goes = vec![false; kept.len()];
        for (cost, at) in costs {
            // Where no entry is a candidate's only reason, they go one by one: what is left passes by chance.
            goes[at] = true;
            excess = excess.saturating_sub(cost.max(1));
            if excess == 0 || cost == 0 {
                break;
            }
        }
        let mut goes = goes.into_iter();
        software.extend(kept.extract_if(.., |_| goes.next().unwrap_or(false)));
    }
}
