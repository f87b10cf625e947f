//! Filling up what is free, and showing what came out.

use super::{LONGEST, Search, State};
use crate::exercise::set::ByteSet;

impl Search<'_, '_> {
    /// Fills up what is free, and shows it to whom it is for.
    pub(super) fn show(&mut self, state: &State) -> Option<Vec<u8>> {
        let used = state.cells.len().max(state.min);
        let sized = |length: usize| state.sizes.iter().all(|size| size.test(length as u64));
        let most = state.max.min(LONGEST);
        let length = (used..=most).find(|&length| sized(length))?;
        // Shorter is not possible, and much longer than wanted is no use.
        if length > used + 4096 {
            return None;
        }
        let mut cells = state.cells.clone();
        cells.resize(length, ByteSet::ALL);
        let fillers: [&[u8]; 3] = [self.style.filler, b"ab1c", b"\x01\x02\0"];
        for filler in fillers {
            if self.shown == 0 {
                return None;
            }
            let mut turn = filler.iter().cycle();
            let mut free = |cell: &ByteSet| {
                let wanted = if *cell == ByteSet::ALL {
                    turn.next()
                } else {
                    filler.first()
                };
                cell.pick(wanted.map_or(&[][..], std::slice::from_ref))
            };
            let bytes: Option<Vec<u8>> = cells.iter().map(&mut free).collect();
            let mut bytes = bytes?;
            self.join(&cells, state, &mut bytes);
            self.shown -= 1;
            if (self.accept)(&bytes) {
                return Some(bytes);
            }
        }
        None
    }

    /// Writes the joiner before contents where the places before them are free.
    fn join(&self, cells: &[ByteSet], state: &State, bytes: &mut [u8]) {
        let joiner = self.style.joiner;
        if joiner.is_empty() {
            return;
        }
        for &at in &state.places {
            let Some(from) = at.checked_sub(joiner.len()) else {
                continue;
            };
            let free = cells
                .get(from..at)
                .is_some_and(|cells| cells.iter().all(|cell| *cell == ByteSet::ALL));
            if let (true, Some(place)) = (free, bytes.get_mut(from..at)) {
                place.copy_from_slice(joiner);
            }
        }
    }
}
