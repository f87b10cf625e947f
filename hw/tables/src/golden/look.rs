//! A payload: from candidates to hits.

use super::{Golden, scan};
use crate::exact::places;

/// An entry that occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryHit {
    /// Entry of the exact table.
    pub entry: u32,
    /// Offset in the payload just past its first occurrence that ends after the carry.
    pub end: u16,
}

/// How looking through a payload went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// A slice had more candidates than the limit. The hits do not count then.
    pub overflow: bool,
    /// Candidates within the limit, all slices together.
    pub candidates: u32,
}

/// Entries that were found already in the payload under way.
#[derive(Default)]
pub(super) struct Seen {
    /// For each entry, the number of the payload that it was last found in.
    payloads: Vec<u32>,
    payload: u32,
}

impl Seen {
    fn next(&mut self) {
        self.payload = self.payload.wrapping_add(1);
        if self.payload == 0 {
            self.payloads.fill(0);
            self.payload = 1;
        }
    }

    /// True the first time.
    fn is_new(&mut self, entry: u32) -> bool {
        let at = entry as usize;
        if at >= self.payloads.len() {
            // An entry has 20 bits.
            self.payloads.resize(at + 1, 0);
        }
        let Some(place) = self.payloads.get_mut(at) else {
            return false;
        };
        std::mem::replace(place, self.payload) != self.payload
    }
}

/// The last `length` bytes before `end`, the last one lowest.
#[inline]
fn window(payload: &[u8], end: usize, length: usize) -> u64 {
    let upto = payload.get(..end).unwrap_or_default();
    let eight = match upto.last_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => upto
            .iter()
            .fold(0, |window, &byte| window << 8 | u64::from(byte)),
    };
    match length {
        8.. => eight,
        _ => eight & ((1 << (8 * length)) - 1),
    }
}

/// The bytes of a window, letters in lower case.
#[inline]
fn lower(window: u64) -> u64 {
    u64::from_le_bytes(window.to_le_bytes().map(|byte| byte.to_ascii_lowercase()))
}

impl Golden {
    /// Calls `on(end, length)` for every candidate of a payload, in the order of end and length, whatever the limit.
    pub fn candidates(&self, payload: &[u8], carry: u8, on: &mut dyn FnMut(usize, usize)) {
        scan(
            &self.hash,
            &self.filters,
            payload,
            carry.into(),
            &mut |end, lengths| {
                for length in 1..=8 {
                    if lengths >> (length - 1) & 1 == 1 {
                        on(end, length);
                    }
                }
                true
            },
        );
    }

    /// Looks through a payload (at most [`MAX_LENGTH`](card_protocol::record::MAX_LENGTH) bytes of it) as a record of this
    /// group, carry and generation's parity (0 or 1), and adds each entry that occurs to `hits`, once, with its first end.
    pub fn look(
        &mut self,
        payload: &[u8],
        group: u8,
        parity: u8,
        carry: u8,
        hits: &mut Vec<EntryHit>,
    ) -> Look {
        let Self {
            geometry,
            hash,
            filters,
            slots,
            limit,
            seen,
            ..
        } = self;
        let payload = payload
            .get(..card_protocol::record::MAX_LENGTH)
            .unwrap_or(payload);
        let (parity, group) = (u32::from(parity & 1), group & 63);
        let lanes = geometry.lanes;
        // The payload's first byte is in this lane.
        let first_lane = card_protocol::record::HEADER % lanes;
        let limit = u32::from(*limit);
        let mut examined = [0u32; 8];
        let mut look = Look::default();
        seen.next();
        scan(hash, filters, payload, carry.into(), &mut |end, lengths| {
            let slice = (first_lane + end - 1) % lanes / 8;
            let Some(examined) = examined.get_mut(slice) else {
                return false;
            };
            for length in 1..=8usize {
                if lengths >> (length - 1) & 1 == 0 {
                    continue;
                }
                if *examined >= limit {
                    look.overflow = true;
                    continue;
                }
                *examined += 1;
                look.candidates += 1;
                let raw = window(payload, end, length);
                let folded = lower(raw);
                let start = end - length;
                let text = payload.get(start..end).unwrap_or_default();
                for place in places(geometry.exact, hash.of(text)) {
                    if let Some(slot) = slots.get(place as usize)
                        && slot.hits(length, raw, folded, parity, group)
                        && seen.is_new(slot.entry())
                    {
                        hits.push(EntryHit {
                            entry: slot.entry(),
                            end: end as u16,
                        });
                    }
                }
            }
            true
        });
        look
    }
}
