//! Where contents and strings of expressions stand.

use weir_engine::plan::{Content, Value};

use super::numbers::signed;
use super::{LONGEST, Search, State, Step, fits, put};
use crate::exercise::set::ByteSet;
use crate::exercise::strings::{Made, overlay};

/// Places of a content that are tried.
const PLACES: usize = 10;

impl Search<'_, '_> {
    pub(super) fn content(
        &mut self,
        content: &Content,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let sets: Vec<ByteSet> = (content.bytes.iter())
            .map(|&byte| ByteSet::cased(byte, content.nocase))
            .collect();
        let limit = |at: Option<Value>| at.map(|at| signed(at, &state));
        let cursor = state.cursor as i64;
        let (mut low, mut high) = if content.relative() {
            let low = cursor + limit(content.distance).unwrap_or(0);
            (low, limit(content.within).map(|within| low + within))
        } else {
            (0, None)
        };
        let offset = limit(content.offset).unwrap_or(0);
        low = low.max(offset).max(0);
        if let Some(depth) = limit(content.depth).filter(|&depth| depth > 0) {
            let from = if content.relative() { cursor } else { offset };
            high = Some(high.unwrap_or(i64::MAX).min(from + depth));
        }
        if content.startswith {
            high = Some(sets.len() as i64);
        }
        let high = high.unwrap_or(i64::MAX).min(state.max as i64);
        let last = high - sets.len() as i64;
        let low = usize::try_from(low).ok()?;
        let last = usize::try_from(last).ok().filter(|&last| last >= low)?;
        for at in self.places(content, &sets, low, last, &state) {
            let mut state = state.clone();
            if put(&mut state.cells, at, &sets).is_none() {
                continue;
            }
            state.cursor = at + sets.len();
            if content.endswith {
                if state.cells.len() > state.cursor {
                    continue;
                }
                state.max = state.max.min(state.cursor);
            }
            if !content.relative() {
                state.places.push(at);
            }
            if let Some(laid) = self.next(rest, state) {
                return Some(laid);
            }
        }
        None
    }

    /// Where a content could stand, the best first.
    fn places(
        &self,
        content: &Content,
        sets: &[ByteSet],
        low: usize,
        last: usize,
        state: &State,
    ) -> Vec<usize> {
        let used = state.cells.len();
        let mut all: Vec<usize> = Vec::with_capacity(PLACES);
        let mut add = |at: usize| {
            if (low..=last).contains(&at) && !all.contains(&at) && all.len() < PLACES {
                all.push(at);
            }
        };
        if content.endswith {
            // At the end of what there is, or behind it, or where the size says.
            if let Some(at) = used.checked_sub(sets.len()) {
                add(at);
            }
            for size in &state.sizes {
                if let (true, Some(at)) =
                    (size.test(size.a), (size.a as usize).checked_sub(sets.len()))
                {
                    add(at);
                }
            }
            for over in (0..sets.len()).rev() {
                if used >= over && fits(&state.cells, used - over, sets) {
                    add(used - over);
                }
            }
            add(used.max(low));
            return all;
        }
        let scan = last.min(used).min(low.saturating_add(LONGEST));
        // Where it stands already.
        let stands = |at: usize| {
            let cells = state.cells.get(at..at + sets.len());
            cells.is_some_and(|cells| cells.iter().zip(sets).all(|(cell, set)| cell.within(*set)))
        };
        for at in (low..=scan).filter(|&at| stands(at)).take(3) {
            add(at);
        }
        let behind = if content.relative() || used == 0 {
            low.max(used)
        } else {
            low.max(used) + self.style.joiner.len()
        };
        let overlaps = |add: &mut dyn FnMut(usize), count: usize| {
            for at in (low..=scan)
                .filter(|&at| fits(&state.cells, at, sets))
                .take(count)
            {
                add(at);
            }
        };
        if self.style.apart > 0 && content.relative() && content.within.is_none() {
            add(low.max(used) + self.style.apart);
        }
        if content.relative() || self.style.overlap {
            overlaps(&mut add, 3);
            add(behind);
            add(low.max(used));
        } else {
            add(behind);
            add(low.max(used));
            overlaps(&mut add, 3);
        }
        // Room before it, for what looks back from it.
        add(low.max(used) + 16);
        add(low.max(used) + 64);
        add(last);
        overlaps(&mut add, PLACES);
        all
    }

    pub(super) fn strings(
        &mut self,
        strings: &[Made],
        relative: bool,
        rest: &[&Step<'_>],
        state: State,
    ) -> Option<Vec<u8>> {
        let used = state.cells.len();
        let cursor = if relative { state.cursor } else { 0 };
        // What is there may do.
        if used > 0 && !self.style.strings_first {
            let mut state = state.clone();
            state.cursor = used;
            if self.shown > 1
                && let Some(laid) = self.next(rest, state)
            {
                return Some(laid);
            }
        }
        for made in strings {
            let mut places = Vec::new();
            if made.at_start || relative && made.cells.is_empty() {
                places.push(cursor);
            } else {
                let scan = used.max(cursor);
                let behind = scan
                    + if used == 0 || relative {
                        0
                    } else {
                        self.style.joiner.len()
                    };
                let over = (cursor..scan)
                    .filter(|&at| fits(&state.cells, at, &made.cells))
                    .filter(|&at| !made.at_line || at == 0 || is(&state.cells, at - 1, b'\n'));
                let over: Vec<usize> = over.take(4).collect();
                if self.style.overlap || relative {
                    places.extend(over);
                    places.push(behind);
                } else {
                    places.push(behind);
                    places.extend(over);
                }
                places.push(scan);
                places.dedup();
            }
            for at in places {
                let mut state = state.clone();
                if made.at_line && at > 0 {
                    if state.cells.len() < at {
                        state.cells.resize(at, ByteSet::ALL);
                    }
                    if overlay(&mut state.cells, at - 1, &[ByteSet::of(b'\n')]).is_none() {
                        continue;
                    }
                }
                if put(&mut state.cells, at, &made.cells).is_none() {
                    continue;
                }
                state.cursor = at + made.cells.len() - made.ahead;
                if made.at_end {
                    if state.cells.len() > at + made.cells.len() {
                        continue;
                    }
                    state.max = state.max.min(at + made.cells.len());
                }
                if let Some(laid) = self.next(rest, state) {
                    return Some(laid);
                }
            }
        }
        None
    }
}

fn is(cells: &[ByteSet], at: usize, byte: u8) -> bool {
    cells.get(at).is_some_and(|cell| *cell == ByteSet::of(byte))
}
