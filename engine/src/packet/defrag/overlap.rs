//! Fragments that overlap, where verdicts are carried out: what was passed on stays what it is, whatever its receiver makes of it.

use super::{Owned, Span, Tracker};

impl Tracker {
    /// True for a fragment that says something else than those before it, or puts the end elsewhere.
    pub(super) fn contradicts(&self, new: Span, more: bool, data: &[u8]) -> bool {
        let reach = self.owners.last().map_or(0, |owned| owned.span.end);
        let ends_elsewhere = match self.end {
            Some(end) => new.end > end || !more && new.end != end,
            None => !more && reach > new.end,
        };
        let from = (self.owners).partition_point(|owned| owned.span.end <= new.start);
        let touched = self.owners.get(from..).unwrap_or_default();
        let differs = |owned: &Owned| {
            let Some(chunk) = self.chunks.get(owned.chunk as usize) else {
                return false;
            };
            let (start, end) = (owned.span.start.max(new.start), owned.span.end.min(new.end));
            let place = |to: u32, at: u32| to.saturating_sub(at) as usize;
            let old = chunk.span.start;
            chunk.data.get(place(start, old)..place(end, old))
                != data.get(place(start, new.start)..place(end, new.start))
        };
        ends_elsewhere
            || (touched.iter())
                .take_while(|owned| owned.span.start < new.end)
                .any(differs)
    }
}
