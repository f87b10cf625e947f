//! From counts to the table.

use weir_engine::matcher::MAX_PROBE;

use super::learn::Count;
use super::scale::Scaled;
use super::{Learnt, Level, Levels, Limits, Table};

/// The table of the windows that are worth keeping. `counts` are sorted; every window with at least `floor` hits is there.
pub(super) fn table(
    learnt: Learnt,
    counts: &[Vec<Count>; MAX_PROBE],
    floor: u64,
    limits: Limits,
) -> Table {
    let least = least(counts, floor, limits);
    let mut levels: [Level; MAX_PROBE] = Default::default();
    let mut parents: Vec<u64> = Vec::new();
    for (at, counts) in counts.iter().enumerate() {
        let shift = 8 * (MAX_PROBE - 1 - at) as u32;
        let kept = counts.iter().filter(|count| keeps(count, least, limits));
        let mut level = Level::default();
        let mut windows = Vec::new();
        let mut starts = Vec::with_capacity(parents.len() + 1);
        for count in kept {
            let parent = count.window & !(u64::MAX >> (8 * at as u32));
            while at > 0
                && parents
                    .get(starts.len())
                    .is_some_and(|&first| first <= parent)
            {
                starts.push(windows.len() as u32);
            }
            windows.push(count.window);
            level.symbols.push((count.window >> shift) as u8);
            level.hits.push(Scaled::up(count.hits));
            level.payloads.push(Scaled::up(count.payloads));
        }
        if let Some(above) = at.checked_sub(1).and_then(|above| levels.get_mut(above)) {
            starts.resize(parents.len() + 1, windows.len() as u32);
            above.children = starts;
        }
        if let Some(place) = levels.get_mut(at) {
            *place = level;
        }
        parents = windows;
    }
    Table {
        learnt,
        least,
        levels: Levels::of(levels),
    }
}

fn keeps(count: &Count, least: u64, limits: Limits) -> bool {
    count.hits >= least && count.payloads >= limits.payloads
}

/// How often a window must have been seen to be kept: `floor` times at least, and as often as it takes for no more than
/// `limits.windows` to remain.
fn least(counts: &[Vec<Count>; MAX_PROBE], floor: u64, limits: Limits) -> u64 {
    let mut hits: Vec<u64> = counts
        .iter()
        .flatten()
        .filter(|count| keeps(count, floor, limits))
        .map(|count| count.hits)
        .collect();
    if hits.len() <= limits.windows {
        return floor;
    }
    // The last that still has room, and all that came as often, must go.
    let (_, &mut most, _) = hits.select_nth_unstable_by(limits.windows, |a, b| b.cmp(a));
    most.saturating_add(1)
}
